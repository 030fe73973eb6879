"""Part: a steady rate for long, with the real client, to see whether anything grows."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from statistics import fmean, linear_regression
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from protocol.codec import encode
from protocol.subjects import EventKind, event, send
from tests.acceptance.node import Node
from tests.bench.accounts import Channel, channel, patients, text
from tests.bench.bed import Bed
from tests.bench.processes import memory
from tests.bench.report import Row, Table
from tests.bench.service import BenchError, service

Show = Callable[[Table], None]
Sample = Mapping[str, float]

_PEOPLE: Final = 40
_SAMPLES: Final = 120
_SHORTEST_S: Final = 2.0
_PATIENCE_S: Final = 60.0
_MB: Final = 1e6
_MINUTE: Final = 60.0
_COLUMNS: Final = {
    "first third": "",
    "last third": "",
    "largest": "",
    "growth": "per hour",
    "of the mean": "% per hour",
}
_NOTE: Final = (
    "{rate:g} messages a second each way over {channels} channels for {minutes:g} minutes: {out} commands and {into}\n"
    "inbound messages, all of which came through. Means of the first and the last third; growth: the slope of a line\n"
    "through the last two thirds (what grows once, at the beginning, is no growth). ports: all of them together."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """``rate``: messages a second each way, over all ``channels``."""

    channels: int = 10
    rate: float = 20.0
    minutes: float = 30.0


class Counts:
    """How many events of each kind have come."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {EventKind.RESULT: 0, EventKind.MESSAGE: 0}

    async def take(self, message: Msg) -> None:
        """One event."""
        self.of[message.subject.rsplit(".", 1)[-1]] += 1


async def measure(bed: Bed, sizes: Sizes, show: Show) -> None:
    """The whole soak, on a node of its own."""
    channels = [channel(index) for index in range(sizes.channels)]
    async with bed.node() as started, service(started.node.where["nats"]) as listener:
        bed.progress(f"pairing {len(channels)} channels")
        await bed.pair(started.node, channels, listener)
        connection = listener.connection
        counts = Counts()
        for kind in counts.of:
            await connection.subscribe(event("*", "*", EventKind(kind)), cb=counts.take)
        bed.progress(f"{sizes.minutes:g} minutes at {sizes.rate:g} messages a second each way")
        traffic = asyncio.create_task(_traffic(bed, connection, channels, sizes))
        try:
            samples = await _samples(bed, started.node, channels, sizes.minutes * _MINUTE)
            total = await traffic
        finally:
            traffic.cancel()
        await _all_through(counts, total)
    note = _NOTE.format(
        rate=sizes.rate, channels=sizes.channels, minutes=sizes.minutes, out=total, into=counts.of[EventKind.MESSAGE]
    )
    show(Table(title="Soak", note=note, columns=_COLUMNS, rows=rows(samples)))


async def _traffic(bed: Bed, connection: Client, channels: Sequence[Channel], sizes: Sizes) -> int:
    """Each way at the rate; how many were sent each way."""
    people, stream, total = patients(_PEOPLE), connection.jetstream(), int(sizes.rate * sizes.minutes * _MINUTE)
    begun = time.monotonic()
    for number, one in zip(range(total), cycle(channels), strict=False):
        await asyncio.sleep(max(0.0, begun + number / sizes.rate - time.monotonic()))
        person = people[number // len(channels) % _PEOPLE]
        body = {"v": 1, "id": f"soak-{number}", "to": person, "type": "text", "text": text("soak", number)}
        await stream.publish(send(one.clinic, one.id), encode(body), timeout=_PATIENCE_S)
        await bed.emulator.burst([people[(number + 1) % _PEOPLE]], one.phone, 1, text("soak", number))
    return total


async def _all_through(counts: Counts, total: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while any(came < total for came in counts.of.values()):
        if time.monotonic() > deadline:
            raise BenchError(f"of {total} messages each way came only {counts.of}")
        await asyncio.sleep(0.1)


async def _samples(bed: Bed, node: Node, channels: Sequence[Channel], seconds: float) -> list[Sample]:
    """Evenly over ``seconds``; each with its time, in hours."""
    begun, pause = time.monotonic(), max(_SHORTEST_S, seconds / _SAMPLES)
    samples = list[Sample]()
    for number in count(1):
        await asyncio.sleep(max(0.0, begun + number * pause - time.monotonic()))
        if (elapsed := time.monotonic() - begun) > seconds:
            return samples
        samples.append({"hours": elapsed / 3600, **await asyncio.to_thread(_sample, node, channels)})
        if number % (_SAMPLES // 6) == 0:
            bed.progress(f"after {elapsed / _MINUTE:.1f} minutes: main {samples[-1]['main PSS (MB)']:.1f} MB")
    return samples


def _sample(node: Node, channels: Sequence[Channel]) -> dict[str, float]:
    processes = {
        "main": [node.pid],
        "ports": [node.port_pid(one.clinic, one.id) for one in channels],
        "nats-server": [node.child("nats-server")],
    }
    found: dict[str, float] = {}
    for name, pids in processes.items():
        memories = [memory(pid) for pid in pids]
        found[f"{name} PSS (MB)"] = sum(one.pss for one in memories)
        found[f"{name} RSS (MB)"] = sum(one.rss for one in memories)
        found[f"{name} descriptors"] = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)  # noqa: PTH208
        found[f"{name} threads"] = sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids)  # noqa: PTH208
    databases = [path for path in node.data.rglob("*.db*") if path.is_file()]
    working = [path for path in node.runtime.rglob("*") if path.is_file()]
    stores = [path for path in working if ".db" in path.name and not path.name.endswith(".lock")]
    found["clinics' databases (MB)"] = _size(databases)
    found["session stores (MB)"] = _size(stores)
    found["journals and the rest of runtime (MB)"] = _size(path for path in working if path not in stores)
    found["nats (MB)"] = _size(path for path in (node.data / "nats").rglob("*") if path.is_file())
    return found


def _size(paths: Iterable[Path]) -> float:
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except OSError:
            continue  # it was deleted meanwhile
    return total / _MB


def rows(samples: Sequence[Sample]) -> list[Row]:
    """For the table: each quantity over the thirds, and how it grows. Raises BenchError if the samples are too few."""
    if len(samples) < 3:
        raise BenchError(f"{len(samples)} samples are too few: let it take longer")
    third = len(samples) // 3
    later = samples[third:]
    hours = [sample["hours"] for sample in later]
    found = []
    for name in samples[0]:
        if name == "hours":
            continue
        values = [sample[name] for sample in samples]
        slope = linear_regression(hours, values[third:]).slope
        mean = fmean(values[third:])
        shown = {
            "first third": fmean(values[:third]),
            "last third": fmean(values[-third:]),
            "largest": max(values),
            "growth": slope,
            "of the mean": 100 * slope / mean if mean else 0.0,
        }
        found.append(Row(label=name, n=len(values), values=shown))
    return found
