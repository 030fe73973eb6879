"""What NATS holds of a clinic, erased: its account with all streams and buckets, and its events in ``platform``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.nats import copies, scanning
from gateway.nats.bus import NatsBus
from gateway.nats.link import Broker, Connection
from protocol import subjects
from protocol.errors import NotFoundError, UnavailableError
from protocol.ids import check_name
from protocol.jobs import Progress

_TIMEOUT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Account:
    """Implements ``protocol.erasing.Holding``. On a server that is not ours the account itself stays, empty: the result
    says that it is its operator's to remove."""

    bus: NatsBus
    broker: Broker
    name: str = "NATS account"

    async def holds(self, clinic: str) -> bool:
        """See ``Holding``."""
        try:
            self.broker.login(subjects.account(check_name("clinic", clinic)))
        except (NotFoundError, UnavailableError):
            return False
        return True

    async def erase(self, clinic: str, progress: Progress) -> Mapping[str, int | str]:
        """See ``Holding``."""
        progress(self.name)
        streams = 0
        if await self.holds(clinic):
            async with self.bus.account(clinic) as connection:
                streams = await connection.during(_empty(connection), "deleting streams", timeout=_TIMEOUT)
        await self.bus.close_clinic(clinic, forget=True)
        gone = not await self.holds(clinic)
        account = "removed" if gone else f"{subjects.account(clinic)} is empty: the server's operator removes it"
        return {"streams": streams, "nats_account": account}


@dataclass(frozen=True, slots=True)
class PlatformEvents:
    """Implements ``protocol.erasing.Holding``: the clinic's events and dead letters in the stream of all clinics."""

    bus: NatsBus
    name: str = "events of the platform"

    async def holds(self, clinic: str) -> bool:
        """See ``Holding``. Whether its account is there says as much."""
        del clinic
        return False

    async def erase(self, clinic: str, progress: Progress) -> Mapping[str, int | str]:
        """See ``Holding``."""
        mine, erased = f"clinic.{check_name('clinic', clinic)}.>", 0
        async with self.bus.platform() as connection:
            total = await scanning.count(connection, subjects.STREAM_EVENTS, mine)
            progress(self.name, 0, total)
            async for found in scanning.scan(connection, subjects.STREAM_EVENTS, mine):
                await scanning.erase(connection, subjects.STREAM_EVENTS, found.seq or 0)
                erased += 1
                progress(self.name, erased, max(total, erased))
        return {"platform_events": erased}


async def _empty(connection: Connection) -> int:
    """Raises the client library's errors."""
    count = 0
    while streams := await connection.js.streams_info():
        for stream in streams:
            await copies.delete(connection, stream.config.name or "")
            count += 1
    return count
