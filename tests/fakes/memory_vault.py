"""Vaults in memory, of which a test says what they find, and which fail or hang when it says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from protocol.errors import StoreUnavailableError
from protocol.vault import Restoration
from tests.fakes.bell import Bell


class MemoryVault:
    """Implements ``protocol.vault.Vault``. ``calls``: what was asked, in the order in which it was done: ``restore``,
    ``seal``, ``seal clean`` and ``forget``; ``began``: the same as it was begun.

    ``finds``: what the next restorations say, then KEPT. ``failing``: every call raises and does nothing. ``held``:
    those begun from now on do not come to an end until ``let_go``. ``clean``, by channel: whether the newest snapshot
    is; a channel without one is not in it.
    """

    def __init__(self, bell: Bell | None = None) -> None:
        self.bell = bell or Bell()
        self.calls: list[str] = []
        self.began: list[str] = []
        self.stores: set[str] = set()
        self.finds: list[Restoration] = []
        self.clean: dict[str, bool] = {}
        self.failing = False
        self.held = False
        self._turns: dict[str, asyncio.Lock] = {}
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def let_go(self) -> None:
        """In any thread."""
        self.held = False
        waiting, self._waiting = self._waiting, []
        for loop, go_on in waiting:
            loop.call_soon_threadsafe(go_on.set)

    @asynccontextmanager
    async def _turn(self, channel: str, call: str) -> AsyncIterator[None]:
        self.began.append(call)
        self.bell.ring()
        async with self._turns.setdefault(channel, asyncio.Lock()):
            if self.held:
                go_on = asyncio.Event()
                self._waiting.append((asyncio.get_running_loop(), go_on))
                await go_on.wait()
            self.calls.append(call)
            try:
                if self.failing:
                    raise StoreUnavailableError("the vault's disk is full")
                yield
            finally:
                self.bell.ring()

    # -- Vault --

    async def restore(self, channel: str, store: str) -> Restoration:
        async with self._turn(channel, "restore"):
            self.stores.add(store)
            if channel in self.clean:
                self.clean[channel] = False
            return self.finds.pop(0) if self.finds else Restoration.KEPT

    async def snapshot(self, channel: str, store: str, *, clean: bool) -> None:
        async with self._turn(channel, "seal clean" if clean else "seal"):
            self.stores.add(store)
            self.clean[channel] = clean

    async def forget(self, channel: str) -> None:
        async with self._turn(channel, "forget"):
            self.clean.pop(channel, None)


class MemoryVaults:
    """Implements ``protocol.vault.Vaults``."""

    def __init__(self, bell: Bell | None = None) -> None:
        self.bell = bell or Bell()
        self.clinics: dict[str, MemoryVault] = {}

    def clinic(self, clinic: str) -> MemoryVault:
        return self.clinics.setdefault(clinic, MemoryVault(self.bell))
