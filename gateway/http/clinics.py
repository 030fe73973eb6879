"""``/api/v1/clinics``: the clinics this node is to run."""

from aiohttp import web
from msgspec import Struct

from gateway.http.requests import answer, clinic_of, listing, read_as
from protocol.channel import DisplayName
from protocol.ids import check_name
from protocol.operations import Operations


class NewClinic(Struct, frozen=True, kw_only=True):
    """The body that adds a clinic; ``timezone`` is an IANA name."""

    id: str
    name: DisplayName
    timezone: str | None = None


class ClinicRoutes:
    """Handlers; each raises what ``Operations`` raises."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def list(self, _request: web.Request) -> web.Response:
        """All clinics."""
        return listing(await self._operations.clinics())

    async def get(self, request: web.Request) -> web.Response:
        """One clinic."""
        return answer(await self._operations.clinic(clinic_of(request)))

    async def add(self, request: web.Request) -> web.Response:
        """Register a clinic: 201 and where it is."""
        new = await read_as(request, NewClinic)
        check_name("id", new.id)
        snapshot = await self._operations.add_clinic(new.id, new.name, new.timezone)
        return answer(snapshot, status=201, location=f"/api/v1/clinics/{new.id}")

    async def stats(self, request: web.Request) -> web.Response:
        """What the clinic's channels hold: commands by state, what waits for NATS, the size of its database."""
        return answer(await self._operations.stats(clinic_of(request)))

    async def release(self, request: web.Request) -> web.Response:
        """Let a quarantined clinic out; answers with the clinic as it is then."""
        return answer(await self._operations.release_clinic(clinic_of(request)))

    async def remove(self, request: web.Request) -> web.Response:
        """Stop a clinic and its channels for good."""
        await self._operations.remove_clinic(clinic_of(request))
        return web.Response(status=204)
