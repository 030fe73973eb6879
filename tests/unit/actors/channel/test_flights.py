import asyncio

import pytest
from msgspec.structs import replace

from actors.channel import flights as flights_module
from actors.channel.flights import PATIENCE_S, Flights
from protocol.errors import StoreUnavailableError
from protocol.events import ResultEvent
from protocol.ledger import Changes, Receipt
from tests.fakes.memory_ledger import Entry, MemoryLedger
from tests.unit.actors.channel.bench import CHANNEL, CLINIC
from tests.unit.actors.channel.commands import AT, accepted

RECEIPT = Receipt(wa_id="WA", kind="delivered", at=AT)


@pytest.fixture
def ledger() -> MemoryLedger:
    """It knows that "1" is with the port."""
    ledger = MemoryLedger()
    ledger.entries[CHANNEL, "1"] = Entry(replace(accepted("1"), attempts=1), "in_flight")
    return ledger


async def record(ledger: MemoryLedger) -> None:
    """What came of the send: "1" was sent as "WA"."""
    result = ResultEvent(clinic=CLINIC, channel=CHANNEL, id="1", status="sent", wa_id="WA", sent_at=AT)
    await ledger.record(CHANNEL, Changes(results=[result]))


async def test_what_the_ledger_knows_is_found_at_once(ledger: MemoryLedger) -> None:
    flights = Flights()
    flights.began(["other"])
    await record(ledger)
    assert (await flights.receipted(ledger, CHANNEL, [RECEIPT]))["WA"].id == "1"


async def test_a_receipt_that_overtakes_the_ledgers_record_waits_for_it_and_is_noted(ledger: MemoryLedger) -> None:
    flights = Flights()
    flights.began(["a", "b"])
    asking = asyncio.ensure_future(flights.receipted(ledger, CHANNEL, [RECEIPT]))
    await asyncio.sleep(0)
    flights.began(["later"])
    flights.recorded(["a"])
    await asyncio.sleep(0)
    assert not asking.done()
    await record(ledger)
    flights.recorded(["b", "nobody"])
    assert (await asking)["WA"].id == "1"
    assert ledger.entry(CHANNEL, "1").delivered_at == AT


async def test_what_is_recorded_while_the_ledger_is_asked_is_looked_for_again(ledger: MemoryLedger) -> None:
    flights = Flights()
    flights.began(["a"])
    original = ledger.receipted

    async def late(channel: str, receipts: list[Receipt]) -> object:
        found = await original(channel, receipts)
        if not found:
            await record(ledger)
            flights.recorded(["a"])
        return found

    ledger.receipted = late  # type: ignore[method-assign, assignment]  # the send lands at this moment
    assert (await flights.receipted(ledger, CHANNEL, [RECEIPT]))["WA"].id == "1"


async def test_what_is_not_ours_is_not_waited_for_for_long(
    ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flights_module, "PATIENCE_S", 0.01)
    flights = Flights()
    flights.began(["a"])
    assert await flights.receipted(ledger, CHANNEL, [RECEIPT]) == {}


async def test_nor_for_one_that_has_been_under_way_for_long(
    ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(flights_module, "monotonic", lambda: now)
    flights = Flights()
    flights.began(["hangs"])
    now = PATIENCE_S
    assert await flights.receipted(ledger, CHANNEL, [RECEIPT]) == {}
    assert len(ledger.calls) == 1, "nothing was waited for"


async def test_nor_at_all_when_nothing_flies(ledger: MemoryLedger) -> None:
    assert await Flights().receipted(ledger, CHANNEL, [RECEIPT]) == {}
    assert len(ledger.calls) == 1


async def test_a_ledger_that_fails_is_an_error(ledger: MemoryLedger) -> None:
    ledger.failing = True
    with pytest.raises(StoreUnavailableError):
        await Flights().receipted(ledger, CHANNEL, [RECEIPT])
