"""A node whose ports have no WhatsApp, and a service that listens with as little work as possible."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import PubAck

from config.sections import Log, Reconnect
from protocol.codec import decode_raw, encode
from protocol.subjects import EventKind, event, send
from tests.acceptance.node import Node, settings
from tests.bench.accounts import Channel
from tests.bench.bed import MEMORY, insist
from tests.bench.processes import CpuMeter
from tests.bench.service import BenchError
from tests.emulator.api import Ready
from tests.flushing import settle

PATIENCE_S: Final = 180.0
_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_NO_LIMIT: Final = 1 << 30


class Ear:
    """Hears events of one kind, of all channels: when each came (monotonic seconds), and its bytes, which nobody reads
    before all are there."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, bytes]] = []
        self._count = 0
        self._enough = asyncio.Event()

    async def take(self, message: Msg) -> None:
        """One event."""
        self.heard.append((time.monotonic(), message.data))
        if len(self.heard) >= self._count:
            self._enough.set()

    async def next(self, count: int) -> list[tuple[float, bytes]]:
        """Wait for ``count`` of them since the last time; those. Raises BenchError."""
        self._count = count
        if len(self.heard) < count:
            self._enough.clear()
            try:
                await asyncio.wait_for(self._enough.wait(), PATIENCE_S)
            except TimeoutError:
                raise BenchError(f"{count - len(self.heard)} of {count} events did not come") from None
        heard, self.heard = self.heard, []
        return heard


class NullBed:
    """Made by ``null_bed``. A plain subscription hears the events: a stream's consumer would cost the server more."""

    def __init__(self, node: Node, connection: Client, channels: Sequence[Channel]) -> None:
        self.node = node
        self.channels = channels
        self.results, self.messages, self.states = Ear(), Ear(), Ear()
        self._connection = connection
        self._stream = connection.jetstream(publish_async_max_pending=_NO_LIMIT)

    async def listen(self) -> None:
        """Begin to hear."""
        ears = {EventKind.RESULT: self.results, EventKind.MESSAGE: self.messages, EventKind.STATE: self.states}
        for kind, ear in ears.items():
            await self._connection.subscribe(
                event("*", "*", kind), cb=ear.take, pending_msgs_limit=_NO_LIMIT, pending_bytes_limit=_NO_LIMIT
            )
        await settle(self._connection)

    async def connect(self) -> None:
        """Make all clinics and channels, and wait until they are connected."""
        for clinic in sorted({one.clinic for one in self.channels}):
            await insist(self.node, "POST", "/api/v1/clinics", {"id": clinic, "name": clinic})
        for one in self.channels:
            await insist(self.node, "POST", f"/api/v1/clinics/{one.clinic}/channels", {"id": one.id})
        connected: set[tuple[str, str]] = set()
        while len(connected) < len(self.channels):
            for _, data in await self.states.next(1):
                state: dict[str, Any] = decode_raw(data)
                if state["state"] == "connected":
                    connected.add((state["clinic"], state["channel"]))

    async def publish(self, one: Channel, name: str, to: str, text: str) -> "asyncio.Future[PubAck]":
        """A send command; its acknowledgement comes later."""
        body = encode({"v": 1, "id": name, "to": to, "type": "text", "text": text})
        return await self._stream.publish_async(send(one.clinic, one.id), body)

    def meter(self) -> CpuMeter:
        """Measure what goes through the node from now on."""
        return CpuMeter(
            {
                "client": [self.node.port_pid(one.clinic, one.id) for one in self.channels],
                "main": [self.node.pid],
                "nats": [self.node.child("nats-server")],
                "bench": [os.getpid()],
            }
        )


@asynccontextmanager
async def null_bed(channels: Sequence[Channel]) -> AsyncIterator[NullBed]:
    """With these channels connected; all is gone afterwards. Default settings, but for pacing and the rate of
    commands, which would be measured else."""
    with tempfile.TemporaryDirectory(prefix="plantao-bench-", dir=MEMORY, ignore_cleanup_errors=True) as place:
        command = [sys.executable, "-m", "tests.bench.null_port"]
        ready = Ready(control="", proxy="", ca="", port_command=command, env={"PYTHONPATH": str(_REPOSITORY)})
        tables = {
            "reconnect": msgspec.to_builtins(Reconnect()),
            "log": msgspec.to_builtins(Log(format="json")),
            "pacing": {"enabled": False},
            "limits": {"commands_per_s": 0},
        }
        node = Node(Path(place) / "node", settings(ready, tables))
        node.start()  # on this thread: nothing can come between the start and the ``finally`` that ends it
        try:
            await node.open_http()
            connection = await nats.connect(node.where["nats"])
            try:
                bed = NullBed(node, connection, channels)
                await bed.listen()
                await bed.connect()
                yield bed
            finally:
                await connection.close()
        finally:
            await node.close_http()
            await asyncio.to_thread(node.stop)
