from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from actors.channel import schedules
from protocol.bus import Later
from protocol.errors import BusUnavailableError
from protocol.views import CommandState
from tests.fakes.memory_bus import body_of
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.commands import AT
from tests.unit.actors.channel.mouth import Clock, Mouth

SOON = AT + timedelta(hours=1)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.rule(monkeypatch)
    return clock


@pytest.fixture
async def mouth() -> AsyncIterator[Mouth]:
    mouth = await Mouth().start()
    yield mouth
    await mouth.loop.end()


def scheduled(id: str, **fields: object) -> bytes:
    return body_of(id=id, text=id, not_before=SOON.isoformat(), **fields)


async def test_a_command_for_later_is_the_ledgers_and_scheduled_and_sent_at_its_time(mouth: Mouth) -> None:
    await mouth.send(scheduled("1"), body_of(id="2", text="2"))
    assert (mouth.sent, mouth.state("1")) == (["2"], "scheduled")
    assert mouth.bus.scheduled == {(CHANNEL, "1"): Later(id="1", run=1, at=SOON)}
    assert len(mouth.bus.acked) == 2
    mouth.bus.pass_time(SOON)
    await mouth.run()
    assert mouth.sent == ["2", "1"]
    assert [due.id for due in mouth.bus.woken] == ["1"]


async def test_what_rings_twice_is_sent_once(mouth: Mouth) -> None:
    await mouth.send(scheduled("1"))
    for _ in range(2):
        mouth.bus.put_due(CHANNEL, "1", 1)
        await mouth.run()
    assert mouth.sent == ["1"]
    assert len(mouth.bus.woken) == 2, "both are settled"


async def test_a_ledger_that_fails_when_it_rings_is_asked_again(mouth: Mouth) -> None:
    await mouth.send(scheduled("1"))
    mouth.ledger.failing = True
    mouth.bus.pass_time(SOON)
    await mouth.run()
    assert (mouth.sent, mouth.bus.woken, mouth.part.stuck) == ([], [], "disk full")
    mouth.ledger.failing = False
    await mouth.fire("wake")
    assert (mouth.sent, len(mouth.bus.woken), mouth.part.stuck) == (["1"], 1, None)


async def test_a_bus_that_is_away_when_it_rings_is_asked_again(mouth: Mouth) -> None:
    await mouth.send(scheduled("1"))
    mouth.bus.away = True
    mouth.loop.time_out("due")
    await mouth.run()
    mouth.bus.away = False
    mouth.bus.pass_time(SOON)
    await mouth.fire("wake")
    assert mouth.sent == ["1"]


async def test_what_could_not_be_scheduled_is_as_soon_as_it_can(mouth: Mouth) -> None:
    original = mouth.ledger.accept

    async def then_away(*args: object) -> object:
        verdicts = await original(*args)  # type: ignore[arg-type]  # passed on
        mouth.bus.away = True
        return verdicts

    mouth.ledger.accept = then_away  # type: ignore[method-assign, assignment]  # NATS goes at this moment
    await mouth.send(scheduled("1"))
    assert mouth.bus.scheduled == {}
    mouth.bus.away = False
    await mouth.fire("schedule")
    assert list(mouth.bus.scheduled) == [(CHANNEL, "1")]


async def test_what_cannot_be_scheduled_keeps_nothing_in_the_queue(mouth: Mouth) -> None:
    async def refuse(*_: object) -> None:
        raise BusUnavailableError("no room for schedules")

    mouth.bus.schedule = refuse  # type: ignore[method-assign, assignment]  # a fault
    await mouth.send(scheduled("1"), body_of(id="2", text="2"), b"nonsense")
    assert (mouth.sent, len(mouth.bus.acked), len(mouth.bus.dead())) == (["2"], 3, 1)
    assert "fetch" not in mouth.timers
    del mouth.bus.schedule
    await mouth.fire("schedule")
    assert list(mouth.bus.scheduled) == [(CHANNEL, "1")]


async def test_at_every_start_all_that_is_scheduled_is_scheduled_again(mouth: Mouth) -> None:
    await mouth.send(scheduled("1"))
    mouth.bus.scheduled.clear()
    await mouth.loop.end()
    after = await Mouth(mouth).start()
    assert list(after.bus.scheduled) == [(CHANNEL, "1")]
    after.bus.pass_time(SOON)
    await after.run()
    assert after.results == [("1", "sent")]
    await after.loop.end()


async def test_many_are_set_in_parts(mouth: Mouth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "MOST_AT_ONCE", 2)
    await mouth.send(*(scheduled(str(number)) for number in range(5)))
    mouth.bus.scheduled.clear()
    await mouth.loop.end()
    after = await Mouth(mouth).start()
    assert len(after.bus.scheduled) == 5
    await after.loop.end()


async def test_one_that_rings_after_it_expired_is_not_sent(mouth: Mouth, clock: Clock) -> None:
    await mouth.send(scheduled("1", expires_at=(SOON + timedelta(minutes=1)).isoformat()))
    clock.seconds = 7200.0
    mouth.bus.pass_time(clock.utc_now())
    await mouth.run()
    assert (mouth.sent, mouth.results) == ([], [("1", "expired")])


async def test_after_close_nothing_is_woken(mouth: Mouth) -> None:
    await mouth.send(scheduled("1"))
    mouth.part.close()
    await mouth.run()
    mouth.bus.pass_time(SOON)
    await mouth.run()
    assert mouth.ledger.entry(CHANNEL, "1").state is CommandState.SCHEDULED
