"""What the node must be able to say of itself."""

from typing import Protocol

from msgspec import Struct


class Part(Struct, frozen=True, kw_only=True):
    """A part of the node; ``reason`` is empty while it is ``ok``. It may name clinics: it is shown with a key only."""

    ok: bool
    reason: str = ""


class HealthReport(Struct, frozen=True, kw_only=True):
    """The node as it is now. ``uptime_s`` in seconds; ``memory_bytes`` is resident, of the main process;
    ``disk_free_bytes`` of the file system that holds the data directory."""

    version: str
    uptime_s: float
    store: Part
    bus: Part
    broker: Part
    nursery: Part
    memory_bytes: int
    disk_free_bytes: int

    @property
    def parts(self) -> dict[str, Part]:
        """All parts by name."""
        return {"store": self.store, "bus": self.bus, "broker": self.broker, "nursery": self.nursery}


class Health(Protocol):
    """Whoever knows how the node is."""

    async def report(self) -> HealthReport:
        """Called on the loop's thread for each probe and scrape; it must not block, and is given up after seconds."""
