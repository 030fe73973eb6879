import asyncio
from datetime import timedelta, timezone

import pytest

from gateway.store.ledger import SqliteLedger
from protocol.bus import Later
from protocol.codec import Encoding, encode
from protocol.codes import ErrorCode
from protocol.errors import ConflictError, NotFoundError
from protocol.ledger import STRANGER, Accepted, Changes, Conflicted, Contact, Offer, Repeated, Scheduled
from protocol.subjects import Priority
from protocol.views import CommandState
from tests.integration.store.samples import (
    CHANNEL,
    HEADERS,
    JID,
    NOW,
    QUEUED_AT,
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


def accepted(
    offer: Offer, *, attempts: int = 0, secret: bytes | None = None, run: int = 1, contact: Contact = STRANGER
) -> Accepted:
    return Accepted(
        channel=CHANNEL,
        command=offer.command,
        run=run,
        priority=offer.priority,
        attempts=attempts,
        uncertain=secret is not None,
        queued_at=offer.queued_at,
        headers=offer.headers,
        contact=contact,
        secret=secret,
    )


async def unpublished(ledger: SqliteLedger) -> list[tuple[str, int]]:
    return [(each.result.id, each.result.run) for each in await ledger.unpublished(CHANNEL)]


async def test_a_new_command_is_accepted_and_unfinished(ledger: SqliteLedger) -> None:
    first = offer("a", meta={"visit": 7})
    assert await ledger.accept(CHANNEL, [first], NOW) == [accepted(first)]
    assert await ledger.unfinished(CHANNEL) == [accepted(first)]


async def test_an_empty_batch_is_no_batch(ledger: SqliteLedger) -> None:
    assert await ledger.accept(CHANNEL, [], NOW) == []
    await ledger.record(CHANNEL, Changes())
    assert await ledger.wake(CHANNEL, []) == []
    assert await ledger.receipted(CHANNEL, []) == {}
    assert await ledger.claim(CHANNEL, [], NOW) == []
    await ledger.stored(CHANNEL, [])
    await ledger.lateness(CHANNEL, [])


async def test_the_same_command_is_a_repeat_without_a_result_while_it_is_under_way(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, begun("a"))
    assert await ledger.accept(CHANNEL, [offer("a")], NOW) == [Repeated(id="a", result=None)]


async def test_the_same_command_is_a_repeat_with_its_result_when_it_is_final(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a", meta={"at": "2026-11-20", "bytes": b"\x00".hex()})], NOW)
    await ledger.record(CHANNEL, settled(sent("a")))
    await ledger.record(CHANNEL, published("a"))
    again = offer("a", meta={"at": "2026-11-20", "bytes": "00"}, after_s=1)
    assert await ledger.accept(CHANNEL, [again], NOW) == [Repeated(id="a", result=sent("a"))]


async def test_the_queue_s_own_repetition_is_a_repeat_without_a_result(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, settled(sent("a")))
    assert await ledger.accept(CHANNEL, [offer("a")], NOW) == [Repeated(id="a", result=None)]


async def test_a_repeat_is_answered_with_the_result_of_the_last_run(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, settled(failed("a")))
    await ledger.again(CHANNEL, "a", CommandState.FAILED, NOW)
    assert await ledger.accept(CHANNEL, [offer("a")], NOW) == [Repeated(id="a", result=None)]
    await ledger.record(CHANNEL, settled(sent("a", run=2)))
    assert await ledger.accept(CHANNEL, [offer("a")], NOW) == [Repeated(id="a", result=sent("a", run=2))]


async def test_the_same_command_in_the_other_encoding_is_a_repeat(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a", meta={"x": 1, "y": [None, 1.5]}, encoding=Encoding.JSON)], NOW)
    again = offer("a", meta={"y": [None, 1.5], "x": 1}, encoding=Encoding.MSGPACK)
    assert await ledger.accept(CHANNEL, [again], NOW) == [Repeated(id="a", result=None)]


async def test_another_command_under_a_known_id_is_a_conflict_also_after_it_was_sent(ledger: SqliteLedger) -> None:
    first = offer("a")
    await ledger.accept(CHANNEL, [first], NOW)
    assert await ledger.accept(CHANNEL, [offer("a", "Tchau")], NOW) == [Conflicted(id="a")]
    assert await ledger.unfinished(CHANNEL) == [accepted(first)]
    await ledger.record(CHANNEL, settled(sent("a")))
    assert await ledger.accept(CHANNEL, [offer("a", "Tchau")], NOW) == [Conflicted(id="a")]


async def test_offers_with_one_id_in_a_batch_are_taken_one_after_another(ledger: SqliteLedger) -> None:
    first = offer("a")
    verdicts = await ledger.accept(CHANNEL, [first, offer("a"), offer("a", "Tchau"), offer("b")], NOW)
    assert verdicts == [accepted(first), Repeated(id="a", result=None), Conflicted(id="a"), accepted(offer("b"))]


async def test_an_id_belongs_to_its_channel_alone(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, settled(sent("a")))
    [verdict] = await ledger.accept("laboratorio", [offer("a", "Tchau")], NOW)
    assert isinstance(verdict, Accepted)
    await ledger.record("laboratorio", published("a"))
    assert await unpublished(ledger) == [("a", 1)]
    assert [waiting.command.id for waiting in await ledger.unfinished("laboratorio")] == ["a"]


@pytest.mark.parametrize("encoding", Encoding)
async def test_what_is_stored_of_a_command_comes_back_unchanged(ledger: SqliteLedger, encoding: Encoding) -> None:
    brasilia = timezone(timedelta(hours=-3))
    stated = offer(
        "a",
        "👍 " * 1000,
        encoding=encoding,
        expires_at=QUEUED_AT,
        on_uncertain="hold",
        meta={"k": [1, {"n": None}]},
        priority=Priority.BULK,
    )
    given = Offer(
        command=stated.command,
        body=stated.body,
        priority=Priority.BULK,
        queued_at=QUEUED_AT.astimezone(brasilia),
        headers={"traceparent": "00-" + "ab" * 16 + "-01"},
    )
    await ledger.accept(CHANNEL, [given], NOW)
    assert await ledger.unfinished(CHANNEL) == [accepted(given)]


async def test_an_attempt_is_counted_and_uncertain_until_it_is_settled(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a"), offer("b")], NOW)
    await ledger.record(CHANNEL, begun("a"))
    assert await ledger.unfinished(CHANNEL) == [accepted(offer("a"), attempts=1, secret=SECRET), accepted(offer("b"))]
    await ledger.record(CHANNEL, set_back("a"))
    assert await ledger.unfinished(CHANNEL) == [accepted(offer("a"), attempts=1), accepted(offer("b"))]
    await ledger.record(CHANNEL, begun("a"))
    await ledger.record(CHANNEL, set_back("a", None, spent=False))
    assert await ledger.unfinished(CHANNEL) == [accepted(offer("a"), attempts=1), accepted(offer("b"))]


async def test_what_is_final_cannot_begin_again_and_nothing_of_the_batch_does(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a"), offer("b", to="77@lid")], NOW)
    await ledger.record(CHANNEL, settled(sent("a")))
    for wrong in ("a", "unknown"):
        with pytest.raises(ConflictError, match="cannot begin"):
            await ledger.record(CHANNEL, begun("b", wrong))
    assert await ledger.unfinished(CHANNEL) == [accepted(offer("b", to="77@lid"))]


async def test_a_result_and_a_beginning_of_the_same_run_in_one_go_are_refused_whole(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    with pytest.raises(ConflictError):
        await ledger.record(CHANNEL, Changes(results=[sent("a")], begun=begun("a").begun))
    assert await ledger.unfinished(CHANNEL) == [accepted(offer("a"))]


async def test_anything_of_an_unknown_command_or_run_is_refused_whole(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    for stranger in (sent("b"), sent("a", run=2)):
        with pytest.raises(ConflictError, match="there is no command"):
            await ledger.record(CHANNEL, settled(sent("a"), stranger))
    for setback in (set_back("b"), set_back("a", run=2)):
        with pytest.raises(ConflictError, match="there is no command"):
            await ledger.record(CHANNEL, Changes(setbacks=setback.setbacks, results=[sent("a")]))
    assert await ledger.unfinished(CHANNEL) == [accepted(offer("a"))]
    assert await unpublished(ledger) == []


async def test_the_first_result_of_a_run_stands(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await ledger.record(CHANNEL, settled(sent("a", "WA1"), failed("a")))
    await ledger.record(CHANNEL, settled(sent("a", "WA2")))
    [told] = await ledger.unpublished(CHANNEL)
    assert (told.result, told.headers, told.letter) == (sent("a", "WA1"), HEADERS, None)


async def test_results_are_unpublished_in_the_order_of_finishing_until_they_are_marked(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a"), offer("b"), offer("c")], NOW)
    await ledger.record(CHANNEL, settled(sent("c")))
    await ledger.record(CHANNEL, settled(sent("b"), sent("a")))
    assert await unpublished(ledger) == [("c", 1), ("b", 1), ("a", 1)]
    await ledger.record(CHANNEL, published("b", "unknown"))
    assert await unpublished(ledger) == [("c", 1), ("a", 1)]


async def test_what_is_to_be_sent_later_is_scheduled_until_it_is_woken(ledger: SqliteLedger) -> None:
    first, second = offer("a", not_before=later(60)), offer("b", not_before=NOW)
    assert await ledger.accept(CHANNEL, [first, second], NOW) == [Scheduled(accepted=accepted(first)), accepted(second)]
    assert await ledger.scheduled(CHANNEL) == [Later(id="a", run=1, at=later(60))]
    assert await ledger.asleep(CHANNEL, "a") == accepted(first)
    assert [await ledger.asleep(CHANNEL, key) for key in ("b", "unknown")] == [None, None]
    assert await ledger.wake(CHANNEL, [("a", 2), ("b", 1), ("unknown", 1)]) == []
    assert await ledger.wake(CHANNEL, [("a", 1)]) == [accepted(first)]
    assert await ledger.wake(CHANNEL, [("a", 1)]) == []
    assert await ledger.scheduled(CHANNEL) == []
    assert await ledger.asleep(CHANNEL, "a") is None
    assert await ledger.unfinished(CHANNEL) == [accepted(second), accepted(first)]


async def test_a_schedule_can_be_ended_and_then_is_not_woken(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a", not_before=later(60))], NOW)
    await ledger.record(CHANNEL, settled(ended("a", "expired", attempts=0)))
    assert await ledger.wake(CHANNEL, [("a", 1)]) == []
    assert await ledger.scheduled(CHANNEL) == []


async def test_a_new_run_comes_after_all_others_with_no_attempt_counted(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a"), offer("b")], NOW)
    await ledger.record(CHANNEL, begun("a"))
    await ledger.record(CHANNEL, settled(failed("a")))
    anew = await ledger.again(CHANNEL, "a", CommandState.FAILED, later(9))
    assert isinstance(anew, Accepted)
    assert (anew.run, anew.attempts, anew.uncertain, anew.queued_at) == (2, 0, False, later(9))
    assert [(each.command.id, each.run) for each in await ledger.unfinished(CHANNEL)] == [("b", 1), ("a", 2)]
    assert await unpublished(ledger) == [("a", 1)]


async def test_a_new_run_of_what_is_not_to_be_sent_yet_is_scheduled(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a", not_before=later(60))], NOW)
    await ledger.record(CHANNEL, settled(failed("a", ErrorCode.CANCELLED, attempts=0)))
    anew = await ledger.again(CHANNEL, "a", CommandState.FAILED, later(9))
    assert isinstance(anew, Scheduled)
    assert (anew.accepted.run, await ledger.unfinished(CHANNEL)) == (2, [])
    assert [each.run for each in await ledger.scheduled(CHANNEL)] == [2]
    assert [each.run for each in await ledger.wake(CHANNEL, [("a", 1), ("a", 2)])] == [2]
    await ledger.record(CHANNEL, settled(failed("a", ErrorCode.CANCELLED, attempts=0, run=2)))
    assert isinstance(await ledger.again(CHANNEL, "a", CommandState.FAILED, later(60)), Accepted)


async def test_only_what_ended_so_begins_again_or_is_put_away(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a"), offer("b"), offer("c")], NOW)
    await ledger.record(CHANNEL, settled(sent("b"), ended("c", "expired", attempts=0)))
    for key, state in (
        ("a", CommandState.FAILED),
        ("a", CommandState.WAITING),
        ("b", CommandState.SENT),
        ("c", CommandState.EXPIRED),
    ):
        with pytest.raises(ConflictError, match="cannot be sent again"):
            await ledger.again(CHANNEL, key, state, NOW)
        with pytest.raises(ConflictError, match="cannot be discarded"):
            await ledger.discard(CHANNEL, key)
    for call in (
        ledger.again(CHANNEL, "x", CommandState.FAILED, NOW),
        ledger.discard(CHANNEL, "x"),
        ledger.command(CHANNEL, "x"),
    ):
        with pytest.raises(NotFoundError, match="command x"):
            await call


async def test_a_person_is_a_contact_once_one_has_written_to_the_other(ledger: SqliteLedger) -> None:
    [first] = await ledger.accept(CHANNEL, [offer("a")], NOW)
    assert isinstance(first, Accepted)
    assert not first.contact.known
    await ledger.record(CHANNEL, settled(sent("a")))
    await ledger.claim(CHANNEL, [claim("k", people=[JID, "77@lid"], opted_out=True)], NOW)
    verdicts = await ledger.accept(CHANNEL, [offer("b"), offer("c", to="77@lid"), offer("d", to="78@lid")], NOW)
    assert [each.contact for each in verdicts if isinstance(each, Accepted)] == [
        Contact(last_in=NOW, written=True, opted_out=True),
        Contact(last_in=NOW, written=False, opted_out=True),
        STRANGER,
    ]


async def test_the_body_of_what_was_sent_is_not_kept(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a", "x" * 60_000), offer("b")], NOW)
    before = (await ledger.counts()).bytes
    await ledger.record(CHANNEL, settled(sent("a"), failed("b")))
    assert (await ledger.counts()).bytes < before - 50_000
    assert (await ledger.letter(CHANNEL, "b", 1)).body == offer("b").body


async def test_calls_of_many_callers_at_once_are_each_whole(ledger: SqliteLedger) -> None:
    async def life(number: int) -> None:
        batch = [offer(f"{number}-{n}") for n in range(5)]
        ids = [each.command.id for each in batch]
        await ledger.accept(CHANNEL, batch, NOW)
        await ledger.record(CHANNEL, begun(*ids))
        await ledger.record(CHANNEL, settled(*(sent(each) for each in ids[1:])))

    await asyncio.gather(*map(life, range(20)))
    waiting = await ledger.unfinished(CHANNEL)
    assert {each.command.id for each in waiting} == {f"{number}-0" for number in range(20)}
    assert all(each.uncertain and each.attempts == 1 for each in waiting)
    assert len(await ledger.unpublished(CHANNEL)) == 80


async def test_a_large_command_fits(ledger: SqliteLedger) -> None:
    big = offer("a", "x" * 65_536, meta={"text": "x" * 65_000})
    await ledger.accept(CHANNEL, [big], NOW)
    assert await ledger.unfinished(CHANNEL) == [accepted(big)]
    await ledger.record(CHANNEL, settled(sent("a", meta=big.command.meta)))
    [told] = await ledger.unpublished(CHANNEL)
    assert len(encode(told.result)) > 60_000
