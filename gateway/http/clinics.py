"""``/api/v1/clinics``: the clinics this node is to run."""

from collections.abc import Sequence

from aiohttp import web
from msgspec import Struct

from gateway.access.api_keys import ApiKeys
from gateway.http.paging import PAGE, Page, page
from gateway.http.requests import answer, choice, clinic_of, read_as
from gateway.http.routes import API, CALLER, CLINIC, Query, Route
from protocol.access import Permission
from protocol.channel import ClinicSnapshot, ClinicState, DisplayName
from protocol.errors import InvalidBodyError, NotFoundError
from protocol.ids import DescribedName, check_name
from protocol.operations import Operations
from protocol.views import ClinicStats


class NewClinic(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body that adds a clinic; ``timezone`` is an IANA name."""

    id: DescribedName
    name: DisplayName
    timezone: str | None = None


class ClinicChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body that changes a clinic; ``timezone`` is an IANA name."""

    name: DisplayName | None = None
    timezone: str | None = None


class ClinicList(Page, frozen=True, kw_only=True):
    """The answer to a look at clinics, by id."""

    items: list[ClinicSnapshot]


class ClinicRoutes:
    """Handlers; each raises what ``Operations`` raises."""

    def __init__(self, operations: Operations, keys: ApiKeys) -> None:
        self._operations = operations
        self._keys = keys

    async def list(self, request: web.Request) -> web.Response:
        """A page of the clinics that the caller may see, in all states or in `?state=`."""
        caller, state = request[CALLER], choice(request, "state", ClinicState)
        found = [clinic for clinic in await self._operations.clinics() if caller.sees(clinic.id)]
        return page(request, [one for one in found if state in (None, one.state)], lambda clinic: (clinic.id,))

    async def get(self, request: web.Request) -> web.Response:
        """One clinic."""
        return answer(await self._operations.clinic(clinic_of(request)))

    async def add(self, request: web.Request) -> web.Response:
        """Register a clinic: 201 and where it is."""
        new = await read_as(request, NewClinic)
        check_name("id", new.id)
        snapshot = await self._operations.add_clinic(new.id, new.name, new.timezone)
        return answer(snapshot, status=201, location=f"/api/v1/clinics/{new.id}")

    async def change(self, request: web.Request) -> web.Response:
        """Give a clinic another name or timezone, by which its channels go at once."""
        asked = await read_as(request, ClinicChange)
        if asked.name is None and asked.timezone is None:
            raise InvalidBodyError("body", "name, timezone or both")
        return answer(await self._operations.configure_clinic(clinic_of(request), asked.name, asked.timezone))

    async def stats(self, request: web.Request) -> web.Response:
        """What the clinic's channels hold: commands by state, what waits for NATS, the size of its database."""
        return answer(await self._operations.stats(clinic_of(request)))

    async def release(self, request: web.Request) -> web.Response:
        """Let a quarantined clinic out; answers with the clinic as it is then."""
        return answer(await self._operations.release_clinic(clinic_of(request)))

    async def remove(self, request: web.Request) -> web.Response:
        """Stop a clinic and its channels for good; keys for it are revoked."""
        clinic = clinic_of(request)
        try:
            await self._operations.remove_clinic(clinic)
        except NotFoundError:
            await self._keys.forget_clinic(clinic)  # it was removed before, and that could not be written then
            raise
        await self._keys.forget_clinic(clinic)
        return web.Response(status=204)


def of_clinics(clinics: ClinicRoutes) -> Sequence[Route]:
    """Their routes."""
    many, view, admin = f"{API}/clinics", Permission.VIEW, Permission.ADMINISTER
    state = Query(name="state", kind=ClinicState, what="only clinics in this state")
    return (
        Route(
            method="GET",
            path=many,
            handler=clinics.list,
            permission=view,
            filtered=True,
            query=(state, *PAGE),
            answer=ClinicList,
        ),
        Route(
            method="POST",
            path=many,
            handler=clinics.add,
            permission=admin,
            action="clinic.add",
            body=NewClinic,
            answer=ClinicSnapshot,
            status=201,
        ),
        Route(method="GET", path=CLINIC, handler=clinics.get, permission=view, answer=ClinicSnapshot),
        Route(
            method="PATCH",
            path=CLINIC,
            handler=clinics.change,
            permission=admin,
            action="clinic.change",
            body=ClinicChange,
            answer=ClinicSnapshot,
        ),
        Route(
            method="DELETE", path=CLINIC, handler=clinics.remove, permission=admin, action="clinic.remove", status=204
        ),
        Route(method="GET", path=f"{CLINIC}/stats", handler=clinics.stats, permission=view, answer=ClinicStats),
        Route(
            method="POST",
            path=f"{CLINIC}/release",
            handler=clinics.release,
            permission=Permission.OPERATE,
            action="clinic.release",
            answer=ClinicSnapshot,
        ),
    )
