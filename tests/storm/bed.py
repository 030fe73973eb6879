"""Where it storms: an emulator, and a node with its clinics and paired channels."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.acceptance.node import Node, NodeError, settings
from tests.emulator.client import EmulatorProcess
from tests.storm.plan import Key

_MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None
_PAIRING_S: Final = 120.0
_AT_ONCE: Final = 8
_LOOK_S: Final = 0.2
_NOT_YET: Final = frozenset({404, 409, 503})

_SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "log": {"format": "json", "level": "info"},
    "pacing": {"enabled": False},
    "uncertain": {"wait": 5.0},
    "limits": {"commands_per_s": 0},
}
"""Instead of the defaults: nobody paces himself in a storm, and waiting for receipts of uncertain sends is shorter than
the 30 s that real networks need."""


class Bed:
    """Made by ``bed``. ``phones`` by channel, ``accounts`` the other way round, in the same order."""

    def __init__(self, node: Node, emulator: EmulatorProcess, channels: list[Key]) -> None:
        self.node = node
        self.emulator = emulator
        self.channels = channels
        self.clinics = sorted({clinic for clinic, _ in channels})
        self.phones = {key: f"55119{number:08d}" for number, key in enumerate(channels)}
        self.accounts = {phone: key for key, phone in self.phones.items()}

    async def pair(self) -> None:
        """Make all clinics and channels, and pair them."""
        for clinic in self.clinics:
            await self.node.add(clinic, *(channel for of, channel in self.channels if of == clinic))
        gate = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._pair(key, gate) for key in self.channels))

    async def _pair(self, key: Key, gate: asyncio.Semaphore) -> None:
        """By what HTTP shows, which is not what the storm is about."""
        async with gate:
            async with asyncio.timeout(_PAIRING_S):
                await self.emulator.scan(await self._code(key), self.phones[key])
                while (await self.node.channel(*key))["state"] != "connected":  # noqa: ASYNC110 - HTTP has no event
                    await asyncio.sleep(_LOOK_S)

    async def _code(self, key: Key) -> str:
        """The QR code, once there is one."""
        while True:
            try:
                shown = await self.node.request("GET", f"/api/v1/clinics/{key[0]}/channels/{key[1]}/qr")
                return str(shown["code"])
            except NodeError as error:
                if error.status not in _NOT_YET:
                    raise
            await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def bed(clinics: int, channels: int, keep: Path | None = None) -> AsyncIterator[Bed]:
    """So many clinics of so many channels, all connected. Whatever is left of it is gone afterwards, but for what was
    copied to ``keep``: the logs, the clinics' databases and the runtime directory."""
    keys = [(f"clinic-{clinic}", f"desk-{desk}") for clinic in range(clinics) for desk in range(channels)]
    async with AsyncExitStack() as stack:
        made = tempfile.TemporaryDirectory(prefix="plantao-storm-", dir=_MEMORY, ignore_cleanup_errors=True)
        place = Path(stack.enter_context(made))
        stack.callback(_keep, place, keep)
        emulator = await stack.enter_async_context(EmulatorProcess(place / "whatsapp", tolerate_key_reuse=True))
        node = Node(place / "node", settings(emulator.ready, _SETTINGS))
        await asyncio.to_thread(node.start)
        stack.push_async_callback(_end, node)
        await node.open_http()
        one = Bed(node, emulator, keys)
        await one.pair()
        yield one


def _keep(place: Path, keep: Path | None) -> None:
    if keep is None:
        return
    keep.mkdir(parents=True, exist_ok=True)
    for name in ("node/node.log", "node/data/nats/server.log", "whatsapp/emulator.log"):
        if (place / name).exists():
            shutil.copy(place / name, keep / Path(name).name)
    for name in ("data/clinics", "runtime"):
        shutil.copytree(place / "node" / name, keep / name, dirs_exist_ok=True)


async def _end(node: Node) -> None:
    """End what still runs, by force if need be."""
    await node.close_http()
    if node.running:
        await asyncio.to_thread(node.stop)
