"""A route: where it is, who answers, and what it takes to be let in."""

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from protocol.access import Caller, Permission

API: Final = "/api/v1"
CLINIC: Final = f"{API}/clinics/{{clinic}}"
CHANNEL: Final = f"{CLINIC}/channels/{{channel}}"
CALLER: Final = web.RequestKey("caller", Caller)
"""Who asks: there once the key has been looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path.

    ``permission``: what the caller's key must be good for. If the path names a clinic, the key must be for it; if not,
    it must be for the whole node, unless the answer is ``filtered``: the handler shows each caller what it may see.
    ``action``: what stands in the audit if it changes anything; None: it only looks.
    ``patience_s``: how long it may take at most (None: as long as requests usually may).
    ``body``, ``answer``: types of the request's and the answer's body, for the description of the API.
    ``stream``: the body is read piece by piece, and has a limit of its own.
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
