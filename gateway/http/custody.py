"""``/api/v1/export`` and ``/api/v1/erase``: what there is of a clinic, or of one person in it."""

from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Struct

from gateway.http.backups import begun, unseen
from gateway.http.requests import read_as
from gateway.http.routes import API, CALLER, Route
from protocol.access import Permission
from protocol.custody import PersonalData
from protocol.ids import ClinicId
from protocol.jobs import JobView


class Whose(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``contact``: a number or JID; null: the whole clinic."""

    clinic: ClinicId
    contact: str | None = None


class CustodyRoutes:
    """Handlers; each raises what ``PersonalData`` raises."""

    def __init__(self, personal: PersonalData) -> None:
        self._personal = personal

    async def export(self, request: web.Request) -> web.Response:
        """Begin: 202 with the job, from which the ZIP is fetched."""
        wanted, caller = await read_as(request, Whose), request[CALLER]
        if not caller.sees(wanted.clinic):
            raise unseen(wanted.clinic)
        return begun(await self._personal.export(wanted.clinic, wanted.contact, by=caller))

    async def erase(self, request: web.Request) -> web.Response:
        """Begin: 202 with the job."""
        wanted, caller = await read_as(request, Whose), request[CALLER]
        if not caller.sees(wanted.clinic):
            raise unseen(wanted.clinic)
        if wanted.contact is None:
            return begun(await self._personal.erase_clinic(wanted.clinic, by=caller))
        return begun(await self._personal.erase_contact(wanted.clinic, wanted.contact, by=caller))


def of_custody(custody: CustodyRoutes) -> Sequence[Route]:
    """Their routes."""

    def begin(name: str, handler: Handler) -> Route:
        return Route(
            method="POST",
            path=f"{API}/{name}",
            handler=handler,
            permission=Permission.ADMINISTER,
            filtered=True,
            action=f"{name}.ask",
            body=Whose,
            answer=JobView,
            status=202,
        )

    return (begin("export", custody.export), begin("erase", custody.erase))
