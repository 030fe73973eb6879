"""The admin endpoint of a running node over HTTP, and where it is found.

Nothing but the standard library: a proxy in the environment must not come between us and loopback, and this has to be
imported fast.
"""

import http.client
import json
import os
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlencode, urlsplit

from protocol.errors import InvalidInputError, PlantaoError

NODE_FILE: Final = "node.json"
KEY_FILE: Final = "admin.key"
TIMEOUT_S: Final = 40.0
PAIR_TIMEOUT_S: Final = 100.0
STREAM_TIMEOUT_S: Final = 120.0
"""How long a stream of bytes may stand still."""
STREAM_BYTES: Final = 256 * 1024
SILENCE_S: Final = 45.0
"""How long a stream of events may say nothing: it gives a sign of life every 15 seconds."""
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

    def get_within(self, timeout: float, /, *path: str, **query: str | None) -> Any:
        """The same of what the node may take ``timeout`` seconds to say."""
        return self._ask("GET", path, query, timeout=timeout)

    def whole_list(self, *path: str, **query: str | None) -> dict[str, Any]:
        """All that a list at ``path`` has, page after page, as if it were one page."""
        found: list[Any] = []
        cursor: str | None = None
        while True:
            page = self._ask("GET", path, {**query, "cursor": cursor})
            found += page["items"]
            cursor = page.get("next")
            if cursor is None:
                return {"items": found, "next": None}

    def post(self, *path: str, body: Any = None, timeout: float = TIMEOUT_S, **query: str | None) -> Any:
        """Post ``body`` as JSON; the answer as builtins."""
        return self._ask("POST", path, query, body, timeout)

    def patch(self, *path: str, body: Any) -> Any:
        """Change what is at ``path``; the answer as builtins."""
        return self._ask("PATCH", path, {}, body)

    def delete(self, *path: str) -> None:
        """Delete what is at ``path``."""
        self._ask("DELETE", path, {})

    def ready(self) -> dict[str, Any]:
        """What the node says at ``/ready``, whether or not it is.

        Raises:
            NodeRefusedError: it says nothing, such as to a key that is not good any more.
        """
        with self._connected(TIMEOUT_S) as connection:
            connection.request("GET", f"{self._prefix}/ready", headers=self._headers())
            response = connection.getresponse()
            status, said = response.status, _parse(response.read())
            if isinstance(said, dict) and "ready" in said:
                return said
            raise NodeRefusedError(status, said if isinstance(said, dict) else {})

    @contextmanager
    def download(self, *path: str) -> Iterator[tuple[int | None, Iterator[bytes]]]:
        """What is at ``path``: how many bytes (None: it does not say), and they, in pieces.

        Raises:
            NodeAwayError: the node went away, or paused for long, before the end.
        """
        target, headers = self._target(path, {}), self._headers()
        with self._connected(STREAM_TIMEOUT_S) as connection:
            connection.request("GET", target, headers=headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise _refused(response.status, response.read())
            yield response.length, iter(lambda: response.read(STREAM_BYTES), b"")

    @contextmanager
    def events(self, last: str | None, **query: str | None) -> Iterator[Iterator[bytes]]:
        """Lines of Server-Sent Events, from the event after ``last`` on.

        Raises:
            NodeAwayError: the node went away, or was silent for long.
        """
        headers = {**self._headers(), "Accept": "text/event-stream"}
        if last is not None:
            headers["Last-Event-ID"] = last
        with self._connected(SILENCE_S) as connection:
            connection.request("GET", self._target(("events",), query), headers=headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise _refused(response.status, response.read())
            yield iter(response.readline, b"")

    def upload(
        self,
        *path: str,
        pieces: Iterable[bytes],
        size: int,
        headers: Mapping[str, str] | None = None,
        **query: str | None,
    ) -> Any:
        """Post ``pieces``, of ``size`` bytes in all, as they are, with further ``headers``; the answer as builtins.

        Raises:
            NodeAwayError: the node went away, or took nothing for long.
        """
        headers = {**self._headers(), **(headers or {})}
        headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        target = self._target(path, query)
        with self._connected(STREAM_TIMEOUT_S) as connection:
            # A node that refuses need not read to the end: what it said is there all the same.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", target, pieces, headers)
            response = connection.getresponse()
            return _answered(response.status, response.read())

    def _ask(
        self,
        method: str,
        path: tuple[str, ...],
        query: dict[str, str | None],
        body: Any = None,
        timeout: float = TIMEOUT_S,
    ) -> Any:
        headers = self._headers()
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        with self._connected(timeout) as connection:
            connection.request(method, self._target(path, query), content, headers)
            response = connection.getresponse()
            return _answered(response.status, response.read())

    def _target(self, path: tuple[str, ...], query: dict[str, str | None]) -> str:
        target = self._prefix + _API + "".join(f"/{quote(part, safe='')}" for part in path)
        given = {name: value for name, value in query.items() if value is not None}
        return f"{target}?{urlencode(given)}" if given else target

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}

    @contextmanager
    def _connected(self, timeout: float) -> Iterator[http.client.HTTPConnection]:
        """A connection for one request, whose errors are ours."""
        connection = self._connection(timeout)
        try:
            yield connection
        except TimeoutError as error:
            raise NodeAwayError(f"the node at {self.url} did not answer within {timeout:g} seconds") from error
        except ssl.SSLCertVerificationError as error:
            why = f"the certificate at {self.url} is not trusted: {error.verify_message}"
            raise NodeAwayError(f"{why}; whom to trust is said with --ca") from error
        except OSError as error:
            raise NodeAwayError(f"no node answers at {self.url}: {error.strerror or error}") from error
        except http.client.IncompleteRead as error:
            raise NodeAwayError(f"the node at {self.url} broke off before the end; see its log") from error
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


def running_pid(data: Path) -> int | None:
    """The process of the node that runs on ``data``; None if none does."""
    try:
        pid = int(json.loads((data / NODE_FILE).read_text(encoding="utf-8"))["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if _alive(pid) else None


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


def _answered(status: int, text: bytes) -> Any:
    if status >= 400:
        raise _refused(status, text)
    return _parse(text)


def _refused(status: int, text: bytes) -> NodeRefusedError:
    problem = _parse(text)
    return NodeRefusedError(status, problem if isinstance(problem, dict) else {})


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
