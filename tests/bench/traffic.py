"""Who writes to whom in the runs of messages, and the runs in which the accounts send."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.acceptance.node import Node
from tests.bench.accounts import Channel, text
from tests.bench.bed import Bed
from tests.bench.raw import Message, Raw
from tests.bench.runs import Series
from tests.bench.service import Service

_YIELD_EVERY: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Raw clients and channels, as many of each, and the people they write with. ``tag`` makes a name for each run, so
    that no id and no text comes twice."""

    bed: Bed
    node: Node
    service: Service
    clients: Sequence[Raw]
    channels: Sequence[Channel]
    people: Sequence[str]
    tag: Callable[[], str] = field(default_factory=lambda: map("run-{}".format, itertools.count(1)).__next__)

    def only(self, accounts: int, chats: int) -> "Parties":
        """The first of each."""
        return Parties(
            bed=self.bed,
            node=self.node,
            service=self.service,
            clients=self.clients[:accounts],
            channels=self.channels[:accounts],
            people=self.people[:chats],
            tag=self.tag,
        )

    def messages(self, count: int) -> list[Message]:
        """To each in turn. The same for each account."""
        tag = self.tag()
        return [(self.people[index % len(self.people)], text(tag, index)) for index in range(count)]


async def send_raw(parties: Parties, count: int, series: Series) -> None:
    """The bare loop, in each process: ``count`` messages one after another."""
    messages = parties.messages(count)
    meter = parties.bed.cpu_of_raw(parties.clients)
    sent = await asyncio.gather(*(client.send(messages) for client in parties.clients))
    times = [time for one in sent for time in one]
    begun, ended = min(begun for begun, _ in times), max(ended for _, ended in times)
    series.add(begun, ended, [ended - begun for begun, ended in times], meter)


async def flood(parties: Parties, count: int, series: Series) -> None:
    """``count`` commands for each channel, published as fast as NATS takes them; until the last result."""
    messages = parties.messages(count)
    ids = [command_id(body) for _, body in messages]
    results = [parties.service.expect("result", one, ids) for one in parties.channels]
    meter = parties.bed.cpu_of_node(parties.node, parties.channels)
    published: list[dict[str, float]] = [{} for _ in parties.channels]
    acknowledgements = []
    for index, (name, (to, body)) in enumerate(zip(ids, messages, strict=True)):
        for one, times in zip(parties.channels, published, strict=True):
            times[name] = time.monotonic()
            acknowledgements.append(await parties.service.publish(one, name, to, body))
        if index % _YIELD_EVERY == 0:
            await asyncio.sleep(0)  # results are coming in
    await asyncio.gather(*acknowledgements)
    arrived = [await one.all() for one in results]
    begun = min(min(times.values()) for times in published)
    ended = max(max(times.values()) for times in arrived)
    latencies = [came[name] - at for came, times in zip(arrived, published, strict=True) for name, at in times.items()]
    series.add(begun, ended, latencies, meter)


async def send_one_by_one(parties: Parties, count: int, series: Series) -> None:
    """For each channel one command at a time: the next is published when the result of the last has come."""
    messages = parties.messages(count)
    meter = parties.bed.cpu_of_node(parties.node, parties.channels)
    latencies: list[float] = []

    async def send(one: Channel) -> None:
        for to, body in messages:
            name = command_id(body)
            result = parties.service.expect("result", one, [name])
            published = time.monotonic()
            await parties.service.publish(one, name, to, body)
            latencies.append((await result.all())[name] - published)

    begun = time.monotonic()
    await asyncio.gather(*map(send, parties.channels))
    series.add(begun, time.monotonic(), latencies, meter)


async def steady(parties: Parties, rate: float, seconds: float) -> dict[str, list[float]]:
    """``rate`` commands a second over all channels; seconds until WhatsApp's server has each, by what they are counted
    from."""
    since = (await parties.bed.emulator.arrivals()).next
    messages, channels = parties.messages(max(1, int(rate * seconds))), itertools.cycle(parties.channels)
    published, acknowledged = dict[str, float](), dict[str, float]()
    ids: dict[Channel, list[str]] = defaultdict(list)
    for (_, body), one in zip(messages, channels, strict=False):
        ids[one].append(command_id(body))
    results = [parties.service.expect("result", one, names) for one, names in ids.items()]
    channels, begun = itertools.cycle(parties.channels), time.monotonic()
    for index, ((to, body), one) in enumerate(zip(messages, channels, strict=False)):
        await asyncio.sleep(max(0.0, begun + index / rate - time.monotonic()))
        published[body] = time.time()
        future = await parties.service.publish(one, command_id(body), to, body)
        future.add_done_callback(lambda _, body=body: acknowledged.setdefault(body, time.time()))  # type: ignore[misc]
    for one_result in results:
        await one_result.all()
    arrived = {one.text: one.at for one in (await parties.bed.emulator.arrivals(since)).items}
    return {
        "acknowledged to WhatsApp's server": [arrived[body] - at for body, at in acknowledged.items()],
        "published to WhatsApp's server": [arrived[body] - at for body, at in published.items()],
    }


def command_id(body: str) -> str:
    """The id of the command with this text."""
    tag, number, *_ = body.split()
    return f"{tag}-{number}"
