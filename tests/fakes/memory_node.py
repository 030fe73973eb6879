"""All clinics' accounts and databases in memory, each of which can fail to open."""

import asyncio

from protocol.errors import BusUnavailableError, StoreUnavailableError
from tests.fakes.bell import Bell
from tests.fakes.memory_bus import MemoryClinicBus
from tests.fakes.memory_ledger import MemoryLedger


class MemoryBus:
    """``away``: clinics whose account cannot be opened; ``held``: clinics whose opening does not return."""

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.away: set[str] = set()
        self.held: set[str] = set()
        self.clinics: dict[str, MemoryClinicBus] = {}
        self.opened: set[str] = set()
        self.attempts = 0

    def of(self, clinic: str) -> MemoryClinicBus:
        return self.clinics.setdefault(clinic, MemoryClinicBus(self.bell))

    async def open_clinic(self, clinic: str) -> MemoryClinicBus:
        self.attempts += 1
        self.bell.ring()
        if clinic in self.held:
            await asyncio.Event().wait()
        if clinic in self.away:
            raise BusUnavailableError(f"clinic {clinic}: NATS is away")
        self.opened.add(clinic)
        return self.of(clinic)

    def clinic(self, clinic: str) -> MemoryClinicBus:
        if clinic not in self.opened:
            raise BusUnavailableError(f"clinic {clinic} is not open")
        return self.of(clinic)

    async def close_clinic(self, clinic: str, *, forget: bool) -> None:
        self.opened.discard(clinic)
        self.bell.ring()
        if clinic in self.away:
            raise BusUnavailableError("NATS is away")


class MemoryStore:
    """``broken``: clinics whose database cannot be opened."""

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.broken: set[str] = set()
        self.ledgers: dict[str, MemoryLedger] = {}
        self.opened: set[str] = set()
        self.attempts = 0

    async def open_clinic(self, clinic: str) -> MemoryLedger:
        self.attempts += 1
        self.bell.ring()
        if clinic in self.broken:
            raise StoreUnavailableError(f"/data/clinics/{clinic}/clinic.db is not a database")
        self.opened.add(clinic)
        return self.ledgers.setdefault(clinic, MemoryLedger(self.bell))

    async def reseal(self, clinic: str) -> None:
        await (await self.open_clinic(clinic)).reseal()

    def clinic(self, clinic: str) -> MemoryLedger:
        if clinic not in self.opened:
            raise StoreUnavailableError(f"clinic {clinic} is not open")
        return self.ledgers[clinic]

    async def close_clinic(self, clinic: str) -> None:
        self.opened.discard(clinic)
        self.bell.ring()
