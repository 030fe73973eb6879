"""``/api/v1/clinics/{clinic}/nats`` and ``/api/v1/nats``: who may log in to NATS, for a clinic or for all of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from aiohttp import web
from msgspec import Struct

from gateway.http.requests import answer, clinic_of, listing, read_as
from gateway.http.routes import API, CLINIC, Route
from gateway.nats.accounts import Kind
from gateway.nats.logins import Logins, LoginView, LoginWithPassword
from protocol.access import Permission
from protocol.ids import ClinicId, check_name
from protocol.subjects import ACCOUNT_PLATFORM, account

_PATIENCE_S: Final = 40.0
"""A reload of the server may have to wait for another."""


class NewLogin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body that issues a login, good until ``expires_at`` (not given: until it is revoked)."""

    name: ClinicId
    kind: Kind = Kind.SERVICE
    expires_at: datetime | None = None


class LoginList(Struct, frozen=True, kw_only=True):
    """The answer to a look at all logins of an account."""

    items: list[LoginView]
    next: None = None


def of_logins(logins: Logins) -> Sequence[Route]:
    """All routes: of clinics, and of the services that serve all."""
    node = _below(f"{API}/nats", NatsRoutes(logins), "node_login")
    return (*node, *_below(f"{CLINIC}/nats", ClinicNatsRoutes(logins), "login"))


class NatsRoutes:
    """Handlers for the account of the services that serve all clinics; each raises what ``Logins`` raises."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins

    async def list(self, _request: web.Request) -> web.Response:
        """The logins to NATS of services that serve all clinics, without their passwords."""
        return listing(self._logins.all(ACCOUNT_PLATFORM))

    async def issue(self, request: web.Request) -> web.Response:
        """Make a login to NATS for a service that serves all clinics: 201, and its password, never shown again."""
        return await _issue(self._logins, ACCOUNT_PLATFORM, request)

    async def rotate(self, request: web.Request) -> web.Response:
        """Give a login a new password, which is never shown again; the old one is good for nothing from now on."""
        return answer(await self._logins.rotate(ACCOUNT_PLATFORM, _name(request)))

    async def revoke(self, request: web.Request) -> web.Response:
        """End a login and cut who is connected by it: 204."""
        await self._logins.revoke(ACCOUNT_PLATFORM, _name(request))
        return web.Response(status=204)


class ClinicNatsRoutes:
    """Handlers for the account of the clinic in the path; each raises what ``Logins`` raises."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins

    async def list(self, request: web.Request) -> web.Response:
        """The clinic's logins to NATS, without their passwords."""
        return listing(self._logins.all(account(clinic_of(request))))

    async def issue(self, request: web.Request) -> web.Response:
        """Make a login to NATS for a service of the clinic: 201, and its password, never shown again."""
        return await _issue(self._logins, account(clinic_of(request)), request)

    async def rotate(self, request: web.Request) -> web.Response:
        """Give a login a new password, which is never shown again; the old one is good for nothing from now on."""
        return answer(await self._logins.rotate(account(clinic_of(request)), _name(request)))

    async def revoke(self, request: web.Request) -> web.Response:
        """End a login and cut who is connected by it: 204."""
        await self._logins.revoke(account(clinic_of(request)), _name(request))
        return web.Response(status=204)


def _below(many: str, routes: NatsRoutes | ClinicNatsRoutes, what: str) -> Sequence[Route]:
    admin, one = Permission.ADMINISTER, f"{many}/{{name}}"
    return (
        Route(method="GET", path=many, handler=routes.list, permission=admin, answer=LoginList),
        Route(
            method="POST",
            path=many,
            handler=routes.issue,
            permission=admin,
            action=f"{what}.issue",
            patience_s=_PATIENCE_S,
            body=NewLogin,
            answer=LoginWithPassword,
            status=201,
        ),
        Route(
            method="POST",
            path=f"{one}/rotate",
            handler=routes.rotate,
            permission=admin,
            action=f"{what}.rotate",
            patience_s=_PATIENCE_S,
            answer=LoginWithPassword,
        ),
        Route(
            method="DELETE",
            path=one,
            handler=routes.revoke,
            permission=admin,
            action=f"{what}.revoke",
            patience_s=_PATIENCE_S,
            status=204,
        ),
    )


async def _issue(logins: Logins, account: str, request: web.Request) -> web.Response:
    new = await read_as(request, NewLogin)
    made = await logins.issue(account, new.name, new.kind, new.expires_at)
    return answer(made, status=201, location=f"{request.path}/{new.name}")


def _name(request: web.Request) -> str:
    return check_name("name", request.match_info["name"])
