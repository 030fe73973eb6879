"""Part: Plantão alone. Null ports answer every send at once, so that all that is measured is ours."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from typing import Final

from protocol.codec import decode_raw
from tests.bench.accounts import channel, patients, text
from tests.bench.bed import Progress
from tests.bench.null_bed import NullBed, null_bed
from tests.bench.null_port import ASK, stamped
from tests.bench.report import Row, Table, percentile
from tests.bench.runs import CPU_COLUMNS, RATE_COLUMNS, Series

Show = Callable[[Table], None]

_MS: Final = 1000.0
_YIELD_EVERY: Final = 16
_TENTH: Final = 10
_PEOPLE: Final = 40
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """``flood``: messages of a run at full speed, over all ``channels``; ``paced_s``: how long a run at a tenth of that
    rate takes; ``http``: requests."""

    channels: int = 10
    rounds: int = 3
    flood: int = 20_000
    paced_s: float = 15.0
    http: int = 1000


FULL: Final = Sizes()
QUICK: Final = Sizes(rounds=1, flood=3000, paced_s=3.0, http=200)

_RATE_NOTE: Final = (
    "10 channels in 10 clinics, text messages. Out: commands published in a pipeline, from the first publish to the\n"
    "last result event on NATS; latency from publish to result, which in a flood is waiting in line. In: each null\n"
    "port tells of messages as fast as it can hand them on; latency from its callback to the event."
)
_CPU_NOTE: Final = (
    "client: the ports. together: all but the bench, which only makes the load (and takes part of the two cores)."
)
_LATENCY_NOTE: Final = (
    "Messages spread evenly, at a tenth of the rate above. Out: until the null port's send is called, where neonize's\n"
    "socket call would be, counted from the acknowledgement of the publish and from the publish itself. In: from the\n"
    "session's callback to the event on NATS."
)
_HTTP_NOTE: Final = "POST …/send on loopback, until the 202 has been read: one at a time, and eight at a time."
_LATENCY_COLUMNS: Final = {"rate": "messages/s", "p50": "ms", "p99": "ms", "max": "ms"}
_HTTP_COLUMNS: Final = {"rate": "requests/s", "p50": "ms", "p99": "ms", "max": "ms"}


async def measure(sizes: Sizes, progress: Progress, show: Show) -> None:
    """Everything about the pipeline, on a node of its own."""
    names = map("pipe-{}".format, count(1)).__next__
    async with null_bed([channel(index) for index in range(sizes.channels)]) as bed:
        out, into = Series(), Series()
        await _flood_out(bed, sizes.flood // 10, names(), Series())  # everything has been used once
        for _ in range(sizes.rounds):
            progress("pipeline: out, flood")
            await _flood_out(bed, sizes.flood, names(), out)
            progress("pipeline: in, flood")
            await _flood_in(bed, sizes.flood, names(), into)
        rows = [out.rate_row("out"), into.rate_row("in")]
        show(Table(title="Plantão alone: rate", note=_RATE_NOTE, columns=RATE_COLUMNS, rows=rows))
        rows = [out.cpu_row("out"), into.cpu_row("in")]
        show(Table(title="Plantão alone: CPU per message", note=_CPU_NOTE, columns=CPU_COLUMNS, rows=rows))
        progress("pipeline: latency at a tenth of the rate")
        rows = await _paced_out(bed, out.rate / _TENTH, sizes.paced_s, names())
        rows.append(await _paced_in(bed, into.rate / _TENTH, sizes.paced_s, names()))
        show(Table(title="Plantão alone: latency", note=_LATENCY_NOTE, columns=_LATENCY_COLUMNS, rows=rows))
        progress("pipeline: HTTP")
        rows = [await _http(bed, sizes.http, at_once, names()) for at_once in (1, _AT_ONCE)]
        show(Table(title="Plantão alone: HTTP", note=_HTTP_NOTE, columns=_HTTP_COLUMNS, rows=rows))


async def _flood_out(bed: NullBed, total: int, tag: str, series: Series) -> None:
    people, channels = patients(_PEOPLE), cycle(bed.channels)
    meter, published, acknowledgements = bed.meter(), dict[str, float](), []
    for index in range(total):
        name = f"{tag}-{index}"
        published[name] = time.monotonic()
        to = people[index // len(bed.channels) % _PEOPLE]
        acknowledgements.append(await bed.publish(next(channels), name, to, text(tag, index)))
        if index % _YIELD_EVERY == 0:
            await asyncio.sleep(0)  # results are coming in
    heard = await bed.results.next(total)
    latencies = [at - published[decode_raw(data)["id"]] for at, data in heard]
    series.add(min(published.values()), heard[-1][0], latencies, meter)
    await asyncio.gather(*acknowledgements)


async def _flood_in(bed: NullBed, total: int, tag: str, series: Series) -> None:
    each = total // len(bed.channels)
    meter, begun = bed.meter(), time.monotonic()
    await _ask(bed, each, 0, tag)
    heard = await bed.messages.next(each * len(bed.channels))
    series.add(begun, heard[-1][0], [at - stamped(decode_raw(data)["text"]) for at, data in heard], meter)


async def _ask(bed: NullBed, each: int, rate: float, tag: str) -> None:
    """Have ``each`` messages come in on every channel, ``rate`` a second."""
    for index, one in enumerate(bed.channels):
        await bed.publish(one, f"{tag}-ask-{index}", patients(1)[0], f"{ASK} {each} {rate:g}")
    await bed.results.next(len(bed.channels))


async def _paced_out(bed: NullBed, rate: float, seconds: float, tag: str) -> list[Row]:
    people, channels, total = patients(_PEOPLE), cycle(bed.channels), max(1, int(rate * seconds))
    published, acknowledged = dict[str, float](), dict[str, float]()
    begun = time.monotonic()
    for index in range(total):
        await asyncio.sleep(max(0.0, begun + index / rate - time.monotonic()))
        name = f"{tag}-{index}"
        published[name] = time.monotonic()
        future = await bed.publish(next(channels), name, people[index % _PEOPLE], text(tag, index))
        future.add_done_callback(lambda _, name=name: acknowledged.setdefault(name, time.monotonic()))  # type: ignore[misc]
    called = {}
    for _, data in await bed.results.next(total):
        result = decode_raw(data)
        called[result["id"]] = stamped(result["wa_id"])
    return [
        _latency("out: acknowledged to socket call", rate, [called[name] - at for name, at in acknowledged.items()]),
        _latency("out: published to socket call", rate, [called[name] - at for name, at in published.items()]),
    ]


async def _paced_in(bed: NullBed, rate: float, seconds: float, tag: str) -> Row:
    each = max(1, int(rate * seconds / len(bed.channels)))
    await _ask(bed, each, rate / len(bed.channels), tag)
    heard = await bed.messages.next(each * len(bed.channels))
    return _latency("in: callback to event", rate, [at - stamped(decode_raw(data)["text"]) for at, data in heard])


async def _http(bed: NullBed, total: int, at_once: int, tag: str) -> Row:
    to, numbers, took = patients(1)[0], iter(range(total)), list[float]()

    async def work() -> None:
        for number in numbers:
            one = bed.channels[number % len(bed.channels)]
            body = {"v": 1, "id": f"{tag}-{number}", "to": to, "type": "text", "text": text(tag, number)}
            begun = time.monotonic()
            await bed.node.request("POST", f"/api/v1/clinics/{one.clinic}/channels/{one.id}/send", body)
            took.append(time.monotonic() - begun)

    begun = time.monotonic()
    await asyncio.gather(*(work() for _ in range(at_once)))
    row = _latency(f"{at_once} at a time", total / (time.monotonic() - begun), took)
    await bed.results.next(total)
    return row


def _latency(label: str, rate: float, took: Sequence[float]) -> Row:
    values = {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "max": max(took)}
    return Row(label=label, n=len(took), values={"rate": rate, **{name: one * _MS for name, one in values.items()}})
