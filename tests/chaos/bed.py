"""What is broken: an emulator, a node with a hand inside, its clinics with their paired channels."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from config.sections import Settings
from config.settings import load
from tests.acceptance.node import Node, settings
from tests.chaos.bounds import Bounds
from tests.chaos.hand import Hand, Tree
from tests.chaos.plan import Key
from tests.chaos.traffic import Traffic, traffic
from tests.chaos.watch import Watch, watching
from tests.emulator.client import EmulatorProcess

BEAT_S: Final = 1.0
SILENCE_S: Final = 6.0
"""Instead of the product's 5 s and 20 s, which there are no settings for."""
HANG_S: Final = 2.0
RATE: Final = 4.0
"""Commands a second, over all channels."""

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Bed:
    """Made by ``bed``; ``hand`` reaches into the process that runs now."""

    def __init__(self, node: Node, emulator: EmulatorProcess, channels: list[Key]) -> None:
        self.node = node
        self.emulator = emulator
        self.channels = channels
        self.clinics = sorted({clinic for clinic, _ in channels})
        self.hand: Hand
        self.watch: Watch
        self.traffic: Traffic
        self.settings: Settings
        self._process = AsyncExitStack()

    @property
    def bounds(self) -> Bounds:
        """For this node."""
        return Bounds.of(
            self.settings,
            silence_s=SILENCE_S + BEAT_S,
            channels=len(self.channels),
            in_clinic=len(self.channels) // len(self.clinics),
        )

    async def start(self) -> None:
        """Start the node, with what it had before."""
        await asyncio.to_thread(self.node.start)
        self.settings = load(self.node.directory / "plantao.toml", {"PLANTAO_DATA": str(self.node.data)})
        await self.node.open_http()
        self.hand = await self._process.enter_async_context(Hand(_socket(self.node.directory)))

    async def gone(self) -> None:
        """The process has ended: let go of it."""
        await self._process.aclose()
        await self.node.close_http()

    async def pair(self) -> None:
        """Make all clinics and channels, and pair them."""
        for clinic in self.clinics:
            await self.node.add(clinic, *(channel for of, channel in self.channels if of == clinic))
        await asyncio.gather(*(self._pair(number, key) for number, key in enumerate(self.channels)))

    async def _pair(self, number: int, key: Key) -> None:
        await self.emulator.scan(await self.watch.code(key), f"55119{number:08d}")
        await self.watch.until(lambda: self.connected(key))

    def connected(self, key: Key) -> bool:
        """Whether its last event says so."""
        events = self.watch.states[key]
        return bool(events) and events[-1]["state"] == "connected"

    async def port(self, key: Key, tree: Tree | None = None) -> int:
        """The pid of a channel's port."""
        found = tree or await self.hand.tree()
        return int(found[f"clinics/{key[0]}/channels/{key[1]}"]["facts"]["port"])


def _socket(directory: Path) -> Path:
    return directory / "hand"


@asynccontextmanager
async def bed(
    clinics: int,
    channels: int,
    *,
    rate: float = RATE,
    supervision: Mapping[str, Any] | None = None,
    place: Path | None = None,
) -> AsyncIterator[Bed]:
    """A node with so many clinics of so many channels, all connected, under traffic. Whatever is left of it is gone
    afterwards. ``supervision``: more settings of that section."""
    keys = [(f"clinic-{clinic}", f"desk-{desk}") for clinic in range(clinics) for desk in range(channels)]
    async with AsyncExitStack() as stack:
        if place is None:
            made = tempfile.TemporaryDirectory(prefix="plantao-chaos-", dir=_MEMORY, ignore_cleanup_errors=True)
            place = Path(stack.enter_context(made))
        emulator = await stack.enter_async_context(EmulatorProcess(place / "whatsapp", tolerate_key_reuse=True))
        directory = place / "node"
        program = [
            *("env", f"PYTHONPATH={_REPOSITORY}", sys.executable, "-m", "tests.chaos.node"),
            *(str(_socket(directory)), str(BEAT_S), str(SILENCE_S)),
        ]
        config = settings(emulator.ready, {"supervision": {"hang": HANG_S, **(supervision or {})}, "log": _LOG})
        node = Node(directory, config, program=program)
        one = Bed(node, emulator, keys)
        await one.start()
        stack.push_async_callback(_end, one)
        one.watch = await stack.enter_async_context(watching(node))
        await one.pair()
        one.traffic = await stack.enter_async_context(traffic(node, one.watch, keys, rate))
        yield one


_LOG: Final = {"format": "json", "level": "info"}


async def _end(one: Bed) -> None:
    """End what still runs, by force if need be."""
    await one.gone()
    if one.node.running:
        await asyncio.to_thread(one.node.stop)
