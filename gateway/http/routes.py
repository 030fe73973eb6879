"""A route: where it is, who answers, and what it takes to be let in."""

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from protocol.access import Caller, Permission
from protocol.ids import ClinicId

API: Final = "/api/v1"
CLINIC: Final = f"{API}/clinics/{{clinic}}"
CHANNEL: Final = f"{CLINIC}/channels/{{channel}}"
CALLER: Final = web.RequestKey("caller", Caller)
"""Who asks; not there if no key was presented, which only routes that are open see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A parameter after the ``?``, for the description of the API; ``kind`` is its type, ``what`` a phrase. ``where``:
    ``header`` for one that is a header."""

    name: str
    kind: Any
    what: str
    where: str = "query"


OF_CLINIC: Final = Query(name="clinic", kind=ClinicId, what="only of this clinic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path.

    ``permission``: what the caller's key must be good for. If the path names a clinic, the key must be for it; if not,
    it must be for the whole node, unless the answer is ``filtered``: the handler shows each caller what it may see.
    ``action``: what stands in the audit if it changes anything; None: it only looks.
    ``patience_s``: how long it may take at most (None: as long as requests usually may).
    For the description of the API (``openapi``): ``body`` and ``answer`` are types of what is sent and answered (a body
    that may be left out is ``… | None``; a tuple of answers is one of them), ``status`` is what it answers with when
    all is well, ``also`` others with the same answer, ``content`` what that is if not JSON.
    ``stream``: the body is read piece by piece, and has a limit of its own.
    ``endless``: it is answered for as long as the client likes: without a deadline, and bounded by itself, not by how
    many requests of a clinic may be under way.
    ``per_minute``: how often an address may ask without a key (None: as the limits say; 0: as often as it likes).
    """

    method: str
    path: str
    handler: Handler
    permission: Permission
    action: str | None = None
    filtered: bool = False
    patience_s: float | None = None
    body: Any = None
    answer: Any = None
    stream: bool = False
    endless: bool = False
    status: int = 200
    also: tuple[int, ...] = ()
    content: str = "application/json"
    query: tuple[Query, ...] = ()
    per_minute: int | None = None


ROUTE: Final = web.RequestKey("route", Route)
"""Where a request goes; not there if nothing is there."""
