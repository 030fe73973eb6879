"""``/`` and ``/page/…``: the page, as its files stand in ``gateway/http/page``. It holds nothing that is secret, and
asks for all it shows as everybody does.

The files are read and compressed once, when the endpoint starts. What is allowed to them is their own
``Content-Security-Policy``: all of it comes from here, nothing is inline, and nothing may frame it.
"""

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from aiohttp import ETag, hdrs, web

from gateway.http.routes import Route
from protocol.access import Permission
from protocol.errors import NotFoundError

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}
"""Instead of those that all other answers have. ``no-cache`` is kept, and asked for again by its ``ETag``."""
START: Final = "index.html"
_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}
"""Whatever else lies in the directory is not served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFile:
    """A file as it is sent: ``packed`` (gzip) to who takes that."""

    body: bytes
    packed: bytes
    content_type: str
    etag: str


def read_page() -> Mapping[str, PageFile]:
    """The files of the page by name. Blocks."""
    return {
        entry.name: _file(entry.name, entry.read_bytes())
        for entry in files("gateway.http").joinpath("page").iterdir()
        if entry.is_file() and _suffix(entry.name) in _TYPES
    }


def _file(name: str, body: bytes) -> PageFile:
    etag = hashlib.sha256(body).hexdigest()[:32]
    return PageFile(body=body, packed=gzip.compress(body, mtime=0), content_type=_TYPES[_suffix(name)], etag=etag)


def _suffix(name: str) -> str:
    return "." + name.rpartition(".")[2]


class StaticRoutes:
    """Handlers. ``page``: the files by name."""

    def __init__(self, page: Mapping[str, PageFile]) -> None:
        self._page = page

    async def start(self, request: web.Request) -> web.Response:
        """The page."""
        return self._send(request, START)

    async def file(self, request: web.Request) -> web.Response:
        """A file of the page: a script, a style, a picture."""
        return self._send(request, request.match_info["file"])

    def _send(self, request: web.Request, name: str) -> web.Response:
        found = self._page.get(name)
        if found is None:
            raise NotFoundError("file of the page")
        # Weak: the same in both encodings.
        headers = {**HEADERS, hdrs.ETAG: f'W/"{found.etag}"', hdrs.VARY: hdrs.ACCEPT_ENCODING}
        if _has(request, found.etag):
            return web.Response(status=304, headers=headers)
        headers[hdrs.CONTENT_TYPE] = found.content_type
        if "gzip" not in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            return web.Response(body=found.body, headers=headers)
        return web.Response(body=found.packed, headers={**headers, hdrs.CONTENT_ENCODING: "gzip"})


def _has(request: web.Request, etag: str) -> bool:
    """Whether the browser has the file as it is."""
    known: tuple[ETag, ...] = request.if_none_match or ()
    return any(each.value in (etag, "*") for each in known)


def of_page(static: StaticRoutes) -> Sequence[Route]:
    """Its routes, open and uncounted: they are read from memory, and a page is several files."""
    return (
        Route(
            method="GET",
            path="/",
            handler=static.start,
            permission=Permission.OPEN,
            per_minute=0,
            answer=str,
            also=(304,),
            content="text/html",
        ),
        Route(
            method="GET",
            path="/page/{file}",
            handler=static.file,
            permission=Permission.OPEN,
            per_minute=0,
            answer=str,
            also=(304,),
            content="*/*",
        ),
    )
