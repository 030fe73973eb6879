"""Part one: messages out and in, raw neonize and Plantão in turns, with the same messages and people."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.bench.accounts import channel, raw_phone
from tests.bench.bed import Bed
from tests.bench.inbound import receive, receive_one_by_one, receive_raw, receive_raw_one_by_one
from tests.bench.processes import MEMORY_COLUMNS, mean_memory
from tests.bench.report import Row, Table, percentile
from tests.bench.runs import CPU_COLUMNS, RATE_COLUMNS, Series, cpu_ratio_row, ratio_row
from tests.bench.service import service
from tests.bench.traffic import Parties, flood, send_one_by_one, send_raw, steady

Show = Callable[[Table], None]
Turn = Callable[[Series], Awaitable[None]]
"""One run, whose figures are added to the series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """``rounds``: how often Plantão has its turn; raw neonize is before and after each. ``out``, ``into``: messages of
    a run at full speed, all accounts together; ``paced``: one at a time, of each account; ``steady``: messages a
    second, over all accounts, for ``steady_s`` seconds."""

    accounts: tuple[int, ...] = (1, 4, 10)
    chats: int = 40
    rounds: int = 2
    out: int = 4000
    into: int = 2400
    paced: int = 400
    steady: float = 40.0
    steady_s: float = 15.0


FULL: Final = Sizes()
QUICK: Final = Sizes(accounts=(1, 4), chats=10, rounds=1, out=400, into=200, paced=40, steady_s=3.0)

_OUT_NOTE: Final = (
    "Text messages, acknowledged by the emulator and not decrypted. Raw: a bare loop of send_message in a process for\n"
    "each account; latency is that of the call. Plantão: commands published in a pipeline, from the first publish to\n"
    "the last result event; latency from publish to result, which in a flood is waiting in line. One at a time: the\n"
    "next command is published when the result of the last has come. The ratio is that of the rates."
)
_IN_NOTE: Final = (
    "Text messages which people write through the emulator's HTTP, four at once to each number; the emulator encrypts\n"
    "in Python and is soon the limit. Until neonize's callback (raw) or the event on NATS (Plantão)."
)
_CPU_NOTE: Final = (
    "client: the raw clients, or the ports. together: all but emulator and bench, which only make the load; the ratio\n"
    "is of these. own share: the part of it that raw neonize does not have."
)
_FIRST_NOTE: Final = (
    "The first message between an account and a person (out: devices and keys are asked for; in: a session is made).\n"
    "Not contained in the other figures."
)
_STEADY_NOTE: Final = (
    "Until the emulator has read the message: Plantão, and the socket, and neonize's encryption, and the emulator's\n"
    "decryption in Python. Plantão's own share is in the part pipeline."
)
_STEADY_COLUMNS: Final = {"p50": "ms", "p99": "ms", "max": "ms"}
_MS: Final = 1000.0
_MEMORY_NOTE: Final = "One process for each session, after the traffic above."


@dataclass(frozen=True, slots=True)
class _Case:
    """Two kinds of run that are compared."""

    label: str
    raw: Turn
    plantao: Turn


async def measure(bed: Bed, sizes: Sizes, show: Show) -> None:
    """Everything about messages, on a node and raw clients of its own."""
    most = max(sizes.accounts)
    channels = [channel(index) for index in range(most)]
    async with bed.node() as started, service(started.node.where["nats"]) as listener:
        bed.progress(f"pairing {most} channels and {most} raw clients")
        await bed.pair(started.node, channels, listener)
        people = await bed.quiet_patients(sizes.chats)
        async with bed.paired_raw(most) as clients:
            parties = Parties(
                bed=bed, node=started.node, service=listener, clients=clients, channels=channels, people=people
            )
            await _first(parties, show)
            await _steady(parties, sizes, show)
            await bed.emulator.fault("no_decrypt")
            await _compare(bed, list(_out(parties, sizes)), sizes.rounds, "Out", _OUT_NOTE, show)
            await _compare(bed, list(_into(parties, sizes)), sizes.rounds, "In", _IN_NOTE, show)
            _memory(parties, show)


async def _first(parties: Parties, show: Show) -> None:
    parties.bed.progress("first contacts")
    count, phones = len(parties.people), _raw_phones(parties)
    turns: dict[str, Turn] = {
        "out: raw": partial(send_raw, parties, count),
        "out: Plantão": partial(send_one_by_one, parties, count),
        "in: raw": partial(receive_raw_one_by_one, parties, count, phones),
        "in: Plantão": partial(receive_one_by_one, parties, count),
    }
    rows = []
    for label, turn in turns.items():
        series = Series()
        await turn(series)
        rows.append(Row(label=label, n=series.count, values=series.latencies()))
    title = f"First contact, {len(parties.channels)} accounts at once, each one message at a time"
    show(Table(title=title, note=_FIRST_NOTE, columns=RATE_COLUMNS, rows=rows))


async def _steady(parties: Parties, sizes: Sizes, show: Show) -> None:
    """Before anything is a flood, and while the emulator reads what it gets."""
    parties.bed.progress("latency at a steady rate")
    rows = []
    for label, took in (await steady(parties, sizes.steady, sizes.steady_s)).items():
        values = {"p50": percentile(took, 0.5) * _MS, "p99": percentile(took, 0.99) * _MS, "max": max(took) * _MS}
        rows.append(Row(label=label, n=len(took), values=values))
    title = f"Out, {sizes.steady:g} messages a second over {len(parties.channels)} channels"
    show(Table(title=title, note=_STEADY_NOTE, columns=_STEADY_COLUMNS, rows=rows))


def _out(parties: Parties, sizes: Sizes) -> Iterator[_Case]:
    for accounts in sizes.accounts:
        each = sizes.out // accounts
        for chats in (sizes.chats, 1):
            some = parties.only(accounts, chats)
            label = f"{_accounts(accounts)}, {_chats(chats)}, flood"
            yield _Case(label, partial(send_raw, some, each), partial(flood, some, each))
        some = parties.only(accounts, sizes.chats)
        paced = partial(send_one_by_one, some, sizes.paced)
        yield _Case(f"{_accounts(accounts)}, one at a time", partial(send_raw, some, sizes.paced), paced)


def _into(parties: Parties, sizes: Sizes) -> Iterator[_Case]:
    for accounts in sizes.accounts:
        some = parties.only(accounts, sizes.chats)
        each, phones = sizes.into // accounts, _raw_phones(some)
        label = f"{_accounts(accounts)}, {_chats(sizes.chats)}, flood"
        yield _Case(label, partial(receive_raw, some, each, phones), partial(receive, some, each))
        yield _Case(
            f"{_accounts(accounts)}, one at a time",
            partial(receive_raw_one_by_one, some, sizes.paced, phones),
            partial(receive_one_by_one, some, sizes.paced),
        )


async def _compare(bed: Bed, cases: list[_Case], rounds: int, what: str, note: str, show: Show) -> None:
    rates: list[Row] = []
    cpu: list[Row] = []
    for case in cases:
        bed.progress(f"{what.lower()}: {case.label}")
        raw, plantao = Series(), Series()
        await case.raw(raw)
        for _ in range(rounds):
            await case.plantao(plantao)
            await case.raw(raw)
        rates += [raw.rate_row(f"{case.label}: raw"), plantao.rate_row("  Plantão"), ratio_row(plantao, raw)]
        cpu += [raw.cpu_row(f"{case.label}: raw"), plantao.cpu_row("  Plantão", raw), cpu_ratio_row(plantao, raw)]
    show(Table(title=f"{what}: rate and latency", note=note, columns=RATE_COLUMNS, rows=rates))
    show(Table(title=f"{what}: CPU per message", note=_CPU_NOTE, columns=CPU_COLUMNS, rows=cpu))


def _memory(parties: Parties, show: Show) -> None:
    ports = [parties.node.port_pid(one.clinic, one.id) for one in parties.channels]
    rows = [
        Row(label="raw neonize", n=len(ports), values=mean_memory([client.pid for client in parties.clients])),
        Row(label="port", n=len(ports), values=mean_memory(ports)),
    ]
    show(Table(title="Memory of a session, after traffic", note=_MEMORY_NOTE, columns=MEMORY_COLUMNS, rows=rows))


def _raw_phones(parties: Parties) -> list[str]:
    return [raw_phone(index) for index in range(len(parties.clients))]


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count} accounts"


def _chats(count: int) -> str:
    return "1 chat" if count == 1 else f"{count} chats"
