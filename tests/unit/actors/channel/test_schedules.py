from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from actors.channel import schedules
from protocol.bus import Later
from protocol.errors import BusUnavailableError
from protocol.views import CommandState
from tests.fakes.memory_bus import body_of
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.commands import AT
from tests.unit.actors.channel.mouth import Clock, Mouth

pytestmark = pytest.mark.usefixtures("clock")

SOON = AT + timedelta(hours=1)


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


# -- what does not ring --


def times_asked(mouth: Mouth) -> int:
    return [name for name, *_ in mouth.ledger.calls].count("scheduled")


async def test_a_schedule_that_is_lost_is_set_again_a_minute_after_its_time(mouth: Mouth, clock: Clock) -> None:
    await mouth.send(scheduled("1"), scheduled("2"))
    del mouth.bus.scheduled[CHANNEL, "1"]
    wait, _ = mouth.timers["late"]
    assert wait == 3600.0
    clock.seconds = 3600.0
    mouth.bus.pass_time(clock.utc_now())
    await mouth.run()
    assert mouth.sent == ["2"]
    await mouth.fire("late")
    assert (mouth.timers["late"][0], mouth.sent) == (schedules.LATE_S, ["2"])
    clock.seconds += schedules.LATE_S
    with capture_logs() as logs:
        await mouth.fire("late")
    assert mouth.sent == ["2", "1"]
    assert [line["count"] for line in logs if "did not ring" in line["event"]] == [1]


async def test_who_has_no_schedules_asks_nobody(mouth: Mouth, clock: Clock) -> None:
    await mouth.send(body_of(id="1", text="1"))
    assert "late" not in mouth.timers
    await mouth.send(scheduled("2"))
    before = times_asked(mouth)
    clock.seconds = 3600.0
    mouth.bus.pass_time(clock.utc_now())
    await mouth.run()
    await mouth.fire("late")
    assert times_asked(mouth) == before, "its time is not yet over for a minute"
    clock.seconds += schedules.LATE_S
    await mouth.fire("late")
    assert (times_asked(mouth), "late" in mouth.timers, mouth.sent) == (before + 1, False, ["1", "2"])


async def test_what_is_for_later_still_is_left_alone_and_looked_for_at_its_time(mouth: Mouth, clock: Clock) -> None:
    hour = timedelta(hours=1)
    await mouth.send(scheduled("1"), body_of(id="2", text="2", not_before=(SOON + hour).isoformat()))
    clock.seconds = 3600.0 + schedules.LATE_S
    mouth.bus.pass_time(clock.utc_now())
    await mouth.run()
    known = dict(mouth.bus.scheduled)
    clock.seconds += schedules.QUIET_S
    await mouth.fire("late")
    wait = 3600.0 - schedules.QUIET_S
    assert (mouth.timers["late"][0], mouth.bus.scheduled, mouth.sent) == (wait, known, ["1"])


async def test_while_it_is_not_known_that_nothing_more_is_to_ring_nobody_is_asked(mouth: Mouth, clock: Clock) -> None:
    await mouth.send(scheduled("1"), scheduled("2"))
    mouth.bus.scheduled.clear()
    before = times_asked(mouth)
    clock.seconds = 3600.0 + schedules.LATE_S
    mouth.bus.put_due(CHANNEL, "1", 1)
    await mouth.run()
    await mouth.fire("late")
    assert times_asked(mouth) == before, "something rang a moment ago"
    mouth.bus.away = True
    mouth.loop.time_out("due")
    await mouth.run()
    clock.seconds += schedules.LATE_S
    await mouth.fire("late")
    assert times_asked(mouth) == before, "NATS is away"
    mouth.bus.away = False
    mouth.bus.pass_time(clock.utc_now())
    await mouth.fire("wake")
    clock.seconds += schedules.LATE_S
    await mouth.fire("late")
    assert (times_asked(mouth), mouth.sent) == (before + 1, ["1", "2"])


async def test_a_ledger_that_cannot_be_asked_is_asked_again_in_a_minute(mouth: Mouth, clock: Clock) -> None:
    await mouth.send(scheduled("1"))
    mouth.bus.scheduled.clear()
    clock.seconds = 3600.0 + schedules.LATE_S
    mouth.bus.pass_time(clock.utc_now())
    mouth.ledger.failing = True
    await mouth.fire("late")
    mouth.ledger.failing = False
    assert (mouth.timers["late"][0], mouth.part.stuck) == (schedules.LATE_S, None)
    await mouth.fire("late")
    assert mouth.sent == ["1"]


async def test_what_is_cancelled_is_not_set_again(mouth: Mouth, clock: Clock) -> None:
    await mouth.send(scheduled("1"))
    mouth.part.cancel("1", lambda _: None)
    await mouth.run()
    clock.seconds = 3600.0 + schedules.LATE_S
    mouth.bus.pass_time(clock.utc_now())
    await mouth.fire("late")
    assert (mouth.sent, mouth.bus.scheduled, "late" in mouth.timers) == ([], {}, False)


async def test_after_close_nothing_is_looked_for(mouth: Mouth, clock: Clock) -> None:
    await mouth.send(scheduled("1"))
    before = times_asked(mouth)
    mouth.part.close()
    clock.seconds = 3600.0 + schedules.LATE_S
    await mouth.fire("late")
    assert (times_asked(mouth), "late" in mouth.timers) == (before, False)
