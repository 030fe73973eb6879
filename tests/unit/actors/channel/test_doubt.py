"""What may have been sent by an earlier life, and every way in which it is resolved."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from actors.channel.doubt import MOST_LOOKS
from actors.channel.expiry import GRACE
from actors.channel.parcel import Disowned, attempt_key
from protocol.codes import ErrorCode
from protocol.errors import StoreUnavailableError
from protocol.ledger import Accepted, Receipt
from protocol.port import Failed, Sent
from protocol.port_events import SendAnswered
from tests.fakes.memory_bus import body_of
from tests.fakes.memory_ledger import Entry
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.commands import AT, SENT, accepted, failed
from tests.unit.actors.channel.mouth import Clock, Mouth
from tests.unit.actors.channel.test_attempt import answering

pytestmark = pytest.mark.usefixtures("clock")

SECRET = b"s" * 32


@pytest.fixture
async def mouth() -> AsyncIterator[Mouth]:
    """The ledger has "1" as uncertain, and "2" behind it in the same chat."""
    mouth = Mouth()
    mouth.own(Entry(uncertain(), "in_flight"), Entry(accepted("2", text="two")))
    yield mouth
    await mouth.loop.end()


def uncertain(**fields: Any) -> Accepted:
    return replace(accepted("1", text="one", **fields), attempts=1, secret=SECRET)


async def wait_over(mouth: Mouth, clock: Clock) -> None:
    seconds, _ = mouth.timers["silence"]
    clock.seconds += seconds
    await mouth.fire("silence")


def record(mouth: Mouth, answer: Sent | Failed, secret: bytes = SECRET) -> None:
    """A port that is gone wrote this into its journal."""
    mouth.remains.write(SendAnswered(key=attempt_key(1, "1", secret), answer=answer))


async def test_what_the_journal_says_was_sent_was_sent(mouth: Mouth) -> None:
    record(mouth, SENT)
    await mouth.start()
    assert mouth.sent == ["two"]
    assert mouth.results[0] == ("1", "sent")
    assert (mouth.bus.results()[0].wa_id, mouth.bus.results()[0].attempts) == ("WA", 1)
    assert 1 in mouth.remains.finished


async def test_what_the_journal_says_failed_is_tried_again_as_ever(mouth: Mouth) -> None:
    record(mouth, failed("server_error"))
    await mouth.start()
    assert mouth.sent == ["one", "two"]
    assert mouth.bus.results()[0].attempts == 2


async def test_what_the_journal_says_of_an_earlier_attempt_says_nothing_of_this_one(mouth: Mouth) -> None:
    record(mouth, failed("server_error"), b"another attempt's secret")
    mouth.remains.trace("WA", SECRET)
    await mouth.start()
    assert mouth.sent == []
    assert mouth.part.waiting


async def test_what_is_not_in_the_session_store_was_never_sent(mouth: Mouth) -> None:
    await mouth.start()
    assert mouth.sent == ["one", "two"]
    assert (mouth.bus.results()[0].status, mouth.bus.results()[0].attempts) == ("sent", 1)


async def test_what_is_there_waits_for_a_receipt_that_proves_it(mouth: Mouth) -> None:
    mouth.remains.trace("WA", SECRET)
    await mouth.start()
    assert (mouth.sent, mouth.results) == ([], []), "its chat waits"
    assert mouth.ledger.entry(CHANNEL, "1").accepted.wa_id == "WA"
    await receipt(mouth)
    assert mouth.results == [("1", "sent"), ("2", "sent")]
    assert (mouth.sent, mouth.bus.results()[0].wa_id) == (["two"], "WA")


async def receipt(mouth: Mouth) -> None:
    (sender,) = (await mouth.ledger.receipted(CHANNEL, [Receipt(wa_id="WA", kind="delivered", at=AT)])).values()
    assert sender.unsettled
    mouth.part.receipted("WA", "delivered", sender)
    await mouth.run()


async def test_a_receipt_that_comes_before_the_ledger_was_read_is_not_forgotten(mouth: Mouth) -> None:
    mouth.ledger.entry(CHANNEL, "1").accepted = uncertain(wa_id="WA")
    await receipt(mouth)
    mouth.remains.trace("WA", SECRET)
    await mouth.start()
    assert (mouth.sent, mouth.results) == (["two"], [("1", "sent"), ("2", "sent")])


async def early_receipt(mouth: Mouth) -> None:
    """Nobody is known to have sent what it is for."""
    assert await mouth.ledger.receipted(CHANNEL, [Receipt(wa_id="WA", kind="delivered", at=AT)]) == {}


async def test_a_receipt_from_before_it_was_looked_up_proves_it_as_well(mouth: Mouth) -> None:
    await early_receipt(mouth)
    mouth.remains.trace("WA", SECRET)
    await mouth.start()
    assert (mouth.sent, mouth.results) == (["two"], [("1", "sent"), ("2", "sent")])
    assert mouth.bus.results()[0].wa_id == "WA"


async def test_or_one_that_an_earlier_life_noted_and_did_not_heed(mouth: Mouth) -> None:
    mouth.ledger.entry(CHANNEL, "1").accepted = uncertain(wa_id="WA")
    await mouth.ledger.receipted(CHANNEL, [Receipt(wa_id="WA", kind="delivered", at=AT)])
    await mouth.start()
    assert (mouth.sent, mouth.results) == (["two"], [("1", "sent"), ("2", "sent")])


async def test_nothing_is_concluded_while_the_ledger_cannot_be_asked_for_receipts(mouth: Mouth, clock: Clock) -> None:
    proven = mouth.ledger.proven

    async def failing(*_: object) -> frozenset[str]:
        raise StoreUnavailableError("disk full")

    mouth.ledger.proven = failing  # type: ignore[method-assign, assignment]  # until it is put back
    await early_receipt(mouth)
    mouth.remains.trace("WA", SECRET)
    await mouth.start()
    mouth.part.backlog_in()
    assert "silence" not in mouth.timers
    mouth.ledger.proven = proven  # type: ignore[method-assign]
    await mouth.fire(next(name for name in mouth.timers if name.startswith("noted")))
    assert (mouth.sent, mouth.results) == (["two"], [("1", "sent"), ("2", "sent")])


async def test_the_wait_begins_once_the_offline_backlog_is_in_and_then_it_is_sent_again_in_doubt(
    mouth: Mouth, clock: Clock
) -> None:
    mouth.remains.trace("WA", SECRET)
    await mouth.start()
    assert "silence" not in mouth.timers
    mouth.part.backlog_in()
    assert mouth.timers["silence"][0] == 30.0
    with capture_logs() as logs:
        await wait_over(mouth, clock)
    assert mouth.sent == ["one", "two"]
    (result, _) = mouth.bus.results()
    assert (result.status, result.attempts, result.error) == ("sent", 2, None)
    assert [log["log_level"] for log in logs if log["event"] == "resent in doubt"] == ["warning"]
    assert ("setback", ("1",)) in mouth.ledger.calls, "it was recorded as uncertain before"


async def test_or_it_is_held_if_its_sender_wants(mouth: Mouth, clock: Clock) -> None:
    mouth.ledger.entry(CHANNEL, "1").accepted = uncertain(on_uncertain="hold")
    mouth.remains.trace("WA", SECRET)
    await mouth.start()
    mouth.part.backlog_in()
    await wait_over(mouth, clock)
    assert mouth.results == [("1", "held"), ("2", "sent")]
    assert mouth.bus.dead() == []


async def test_what_an_earlier_life_found_out_already_is_only_waited_for(mouth: Mouth, clock: Clock) -> None:
    mouth.ledger.entry(CHANNEL, "1").accepted = uncertain(wa_id="WA")
    mouth.remains.failing = True
    mouth.part.recover([])
    mouth.part.use(mouth.port)
    await mouth.run()
    assert mouth.sent == []
    mouth.part.backlog_in()
    await wait_over(mouth, clock)
    assert mouth.sent == ["one", "two"]


async def test_a_session_that_is_lost_begins_the_wait_anew(mouth: Mouth, clock: Clock) -> None:
    mouth.remains.trace("WA", SECRET)
    await mouth.start()
    mouth.part.backlog_in()
    mouth.part.use(None)
    await wait_over(mouth, clock)
    assert (mouth.sent, mouth.results) == ([], [])
    mouth.part.use(mouth.port)
    mouth.part.backlog_in()
    await wait_over(mouth, clock)
    assert mouth.sent == ["one", "two"]


async def test_a_backlog_that_is_in_before_the_port_is_known_counts(mouth: Mouth, clock: Clock) -> None:
    mouth.remains.trace("WA", SECRET)
    await mouth.start(connected=False)
    mouth.part.backlog_in()
    mouth.part.use(mouth.port)
    await wait_over(mouth, clock)
    assert mouth.sent == ["one", "two"]


async def test_a_session_store_that_cannot_be_read_is_tried_again(mouth: Mouth) -> None:
    mouth.remains.failing = True
    mouth.part.recover([])
    mouth.part.use(mouth.port)
    await mouth.run()
    assert mouth.sent == []
    mouth.remains.failing = False
    await mouth.fire("look")
    assert mouth.sent == ["one", "two"]


async def test_one_that_stays_unreadable_proves_nothing(mouth: Mouth) -> None:
    mouth.remains.failing = True
    mouth.part.recover([])
    mouth.part.use(mouth.port)
    await mouth.run()
    with capture_logs() as logs:
        for _ in range(MOST_LOOKS - 1):
            await mouth.fire("look")
    assert mouth.sent == ["one", "two"]
    assert [log["event"] for log in logs if log["log_level"] == "warning"][-1] == "resent in doubt"
    assert ("setback", ("1",)) in mouth.ledger.calls


class Gate:
    """Holds what the session store says until it is opened."""

    def __init__(self, mouth: Mouth) -> None:
        self._opened = asyncio.Event()
        self._original = mouth.remains.ids_of
        mouth.remains.ids_of = self._ids_of  # type: ignore[method-assign, assignment]  # slower

    async def _ids_of(self, *asked: Any) -> Mapping[bytes, str]:
        await self._opened.wait()
        return await self._original(*asked)

    def open(self) -> None:
        self._opened.set()


@pytest.mark.parametrize("failing", [False, True])
async def test_one_that_ends_while_it_is_looked_up_is_no_doubt_any_more(mouth: Mouth, failing: bool) -> None:
    gate = Gate(mouth)
    await mouth.start()
    mouth.part.disown(Disowned(AT + timedelta(seconds=1), ErrorCode.OTHER_NUMBER))
    await mouth.run()
    assert mouth.results == [("1", "held"), ("2", "held")]
    assert not mouth.context.flights._under_way, "no receipt has to wait for it"
    mouth.remains.failing = failing
    gate.open()
    await mouth.run()
    if failing:
        mouth.remains.failing = False
        await mouth.fire("look")
    assert (mouth.sent, mouth.results) == ([], [("1", "held"), ("2", "held")])


@pytest.mark.parametrize("device", [None, "5511999990000:8@s.whatsapp.net"], ids=["emptied", "paired anew"])
@pytest.mark.parametrize(("on_uncertain", "status"), [("hold", "held"), ("resend", "sent")])
async def test_a_store_of_another_session_proves_nothing_and_is_not_looked_at_again(
    mouth: Mouth, device: str | None, on_uncertain: str, status: str
) -> None:
    mouth.ledger.entry(CHANNEL, "1").accepted = uncertain(on_uncertain=on_uncertain)
    mouth.remains.empty(device)
    await mouth.start()
    assert mouth.results == [("1", status), ("2", "sent")]
    assert "look" not in mouth.timers
    assert ("setback", ("1",)) in mouth.ledger.calls, "it is recorded that it may have been sent"


async def test_what_is_in_doubt_is_looked_for_in_the_session_that_was_to_send_it(mouth: Mouth) -> None:
    mouth.remains.failing = True
    mouth.part.recover([])
    await mouth.run()
    mouth.remains.failing = False
    mouth.remains.empty("5511999990000:8@s.whatsapp.net")
    mouth.part.linked("5511999990000:8@s.whatsapp.net")
    with capture_logs() as logs:
        await mouth.fire("look")
        mouth.part.use(mouth.port)
        await mouth.run()
    assert "resent in doubt" in [log["event"] for log in logs]


async def test_one_that_ends_before_it_is_looked_up_again_holds_up_no_later_one(clock: Clock) -> None:
    mouth = await Mouth().start()
    mouth.port.answer = answering(failed("outcome_unknown"))
    mouth.remains.failing = True
    await mouth.send(body_of(id="1"))
    mouth.part.cancel("1", lambda _: None)
    await mouth.run()
    mouth.remains.failing = False
    await mouth.fire("look")
    await mouth.send(body_of(id="2"))
    assert mouth.results == [("1", "failed"), ("2", "failed")], (
        "found never to have been sent, until its attempts are used up"
    )
    await mouth.loop.end()


async def test_one_without_a_secret_is_only_the_policys_to_decide(mouth: Mouth) -> None:
    mouth.ledger.entry(CHANNEL, "1").accepted = replace(accepted("1", text="one"), attempts=1)
    await mouth.start()
    assert mouth.sent == ["one", "two"]
    assert mouth.bus.results()[0].attempts == 2


async def test_without_a_session_one_ends_when_it_has_expired_or_is_cancelled(mouth: Mouth, clock: Clock) -> None:
    mouth.own(Entry(uncertain(expires_at=AT + timedelta(seconds=60)), "in_flight"))
    third = replace(accepted("3", to="5511900000000"), attempts=1, secret=b"3" * 32)
    mouth.own(Entry(third, "in_flight"))
    mouth.remains.trace("WA", SECRET)
    mouth.remains.trace("WA 3", b"3" * 32)
    await mouth.start(connected=False)
    replies: list[Any] = []
    mouth.part.cancel("3", replies.append)
    await mouth.run()
    assert [reply.state for reply in replies] == ["failed"]
    clock.seconds = 60.0 + GRACE.total_seconds()
    await mouth.fire("outbox")
    assert mouth.results == [("3", "failed"), ("1", "expired")]
    errors = [result.error for result in mouth.bus.results()]
    assert [error.code for error in errors if error] == ["cancelled", "outcome_unknown"]
    assert mouth.bus.dead() == []
