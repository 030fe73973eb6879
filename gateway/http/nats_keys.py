"""``/api/v1/clinics/{clinic}/nats`` and ``/api/v1/nats``: who may log in to NATS, for a clinic or for all of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from aiohttp import web
from msgspec import Struct

from gateway.http.requests import answer, clinic_of, listing, read_as
from gateway.http.routes import API, CLINIC, Route
from gateway.nats.accounts import Kind
from gateway.nats.logins import Logins, LoginView, LoginWithPassword, account_of
from protocol.access import Permission
from protocol.ids import ClinicId, check_name

_PATIENCE_S: Final = 30.0


class NewLogin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body that issues a login, good until ``expires_at`` (not given: until it is revoked)."""

    name: ClinicId
    kind: Kind = Kind.SERVICE
    expires_at: datetime | None = None


class LoginList(Struct, frozen=True, kw_only=True):
    """The answer to a look at all logins of an account."""

    items: list[LoginView]
    next: None = None


class NatsKeyRoutes:
    """Handlers; each raises what ``Logins`` raises. Without a clinic in the path they are about ``platform``."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins

    @property
    def routes(self) -> Sequence[Route]:
        """All of them; the caller's key must be an administrator's."""
        return (*self._below(f"{API}/nats"), *self._below(f"{CLINIC}/nats"))

    async def list(self, request: web.Request) -> web.Response:
        """The logins, without their passwords."""
        return listing(self._logins.all(_account(request)))

    async def issue(self, request: web.Request) -> web.Response:
        """Make a login: 201, and its password, which is never shown again."""
        new = await read_as(request, NewLogin)
        made = await self._logins.issue(_account(request), new.name, new.kind, new.expires_at)
        return answer(made, status=201, location=f"{request.path}/{new.name}")

    async def rotate(self, request: web.Request) -> web.Response:
        """Give a login a new password, which is never shown again; the old one is good for nothing from now on."""
        return answer(await self._logins.rotate(_account(request), _name(request)))

    async def revoke(self, request: web.Request) -> web.Response:
        """End a login and cut who is connected by it: 204."""
        await self._logins.revoke(_account(request), _name(request))
        return web.Response(status=204)

    def _below(self, many: str) -> Sequence[Route]:
        admin, one = Permission.ADMINISTER, f"{many}/{{name}}"
        return (
            Route(method="GET", path=many, handler=self.list, permission=admin, answer=LoginList),
            Route(
                method="POST",
                path=many,
                handler=self.issue,
                permission=admin,
                action="nats_key.issue",
                patience_s=_PATIENCE_S,
                body=NewLogin,
                answer=LoginWithPassword,
                status=201,
            ),
            Route(
                method="POST",
                path=f"{one}/rotate",
                handler=self.rotate,
                permission=admin,
                action="nats_key.rotate",
                patience_s=_PATIENCE_S,
                answer=LoginWithPassword,
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.revoke,
                permission=admin,
                action="nats_key.revoke",
                patience_s=_PATIENCE_S,
                status=204,
            ),
        )


def _account(request: web.Request) -> str:
    return account_of(clinic_of(request) if "clinic" in request.match_info else None)


def _name(request: web.Request) -> str:
    return check_name("name", request.match_info["name"])
