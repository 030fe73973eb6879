from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from protocol.ledger import Receipt
from tests.fakes.memory_bus import body_of
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.commands import AT
from tests.unit.actors.channel.mouth import Clock, Mouth

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
async def mouth() -> AsyncIterator[Mouth]:
    """It has sent "1", which is to be delivered within 50 seconds."""
    mouth = await Mouth().start()
    await mouth.send(body_of(id="1", deliver_by=(AT + timedelta(seconds=50)).isoformat(), meta={"a": 1}))
    assert mouth.results == [("1", "sent")]
    yield mouth
    await mouth.loop.end()


async def its_time_comes(mouth: Mouth, clock: Clock) -> None:
    seconds, _ = mouth.timers["lateness"]
    clock.seconds += seconds
    await mouth.fire("lateness")


async def test_what_is_not_delivered_in_time_is_told_once(mouth: Mouth, clock: Clock) -> None:
    assert mouth.timers["lateness"][0] == 50.0
    await its_time_comes(mouth, clock)
    assert mouth.results == [("1", "sent"), ("1", "late")]
    late = mouth.bus.results()[-1]
    assert (late.run, late.meta, late.wa_id) == (1, {"a": 1}, mouth.bus.results()[0].wa_id)
    assert "lateness" not in mouth.timers
    assert len({publication.message_id for publication in mouth.bus.published}) == 2


async def test_what_is_delivered_in_time_is_not_late(mouth: Mouth, clock: Clock) -> None:
    wa_id = mouth.bus.results()[0].wa_id
    assert wa_id is not None
    await mouth.ledger.receipted(CHANNEL, [Receipt(wa_id=wa_id, kind="delivered", at=AT)])
    await its_time_comes(mouth, clock)
    assert mouth.results == [("1", "sent")]


async def test_while_nats_or_the_ledger_is_away_it_is_tried_again(mouth: Mouth, clock: Clock) -> None:
    mouth.bus.away = True
    await its_time_comes(mouth, clock)
    mouth.bus.away, mouth.ledger.failing = False, True
    await its_time_comes(mouth, clock)
    mouth.ledger.failing = False
    await its_time_comes(mouth, clock)
    assert mouth.results == [("1", "sent"), ("1", "late")]


async def test_it_is_told_once_also_over_a_restart(mouth: Mouth, clock: Clock) -> None:
    original = mouth.ledger.lateness

    async def fails(channel: str, items: object) -> None:
        mouth.ledger.failing = True
        await original(channel, [])

    mouth.ledger.lateness = fails  # type: ignore[method-assign]  # fails at the last step
    await its_time_comes(mouth, clock)
    mouth.ledger.lateness = original  # type: ignore[method-assign]  # as it was
    mouth.ledger.failing = False
    after = await Mouth(mouth).start()
    assert after.results == [("1", "sent"), ("1", "late")]
    await after.loop.end()


async def test_a_distant_time_is_looked_at_now_and_then(mouth: Mouth, clock: Clock) -> None:
    await mouth.send(body_of(id="2", deliver_by=(AT + timedelta(days=1)).isoformat()))
    await its_time_comes(mouth, clock)
    assert mouth.timers["lateness"][0] == 60.0


async def test_after_close_nothing_is_watched(mouth: Mouth, clock: Clock) -> None:
    mouth.part.close()
    await its_time_comes(mouth, clock)
    assert mouth.results == [("1", "sent")]
