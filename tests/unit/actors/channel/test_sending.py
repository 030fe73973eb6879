from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from actors.channel import sending
from protocol.codec import decode
from protocol.commands import SendCommand
from protocol.events import ResultEvent
from protocol.port import Failed, PortAnswer, PortRequest
from tests.fakes.memory_bus import body_of
from tests.fakes.memory_ledger import Entry
from tests.fakes.scripted_port import ScriptedPort, obliging, silent
from tests.unit.actors.channel.bench import CHANNEL, CLINIC
from tests.unit.actors.channel.commands import SENT, accepted, failed
from tests.unit.actors.channel.mouth import Clock, Mouth
from tests.unit.actors.channel.test_attempt import SPEC, answering, raising

A, B = "5511900000001", "5511900000002"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.rule(monkeypatch)
    return clock


@pytest.fixture
async def mouth() -> AsyncIterator[Mouth]:
    mouth = Mouth()
    yield mouth
    await mouth.loop.end()


async def test_a_command_is_taken_in_marked_sent_recorded_and_published(mouth: Mouth) -> None:
    await mouth.start()
    await mouth.send(body_of(id="1", text="Olá", meta={"a": 1}))
    assert [call for call in mouth.ledger.calls if call[1]] == [
        ("accept", ("1",)),
        ("begin", ("1",)),
        ("finish", ("1",)),
        ("published", ("1",)),
    ]
    (result,) = mouth.bus.results()
    assert (result.status, result.attempts, result.run, result.repeat, result.meta) == ("sent", 1, 1, False, {"a": 1})
    assert result.wa_id is not None
    assert result.sent_at is not None
    assert (result.to, result.error, mouth.bus.dead()) == ("5511988887777", None, [])
    assert mouth.bus.acked == [body_of(id="1", text="Olá", meta={"a": 1})]
    assert len(mouth.part) == 0


async def test_commands_wait_while_there_is_no_session(mouth: Mouth) -> None:
    await mouth.start(connected=False)
    await mouth.send(body_of(id="1"), body_of(id="2"))
    assert (len(mouth.part), mouth.sent, mouth.state("1")) == (2, [], "waiting")
    mouth.part.use(mouth.port)
    await mouth.run()
    assert mouth.results == [("1", "sent"), ("2", "sent")]


async def test_no_more_is_taken_than_the_window(mouth: Mouth) -> None:
    small = Mouth(window=2)
    await small.start(connected=False)
    await small.send(*(body_of(id=str(number)) for number in range(5)))
    assert (len(small.part), len(small.bus.acked)) == (2, 2)
    small.part.use(small.port)
    await small.run()
    assert len(small.results) == 5
    await small.loop.end()


async def test_what_the_ledger_owns_is_taken_up_before_anything_from_the_queue(mouth: Mouth) -> None:
    mouth.own(Entry(accepted("old", text="old")))
    mouth.bus.put(CHANNEL, body_of(id="new", text="new"))
    await mouth.start()
    assert mouth.sent == ["old", "new"]


async def test_what_was_in_flight_at_a_crash_is_sent_again_or_held(mouth: Mouth) -> None:
    resend = replace(accepted("resend", A, text="resend"), attempts=1)
    hold = replace(accepted("hold", B, text="hold", on_uncertain="hold"), attempts=1)
    mouth.own(Entry(resend, "in_flight"), Entry(hold, "in_flight"))
    await mouth.start()
    assert mouth.sent == ["resend"]
    assert sorted(mouth.results) == [("hold", "held"), ("resend", "sent")]
    held = next(result for result in mouth.bus.results() if result.id == "hold")
    assert held.error is not None
    assert (held.error.code, held.attempts) == ("outcome_unknown", 1)
    assert mouth.bus.dead() == []


async def test_results_that_were_recorded_but_not_published_are_published_at_the_next_start(mouth: Mouth) -> None:
    result = ResultEvent(clinic=CLINIC, channel=CHANNEL, id="old", status="sent", wa_id="WA", attempts=1)
    mouth.own(Entry(accepted("old", headers={"h": "x"}), "final", result))
    await mouth.start()
    assert mouth.bus.results() == [result]
    assert mouth.bus.published[0].headers == {"h": "x"}
    assert mouth.ledger.entry(CHANNEL, "old").published
    assert mouth.sent == []


async def test_a_ledger_that_cannot_be_read_at_the_start_is_tried_again(mouth: Mouth) -> None:
    mouth.ledger.failing = True
    mouth.bus.put(CHANNEL, body_of(id="1"))
    await mouth.start()
    assert mouth.sent == []
    assert mouth.bus.acked == []
    mouth.ledger.failing = False
    await mouth.fire("fetch")
    assert mouth.results == [("1", "sent")]


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
    assert mouth.bus.acked == []
    mouth.ledger.failing = False
    await mouth.fire("fetch")
    assert mouth.results == [("1", "sent"), ("2", "sent")], "in order"
    mouth.bus.redeliver(CHANNEL)
    await mouth.run()
    assert (mouth.sent, len(mouth.bus.acked)) == (["one", "two"], 2)


async def test_nats_lost_between_the_ledger_and_the_acknowledgement_loses_and_doubles_nothing(mouth: Mouth) -> None:
    await mouth.start()
    original = mouth.ledger.accept

    async def then_away(channel: str, offers: object) -> object:
        verdicts = await original(channel, offers)  # type: ignore[arg-type]  # passed on
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


async def test_an_attempt_that_sent_nothing_is_unmarked_and_tried_again_in_order(mouth: Mouth) -> None:
    answers: list[PortAnswer] = [failed("server_error"), SENT, SENT]

    async def answer(_: PortRequest) -> PortAnswer:
        return answers.pop(0)

    mouth.port.answer = answer
    await mouth.start()
    await mouth.send(body_of(id="1", text="one"), body_of(id="2", text="two"))
    await mouth.run()
    if "outbox" in mouth.timers:
        await mouth.fire("outbox")
    assert mouth.sent == ["one", "one", "two"]
    assert ("retry", ("1",)) in mouth.ledger.calls
    assert [(result.id, result.attempts) for result in mouth.bus.results()] == [("1", 2), ("2", 1)]


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


async def test_an_unknown_outcome_stays_marked_and_is_held_if_the_sender_wants(mouth: Mouth) -> None:
    mouth.port.answer = answering(failed("outcome_unknown"))
    await mouth.start()
    await mouth.send(body_of(id="1", on_uncertain="hold"))
    assert mouth.results == [("1", "held")]
    assert ("retry", ("1",)) not in mouth.ledger.calls


async def test_a_fault_of_ours_in_an_attempt_counts_as_an_unknown_outcome(mouth: Mouth) -> None:
    mouth.port.answer = raising(ZeroDivisionError())
    await mouth.start()
    await mouth.send(body_of(id="1", on_uncertain="hold"))
    (result,) = mouth.bus.results()
    assert result.error is not None
    assert (result.status, result.error.code, result.error.message) == ("held", "internal", "ZeroDivisionError")


async def test_a_session_that_is_lost_costs_no_attempt_and_the_command_waits_for_the_next(
    mouth: Mouth, clock: Clock
) -> None:
    mouth.port.answer = answering(failed("not_connected"))
    await mouth.start()
    await mouth.send(body_of(id="1"))
    assert mouth.state("1") == "waiting"
    mouth.part.use(None)
    new = ScriptedPort(SPEC, lambda _: None, mouth.bus.bell, obliging)
    mouth.part.use(new)
    await _pause_over(mouth, clock)
    (result,) = mouth.bus.results()
    assert (result.status, result.attempts) == ("sent", 1)


async def _pause_over(mouth: Mouth, clock: Clock) -> None:
    seconds, _ = mouth.timers["outbox"]
    clock.seconds += seconds
    await mouth.fire("outbox")


async def test_if_the_mark_cannot_be_written_nothing_is_sent(mouth: Mouth) -> None:
    await mouth.start(connected=False)
    await mouth.send(body_of(id="1"))
    mouth.ledger.failing = True
    mouth.part.use(mouth.port)
    await mouth.loop.rest()
    assert mouth.sent == []
    mouth.ledger.failing = False
    await mouth.run()
    if "outbox" in mouth.timers and not mouth.results:
        await mouth.fire("outbox")
    assert mouth.results == [("1", "sent")]


async def test_what_expires_while_waiting_is_never_sent(mouth: Mouth, clock: Clock) -> None:
    await mouth.start(connected=False)
    await mouth.send(body_of(id="1", expires_at=(clock.utc_now() + timedelta(seconds=1)).isoformat()))
    assert mouth.results == []
    clock.seconds += 1.0
    mouth.part.use(mouth.port)
    await mouth.run()
    assert mouth.results == [("1", "expired")]
    assert mouth.sent == []


async def test_after_close_nothing_more_is_taken_or_sent_but_answers_are_settled(mouth: Mouth) -> None:
    mouth.port.answer = silent
    await mouth.start()
    await mouth.send(body_of(id="1", text="one"), body_of(id="2", text="two"))
    assert mouth.part.flying == 1
    mouth.part.close()
    await mouth.send(body_of(id="3"))
    mouth.handlers[sending.Answered](sending.Answered("1", SENT))
    await mouth.run()
    assert mouth.sent == ["one"]
    assert mouth.results == [("1", "sent")]
    assert (mouth.part.flying, len(mouth.bus.acked), mouth.state("2")) == (0, 2, "waiting")


async def test_an_answer_that_comes_twice_changes_nothing(mouth: Mouth) -> None:
    await mouth.start()
    await mouth.send(body_of(id="1"))
    mouth.part.on_answered(sending.Answered("1", Failed(code="server_error", message="")))
    await mouth.run()
    assert mouth.results == [("1", "sent")]
