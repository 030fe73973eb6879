"""What everything is measured on: the emulator, a node with its channels, raw clients, all on memory-backed storage."""

import asyncio
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from config.sections import Log, Reconnect
from tests.acceptance.node import Node, NodeError, settings
from tests.bench.accounts import Channel, patients, raw_phone
from tests.bench.processes import CpuMeter, child
from tests.bench.raw import Raw, raw
from tests.bench.service import Service
from tests.emulator.client import EmulatorProcess

MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None
_AWAY: Final = 503
_INSIST_S: Final = 20.0
_PAUSE_S: Final = 0.2

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Started:
    """A running node: when it was started, and when it said that it is ready."""

    node: Node
    at: datetime
    ready_s: float


class Bed:
    """Made by ``bed``. ``progress`` takes lines for a person who waits."""

    def __init__(self, directory: Path, emulator: EmulatorProcess, progress: Progress) -> None:
        self.directory = directory
        self.emulator = emulator
        self.progress = progress
        self._emulator_pid = child(os.getpid(), "tests.emulator")

    @asynccontextmanager
    async def node(self) -> AsyncIterator[Started]:
        """The node, with the channels and sessions that it had the last time, on its default settings."""
        defaults = {
            "reconnect": msgspec.to_builtins(Reconnect()),
            "log": msgspec.to_builtins(Log(format="json")),
            "pacing": {"enabled": False},
            "limits": {"commands_per_s": 0},
        }
        node = Node(self.directory / "node", settings(self.emulator.ready, defaults))
        at, begun = datetime.now(UTC), time.monotonic()
        node.start()  # on this thread: nothing can come between the start and the ``finally`` that ends it
        ready_s = time.monotonic() - begun
        try:
            await node.open_http()
            yield Started(node, at, ready_s)
        finally:
            await node.close_http()
            await asyncio.to_thread(node.stop)

    def store(self, channel: Channel) -> Path:
        """Where the node keeps the session of ``channel``."""
        return self.directory / "node" / "runtime" / "clinics" / channel.clinic / f"{channel.id}.db"

    async def pair(self, node: Node, channels: Sequence[Channel], to: Service) -> None:
        """Make these channels and their clinics, one clinic after another, and pair them."""
        of: dict[str, list[Channel]] = defaultdict(list)
        for one in channels:
            of[one.clinic].append(one)
        for clinic, together in of.items():
            await insist(node, "POST", "/api/v1/clinics", {"id": clinic, "name": clinic})
            await asyncio.gather(*(self._pair(node, one, to) for one in together))

    async def _pair(self, node: Node, one: Channel, to: Service) -> None:
        since = datetime.now(UTC)
        await insist(node, "POST", f"/api/v1/clinics/{one.clinic}/channels", {"id": one.id})
        await self.emulator.scan(await to.qr(one), one.phone)
        await to.state(one, "connected", since)

    async def remove(self, node: Node, channels: Sequence[Channel], left: int) -> None:
        """Remove all but the first ``left`` of ``channels``, and the clinics that have none then."""
        for one in channels[left:]:
            await insist(node, "DELETE", f"/api/v1/clinics/{one.clinic}/channels/{one.id}")
        for clinic in sorted({one.clinic for one in channels} - {one.clinic for one in channels[:left]}):
            await insist(node, "DELETE", f"/api/v1/clinics/{clinic}")

    @asynccontextmanager
    async def raw(self, store: Path) -> AsyncIterator[Raw]:
        """A raw client on a session store."""
        async with raw(self.emulator, store, self.directory / "raw.log") as client:
            yield client

    @asynccontextmanager
    async def paired_raw(self, count: int) -> AsyncIterator[list[Raw]]:
        """Raw clients with accounts of their own, started from saved sessions, as the node's channels are not: what
        pairing leaves in memory does not count."""
        stores = [self.directory / "raw" / f"{index}.db" for index in range(count)]
        for index, store in enumerate(stores):
            async with self.raw(store) as client:
                await client.pair(self.emulator, raw_phone(index))
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(self.raw(store)) for store in stores]
            for client in clients:
                await client.connected()
            yield clients

    async def quiet_patients(self, count: int) -> list[str]:
        """People who confirm and answer nothing by themselves."""
        people = patients(count)
        for person in people:
            await self.emulator.auto(person, delivered=False)
        return people

    def cpu_of_raw(self, clients: Sequence[Raw]) -> CpuMeter:
        """Measure what sending or receiving with raw clients costs."""
        return CpuMeter({"client": [client.pid for client in clients], **self._around()})

    def cpu_of_node(self, node: Node, channels: Sequence[Channel]) -> CpuMeter:
        """Measure what sending or receiving through Plantão costs."""
        return CpuMeter(
            {
                "client": [node.port_pid(one.clinic, one.id) for one in channels],
                "main": [node.pid],
                "nats": [node.child("nats-server")],
                **self._around(),
            }
        )

    def _around(self) -> dict[str, list[int]]:
        return {"emulator": [self._emulator_pid], "bench": [os.getpid()]}


async def insist(node: Node, method: str, path: str, body: object = None) -> None:
    """A request that is made again while the node says that NATS is away, as it may be while accounts are changed."""
    deadline = time.monotonic() + _INSIST_S
    while True:
        try:
            await node.request(method, path, body)
        except NodeError as error:
            if error.status != _AWAY or time.monotonic() > deadline:
                raise
            await asyncio.sleep(_PAUSE_S)
        else:
            return


@asynccontextmanager
async def bed(progress: Progress) -> AsyncIterator[Bed]:
    """An emulator and a place for all files; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="plantao-bench-", dir=MEMORY) as place:
        directory = Path(place)
        emulator = EmulatorProcess(directory / "whatsapp", tolerate_key_reuse=True)
        try:
            async with emulator:
                yield Bed(directory, emulator, progress)
        finally:
            emulator.stop()  # also if its start was interrupted
