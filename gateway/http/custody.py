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
from protocol.errors import InvalidBodyError
from protocol.ids import ClinicId
from protocol.jobs import JobView


class Whose(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``contact``: a number or JID; null: the whole clinic."""

    clinic: ClinicId
    contact: str | None = None


class Erasure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``contact``: a number or JID; instead of one, ``all`` true: the whole clinic, its key first."""

    clinic: ClinicId
    contact: str | None = None
    all: bool = False


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
        """Begin: 202 with the job. Who is forgotten in `contact` is not all of the clinic, which is said by `all`."""
        wanted, caller = await read_as(request, Erasure), request[CALLER]
        if not caller.sees(wanted.clinic):
            raise unseen(wanted.clinic)
        if wanted.all == (wanted.contact is not None):
            raise InvalidBodyError(
                "all", "true to erase the whole clinic, or contact to erase one person: one of the two"
            )
        if wanted.contact is None:
            return begun(await self._personal.erase_clinic(wanted.clinic, by=caller))
        return begun(await self._personal.erase_contact(wanted.clinic, wanted.contact, by=caller))


def of_custody(custody: CustodyRoutes) -> Sequence[Route]:
    """Their routes."""

    def begin(name: str, handler: Handler, body: type[Struct]) -> Route:
        return Route(
            method="POST",
            path=f"{API}/{name}",
            handler=handler,
            permission=Permission.ADMINISTER,
            filtered=True,
            action=f"{name}.ask",
            body=body,
            answer=JobView,
            status=202,
        )

    return (begin("export", custody.export, Whose), begin("erase", custody.erase, Erasure))
