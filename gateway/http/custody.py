"""``/api/v1/erase``: what is erased of a clinic, or of one person in it."""

from collections.abc import Sequence

from aiohttp import web
from msgspec import Struct

from gateway.http.backups import begun, check_sees
from gateway.http.requests import read_as
from gateway.http.routes import API, CALLER, Route
from protocol.access import Permission
from protocol.custody import PersonalData
from protocol.ids import ClinicId
from protocol.jobs import JobView


class Erasure(Struct, frozen=True, kw_only=True):
    """``contact``: a number or JID; null: the whole clinic."""

    clinic: ClinicId
    contact: str | None = None


class CustodyRoutes:
    """Handlers; each raises what ``PersonalData`` raises."""

    def __init__(self, personal: PersonalData) -> None:
        self._personal = personal

    def routes(self) -> Sequence[Route]:
        """All of them."""
        return (
            Route(
                method="POST",
                path=f"{API}/erase",
                handler=self.erase,
                permission=Permission.ADMINISTER,
                filtered=True,
                action="erase",
                body=Erasure,
                answer=JobView,
            ),
        )

    async def erase(self, request: web.Request) -> web.Response:
        """Begin: 202 with the job."""
        wanted, caller = await read_as(request, Erasure), request[CALLER]
        check_sees(caller, wanted.clinic)
        if wanted.contact is None:
            return begun(await self._personal.erase_clinic(wanted.clinic, by=caller))
        return begun(await self._personal.erase_contact(wanted.clinic, wanted.contact, by=caller))
