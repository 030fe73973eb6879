import asyncio
from datetime import timedelta, timezone

import pytest

from gateway.store.ledger import SqliteLedger
from protocol.codec import Encoding
from protocol.errors import ConflictError
from protocol.ledger import Accepted, Conflicted, Offer, Repeated, Sender
from protocol.subjects import Priority
from tests.integration.store.samples import CHANNEL, HEADERS, PHONE, QUEUED_AT, offer, sent


def accepted(offer: Offer, *, attempts: int = 0, uncertain: bool = False) -> Accepted:
    return Accepted(
        channel=CHANNEL,
        command=offer.command,
        run=1,
        priority=offer.priority,
        attempts=attempts,
        uncertain=uncertain,
        queued_at=offer.queued_at,
        headers=offer.headers,
    )


async def test_a_new_command_is_accepted_and_unfinished(ledger: SqliteLedger) -> None:
    first = offer("a", meta={"visit": 7})
    assert await ledger.accept(CHANNEL, [first]) == [accepted(first)]
    assert await ledger.unfinished(CHANNEL) == [accepted(first)]


async def test_an_empty_batch_is_no_batch(ledger: SqliteLedger) -> None:
    assert await ledger.accept(CHANNEL, []) == []
    await ledger.begin(CHANNEL, [])
    await ledger.finish(CHANNEL, [])
    await ledger.published(CHANNEL, [])
    assert await ledger.senders(CHANNEL, []) == {}


async def test_the_same_command_is_a_repeat_without_a_result_while_it_is_under_way(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")])
    await ledger.begin(CHANNEL, ["a"])
    assert await ledger.accept(CHANNEL, [offer("a")]) == [Repeated(id="a", result=None)]


async def test_the_same_command_is_a_repeat_with_its_result_when_it_is_final(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")])
    await ledger.finish(CHANNEL, [sent("a")])
    await ledger.published(CHANNEL, ["a"])
    assert await ledger.accept(CHANNEL, [offer("a")]) == [Repeated(id="a", result=sent("a"))]


async def test_the_same_command_in_the_other_encoding_is_a_repeat(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a", meta={"x": 1, "y": [None, 1.5]}, encoding=Encoding.JSON)])
    again = offer("a", meta={"y": [None, 1.5], "x": 1}, encoding=Encoding.MSGPACK)
    assert await ledger.accept(CHANNEL, [again]) == [Repeated(id="a", result=None)]


async def test_another_command_under_a_known_id_is_a_conflict_and_changes_nothing(ledger: SqliteLedger) -> None:
    first = offer("a")
    await ledger.accept(CHANNEL, [first])
    assert await ledger.accept(CHANNEL, [offer("a", "Tchau")]) == [Conflicted(id="a")]
    assert await ledger.unfinished(CHANNEL) == [accepted(first)]


async def test_offers_with_one_id_in_a_batch_are_taken_one_after_another(ledger: SqliteLedger) -> None:
    first = offer("a")
    verdicts = await ledger.accept(CHANNEL, [first, offer("a"), offer("a", "Tchau"), offer("b")])
    assert verdicts == [accepted(first), Repeated(id="a", result=None), Conflicted(id="a"), accepted(offer("b"))]


async def test_an_id_belongs_to_its_channel_alone(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")])
    await ledger.finish(CHANNEL, [sent("a", "WA1")])
    [verdict] = await ledger.accept("laboratorio", [offer("a", "Tchau")])
    assert isinstance(verdict, Accepted)
    assert await ledger.senders("laboratorio", ["WA1"]) == {}
    await ledger.published("laboratorio", ["a"])
    assert await ledger.unpublished(CHANNEL) == [(sent("a", "WA1"), HEADERS)]
    assert [waiting.command.id for waiting in await ledger.unfinished("laboratorio")] == ["a"]


async def test_what_is_stored_of_a_command_comes_back_unchanged(ledger: SqliteLedger) -> None:
    brasilia = timezone(timedelta(hours=-3))
    given = Offer(
        command=offer(
            "a", "👍 " * 1000, expires_at=QUEUED_AT, on_uncertain="hold", meta={"k": [1, {"n": None}]}
        ).command,
        body=b"",
        priority=Priority.BULK,
        queued_at=QUEUED_AT.astimezone(brasilia),
        headers={"traceparent": "00-" + "ab" * 16 + "-01"},
    )
    await ledger.accept(CHANNEL, [given])
    assert await ledger.unfinished(CHANNEL) == [accepted(given)]


async def test_an_attempt_is_counted_and_uncertain_until_it_is_settled(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a"), offer("b")])
    await ledger.begin(CHANNEL, ["a"])
    assert await ledger.unfinished(CHANNEL) == [accepted(offer("a"), attempts=1, uncertain=True), accepted(offer("b"))]
    await ledger.retry(CHANNEL, "a")
    assert await ledger.unfinished(CHANNEL) == [accepted(offer("a"), attempts=1), accepted(offer("b"))]


async def test_what_is_final_cannot_begin_again_and_nothing_of_the_batch_does(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a"), offer("b")])
    await ledger.finish(CHANNEL, [sent("a")])
    with pytest.raises(ConflictError, match=r"final or unknown \(1 of 2\)"):
        await ledger.begin(CHANNEL, ["b", "a"])
    assert await ledger.unfinished(CHANNEL) == [accepted(offer("b"))]


async def test_a_result_of_an_unknown_command_or_run_is_refused_whole(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")])
    for stranger in (sent("b"), sent("a", run=2)):
        with pytest.raises(ConflictError, match="unknown"):
            await ledger.finish(CHANNEL, [sent("a"), stranger])
    assert await ledger.unfinished(CHANNEL) == [accepted(offer("a"))]
    assert await ledger.unpublished(CHANNEL) == []


async def test_the_first_result_of_a_run_stands(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a")])
    await ledger.finish(CHANNEL, [sent("a", "WA1")])
    await ledger.finish(CHANNEL, [sent("a", "WA2")])
    assert await ledger.unpublished(CHANNEL) == [(sent("a", "WA1"), HEADERS)]


async def test_results_are_unpublished_in_the_order_of_finishing_until_they_are_marked(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a"), offer("b"), offer("c")])
    await ledger.finish(CHANNEL, [sent("c")])
    await ledger.finish(CHANNEL, [sent("b"), sent("a")])
    assert [result.id for result, _ in await ledger.unpublished(CHANNEL)] == ["c", "b", "a"]
    await ledger.published(CHANNEL, ["b", "unknown"])
    assert [result.id for result, _ in await ledger.unpublished(CHANNEL)] == ["c", "a"]


async def test_the_sender_of_a_whatsapp_id_is_found_among_finished_commands(ledger: SqliteLedger) -> None:
    await ledger.accept(CHANNEL, [offer("a", meta={"visit": 7}), offer("b")])
    await ledger.finish(CHANNEL, [sent("a", "WA1")])
    assert await ledger.senders(CHANNEL, ["WA1", "WA9"]) == {
        "WA1": Sender(id="a", to=PHONE, meta={"visit": 7}, headers=HEADERS)
    }


async def test_calls_of_many_callers_at_once_are_each_whole(ledger: SqliteLedger) -> None:
    async def life(number: int) -> None:
        batch = [offer(f"{number}-{n}") for n in range(5)]
        ids = [each.command.id for each in batch]
        await ledger.accept(CHANNEL, batch)
        await ledger.begin(CHANNEL, ids)
        await ledger.finish(CHANNEL, [sent(each) for each in ids[1:]])

    await asyncio.gather(*map(life, range(20)))
    waiting = await ledger.unfinished(CHANNEL)
    assert {each.command.id for each in waiting} == {f"{number}-0" for number in range(20)}
    assert all(each.uncertain and each.attempts == 1 for each in waiting)
    assert len(await ledger.unpublished(CHANNEL)) == 80


async def test_a_large_command_fits(ledger: SqliteLedger) -> None:
    floats = {"floats": [1.5] * 7000}
    big = offer("a", "x" * 65_536, meta=floats)
    await ledger.accept(CHANNEL, [big])
    assert await ledger.unfinished(CHANNEL) == [accepted(big)]
