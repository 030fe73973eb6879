"""The runs in which people write to the accounts."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tests.bench.processes import CpuMeter
from tests.bench.raw import Message, Raw
from tests.bench.runs import Series
from tests.bench.traffic import Parties

_WRITERS: Final = 4
"""How many people write to one number at the same moment."""

Collect = Callable[[], Awaitable[dict[str, float]]]
"""Waits for all messages of one account; when each came, by its text."""


async def receive_raw(parties: Parties, count: int, phones: Sequence[str], series: Series) -> None:
    """``count`` messages to each raw client's number, a few people writing at once; until neonize's last callback."""
    messages = parties.messages(count)

    def collect(client: Raw) -> Collect:
        return lambda: client.collect(count)

    meter = parties.bed.cpu_of_raw(parties.clients)
    await _receive(parties, messages, phones, [collect(client) for client in parties.clients], meter, series)


async def receive(parties: Parties, count: int, series: Series) -> None:
    """The same to the channels' numbers; until the last event on NATS."""
    messages = parties.messages(count)
    texts = [body for _, body in messages]
    events = [parties.service.expect("message", one, texts) for one in parties.channels]
    meter = parties.bed.cpu_of_node(parties.node, parties.channels)
    phones = [one.phone for one in parties.channels]
    await _receive(parties, messages, phones, [one.all for one in events], meter, series)


async def _receive(
    parties: Parties,
    messages: Sequence[Message],
    phones: Sequence[str],
    collect: Sequence[Collect],
    meter: CpuMeter,
    series: Series,
) -> None:
    arriving = [asyncio.ensure_future(one()) for one in collect]
    written = await asyncio.gather(*(_write(parties, messages, phone) for phone in phones))
    arrived = await asyncio.gather(*arriving)
    begun = min(min(times.values()) for times in written)
    ended = max(max(times.values()) for times in arrived)
    latencies = [came[body] - at for came, times in zip(arrived, written, strict=True) for body, at in times.items()]
    series.add(begun, ended, latencies, meter)


async def _write(parties: Parties, messages: Sequence[Message], phone: str) -> dict[str, float]:
    """Have the people write to ``phone``, each one message after another; when they began to, by text."""
    begun: dict[str, float] = {}
    of: dict[int, list[Message]] = defaultdict(list)
    for index, message in enumerate(messages):
        of[index % len(parties.people) % _WRITERS].append(message)

    async def write(mine: list[Message]) -> None:
        for person, body in mine:
            begun[body] = time.monotonic()
            await parties.bed.emulator.send_text(person, phone, body)

    await asyncio.gather(*map(write, of.values()))
    return begun


async def receive_raw_one_by_one(parties: Parties, count: int, phones: Sequence[str], series: Series) -> None:
    """To each raw client's number one message at a time: the next is written when the last has come."""
    messages = parties.messages(count)
    meter = parties.bed.cpu_of_raw(parties.clients)

    async def follow(client: Raw, phone: str) -> list[float]:
        return [await _one(parties, message, phone, lambda: client.collect(1)) for message in messages]

    begun = time.monotonic()
    found = await asyncio.gather(*map(follow, parties.clients, phones))
    series.add(begun, time.monotonic(), [one for latencies in found for one in latencies], meter)


async def receive_one_by_one(parties: Parties, count: int, series: Series) -> None:
    """The same to the channels' numbers."""
    messages = parties.messages(count)
    meter = parties.bed.cpu_of_node(parties.node, parties.channels)

    async def follow(index: int) -> list[float]:
        one, latencies = parties.channels[index], list[float]()
        for message in messages:
            event = parties.service.expect("message", one, [message[1]])
            latencies.append(await _one(parties, message, one.phone, event.all))
        return latencies

    begun = time.monotonic()
    found = await asyncio.gather(*map(follow, range(len(parties.channels))))
    series.add(begun, time.monotonic(), [one for latencies in found for one in latencies], meter)


async def _one(parties: Parties, message: Message, phone: str, collect: Collect) -> float:
    """Seconds from the beginning of writing to the arrival."""
    person, body = message
    begun = time.monotonic()
    await parties.bed.emulator.send_text(person, phone, body)
    return (await collect())[body] - begun
