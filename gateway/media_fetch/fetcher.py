"""Fetches media from the web. On the loop.

Everything here may be an enemy's: the address, the name service's answer, the server. So each of them is bounded, and
no error repeats an address or what a server said.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Final
from weakref import WeakValueDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.media_fetch import target, types
from gateway.media_fetch.addresses import opened, public
from gateway.media_fetch.lookup import Lookup, SystemLookup
from gateway.media_fetch.networks import Network
from gateway.media_fetch.target import FIELD, Target
from protocol.errors import InvalidInputError, UnavailableError
from protocol.media import WebMedia

MAX_REDIRECTS: Final = 3
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({408, 425, 429})
"""Besides 5xx: answers that may be another one soon."""
_HEADERS: Final = {"Accept-Encoding": "identity", "Accept": "*/*", "User-Agent": "plantao"}
_CONNECT_S: Final = 10.0


class WebFetcher:
    """``allow``: networks that are not public and may be reached all the same; ``at_once``: media under way of one
    clinic, the others of which wait for a turn; ``deadline_s``: of one medium with all its redirections, from its turn
    on; ``idle_s``: for which a server may say nothing."""

    def __init__(
        self,
        *,
        allow: Sequence[Network] = (),
        at_once: int = 4,
        deadline_s: float = 30.0,
        idle_s: float = 10.0,
        lookup: Lookup | None = None,
    ) -> None:
        self._allow = allow
        self._at_once = at_once
        self._deadline_s = deadline_s
        self._idle_s = idle_s
        self._lookup = lookup or SystemLookup()
        self._trust = ssl.create_default_context()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def fetch(self, clinic: str, url: str, *, kind: str, mime: str | None, limit: int) -> WebMedia:
        """As ``MediaSource`` says."""
        turns = self._turns.setdefault(clinic, asyncio.Semaphore(self._at_once))
        async with turns:
            try:
                async with asyncio.timeout(self._deadline_s):
                    return await self._follow(clinic, target.read(url), kind, mime, limit)
            except TimeoutError:
                raise UnavailableError(f"{FIELD}: it did not come in time") from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                why = type(error).__name__
                raise UnavailableError(f"{FIELD}: its server cannot be reached, or fails ({why})") from None

    async def _follow(self, clinic: str, there: Target, kind: str, mime: str | None, limit: int) -> WebMedia:
        for _ in range(MAX_REDIRECTS + 1):
            found = await self._hop(there, await self._checked(clinic, there), kind, mime, limit)
            if isinstance(found, WebMedia):
                return found
            there = found
        raise InvalidInputError(FIELD, f"an address that redirects at most {MAX_REDIRECTS} times")

    async def _checked(self, clinic: str, there: Target) -> Sequence[str]:
        """The IP addresses of ``there``, all of which may be connected to."""
        found = [there.host] if there.literal else await self._lookup(clinic, there.host)
        if all(opened(address, self._allow) for address in found):
            return found
        if not all(public(address) or opened(address, self._allow) for address in found):
            raise InvalidInputError(FIELD, "a server on the internet: not a private, local or reserved address")
        if not there.usual:
            raise InvalidInputError(FIELD, "https, at port 443: all else only in networks of media.allow_networks")
        return found

    async def _hop(
        self, there: Target, addresses: Sequence[str], kind: str, mime: str | None, limit: int
    ) -> WebMedia | Target:
        connector = aiohttp.TCPConnector(
            resolver=_Checked(there.host, addresses), use_dns_cache=False, force_close=True, ssl=self._trust, limit=1
        )
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=self._idle_s)
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                timeout=timeout,
                headers=_HEADERS,
            ) as session,
            session.get(there.url, allow_redirects=False) as response,
        ):
            if response.status in _REDIRECTS:
                return target.follow(there, response.headers.get("Location", ""))
            _check(response, limit)
            settled = types.settle(kind, mime, response.headers.get("Content-Type", ""))
            return WebMedia(data=await _read(response.content, limit), mime=settled)


class _Checked(AbstractResolver):
    """Answers with what was checked, whatever is asked by now."""

    def __init__(self, host: str, addresses: Sequence[str]) -> None:
        self._host = host
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=self._host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Holds nothing."""


def _check(response: aiohttp.ClientResponse, limit: int) -> None:
    status = response.status
    if status >= 500 or status in _PASSING:
        raise UnavailableError(f"{FIELD}: its server answered {status}")
    if status != 200:
        raise InvalidInputError(FIELD, f"something that is there for everybody: its server answered {status}")
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise InvalidInputError(FIELD, "a server that does not compress what is not asked to be")
    if (response.content_length or 0) > limit:
        raise _too_large(limit)


async def _read(content: aiohttp.StreamReader, limit: int) -> bytes:
    data = bytearray()
    while chunk := await content.readany():
        data += chunk
        if len(data) > limit:
            raise _too_large(limit)
    if not data:
        raise InvalidInputError(FIELD, "something that is not empty")
    return bytes(data)


def _too_large(limit: int) -> InvalidInputError:
    return InvalidInputError(FIELD, f"at most {limit} bytes")
