from datetime import timedelta

import pytest

from gateway.store.ledger import STRAYS_KEPT, SqliteLedger
from protocol.codes import ErrorCode
from protocol.commands import utc_now
from protocol.errors import NotFoundError
from protocol.events import ErrorBody, FailedAttempt
from protocol.ledger import Accepted, Changes, Receipt, Sender, Sendings
from protocol.views import CommandState
from tests.integration.store.samples import (
    CHANNEL,
    HEADERS,
    NOW,
    PHONE,
    SECRET,
    begun,
    claim,
    ended,
    failed,
    later,
    offer,
    published,
    sent,
    set_back,
    settled,
)


def failure(number: int, code: ErrorCode, *, run: int = 1) -> FailedAttempt:
    return FailedAttempt(run=run, number=number, at=NOW, error=ErrorBody.of(code, "in words"))


async def history(ledger: SqliteLedger, id: str) -> list[FailedAttempt]:
    return (await ledger.command(CHANNEL, id)).history


async def state(ledger: SqliteLedger, id: str) -> CommandState:
    return (await ledger.command(CHANNEL, id)).state


async def test_a_dead_letter_tells_every_attempt_of_all_runs(ledger: SqliteLedger) -> None:
    given = offer("a", meta={"visit": 7})
    await ledger.accept(CHANNEL, [given], NOW)
    await ledger.record(CHANNEL, begun("a"))
    await ledger.record(CHANNEL, set_back("a", ErrorCode.SERVER_ERROR))
    await ledger.record(CHANNEL, begun("a"))
    await ledger.record(CHANNEL, settled(failed("a", ErrorCode.REJECTED, attempts=2)))
    first = await ledger.letter(CHANNEL, "a", 1)
    expected = [failure(1, ErrorCode.SERVER_ERROR), failure(2, ErrorCode.REJECTED)]
    assert [(each.run, each.number, each.error) for each in first.history] == [
        (each.run, each.number, each.error) for each in expected
    ]
    assert (first.id, first.run, first.body, first.attempts, first.meta, first.error) == (
        "a",
        1,
        given.body,
        2,
        {"visit": 7},
        expected[1].error,
    )
    [told] = await ledger.unpublished(CHANNEL)
    assert told.letter == first
    await ledger.again(CHANNEL, "a", CommandState.FAILED, NOW)
    await ledger.record(CHANNEL, begun("a", run=2))
    await ledger.record(CHANNEL, settled(failed("a", ErrorCode.NOT_ON_WHATSAPP, run=2)))
    assert [(each.run, each.number) for each in (await ledger.letter(CHANNEL, "a", 2)).history] == [
        (1, 1),
        (1, 2),
        (2, 1),
    ]
    assert (await ledger.letter(CHANNEL, "a", 1)).history == first.history


async def test_the_letter_of_a_failed_run_keeps_its_body_when_a_later_run_was_sent(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, settled(failed("a")))
    await ledger.again(CHANNEL, "a", CommandState.FAILED, NOW)
    await ledger.record(CHANNEL, settled(sent("a", run=2)))
    assert (await ledger.letter(CHANNEL, "a", 1)).body == offer("a").body
    assert [each.letter is not None for each in await ledger.unpublished(CHANNEL)] == [True, False]


async def test_what_failed_without_an_attempt_has_a_letter_without_a_history(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, settled(failed("a", ErrorCode.OPTED_OUT, attempts=0)))
    assert (await ledger.letter(CHANNEL, "a", 1)).history == []


async def test_only_what_failed_and_was_not_cancelled_has_a_letter(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer(key) for key in "abcd"], NOW)
    await ledger.record(
        CHANNEL,
        settled(
            sent("a"), failed("b", ErrorCode.CANCELLED), ended("c", "held", code=ErrorCode.OUTCOME_UNKNOWN), failed("d")
        ),
    )
    assert [each.letter is not None for each in await ledger.unpublished(CHANNEL)] == [False, False, False, True]
    for key, run in (("a", 1), ("b", 1), ("c", 1), ("d", 2), ("x", 1)):
        with pytest.raises(NotFoundError, match=f"dead letter of command {key}, run {run}"):
            await ledger.letter(CHANNEL, key, run)
    await ledger.record(CHANNEL, published("d"))
    await ledger.discard(CHANNEL, "d")
    assert (await ledger.letter(CHANNEL, "d", 1)).id == "d"


async def test_an_attempt_that_met_no_session_leaves_no_trace(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, begun("a"))
    await ledger.record(CHANNEL, set_back("a", None, spent=False))
    view = await ledger.command(CHANNEL, "a")
    assert (view.state, view.attempts, view.history) == (CommandState.WAITING, 0, [])


async def test_a_setback_of_what_is_not_in_flight_changes_nothing(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, begun("a"))
    await ledger.record(CHANNEL, set_back("a"))
    await ledger.record(CHANNEL, set_back("a", spent=False))
    assert [each.attempts for each in await ledger.unfinished(CHANNEL)] == [1]
    await ledger.record(CHANNEL, settled(sent("a")))
    await ledger.record(CHANNEL, set_back("a", uncertain=True, wa_id="W"))
    assert await state(ledger, "a") is CommandState.SENT


async def test_what_may_have_been_sent_is_found_by_a_receipt_and_then_was_sent(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a", meta={"visit": 7})], NOW)
    await ledger.record(CHANNEL, begun("a"))
    await ledger.record(CHANNEL, set_back("a", ErrorCode.OUTCOME_UNKNOWN, uncertain=True))
    [waiting] = await ledger.unfinished(CHANNEL)
    assert (waiting.uncertain, waiting.secret, waiting.wa_id, waiting.attempts) == (True, SECRET, None, 1)
    await ledger.record(CHANNEL, set_back("a", ErrorCode.OUTCOME_UNKNOWN, uncertain=True, wa_id="WA"))
    [waiting] = await ledger.unfinished(CHANNEL)
    assert (waiting.uncertain, waiting.secret, waiting.wa_id) == (True, SECRET, "WA")
    assert len(await history(ledger, "a")) == 1

    receipts = [Receipt(wa_id="WA", kind="delivered", at=later(5)), Receipt(wa_id="THEIRS", kind="read", at=NOW)]
    sender = Sender(id="a", run=1, to=PHONE, meta={"visit": 7}, headers=HEADERS, unsettled=True)
    assert await ledger.receipted(CHANNEL, receipts) == {"WA": sender}
    await ledger.record(CHANNEL, settled(sent("a", "WA")))
    view = await ledger.command(CHANNEL, "a")
    assert (view.state, view.wa_id, view.delivered_at) == (CommandState.SENT, "WA", later(5))
    assert (await ledger.receipted(CHANNEL, receipts))["WA"].unsettled is False


async def test_receipts_that_came_before_it_was_known_who_sent_what_are_not_lost(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a", deliver_by=later(60)), offer("b")], NOW)
    await ledger.record(CHANNEL, begun("a"))
    await ledger.record(CHANNEL, begun("b"))
    for kind, after in (("read", 7), ("delivered", 3)):
        receipts = [Receipt(wa_id=wa_id, kind=kind, at=later(after)) for wa_id in ("WA", "WB")]
        assert await ledger.receipted(CHANNEL, receipts) == {}
    assert await ledger.proven(CHANNEL, ["WA", "WB"]) == frozenset()
    await ledger.record(CHANNEL, set_back("b", ErrorCode.OUTCOME_UNKNOWN, uncertain=True, wa_id="WB"))
    assert await ledger.proven(CHANNEL, ["WA", "WB"]) == {"WB"}
    assert await ledger.proven("laboratorio", ["WB"]) == frozenset()
    await ledger.record(CHANNEL, settled(sent("a", "WA"), sent("b", "WB")))
    for name in ("a", "b"):
        view = await ledger.command(CHANNEL, name)
        assert (view.delivered_at, view.read_at) == (later(3), later(7))
    assert await ledger.next_deadline(CHANNEL) is None


async def test_receipts_that_nobody_asks_for_are_forgotten_after_a_day(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, begun("a"))
    await ledger.receipted(CHANNEL, [Receipt(wa_id="WA", kind="read", at=NOW)])
    assert await ledger.sweep(utc_now()) == 0
    assert await ledger.sweep(utc_now() + STRAYS_KEPT) == 1


async def test_receipts_for_what_nobody_can_have_sent_are_not_kept(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.outcomes.MOST_STRAYS", 2)
    early = [Receipt(wa_id=f"W{number}", kind="delivered", at=later(number)) for number in range(3)]
    await ledger.accept(CHANNEL, [offer("a"), offer("b"), offer("c")], NOW)
    await ledger.receipted(CHANNEL, early)
    for name in ("a", "b", "c"):
        await ledger.record(CHANNEL, begun(name))
    await ledger.receipted(CHANNEL, early[:1])
    await ledger.receipted(CHANNEL, early[1:])
    await ledger.record(CHANNEL, settled(sent("a", "W0"), sent("b", "W1"), sent("c", "W2")))
    delivered = [(await ledger.command(CHANNEL, name)).delivered_at for name in ("a", "b", "c")]
    assert delivered == [later(0), later(1), None], "two were kept, and none before anything was under way"


async def test_what_was_held_is_released_under_no_whatsapp_id(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, begun("a"))
    await ledger.record(CHANNEL, set_back("a", ErrorCode.OUTCOME_UNKNOWN, uncertain=True, wa_id="WA"))
    await ledger.record(CHANNEL, settled(ended("a", "held", code=ErrorCode.OUTCOME_UNKNOWN, wa_id="WA")))
    assert len(await history(ledger, "a")) == 1
    released = await ledger.again(CHANNEL, "a", CommandState.HELD, NOW)
    assert isinstance(released, Accepted)
    assert (released.run, released.uncertain, released.secret, released.wa_id) == (2, False, None, None)
    found = await ledger.receipted(CHANNEL, [Receipt(wa_id="WA", kind="delivered", at=NOW)])
    assert (found["WA"].run, found["WA"].unsettled) == (1, False)
    assert (await ledger.command(CHANNEL, "a")).delivered_at is None


async def test_a_new_attempt_is_not_found_under_the_id_of_the_last(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, begun("a"))
    await ledger.record(CHANNEL, set_back("a", uncertain=True, wa_id="WA"))
    await ledger.record(CHANNEL, begun("a", secret=b"\x08" * 32))
    [waiting] = await ledger.unfinished(CHANNEL)
    assert (waiting.secret, waiting.wa_id, waiting.attempts) == (b"\x08" * 32, None, 2)


async def test_receipts_are_noted_at_their_earliest_and_reading_is_receiving(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a"), offer("b")], NOW)
    await ledger.record(CHANNEL, settled(sent("a", "WA"), sent("b", "WB")))
    for kind, after in (("played", 9), ("read", 7), ("delivered", 3), ("read", 8)):
        await ledger.receipted(CHANNEL, [Receipt(wa_id="WA", kind=kind, at=later(after))])
    view = await ledger.command(CHANNEL, "a")
    assert (view.delivered_at, view.read_at) == (later(3), later(7))
    await ledger.receipted(CHANNEL, [Receipt(wa_id="WB", kind="read", at=later(4))])
    view = await ledger.command(CHANNEL, "b")
    assert (view.delivered_at, view.read_at) == (later(4), later(4))


async def test_a_receipt_for_another_channel_is_not_ours(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, settled(sent("a", "WA")))
    assert await ledger.receipted("laboratorio", [Receipt(wa_id="WA", kind="read", at=NOW)]) == {}
    assert (await ledger.command(CHANNEL, "a")).read_at is None


async def test_what_is_not_delivered_in_time_is_late_until_that_is_told(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a", deliver_by=later(60)), offer("b", deliver_by=later(30)), offer("c")], NOW)
    assert await ledger.next_deadline(CHANNEL) is None
    await ledger.record(CHANNEL, settled(sent("a"), sent("b"), sent("c")))
    assert await ledger.next_deadline(CHANNEL) == later(30)
    assert await ledger.overdue(CHANNEL, later(29)) == []
    late = await ledger.overdue(CHANNEL, later(60))
    assert [(each.result.id, each.result.status, each.result.wa_id, each.at) for each in late] == [
        ("b", "late", "3EB0b", later(30)),
        ("a", "late", "3EB0a", later(60)),
    ]
    await ledger.lateness(CHANNEL, [("b", 1), ("a", 2), ("unknown", 1)])
    assert [each.result.id for each in await ledger.overdue(CHANNEL, later(99))] == ["a"]
    await ledger.receipted(CHANNEL, [Receipt(wa_id="3EB0a", kind="delivered", at=later(61))])
    assert await ledger.overdue(CHANNEL, later(99)) == []
    assert await ledger.next_deadline(CHANNEL) is None


async def test_what_failed_is_never_late(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a", deliver_by=later(60))], NOW)
    await ledger.record(CHANNEL, settled(failed("a")))
    assert await ledger.next_deadline(CHANNEL) is None


async def test_sendings_are_counted_by_time_and_by_who_wrote_first(ledger: SqliteLedger) -> None:
    assert await ledger.sendings(CHANNEL, minute=NOW, day=NOW) == Sendings()
    await ledger.claim(CHANNEL, [claim("k", people=["77@lid"])], NOW)
    to = {"a": PHONE, "b": PHONE, "c": "77@lid", "d": "78@lid", "e": "5511-9@g.us", "f": "79@lid"}
    await ledger.accept(CHANNEL, [offer(key, to=who) for key, who in to.items()], NOW)
    day, minute = NOW - timedelta(days=1), NOW - timedelta(minutes=1)
    times = {"a": day - timedelta(days=9), "b": day, "c": NOW, "d": minute, "e": NOW}
    for key, at in times.items():
        await ledger.record(CHANNEL, settled(sent(key, at=at)))
    await ledger.record(CHANNEL, settled(failed("f")))
    assert await ledger.sendings(CHANNEL, minute=minute, day=day) == Sendings(
        last_minute=3, today=4, new_today=1, first=times["a"]
    )


async def test_a_view_tells_what_there_is_to_tell(ledger: SqliteLedger) -> None:
    given = offer("a", meta={"visit": 7}, not_before=later(1), expires_at=later(600), deliver_by=later(900))
    await ledger.accept(CHANNEL, [given], NOW)
    view = await ledger.command(CHANNEL, "a")
    assert (view.state, view.to, view.type, view.meta) == (CommandState.SCHEDULED, PHONE, "text", {"visit": 7})
    assert (view.not_before, view.expires_at, view.deliver_by) == (later(1), later(600), later(900))
    await ledger.record(CHANNEL, settled(ended("a", "expired", code=ErrorCode.EXPIRED, attempts=0)))
    view = await ledger.command(CHANNEL, "a")
    assert view.state is CommandState.EXPIRED
    assert view.error == ErrorBody.of(ErrorCode.EXPIRED, "in words")


async def test_lists_are_read_page_by_page_newest_first(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer(f"{n}") for n in range(7)], NOW)
    await ledger.accept("laboratorio", [offer("x")], NOW)
    await ledger.record(CHANNEL, begun("0", "1"))
    await ledger.record(CHANNEL, settled(sent("1"), failed("3"), failed("5")))
    found, cursor = [], None
    while True:
        page = await ledger.commands(CHANNEL, state=None, before=cursor, limit=3)
        found.append([view.id for view in page.items])
        cursor = page.next
        if cursor is None:
            break
    assert found == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    page = await ledger.commands(CHANNEL, state=CommandState.FAILED, before=None, limit=1)
    assert [view.id for view in page.items] == ["5"]
    page = await ledger.commands(CHANNEL, state=CommandState.FAILED, before=page.next, limit=1)
    assert ([view.id for view in page.items], page.next) == (["3"], None)
    page = await ledger.commands(CHANNEL, state=CommandState.IN_FLIGHT, before=None, limit=9)
    assert [view.id for view in page.items] == ["0"]
    counts = await ledger.counts()
    assert counts.commands[CHANNEL] == {
        CommandState.WAITING: 3,
        CommandState.IN_FLIGHT: 1,
        CommandState.SENT: 1,
        CommandState.FAILED: 2,
    }
    assert counts.commands["laboratorio"] == {CommandState.WAITING: 1}


async def test_all_of_a_change_happens_in_its_order(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a"), offer("b")], NOW)
    await ledger.record(CHANNEL, begun("a", "b"))
    await ledger.record(
        CHANNEL,
        Changes(
            setbacks=set_back("a").setbacks,
            results=[sent("b")],
            published=[("b", 1)],
            begun=begun("a", secret=b"\x09" * 32).begun,
        ),
    )
    [waiting] = await ledger.unfinished(CHANNEL)
    assert (waiting.command.id, waiting.attempts, waiting.secret) == ("a", 2, b"\x09" * 32)
    assert await ledger.unpublished(CHANNEL) == []
