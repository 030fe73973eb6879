"""The admin endpoint of a running node over HTTP, and where it is found.

Nothing but the standard library: a proxy in the environment must not come between us and loopback, and this has to be
imported fast.
"""

import http.client
import json
import os
import ssl
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlencode, urlsplit

from protocol.errors import InvalidInputError, PlantaoError

NODE_FILE: Final = "node.json"
KEY_FILE: Final = "admin.key"
TIMEOUT_S: Final = 40.0
PAIR_TIMEOUT_S: Final = 100.0
_API: Final = "/api/v1"


class NodeAwayError(PlantaoError):
    """No node runs where it was looked for, or it does not answer."""


class NodeRefusedError(PlantaoError):
    """The node answered with a problem (RFC 9457)."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        text = str(problem.get("detail") or problem.get("title") or f"the node answered {status}")
        super().__init__(f"{text}: {problem['incident']}" if "incident" in problem else text)


class NodeClient:
    """Asks one node; each request has a connection of its own."""

    def __init__(self, url: str, key: str, tls: ssl.SSLContext | None = None) -> None:
        """``tls`` says whom to trust at an ``https`` URL; None: whom this machine does."""
        parts = _split(url)
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._host = str(parts.hostname)
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._key = key
        self.url = url.rstrip("/")

    @classmethod
    def find(cls, data: Path, url: str | None, key_file: Path | None, ca: Path | None = None) -> Self:
        """The node at ``url``, whose certificate the authorities in ``ca`` vouch for (None: those of this machine), or
        else the one that runs on the data directory ``data``.

        Raises:
            NodeAwayError: none runs there.
            InvalidInputError: the URL is none, or there is no key, or no certificate in ``ca``.
        """
        tls = None if ca is None else _trusting(ca)
        where = url
        if where is None:
            where, certificate = _running(data)
            tls = tls or (None if certificate is None else _knowing(certificate))
        return cls(where, _read_key(key_file if key_file is not None else data / KEY_FILE), tls)

    def get(self, *path: str, **query: str | None) -> Any:
        """What is at ``path`` below the API, as builtins."""
        return self._ask("GET", path, query)

    def post(self, *path: str, body: Any = None, timeout: float = TIMEOUT_S, **query: str | None) -> Any:
        """Post ``body`` as JSON; the answer as builtins."""
        return self._ask("POST", path, query, body, timeout)

    def patch(self, *path: str, body: Any) -> Any:
        """Change what is at ``path``; the answer as builtins."""
        return self._ask("PATCH", path, {}, body)

    def delete(self, *path: str) -> None:
        """Delete what is at ``path``."""
        self._ask("DELETE", path, {})

    def _ask(
        self,
        method: str,
        path: tuple[str, ...],
        query: dict[str, str | None],
        body: Any = None,
        timeout: float = TIMEOUT_S,
    ) -> Any:
        target = self._prefix + _API + "".join(f"/{quote(part, safe='')}" for part in path)
        if given := {name: value for name, value in query.items() if value is not None}:
            target += f"?{urlencode(given)}"
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        status, text = self._exchange(method, target, content, headers, timeout)
        answer = _parse(text)
        if status >= 400:
            raise NodeRefusedError(status, answer if isinstance(answer, dict) else {})
        return answer

    def _exchange(
        self, method: str, target: str, content: bytes | None, headers: dict[str, str], timeout: float
    ) -> tuple[int, bytes]:
        connection = self._connection(timeout)
        try:
            connection.request(method, target, content, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except TimeoutError as error:
            raise NodeAwayError(f"the node at {self.url} did not answer within {timeout:g} seconds") from error
        except ssl.SSLCertVerificationError as error:
            why = f"the certificate at {self.url} is not trusted: {error.verify_message}"
            raise NodeAwayError(f"{why}; whom to trust is said with --ca") from error
        except OSError as error:
            raise NodeAwayError(f"no node answers at {self.url}: {error.strerror or error}") from error
        except http.client.HTTPException as error:
            raise NodeAwayError(f"what answers at {self.url} is not a node") from error
        finally:
            connection.close()

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)


def _trusting(ca: Path) -> ssl.SSLContext:
    """Trusts the authorities in the file ``ca`` and no other. Raises InvalidInputError."""
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidInputError("--ca", f"a readable PEM file with certificates; {ca} is not") from error


def _knowing(certificate: Path) -> ssl.SSLContext:
    """Trusts the one certificate that the node on this machine says to show, whatever name is in it."""
    tls = _trusting(certificate)
    tls.check_hostname = False
    tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return tls


def _running(data: Path) -> tuple[str, Path | None]:
    """The URL of the node that runs on ``data``, and the certificate that it shows there."""
    path = data / NODE_FILE
    none = f"no node is running for data directory {data.absolute()}; start one with: plantao run --data {data}"
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        url, pid, certificate = str(said["http"]), int(said["pid"]), said.get("certificate")
    except FileNotFoundError as error:
        raise NodeAwayError(none) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NodeAwayError(f"{path} cannot be read, so the node is not found; give --url") from error
    if not _alive(pid):
        raise NodeAwayError(none)
    return url, None if certificate is None else Path(certificate)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read_key(path: Path) -> str:
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError("--key-file", f"a readable file with the admin key; {path} is not") from error
    if not key or len(key.split()) != 1:
        raise InvalidInputError("--key-file", f"a file that holds one key; {path} does not")
    return key


def _split(url: str) -> Any:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise InvalidInputError("--url", "a URL such as http://127.0.0.1:8080")


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
