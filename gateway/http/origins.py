"""Under which names this endpoint is served, and which web pages may use it.

A browser lets any page send requests here. Two things keep pages of others out: a page whose own name was made to point
here (DNS rebinding) says that name in ``Host``, and it is not ours; and a page from elsewhere says where it is from in
``Origin``, and may change nothing. No page can leave either out or make it up. Programs that are no browsers may say
what they like, which gets them no further than their key does.
"""

import ipaddress
from collections import Counter
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from msgspec import Struct

from gateway.http.problems import FORBIDDEN, MISDIRECTED, Refused

HEALTH: Final = "/health"
HARMLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-API-Key",
    "Access-Control-Max-Age": "600",
}
_EXPOSED: Final = "Location, Retry-After, WWW-Authenticate"


class Origins(Struct, frozen=True, kw_only=True):
    """``hosts``: names besides the loopback's and the address that was connected to. ``allowed``: origins, such as
    ``https://painel.example``, whose pages may use the API with a key that they have."""

    hosts: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()


class Doorman:
    """Middleware: ``check``, before anything else is looked at; ``tell`` says to browsers what they may show."""

    def __init__(self, origins: Origins, refused: Counter[str]) -> None:
        self._origins = origins
        self._refused = refused

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Raises Refused: under a name that is not ours, or by a page that may not."""
        headers = request.headers
        host = headers.get(hdrs.HOST)
        if host is not None and request.path != HEALTH and not self._ours(request, host):
            self._refused["host"] += 1
            raise Refused(
                MISDIRECTED, "the Host of the request is none of this endpoint's; others are set as http.hosts"
            )
        origin = headers.get(hdrs.ORIGIN)
        if origin is None:
            return await handler(request)
        if request.method == "OPTIONS" and hdrs.ACCESS_CONTROL_REQUEST_METHOD in headers and self._may(origin):
            return web.Response(status=204, headers=_PREFLIGHT)
        if request.method not in HARMLESS and not self._may(origin) and origin.partition("://")[2] != host:
            self._refused["origin"] += 1
            raise Refused(
                FORBIDDEN, "pages of this origin may change nothing here; others are set as http.allowed_origins"
            )
        return await handler(request)

    def allow(self, origins: Origins) -> None:
        """Go by these from now on. In any thread."""
        self._origins = origins

    def tell(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let the browser show the response to a page from an origin that is allowed; no other is told anything."""
        if not self._origins.allowed:
            return
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and self._may(origin):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED

    def _may(self, origin: str) -> bool:
        return origin in self._origins.allowed

    def _ours(self, request: web.Request, host: str) -> bool:
        name = name_of(host)
        return name == "localhost" or name in self._origins.hosts or _is_here(request, name)


def is_own_page(request: web.BaseRequest) -> bool:
    """Whether the browser says that it is a page of this endpoint's that asks. ``Host`` has been checked before."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return request.headers.get("Sec-Fetch-Site") == "same-origin"
    scheme, _, host = origin.partition("://")
    return host == request.headers.get(hdrs.HOST) and (scheme == "https" or not request.secure)


def name_of(host: str) -> str:
    """A ``Host`` without its port, as names are compared."""
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return name.lower().removesuffix(".")


def _is_here(request: web.Request, name: str) -> bool:
    """Whether ``name`` is an address: the loopback, or the one that was connected to. No page can have such a name."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    if address.is_loopback:
        return True
    local = None if request.transport is None else request.transport.get_extra_info("sockname")
    return local is not None and name == str(local[0]).partition("%")[0]
