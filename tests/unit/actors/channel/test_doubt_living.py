"""What may have been sent, while main lives: every way in which that can begin."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.memory_bus import body_of
from tests.fakes.scripted_port import Anything, obliging, silent
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.commands import failed
from tests.unit.actors.channel.mouth import Clock, Mouth
from tests.unit.actors.channel.test_attempt import answering
from tests.unit.actors.channel.test_doubt import wait_over

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
async def fresh() -> AsyncIterator[Mouth]:
    mouth = await Mouth().start()
    mouth.part.backlog_in()
    yield mouth
    await mouth.loop.end()


async def test_a_port_that_dies_before_it_sent_anything_costs_nothing(fresh: Mouth) -> None:
    fresh.port.answer = silent
    await fresh.send(body_of(id="1", text="one"), body_of(id="2", text="two"))
    fresh.port.die()
    fresh.part.use(None)
    await fresh.run()
    assert (fresh.state("1"), fresh.ledger.entry(CHANNEL, "1").accepted.attempts) == ("waiting", 0)
    fresh.port = fresh.new_port()
    fresh.part.use(fresh.port)
    await fresh.run()
    assert (fresh.sent, [result.attempts for result in fresh.bus.results()]) == (["one", "two"], [1, 1])


async def test_a_device_that_is_removed_under_a_send_leaves_a_doubt(fresh: Mouth) -> None:
    fresh.port.answer = silent
    await fresh.send(body_of(id="1", text="one", on_uncertain="hold"), body_of(id="2", text="two"))
    fresh.remains.empty()
    fresh.port.die()
    fresh.part.use(None)
    await fresh.run()
    assert fresh.results == [("1", "held")]


async def test_one_that_dies_after_it_wrote_to_the_session_store_leaves_a_doubt(fresh: Mouth, clock: Clock) -> None:
    async def answer(request: Anything) -> object:
        fresh.remains.trace("WA", request.secret)  # type: ignore[union-attr]  # a send
        return await silent(request)

    fresh.port.answer = answer  # type: ignore[assignment]  # never returns
    await fresh.send(body_of(id="1", text="one"), body_of(id="2", text="two"))
    fresh.port.die()
    fresh.part.use(None)
    await fresh.run()
    assert (fresh.state("1"), fresh.part.flying, fresh.part.waiting) == ("in_flight", 0, True)
    fresh.port = fresh.new_port()
    fresh.part.use(fresh.port)
    await fresh.run()
    assert fresh.sent == []
    fresh.part.backlog_in()
    await wait_over(fresh, clock)
    assert fresh.sent == ["one", "two"]
    assert fresh.bus.results()[0].attempts == 2


async def test_an_unknown_answer_of_a_living_port_is_waited_for_at_once(fresh: Mouth, clock: Clock) -> None:
    answers = [failed("outcome_unknown")]

    async def answer(request: Anything) -> object:
        if not answers:
            return await obliging(request)
        fresh.remains.trace("WA", request.secret)  # type: ignore[union-attr]  # a send
        return answers.pop()

    fresh.port.answer = answer  # type: ignore[assignment]  # of sends alone
    await fresh.send(body_of(id="1", text="one", on_uncertain="hold"), body_of(id="2", text="two"))
    assert fresh.sent == ["one"]
    await wait_over(fresh, clock)
    assert fresh.results == [("1", "held"), ("2", "sent")]


async def test_after_the_last_attempt_what_is_in_doubt_has_failed(clock: Clock) -> None:
    mouth = await Mouth(attempts=1).start()
    mouth.part.backlog_in()
    mouth.port.answer = answering(failed("internal"))
    original = mouth.remains.ids_of

    async def known(secrets: list[bytes], device: str | None) -> dict[bytes, str]:
        await original(secrets, device)
        return dict.fromkeys(secrets, "WA")

    mouth.remains.ids_of = known  # type: ignore[method-assign, assignment]  # the store has them all
    await mouth.send(body_of(id="1"))
    await wait_over(mouth, clock)
    (result,) = mouth.bus.results()
    assert result.error is not None
    assert (result.status, result.error.code) == ("failed", "outcome_unknown")
    await mouth.loop.end()
