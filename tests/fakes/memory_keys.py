"""Keys in memory: a new one for each exchange, which fails where a test says so."""

from collections.abc import Sequence

from protocol.errors import StoreUnavailableError
from protocol.jobs import Progress


class MemoryKeys:
    """Implements ``protocol.rotation``: ``KeyRotation``, and ``DatabaseRotation``. ``calls``: what was asked, in order;
    ``failing``: which of it raises. ``keys``, by clinic: the newest first; ``sealed``, by clinic and channel (or
    ``database``): the key under which it is."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failing: set[str] = set()
        self.keys: dict[str, list[int]] = {}
        self.sealed: dict[tuple[str, str], int] = {}

    def add(self, clinic: str, *channels: str) -> None:
        """A clinic with its first key, under which all is sealed."""
        self.keys[clinic] = [1]
        for what in (*channels, "database"):
            self.sealed[clinic, what] = 1

    def call(self, call: str) -> None:
        self.calls.append(call)
        if call in self.failing:
            raise StoreUnavailableError(f"{call}: the disk is full")

    async def rotate_master(self, progress: Progress) -> int:
        progress("keys", 0, len(self.keys))
        self.call("master")
        return len(self.keys)

    async def unfinished(self) -> Sequence[str]:
        self.call("unfinished")
        return [clinic for clinic, keys in self.keys.items() if len(keys) > 1]

    def clinic(self, clinic: str) -> "MemoryClinicKeys":
        return MemoryClinicKeys(self, clinic)

    async def reseal(self, clinic: str) -> None:
        self.call(f"{clinic}: database")
        self.sealed[clinic, "database"] = self.keys[clinic][0]


class MemoryClinicKeys:
    """Implements ``protocol.rotation.ClinicKeyRotation``."""

    def __init__(self, node: MemoryKeys, clinic: str) -> None:
        self._node, self._clinic = node, clinic

    async def add_key(self) -> None:
        self._node.call(f"{self._clinic}: add")
        keys = self._node.keys[self._clinic]
        if len(keys) == 1:
            keys.insert(0, keys[0] + 1)

    async def channels(self) -> Sequence[str]:
        self._node.call(f"{self._clinic}: channels")
        return [what for of, what in self._node.sealed if of == self._clinic and what != "database"]

    async def reseal(self, channel: str) -> int:
        self._node.call(f"{self._clinic}: {channel}")
        new = self._node.keys[self._clinic][0]
        before = self._node.sealed[self._clinic, channel]
        self._node.sealed[self._clinic, channel] = new
        return int(before != new)

    async def drop_keys(self) -> None:
        self._node.call(f"{self._clinic}: drop")
        del self._node.keys[self._clinic][1:]
