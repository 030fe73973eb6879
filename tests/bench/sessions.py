"""Part two: what a session costs in memory, how long many take to come back, and one whose port was killed."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean
from typing import Final

from gateway.whatsapp.opener import Nursery
from gateway.whatsapp.port_process import PortProcess
from protocol.port import PortSpec
from protocol.port_events import Connected, PortEvent
from tests.acceptance.node import Node
from tests.bench.accounts import Channel, channel
from tests.bench.bed import Bed
from tests.bench.processes import MEMORY_COLUMNS, Memory, mean_memory, memory
from tests.bench.report import Row, Table, percentile
from tests.bench.service import Service, entered, retry_pause, service

Show = Callable[[Table], None]

_SETTLE_S: Final = 2.0
_STOP_S: Final = 10.0
_CONNECT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """``counts``: numbers of sessions, the largest first; ``raw``: the same for raw clients; ``repeat``: starts with
    each number; ``kills``: with how many sessions all ports are killed, one after another; one of the counts."""

    counts: tuple[int, ...] = (50, 10, 1)
    raw: tuple[int, ...] = (10, 1)
    repeat: int = 3
    kills: int = 10


FULL: Final = Sizes()
QUICK: Final = Sizes(counts=(10, 1), raw=(4, 1), repeat=1, kills=10)

_START_COLUMNS: Final = {"first": "s", "median": "s", "last": "s", "ready": "s"}
_START_NOTE: Final = (
    "Until the first, the median and the last of n saved sessions are connected; means of so many starts.\n"
    "Node: from the start of `plantao run` (ready: its ready line); it opens boot.parallel = 4 ports at once, each\n"
    "after a random pause of up to boot.jitter_s = 0.2 s. Ports: from the request to fork, all at once, to a nursery\n"
    "that runs. Raw: from the start of a neonize process for each, all at once."
)
_RECOVERY_COLUMNS: Final = {"p50": "s", "largest": "s"}
_RECOVERY_NOTE: Final = (
    "From SIGKILL, by the times in the state events. pause: the channel's own backoff before it opens a new port, at\n"
    "random up to reconnect.base = 1 s. work: all but that, with the pause before any port is opened (boot.jitter_s)."
)
_MEMORY_NOTE: Final = (
    "Restarted from saved sessions, nothing sent or received; n processes at once. private: Private_Clean and\n"
    "Private_Dirty; if nobody else has neonize's library in memory, it is in the clean part. PSS: private and a part\n"
    "of what is shared."
)
_MAIN_COLUMNS: Final = {"RSS": "MB", "private": "MB", "per channel": "MB"}
_MAIN_NOTE: Final = "n starts. Ten sessions are in ten clinics. per channel: private memory beyond that without any."


class _Findings:
    """Rows, as they come."""

    def __init__(self) -> None:
        self.memory: list[Row] = []
        self.main: list[Row] = []
        self.starts: dict[str, list[Row]] = {"node": [], "port": [], "raw": []}
        self.recovery: list[Row] = []
        self._counts: list[int] = []

    def started(self, kind: str, label: str, starts: Sequence[Sequence[float]], **more: float) -> None:
        """``starts``: of each start, the seconds after which each session was connected. Few sessions are shown first,
        though they come last."""
        ordered = [sorted(took) for took in starts]
        values = {
            "first": fmean(took[0] for took in ordered),
            "median": fmean(percentile(took, 0.5) for took in ordered),
            "last": fmean(took[-1] for took in ordered),
        }
        self.starts[kind].insert(
            0, Row(label=f"{label}, {len(starts)} starts", n=len(ordered[0]), values=values | more)
        )

    def main_process(self, channels: int, found: Sequence[Memory]) -> None:
        """The memory of main with so many channels, after each of several starts; the fewest come last."""
        private = fmean(one.private for one in found)
        values = {"private": private, "RSS": fmean(one.rss for one in found)}
        self.main.insert(0, Row(label=f"main, {_sessions(channels)}", n=len(found), values=values))
        if not channels:
            for row, count in zip(self.main[1:], self._counts, strict=True):
                row.values = {**row.values, "per channel": (row.values["private"] - private) / count}
        self._counts.insert(0, channels)

    def show(self, show: Show) -> None:
        """All tables."""
        starts = [row for rows in self.starts.values() for row in rows]
        show(Table(title="Time to connect saved sessions", note=_START_NOTE, columns=_START_COLUMNS, rows=starts))
        show(Table(title="A killed port", note=_RECOVERY_NOTE, columns=_RECOVERY_COLUMNS, rows=self.recovery))
        show(Table(title="Memory of a session, idle", note=_MEMORY_NOTE, columns=MEMORY_COLUMNS, rows=self.memory))
        show(Table(title="Memory of main, idle", note=_MAIN_NOTE, columns=_MAIN_COLUMNS, rows=self.main))


async def measure(bed: Bed, sizes: Sizes, show: Show) -> None:
    """Everything about sessions, on a node of its own whose number of channels goes down from start to start."""
    findings = _Findings()
    channels = [channel(index) for index in range(max(sizes.counts))]
    async with bed.node() as started, service(started.node.where["nats"]) as listener:
        bed.progress(f"pairing {len(channels)} channels")
        await bed.pair(started.node, channels, listener)
    for count in sizes.counts:
        await _ports(bed, channels[:count], sizes.repeat, findings)
    for count in sizes.raw:
        await _raw(bed, channels[:count], sizes.repeat, findings)
    for count, left in zip(sizes.counts, (*sizes.counts[1:], 0), strict=True):
        await _starts(bed, channels[:count], sizes.repeat, findings)
        await _end(bed, channels[:count], left, sizes.kills, findings)
    await _starts(bed, (), sizes.repeat, findings)
    findings.show(show)


# -- ports and raw clients, without a node --


async def _ports(bed: Bed, channels: Sequence[Channel], repeat: int, findings: _Findings) -> None:
    bed.progress(f"{_sessions(len(channels))}: ports from a nursery")
    nursery = Nursery(bed.emulator.ready.port_command, bed.emulator.ready.env)
    await nursery.start()
    try:
        starts = [await _open_all(nursery, bed, channels) for _ in range(repeat)]
    finally:
        await nursery.stop(timeout=_STOP_S)
    findings.started("port", f"ports, {_sessions(len(channels))}", starts)


async def _open_all(nursery: Nursery, bed: Bed, channels: Sequence[Channel]) -> list[float]:
    """Open a port for each at once, and stop them again; after how many seconds each was connected."""
    ports: list[PortProcess] = []
    begun = time.monotonic()
    try:
        connected = await asyncio.gather(*(_open(nursery, bed, one, ports) for one in channels))
        return [at - begun for at in connected]
    finally:
        await asyncio.gather(*(port.stop(timeout=_STOP_S) for port in ports))


async def _open(nursery: Nursery, bed: Bed, one: Channel, ports: list[PortProcess]) -> float:
    """The monotonic second at which the port was connected."""
    connected: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def said(events: Sequence[PortEvent]) -> None:
        if any(isinstance(event, Connected) for event in events) and not connected.done():
            connected.set_result(time.monotonic())

    spec = PortSpec(
        clinic=one.clinic, channel=one.id, incarnation=1, store=str(bed.store(one)), device_name="Plantão", proxy=None
    )
    ports.append(await nursery.open(spec, said))
    return await asyncio.wait_for(connected, _CONNECT_S)


async def _raw(bed: Bed, channels: Sequence[Channel], repeat: int, findings: _Findings) -> None:
    bed.progress(f"{_sessions(len(channels))}: raw clients")
    starts = []
    for number in range(repeat):
        async with AsyncExitStack() as stack:
            begun = time.monotonic()
            clients = [await stack.enter_async_context(bed.raw(bed.store(one))) for one in channels]
            starts.append([await client.connected() - begun for client in clients])
            if number == 0:
                await asyncio.sleep(_SETTLE_S)
                pids = [client.pid for client in clients]
                findings.memory.append(Row(label="raw neonize", n=len(pids), values=mean_memory(pids)))
    findings.started("raw", f"raw neonize, {_sessions(len(channels))}", starts)


# -- with a node --


async def _starts(bed: Bed, channels: Sequence[Channel], repeat: int, findings: _Findings) -> None:
    """Start the node with these saved sessions, and stop it, so many times."""
    starts, ready, main, ports = list[list[float]](), list[float](), list[Memory](), list[int]()
    for number in range(repeat):
        bed.progress(f"{_sessions(len(channels))}: start {number + 1} of the node")
        async with bed.node() as started, service(started.node.where["nats"], started.at) as listener:
            events = [await listener.state(one, "connected", started.at) for one in channels]
            starts.append([(entered(event) - started.at).total_seconds() for event in events])
            ready.append(started.ready_s)
            await asyncio.sleep(_SETTLE_S)
            main.append(memory(started.node.pid))
            ports = [started.node.port_pid(one.clinic, one.id) for one in channels]
            if number == 0 and ports:
                findings.memory.append(Row(label="port", n=len(ports), values=mean_memory(ports)))
    findings.main_process(len(channels), main)
    if channels:
        findings.started("node", f"node, {_sessions(len(channels))}", starts, ready=fmean(ready))


async def _end(bed: Bed, channels: Sequence[Channel], left: int, kills: int, findings: _Findings) -> None:
    """Start the node once more: kill its ports, if they are as many as are to be killed; remove all but ``left``."""
    async with bed.node() as started, service(started.node.where["nats"], started.at) as listener:
        for one in channels:
            await listener.state(one, "connected", started.at)
        if len(channels) == kills:
            await _kill(bed, started.node, channels, listener, findings)
        await bed.remove(started.node, channels, left)


async def _kill(bed: Bed, node: Node, channels: Sequence[Channel], listener: Service, findings: _Findings) -> None:
    """Kill the ports one after another; each channel must come back by itself."""
    bed.progress(f"{len(channels)} ports are killed")
    noticed, connected, pauses = [], [], []
    for one in channels:
        at = datetime.now(UTC)
        os.kill(node.port_pid(one.clinic, one.id), signal.SIGKILL)
        lost = await listener.state(one, "reconnecting", at)
        back = await listener.state(one, "connected", at)
        noticed.append((entered(lost) - at).total_seconds())
        connected.append((entered(back) - at).total_seconds())
        pauses.append(retry_pause(lost))
    work = [whole - pause for whole, pause in zip(connected, pauses, strict=True)]
    for label, took in (("noticed", noticed), ("pause", pauses), ("work", work), ("connected again", connected)):
        values = {"p50": percentile(took, 0.5), "largest": max(took)}
        findings.recovery.append(Row(label=label, n=len(took), values=values))


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"
