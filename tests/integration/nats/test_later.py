"""Schedules over a real server: at their time, once, over kills of the server, and not if they are taken back."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from actors.channel import schedules
from actors.channel.schedules import Schedules
from gateway.nats.accounts import Role
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.later import subject
from gateway.nats.streams import Retention
from protocol.bus import ClinicBus, Due, Later
from protocol.errors import BusUnavailableError, InvalidInputError
from protocol.ledger import Accepted
from protocol.views import CommandState
from tests.fakes.memory_ledger import Entry
from tests.integration.nats.conftest import SMALL, Connect, crash, serving
from tests.unit.actors.channel.bench import CHANNEL, Bench
from tests.unit.actors.channel.commands import accepted


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def take(bus: ClinicBus, count: int, *, channel: str = "front") -> list[tuple[str, int]]:
    """The next ``count`` that are due, settled."""
    found: list[Due] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            try:
                found += await bus.due(channel, 10)
                await bus.settle(found, taken=True)
            except BusUnavailableError:
                await asyncio.sleep(0.05)
    return [(one.id, one.run) for one in found]


async def nothing_more(bus: ClinicBus, *, channel: str = "front", seconds: float = 0.5) -> bool:
    waiting = asyncio.create_task(bus.due(channel, 10))
    done, _ = await asyncio.wait((waiting,), timeout=seconds)
    waiting.cancel()
    return not done


async def test_what_is_scheduled_is_due_at_its_time_and_not_before(bus: NatsBus, connect: Connect) -> None:
    acme = await serving(bus, "acme", "front")
    at = soon(2)
    waiting = asyncio.create_task(acme.due("front", 10))
    await acme.schedule("front", [Later(id="a:1_x-Y", run=3, at=at)])
    (found,) = await asyncio.wait_for(waiting, 10)
    assert datetime.now(UTC) >= at
    assert (found.id, found.run) == ("a:1_x-Y", 3)
    await acme.settle([found], taken=True)
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    async with asyncio.timeout(5):
        while (await js.stream_info("later")).state.messages:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_time_in_the_past_is_due_at_once(bus: NatsBus) -> None:
    acme = await serving(bus, "acme", "front")
    await acme.schedule("front", [Later(id="late", run=1, at=soon(-3600))])
    assert await take(acme, 1) == [("late", 1)]


async def test_many_at_one_second_all_come_once(bus: NatsBus) -> None:
    acme = await serving(bus, "acme", "front", "back")
    at = soon(2)
    wanted = [Later(id=f"n:{number}", run=1, at=at) for number in range(300)]
    await acme.schedule("front", wanted)
    await acme.schedule("back", wanted[:1])
    found = await take(acme, 300)
    assert sorted(found) == sorted((one.id, 1) for one in wanted)
    assert await take(acme, 1, channel="back") == [("n:0", 1)]
    assert await nothing_more(acme)


async def test_a_schedule_made_again_takes_the_place_of_the_old_one(bus: NatsBus) -> None:
    acme = await serving(bus, "acme", "front")
    for run, at in ((1, soon(60)), (1, soon(60)), (2, soon(1))):
        await acme.schedule("front", [Later(id="same", run=run, at=at)])
    assert await take(acme, 1) == [("same", 2)]
    assert await nothing_more(acme)


async def test_what_is_taken_back_never_comes(bus: NatsBus, connect: Connect) -> None:
    acme = await serving(bus, "acme", "front")
    at = soon(5)
    await acme.schedule("front", [Later(id=f"n:{number}", run=1, at=at) for number in range(100)])
    await acme.unschedule("front", [f"n:{number}" for number in range(1, 100)])
    await acme.unschedule("front", ["never there"])
    await acme.unschedule("front", [])
    assert await take(acme, 1) == [("n:0", 1)]
    assert await nothing_more(acme)
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    assert (await js.stream_info("later")).state.messages == 0


async def test_the_time_comes_although_the_server_was_killed_before_it(broker: EmbeddedBroker, bus: NatsBus) -> None:
    acme = await serving(bus, "acme", "front")
    at = soon(5)
    await acme.schedule("front", [Later(id="during", run=1, at=soon(1)), Later(id="after", run=1, at=at)])
    await crash(broker)
    await asyncio.sleep(1.5)
    await broker.start()
    found = await take(acme, 1)
    assert found[0] == ("during", 1)
    await crash(broker)
    await broker.start()
    # What was settled as the server died may come once more.
    while ("after", 1) not in found:
        found += await take(acme, 1)
    assert set(found) == {("after", 1), ("during", 1)}
    assert datetime.now(UTC) >= at
    assert await nothing_more(acme)


async def test_what_is_not_settled_comes_again(impatient: NatsBus) -> None:
    acme = await serving(impatient, "acme", "front")
    await acme.schedule("front", [Later(id="a", run=1, at=soon(-1))])
    for _ in range(2):
        (due,) = await asyncio.wait_for(acme.due("front", 5), 10)
        assert due.id == "a"


async def test_what_is_given_back_comes_again_at_once(bus: NatsBus) -> None:
    acme = await serving(bus, "acme", "front")
    await acme.schedule("front", [Later(id="a", run=1, at=soon(-1))])
    for _ in range(2):
        (due,) = await asyncio.wait_for(acme.due("front", 5), 10)
        assert due.id == "a"
        await acme.settle([due], taken=False)


async def test_a_forgotten_channel_has_no_schedules(bus: NatsBus, connect: Connect) -> None:
    acme = await serving(bus, "acme", "front", "back")
    for channel in ("front", "back"):
        await acme.schedule(channel, [Later(id="a", run=1, at=soon(1))])
        await acme.schedule(channel, [Later(id="b", run=1, at=soon(-1))])
    await asyncio.wait_for(acme.due("front", 5), 5)
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    await acme.forget_channel("front")
    assert await js.consumers_info("later") == []
    await acme.serve_channels(["back"])
    assert sorted(await take(acme, 2, channel="back")) == [("a", 1), ("b", 1)]
    async with asyncio.timeout(5):
        while (await js.stream_info("later")).state.messages:  # noqa: ASYNC110 - what is settled is not waited for
            await asyncio.sleep(0.01)


async def test_a_service_cannot_schedule_or_take_what_is_due(bus: NatsBus, connect: Connect) -> None:
    acme = await serving(bus, "acme", "front")
    await acme.schedule("front", [Later(id="a", run=1, at=soon(3600))])
    service = await connect("clinic-acme")
    js = service.jetstream(timeout=0.3)
    for forbidden in ("clinic.acme.channel.front.later.x", "clinic.acme.channel.front.due"):
        await service.publish(forbidden, b"{}")
    for attempt in (js.purge_stream("later"), js.delete_stream("later"), js.pull_subscribe("", "x", stream="later")):
        with pytest.raises(TimeoutError):
            await attempt
    plantao = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    assert (await plantao.stream_info("later")).state.messages == 1
    with pytest.raises(InvalidInputError, match="channel"):
        await acme.schedule("a.b", [])


async def test_what_is_no_schedule_of_ours_is_put_away(bus: NatsBus, connect: Connect) -> None:
    acme = await serving(bus, "acme", "front")
    plantao = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    await plantao.publish("clinic.acme.channel.front.due", b"nonsense")
    waiting = asyncio.create_task(acme.due("front", 10))
    async with asyncio.timeout(5):
        while (await plantao.stream_info("later")).state.messages:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await acme.schedule("front", [Later(id="a", run=1, at=soon(-1))])
    assert [one.id for one in await asyncio.wait_for(waiting, 5)] == ["a"]


async def test_more_schedules_than_the_quota_allows_are_refused_and_none_is_dropped(broker: EmbeddedBroker) -> None:
    bus = NatsBus(broker, retention=Retention(clinic_bytes=8 << 20, platform_bytes=SMALL.platform_bytes))
    await bus.start()
    acme = await serving(bus, "acme", "front")
    at = soon(3)
    refusals: list[str] = []
    accepted = 0
    while not refusals:
        batch = [Later(id=f"n:{accepted + number}", run=1, at=at) for number in range(50)]
        try:
            await acme.schedule("front", batch)
            accepted += 50
        except BusUnavailableError as error:
            refusals.append(str(error))
    assert "as many schedules" in refusals[0]
    assert accepted > 300
    found = await take(acme, accepted)
    assert len(set(found)) == accepted
    await acme.schedule("front", [Later(id="a", run=1, at=soon(-1))])
    assert await take(acme, 1) == [("a", 1)]
    await bus.stop(timeout=2)


async def test_what_is_purged_by_hand_while_its_channel_runs_is_set_again_and_woken(
    bus: NatsBus, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "LATE_S", 0.5)
    monkeypatch.setattr(schedules, "QUIET_S", 0.1)
    acme, bench, woken = await serving(bus, "acme", CHANNEL), Bench(), list[Accepted]()
    part = Schedules(replace(bench.context, bus=acme), lambda: 10, woken.extend)
    bench.handlers = part.handlers
    at = soon(2)
    bench.ledger.entries[CHANNEL, "a"] = Entry(accepted("a", not_before=at), state=CommandState.SCHEDULED)
    part.open()
    part.add([Later(id="a", run=1, at=at)])
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    async with asyncio.timeout(20):
        while not (await js.stream_info("later")).state.messages:
            await bench.run()
        await js.purge_stream("later", subject=subject("acme", CHANNEL, "a", b""))
        assert not (await js.stream_info("later")).state.messages
        while not woken:
            await bench.run()
            await asyncio.sleep(0.05)
            if "late" in bench.timers and datetime.now(UTC) > at + timedelta(seconds=0.5):
                await bench.fire("late")
    assert [each.command.id for each in woken] == ["a"]
    part.close()
    await bench.loop.end()
