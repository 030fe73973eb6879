from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from actors.channel.parcel import Disowned
from actors.channel.taking import FetchEnded
from protocol.codec import decode
from protocol.codes import ErrorCode
from protocol.commands import SendCommand
from protocol.errors import StoreFullError, StoreUnavailableError
from protocol.events import ResultEvent
from protocol.port import Failed, PortAnswer, Sent
from protocol.port_events import SendAnswered
from tests.fakes.memory_bus import body_of
from tests.fakes.memory_ledger import Entry
from tests.fakes.scripted_port import Anything, obliging, silent
from tests.unit.actors.channel.bench import CHANNEL, CLINIC
from tests.unit.actors.channel.commands import SENT, accepted, failed
from tests.unit.actors.channel.mouth import Clock, Mouth
from tests.unit.actors.channel.test_attempt import answering


@pytest.fixture
async def mouth() -> AsyncIterator[Mouth]:
    mouth = Mouth()
    yield mouth
    await mouth.loop.end()


async def test_a_command_is_taken_in_begun_sent_recorded_and_published(mouth: Mouth) -> None:
    await mouth.start()
    await mouth.send(body_of(id="1", text="Olá", meta={"a": 1}))
    await mouth.fire("mark")
    assert [call for call in mouth.ledger.calls if call[1]] == [
        ("accept", ("1",)),
        ("begun", ("1",)),
        ("result", ("1",)),
        ("published", ("1",)),
    ]
    (result,) = mouth.bus.results()
    assert (result.status, result.attempts, result.run, result.repeat, result.meta) == ("sent", 1, 1, False, {"a": 1})
    assert result.wa_id is not None
    assert result.sent_at is not None
    assert (result.to, result.error, mouth.bus.dead()) == ("5511988887777", None, [])
    assert mouth.bus.acked == [body_of(id="1", text="Olá", meta={"a": 1})]
    assert mouth.remains.finished == [1], "the journal's record is kept elsewhere now"
    assert len(mouth.part) == 0


async def test_many_commands_are_begun_sent_and_recorded_in_batches(mouth: Mouth) -> None:
    await mouth.start(connected=False)
    await mouth.send(*(body_of(id=f"{n}", to=f"55119000000{n:02}") for n in range(30)))
    mouth.part.use(mouth.port)
    await mouth.run()
    assert len(mouth.results) == 30
    assert mouth.port.batches[0] == mouth.policy.outbox.in_flight
    assert len({call.secret for call in mouth.port.calls}) == 30  # type: ignore[union-attr]  # sends


async def test_commands_wait_while_there_is_no_session(mouth: Mouth) -> None:
    await mouth.start(connected=False)
    await mouth.send(body_of(id="1"), body_of(id="2"))
    assert (len(mouth.part), mouth.sent, mouth.state("1"), mouth.part.waiting) == (2, [], "waiting", True)
    mouth.part.use(mouth.port)
    await mouth.run()
    assert mouth.results == [("1", "sent"), ("2", "sent")]


async def test_one_chat_that_waits_does_not_keep_others_out(mouth: Mouth) -> None:
    small = Mouth(window=4)
    await small.start(connected=False)
    await small.send(*(body_of(id=f"{n}") for n in range(100)), body_of(id="other", to="5511900000000"))
    assert len(small.bus.acked) == 101
    await small.loop.end()


async def test_no_more_is_taken_than_the_backlog(mouth: Mouth) -> None:
    small = Mouth(window=4, backlog=10)
    await small.start(connected=False)
    await small.send(*(body_of(id=str(number)) for number in range(15)))
    assert (len(small.part), len(small.bus.acked)) == (10, 10)
    small.part.use(small.port)
    await small.run()
    assert len(small.results) == 15
    await small.loop.end()


async def test_what_the_ledger_owns_is_taken_up_before_anything_from_the_queue(mouth: Mouth) -> None:
    mouth.own(Entry(accepted("old", text="old")))
    mouth.bus.put(CHANNEL, body_of(id="new", text="new"))
    await mouth.start()
    assert mouth.sent == ["old", "new"]


async def test_results_that_were_recorded_but_not_published_are_published_at_the_next_start(mouth: Mouth) -> None:
    result = ResultEvent(clinic=CLINIC, channel=CHANNEL, id="old", status="sent", wa_id="WA", attempts=1)
    mouth.own(Entry(accepted("old", headers={"h": "x"}), "sent", result))
    await mouth.start()
    assert mouth.bus.results() == [result]
    assert mouth.bus.published[0].headers == {"h": "x"}
    assert len(mouth.bus.looked_up) == 1
    await mouth.fire("mark")
    assert mouth.ledger.entry(CHANNEL, "old").published
    assert mouth.sent == []


async def test_a_ledger_that_cannot_be_read_at_the_start_is_tried_again(mouth: Mouth) -> None:
    mouth.ledger.failing = True
    mouth.bus.put(CHANNEL, body_of(id="1"))
    await mouth.start()
    assert (mouth.sent, mouth.bus.acked, mouth.part.stuck) == ([], [], "disk full")
    mouth.ledger.failing = False
    await mouth.fire("recover")
    assert mouth.results == [("1", "sent")]
    assert mouth.part.stuck is None


async def test_a_queue_that_is_away_is_tried_again(mouth: Mouth) -> None:
    mouth.bus.away = True
    await mouth.start()
    mouth.bus.away = False
    mouth.bus.put(CHANNEL, body_of(id="1"))
    await mouth.fire("fetch")
    assert mouth.results == [("1", "sent")]


async def test_a_queue_that_gives_nothing_for_long_is_asked_again(mouth: Mouth) -> None:
    await mouth.start()
    mouth.loop.time_out("fetch")
    await mouth.run()
    await mouth.send(body_of(id="1"))
    assert mouth.results == [("1", "sent")]


async def test_a_ledger_that_fails_when_taking_in_loses_nothing(mouth: Mouth) -> None:
    await mouth.start()
    mouth.ledger.failing = True
    await mouth.send(body_of(id="1", text="one"))
    await mouth.send(body_of(id="2", text="two"))
    assert (mouth.bus.acked, mouth.part.stuck) == ([], "disk full")
    mouth.ledger.failing = False
    await mouth.fire("fetch")
    assert mouth.results == [("1", "sent"), ("2", "sent")], "in order"
    mouth.bus.redeliver(CHANNEL)
    await mouth.run()
    assert (mouth.sent, len(mouth.bus.acked)) == (["one", "two"], 2)


async def test_a_database_without_room_for_commands_keeps_them_in_the_queue_and_the_session_up(
    mouth: Mouth, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mouth.start()

    async def full(*_: object) -> object:
        raise StoreFullError("has reached the clinic's limit")

    with monkeypatch.context() as limit, capture_logs() as logs:
        limit.setattr(mouth.ledger, "accept", full)
        await mouth.send(body_of(id="1", text="one"))
        await mouth.fire("fetch")
        await mouth.send(body_of(id="2", text="two"))
    assert (mouth.bus.acked, mouth.part.stuck) == ([], None)
    assert [line["event"] for line in logs] == ["commands not taken in"] * 2
    await mouth.fire("fetch")
    assert mouth.results == [("1", "sent"), ("2", "sent")], "in order"


async def test_a_database_that_has_no_room_is_no_trouble_any_more(
    mouth: Mouth, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mouth.start()
    errors: list[Exception] = [StoreFullError("has reached the clinic's limit"), StoreUnavailableError("locked")]

    async def broken(*_: object) -> object:
        raise errors.pop()

    monkeypatch.setattr(mouth.ledger, "accept", broken)
    await mouth.send(body_of(id="1"))
    assert mouth.part.stuck == "locked"
    await mouth.fire("fetch")
    assert mouth.part.stuck is None


async def test_nats_lost_between_the_ledger_and_the_acknowledgement_loses_and_doubles_nothing(mouth: Mouth) -> None:
    await mouth.start()
    original = mouth.ledger.accept

    async def then_away(*args: object) -> object:
        verdicts = await original(*args)  # type: ignore[arg-type]  # passed on
        mouth.bus.away = True
        return verdicts

    mouth.ledger.accept = then_away  # type: ignore[method-assign, assignment]  # NATS goes at this moment
    await mouth.send(body_of(id="1"))
    assert (len(mouth.sent), mouth.bus.acked) == (1, [])
    mouth.ledger.accept = original  # type: ignore[method-assign]  # as it was
    mouth.bus.away = False
    mouth.bus.redeliver(CHANNEL)
    await mouth.fire("fetch")
    await mouth.fire("flush")
    assert len(mouth.sent) == 1
    assert len(mouth.bus.acked) == 1
    assert {(result.id, result.status) for result in mouth.bus.results()} == {("1", "sent")}


async def test_an_intake_of_which_nobody_knows_how_it_ended_ends_the_channel(mouth: Mouth) -> None:
    """Its successor finds in the ledger what was accepted."""
    await mouth.start()
    mouth.bus.hanging = True
    mouth.bus.put(CHANNEL, b"nonsense")
    await mouth.run()
    mouth.loop.time_out("take_in")
    with pytest.raises(TimeoutError):
        await mouth.run()


async def test_an_attempt_that_sent_nothing_is_set_back_and_tried_again_in_order(mouth: Mouth) -> None:
    answers: list[PortAnswer | Sent] = [failed("server_error"), SENT, SENT]

    async def answer(_: Anything) -> PortAnswer | Sent:
        return answers.pop(0)

    mouth.port.answer = answer
    await mouth.start()
    await mouth.send(body_of(id="1", text="one"), body_of(id="2", text="two"))
    assert mouth.sent == ["one", "one", "two"]
    assert ("setback", ("1",)) in mouth.ledger.calls
    assert [(result.id, result.attempts) for result in mouth.bus.results()] == [("1", 2), ("2", 1)]
    history = (await mouth.ledger.command(CHANNEL, "1")).history
    assert [each.error.code for each in history] == ["server_error"]


async def test_a_permanent_error_is_a_failed_result_and_a_dead_letter(mouth: Mouth) -> None:
    mouth.port.answer = answering(failed("not_on_whatsapp", "nobody there"))
    await mouth.start()
    await mouth.send(body_of(id="1", meta={"a": 1}))
    (result,), (letter,) = mouth.bus.results(), mouth.bus.dead()
    assert (result.status, result.attempts, result.meta) == ("failed", 1, {"a": 1})
    assert result.error == letter.error
    assert (letter.error.code, letter.error.message, letter.error.permanent) == (
        "not_on_whatsapp",
        "nobody there",
        True,
    )
    assert decode(letter.body, SendCommand).id == "1"


async def test_a_session_that_is_lost_costs_no_attempt_and_the_command_waits_for_the_next(
    mouth: Mouth, clock: Clock
) -> None:
    mouth.port.answer = answering(failed("not_connected"))
    await mouth.start()
    await mouth.send(body_of(id="1"))
    assert (mouth.state("1"), mouth.ledger.entry(CHANNEL, "1").accepted.attempts) == ("waiting", 0)
    mouth.part.use(None)
    new = mouth.new_port()
    mouth.part.use(new)
    seconds, _ = mouth.timers["outbox"]
    clock.seconds += seconds
    await mouth.fire("outbox")
    (result,) = mouth.bus.results()
    assert (result.status, result.attempts) == ("sent", 1)


async def test_nothing_is_sent_before_its_beginning_is_recorded_and_no_attempt_is_lost_to_that(mouth: Mouth) -> None:
    await mouth.start(connected=False)
    await mouth.send(body_of(id="1"))
    mouth.ledger.failing = True
    mouth.part.use(mouth.port)
    await mouth.run()
    for _ in range(10):
        await mouth.fire("record")
    assert (mouth.sent, mouth.part.stuck, mouth.part.flying) == ([], "disk full", 1)
    mouth.ledger.failing = False
    await mouth.fire("record")
    assert (mouth.bus.results()[0].status, mouth.bus.results()[0].attempts) == ("sent", 1)
    assert mouth.part.stuck is None


async def test_a_result_that_cannot_be_recorded_is_kept_and_not_published_before_it_is(mouth: Mouth) -> None:
    async def answer(request: Anything) -> PortAnswer | Sent:
        mouth.ledger.failing = True
        return await obliging(request)

    mouth.port.answer = answer
    await mouth.start()
    await mouth.send(body_of(id="1"))
    assert (len(mouth.sent), mouth.results, mouth.remains.finished) == (1, [], [])
    mouth.ledger.failing = False
    await mouth.fire("record")
    assert (len(mouth.sent), mouth.results, mouth.remains.finished) == (1, [("1", "sent")], [1])


async def test_what_expires_while_waiting_is_never_sent(mouth: Mouth, clock: Clock) -> None:
    await mouth.start(connected=False)
    await mouth.send(body_of(id="1", expires_at=(clock.utc_now() + timedelta(seconds=1)).isoformat()))
    assert (mouth.results, mouth.timers["outbox"][0]) == ([], 1.0)
    clock.seconds += 1.0
    await mouth.fire("outbox")
    assert (mouth.results, mouth.sent) == ([("1", "expired")], [])


async def test_after_close_nothing_more_is_taken_or_sent_but_answers_are_settled(mouth: Mouth) -> None:
    answers: list[PortAnswer | Sent] = []

    async def answer(request: Anything) -> PortAnswer | Sent:
        return answers.pop() if answers else await silent(request)

    mouth.port.answer = answer
    await mouth.start()
    await mouth.send(body_of(id="1", text="one"), body_of(id="2", text="two"))
    assert mouth.part.flying == 1
    mouth.part.close()
    await mouth.send(body_of(id="3"))
    mouth.port.die()
    await mouth.run()
    assert mouth.sent == ["one"]
    assert (mouth.part.flying, len(mouth.bus.acked), mouth.state("2")) == (0, 2, "waiting")


async def test_what_is_begun_when_the_channel_closes_is_not_sent_and_not_counted(mouth: Mouth) -> None:
    await mouth.start(connected=False)
    await mouth.send(body_of(id="1"))
    mouth.part.use(mouth.port)
    mouth.part.close()
    await mouth.run()
    assert (mouth.sent, mouth.state("1"), mouth.ledger.entry(CHANNEL, "1").accepted.attempts) == ([], "waiting", 0)


async def test_what_was_fetched_too_late_goes_back(mouth: Mouth) -> None:
    mouth.bus.put(CHANNEL, body_of(id="1"))
    fetched = await mouth.bus.fetch(CHANNEL, 1)
    mouth.part.give_back(FetchEnded(fetched))
    await mouth.run()
    assert mouth.bus.given_back == [body_of(id="1")]


async def test_a_record_of_the_journal_that_names_nobody_is_done(mouth: Mouth) -> None:
    answer = Failed(code="server_error", message="")
    for key in ("1:gone#000000000000", "1:old#000000000000"):
        mouth.remains.write(SendAnswered(key=key, answer=answer))
    mouth.own(Entry(accepted("old", text="old")))
    await mouth.start()
    assert mouth.results == [("old", "sent")]
    assert sorted(mouth.remains.finished) == [1, 2, 3]


async def test_a_person_who_wants_no_more_gets_none(mouth: Mouth) -> None:
    await mouth.start(connected=False)
    await mouth.send(body_of(id="1"), body_of(id="2", to="5511900000000"))
    mouth.part.wrote(["5511988887777@s.whatsapp.net", "7@lid"], True)
    await mouth.run()
    (result,) = mouth.bus.results()
    assert result.error is not None
    assert (result.id, result.status, result.error.code) == ("1", "failed", "opted_out")
    assert len(mouth.bus.dead()) == 1


async def test_what_was_queued_before_another_number_was_paired_is_held(mouth: Mouth) -> None:
    await mouth.start(connected=False)
    await mouth.send(body_of(id="1"))
    queued_at = mouth.ledger.entry(CHANNEL, "1").accepted.queued_at
    mouth.part.disown(Disowned(queued_at + timedelta(seconds=0.5), ErrorCode.OTHER_NUMBER))
    await mouth.send(body_of(id="2", text="two"))
    mouth.part.use(mouth.port)
    await mouth.run()
    assert (mouth.results, mouth.sent) == ([("1", "held"), ("2", "sent")], ["two"])
