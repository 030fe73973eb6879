"""``/api/v1/session``: who has signed in on the page, by a cookie that stands for a key.

The key is typed once and kept nowhere in the browser. No script can read the cookie, and no page of others can have it
sent (``guard`` says what else it takes). Signing in is open to all, so it stands in the audit only once the key is
known to be good; a key that is not is counted as it is everywhere.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from gateway.access.api_keys import ApiKeys
from gateway.access.key import ApiKey
from gateway.access.sessions import LASTS
from gateway.audit.around import audited
from gateway.http.guard import GUARD, SESSION, cookie_name
from gateway.http.problems import status_of
from gateway.http.requests import answer, read_as
from gateway.http.routes import API, CALLER, Route
from protocol.access import Permission, Role
from protocol.audit import Audit

_PATH: Final = f"{API}/session"
_BEGIN: Final = "session.begin"
_MOST_BODY: Final = 4096
"""Bytes: it is read before anything is known of who sends it."""


class SignIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body that signs in."""

    key: Annotated[str, Meta(min_length=1, max_length=256)]


class SessionView(Struct, frozen=True, kw_only=True):
    """Who is signed in: what its key is good for, in which ``clinics`` (null: all, and the node), and until when."""

    key_id: str
    name: str
    role: Role
    clinics: list[str] | None
    expires_at: datetime | None


class SessionRoutes:
    """Handlers."""

    def __init__(self, keys: ApiKeys, audit: Audit) -> None:
        self._keys = keys
        self._audit = audit

    async def begin(self, request: web.Request) -> web.Response:
        """Sign in with a key: 200 and a cookie, which is good for what the key is, for 12 hours at most."""
        given = await read_as(request, SignIn, _MOST_BODY)
        key = request.app[GUARD].recognise(request, given.key)

        async def sign_in() -> web.Response:
            session, secret = request.app[GUARD].sessions.begin(key)
            response = answer(_view(key, session.expires_at))
            _set_cookie(request, response, secret, round(LASTS.total_seconds()))
            return response

        return await audited(
            self._audit,
            (key.id, _BEGIN, None, None),
            sign_in,
            lambda outcome: status_of(outcome) if isinstance(outcome, Exception) else outcome.status,
        )

    async def get(self, request: web.Request) -> web.Response:
        """Who asks: by the cookie, or with a key."""
        session = request.get(SESSION)
        key = self._keys.get(request[CALLER].id)
        return answer(_view(key, key.expires_at if session is None else session.expires_at))

    async def end(self, request: web.Request) -> web.Response:
        """Sign out: the cookie is good for nothing any more, and what it has under way is ended: 204."""
        session = request.get(SESSION)
        if session is not None:
            request.app[GUARD].sessions.end(session.digest)
        response = web.Response(status=204)
        _set_cookie(request, response, "", 0)
        return response


def _view(key: ApiKey, expires_at: datetime | None) -> SessionView:
    return SessionView(key_id=key.id, name=key.name, role=key.role, clinics=key.clinics, expires_at=expires_at)


def _set_cookie(request: web.Request, response: web.Response, secret: str, seconds: int) -> None:
    """``__Host-``, which browsers take with TLS alone, keeps other names of the same domain from setting it."""
    response.set_cookie(
        cookie_name(request),
        secret,
        max_age=seconds,
        path="/",
        secure=request.secure,
        httponly=True,
        samesite="Strict",
    )


def of_session(session: SessionRoutes) -> Sequence[Route]:
    """Its routes."""
    return (
        Route(
            method="POST",
            path=_PATH,
            handler=session.begin,
            permission=Permission.OPEN,
            per_minute=0,
            action=_BEGIN,
            body=SignIn,
            answer=SessionView,
        ),
        Route(
            method="GET",
            path=_PATH,
            handler=session.get,
            permission=Permission.VIEW,
            filtered=True,
            answer=SessionView,
        ),
        Route(
            method="DELETE",
            path=_PATH,
            handler=session.end,
            permission=Permission.VIEW,
            filtered=True,
            action="session.end",
            status=204,
        ),
    )
