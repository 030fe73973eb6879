"""Which clinics are being erased, in memory."""

from dataclasses import dataclass, field


@dataclass
class MemoryTombstones:
    """Implements ``protocol.erasing.Tombstones``; what it is told stands in ``steps``."""

    steps: list[str] = field(default_factory=list)
    standing: set[str] = field(default_factory=set)

    def stands(self, clinic: str) -> bool:
        return clinic in self.standing

    def all(self) -> list[str]:
        return sorted(self.standing)

    async def put(self, clinic: str) -> None:
        self.standing.add(clinic)
        self.steps.append("put")

    async def remove(self, clinic: str) -> None:
        self.standing.discard(clinic)
        self.steps.append("removed")
