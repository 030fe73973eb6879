import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta

import pytest

from protocol.interfaces import SendOutcome
from protocol.port import PortAnswer, SendRequest, Sent
from supervisor.breaker import Breaker, BreakerState, Consecutive
from tests.fakes.memory_bus import body_of
from tests.fakes.scripted_port import Anything, obliging
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.commands import failed
from tests.unit.actors.channel.mouth import Clock, Mouth
from tests.unit.actors.channel.test_attempt import answering

A, B = "5511900000001", "5511900000002"


@pytest.fixture
async def breaking() -> AsyncIterator[Mouth]:
    """Its breaker opens for 30 s after two failures in a row, and so far everything fails."""
    mouth = Mouth(breaker=Breaker(trip=Consecutive(2), pause_s=30.0))
    mouth.port.answer = answering(failed("server_error"))
    yield mouth
    await mouth.loop.end()


async def time_passes(mouth: Mouth, clock: Clock, seconds: float) -> None:
    """To that time, with every timer of the outbox on the way."""
    end = clock.seconds + seconds
    while "outbox" in mouth.timers and clock.seconds < end:
        clock.seconds = min(end, clock.seconds + mouth.timers["outbox"][0])
        await mouth.fire("outbox")
    clock.seconds = end


async def test_while_the_breaker_is_open_the_port_is_given_nothing_and_no_attempt_is_spent(
    breaking: Mouth, clock: Clock
) -> None:
    await breaking.start()
    await breaking.send(body_of(id="1", to=A, text="one"))
    assert (breaking.sent, breaking.part.breaker.state) == (["one", "one"], BreakerState.OPEN)
    await breaking.send(body_of(id="2", to=B, text="two"))
    await time_passes(breaking, clock, 29.9)
    assert breaking.sent == ["one", "one"]
    assert [breaking.ledger.entry(CHANNEL, one).accepted.attempts for one in "12"] == [2, 0]
    assert (len(breaking.part), breaking.results) == (2, [])


async def test_after_its_pause_one_command_probes_and_the_others_wait_for_what_comes_of_it(
    breaking: Mouth, clock: Clock
) -> None:
    await breaking.start()
    await breaking.send(body_of(id="1", to=A, text="one"))
    await breaking.send(body_of(id="2", to=B, text="two"))
    let_go = asyncio.Event()

    async def answer(request: Anything) -> PortAnswer | Sent:
        await let_go.wait()
        return await obliging(request)

    breaking.port.answer = answer
    await time_passes(breaking, clock, 30.0)
    assert len(breaking.sent) == 3
    await time_passes(breaking, clock, 30.0)
    assert (breaking.part.flying, breaking.part.breaker.state) == (1, BreakerState.HALF_OPEN)
    let_go.set()
    await breaking.run()
    assert breaking.part.breaker.state is BreakerState.CLOSED
    assert sorted(breaking.results) == [("1", "sent"), ("2", "sent")]


async def test_a_probe_that_fails_keeps_the_others_waiting_for_another_pause(breaking: Mouth, clock: Clock) -> None:
    await breaking.start()
    await breaking.send(body_of(id="1", text="one"), body_of(id="2", to=B, text="two"))
    given = len(breaking.sent)
    await time_passes(breaking, clock, 30.0)
    assert (len(breaking.sent), breaking.part.breaker.state) == (given + 1, BreakerState.OPEN)
    await time_passes(breaking, clock, 29.9)
    assert len(breaking.sent) == given + 1


async def test_a_probe_that_meets_a_lost_session_is_followed_by_another_once_there_is_one(
    breaking: Mouth, clock: Clock
) -> None:
    await breaking.start()
    await breaking.send(body_of(id="1", text="one"))
    breaking.port.answer = answering(failed("not_connected"))
    await time_passes(breaking, clock, 30.0)
    assert breaking.part.breaker.state is BreakerState.OPEN
    breaking.port.answer = obliging
    await time_passes(breaking, clock, 1.0)
    assert breaking.results == [("1", "sent")]
    assert breaking.bus.results()[0].attempts == 3


async def test_what_expires_while_the_breaker_is_open_is_never_sent(breaking: Mouth, clock: Clock) -> None:
    await breaking.start()
    await breaking.send(body_of(id="1", text="one"))
    await breaking.send(body_of(id="2", to=B, expires_at=(clock.utc_now() + timedelta(seconds=5)).isoformat()))
    await time_passes(breaking, clock, 6.0)
    assert breaking.results == [("2", "expired")]
    assert breaking.sent == ["one", "one"]


@pytest.mark.parametrize(("cut", "state"), [(True, BreakerState.CLOSED), (False, BreakerState.OPEN)])
async def test_a_port_that_ends_under_several_commands_opens_nothing_but_missed_deadlines_do(
    breaking: Mouth, clock: Clock, cut: bool, state: BreakerState
) -> None:
    def send(requests: Sequence[SendRequest], deliver: Callable[..., None], *, deadline: float) -> None:
        unknown = failed("outcome_unknown")
        deliver([SendOutcome(key=request.key, answer=unknown, cut=cut) for request in requests])

    breaking.port.send = send  # type: ignore[method-assign]  # a port that is gone
    await breaking.start(connected=False)
    breaking.remains.failing = True
    breaking.part.use(breaking.port)
    await breaking.send(*(body_of(id=str(number), to=f"551190000000{number}") for number in range(4)))
    assert breaking.part.breaker.state is state


async def test_a_recipient_that_cannot_be_reached_opens_nothing(breaking: Mouth, clock: Clock) -> None:
    breaking.port.answer = answering(failed("not_on_whatsapp"))
    await breaking.start()
    await breaking.send(*(body_of(id=str(number), to=A) for number in range(5)))
    assert len(breaking.results) == 5
    assert breaking.part.breaker.state is BreakerState.CLOSED
