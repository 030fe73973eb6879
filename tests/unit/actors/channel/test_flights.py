import asyncio

import pytest

from actors.channel import flights as flights_module
from actors.channel.flights import MOST_RECENT, Flights
from protocol.errors import StoreUnavailableError
from tests.fakes.memory_ledger import MemoryLedger
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.commands import accepted


async def test_what_has_just_landed_is_known_without_the_ledger() -> None:
    flights, ledger = Flights(), MemoryLedger()
    flights.landed("WA", accepted("1"))
    found = await flights.senders(ledger, CHANNEL, ["WA"])
    assert found["WA"].id == "1"
    assert ledger.calls == []


async def test_a_receipt_that_overtakes_its_answer_waits_for_it() -> None:
    flights, ledger = Flights(), MemoryLedger()
    with flights.flying():
        asking = asyncio.ensure_future(flights.senders(ledger, CHANNEL, ["WA"]))
        await asyncio.sleep(0)
        assert not asking.done()
        flights.landed("WA", accepted("1"))
    assert (await asking)["WA"].id == "1"


async def test_what_is_not_ours_is_not_waited_for_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights_module, "PATIENCE_S", 0.01)
    flights = Flights()
    with flights.flying():
        assert await flights.senders(MemoryLedger(), CHANNEL, ["THEIRS"]) == {}


async def test_what_is_not_ours_is_not_waited_for_when_nothing_flies() -> None:
    assert await Flights().senders(MemoryLedger(), CHANNEL, ["THEIRS"]) == {}


async def test_a_send_that_fails_ends_the_wait_too() -> None:
    flights = Flights()
    with pytest.raises(ValueError, match="no"), flights.flying():  # noqa: PT012 - the wait is what is tested
        asking = asyncio.ensure_future(flights.senders(MemoryLedger(), CHANNEL, ["WA"]))
        await asyncio.sleep(0)
        raise ValueError("no")
    assert await asking == {}


async def test_only_the_most_recent_are_kept_in_memory() -> None:
    flights, ledger = Flights(), MemoryLedger()
    for number in range(MOST_RECENT + 1):
        flights.landed(str(number), accepted(f"id-{number}"))
    found = await flights.senders(ledger, CHANNEL, ["0", "1", str(MOST_RECENT)])
    assert sorted(found) == ["1", str(MOST_RECENT)]
    assert ledger.calls == [("senders", ("0",))]


async def test_a_ledger_that_fails_is_an_error() -> None:
    ledger = MemoryLedger()
    ledger.failing = True
    with pytest.raises(StoreUnavailableError):
        await Flights().senders(ledger, CHANNEL, ["WA"])
