"""``/api/v1/keys``: who may come in. A clinic's own administrator makes and sees keys for its clinics alone."""

from collections.abc import Sequence
from datetime import datetime

from aiohttp import web
from msgspec import Struct
from msgspec.structs import asdict

from gateway.access.api_keys import ApiKeys
from gateway.access.key import ApiKey, Clinics, PerHour
from gateway.http.paging import PAGE, Page, page
from gateway.http.requests import answer, asked_clinic, choice, read_as
from gateway.http.routes import API, CALLER, OF_CLINIC, Query, Route
from gateway.http.rules import RULES
from protocol.access import Caller, Permission, Role
from protocol.channel import DisplayName
from protocol.errors import ForbiddenError, InvalidInputError, NotFoundError
from protocol.operations import Operations


class NewKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body that makes a key: for ``clinics``, or for all and the node. It is good until ``expires_at``, for
    ``per_hour`` requests an hour (0: no limit; not given: as the settings say)."""

    name: DisplayName
    role: Role
    clinics: Clinics | None = None
    expires_at: datetime | None = None
    per_hour: PerHour | None = None


class KeyView(Struct, frozen=True, kw_only=True):
    """A key as it is shown: everything but the key. ``last_used_at``: since the node was started."""

    id: str
    name: str
    role: Role
    clinics: list[str] | None
    made_by: str
    created_at: datetime
    expires_at: datetime | None
    expired: bool
    per_hour: int | None
    last_used_at: datetime | None


class MadeKey(KeyView, frozen=True, kw_only=True):
    """The answer to a new key: the one time that ``key``, the secret itself, is shown."""

    key: str


class KeyList(Page, frozen=True, kw_only=True):
    """The answer to a look at keys, oldest first."""

    items: list[KeyView]


class KeyRoutes:
    """Handlers; each raises what ``ApiKeys`` and ``Operations`` raise."""

    def __init__(self, keys: ApiKeys, operations: Operations) -> None:
        self._keys = keys
        self._operations = operations

    async def list(self, request: web.Request) -> web.Response:
        """A page of the keys that the caller could have made (all, or those for its clinics alone), of all roles or
        of `?role=`, for any clinic or for `?clinic=`."""
        caller, role, clinic = request[CALLER], choice(request, "role", Role), asked_clinic(request)
        seen = [key for key in self._keys.all() if _within(key, caller) and role in (None, key.role)]
        found = [key for key in seen if clinic is None or clinic in (key.clinics or ())]
        return page(request, [self._view(key) for key in found], lambda key: (key.created_at.isoformat(), key.id))

    async def add(self, request: web.Request) -> web.Response:
        """Make a key, no wider than the caller's own: 201, and the key itself, which is never shown again."""
        caller, new = request[CALLER], await read_as(request, NewKey)
        own = self._keys.get(caller.id)
        await self._check_clinics(new, caller)
        key, secret = await self._keys.make(
            new.name,
            new.role,
            new.clinics,
            made_by=caller.id,
            expires_at=self._expiry(new, own),
            per_hour=_per_hour(new, own, request.app[RULES].key_requests),
        )
        try:
            await self._check_clinics(new, caller)
        except NotFoundError:
            await self._keys.revoke(key.id)  # the clinic was removed meanwhile, and its keys with it, but for this one
            raise
        made = MadeKey(**asdict(self._view(key)), key=secret)
        return answer(made, status=201, location=f"{API}/keys/{key.id}")

    async def get(self, request: web.Request) -> web.Response:
        """One key that the caller could have made."""
        return answer(self._view(self._found(request)))

    async def revoke(self, request: web.Request) -> web.Response:
        """Make a key good for nothing at once, and end what it has under way: 204."""
        if request[CALLER].clinics is not None:
            self._found(request)
        await self._keys.revoke(request.match_info["key"])
        return web.Response(status=204)

    def _found(self, request: web.Request) -> ApiKey:
        key = self._keys.get(request.match_info["key"])
        if not _within(key, request[CALLER]):
            raise NotFoundError(f"key {key.id}")
        return key

    async def _check_clinics(self, new: NewKey, caller: Caller) -> None:
        """Raises ForbiddenError, and NotFoundError: a clinic that is not there, or is none of the caller's."""
        if new.clinics is None:
            if caller.clinics is not None:
                raise ForbiddenError("a key for all clinics takes one to make it; say for which of yours it is to be")
            return
        known = {snapshot.id for snapshot in await self._operations.clinics()}
        for clinic in new.clinics:
            if not (caller.sees(clinic) and clinic in known):
                raise NotFoundError(f"clinic {clinic}")

    def _expiry(self, new: NewKey, own: ApiKey) -> datetime | None:
        """When the new key ends: no later than the one that makes it."""
        at = new.expires_at or own.expires_at
        if at is None:
            return None
        if at.tzinfo is None:
            raise InvalidInputError("expires_at", "a time with an offset, such as 2026-11-20T12:00:00Z")
        if at <= self._keys.clock():
            raise InvalidInputError("expires_at", "a time to come")
        if own.expires_at is not None and at > own.expires_at:
            raise InvalidInputError("expires_at", f"a time before this key's own end, {own.expires_at.isoformat()}")
        return at

    def _view(self, key: ApiKey) -> KeyView:
        return KeyView(
            id=key.id,
            name=key.name,
            role=key.role,
            clinics=key.clinics,
            made_by=key.made_by,
            created_at=key.created_at,
            expires_at=key.expires_at,
            expired=key.expired(self._keys.clock()),
            per_hour=key.per_hour,
            last_used_at=self._keys.last_used_at(key.id),
        )


def _per_hour(new: NewKey, own: ApiKey, usual: int) -> int | None:
    """How often the new key may ask: no more than the one that makes it. ``usual``: with one that says nothing."""
    most = usual if own.per_hour is None else own.per_hour
    asked = usual if new.per_hour is None else new.per_hour
    if most == 0 or 0 < asked <= most:
        return new.per_hour
    if new.per_hour is None:
        return own.per_hour
    raise InvalidInputError("per_hour", f"1 to {most}, since this key may make no more itself")


def _within(key: ApiKey, caller: Caller) -> bool:
    """Whether ``key`` is for nothing that the caller is not for."""
    return caller.clinics is None or (key.clinics is not None and caller.clinics.issuperset(key.clinics))


def of_keys(keys: KeyRoutes) -> Sequence[Route]:
    """Their routes."""
    many, one, admin = f"{API}/keys", f"{API}/keys/{{key}}", Permission.ADMINISTER
    role = Query(name="role", kind=Role, what="only keys with this role")
    return (
        Route(
            method="GET",
            path=many,
            handler=keys.list,
            permission=admin,
            filtered=True,
            query=(OF_CLINIC, role, *PAGE),
            answer=KeyList,
        ),
        Route(
            method="POST",
            path=many,
            handler=keys.add,
            permission=admin,
            filtered=True,
            action="key.add",
            body=NewKey,
            answer=MadeKey,
            status=201,
        ),
        Route(method="GET", path=one, handler=keys.get, permission=admin, filtered=True, answer=KeyView),
        Route(
            method="DELETE",
            path=one,
            handler=keys.revoke,
            permission=admin,
            filtered=True,
            action="key.revoke",
            status=204,
        ),
    )
