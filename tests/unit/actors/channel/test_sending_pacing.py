"""Pacing as the sending part goes by it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest

from actors.channel.pacing import PacingPolicy
from protocol.port import ShowPresence
from tests.fakes.memory_bus import body_of
from tests.fakes.scripted_port import Anything, obliging
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.commands import AT, failed
from tests.unit.actors.channel.mouth import Clock, Mouth

pytestmark = pytest.mark.usefixtures("clock")

OPEN = PacingPolicy(quiet_from=time(0), quiet_until=time(0), warm_up=(), burst=1000)
"""Holds nobody but by its caps. The test begins at 21:00 of the clinic's time."""


@pytest.fixture
async def mouths() -> AsyncIterator[list[Mouth]]:
    mouths: list[Mouth] = []
    yield mouths
    for mouth in mouths:
        await mouth.loop.end()


async def start(mouths: list[Mouth], before: Mouth | None = None, **policy: Any) -> Mouth:
    mouths.append(await Mouth(before, pacing=replace(OPEN, **policy)).start())
    return mouths[-1]


def to(number: int, **fields: Any) -> bytes:
    return body_of(id=str(number), text=str(number), to=f"55119000000{number:02}", **fields)


async def test_the_bucket_is_waited_for(mouths: list[Mouth], clock: Clock) -> None:
    mouth = await start(mouths, burst=2, per_minute=20.0)
    await mouth.send(*(to(number) for number in range(4)))
    assert (mouth.sent, mouth.timers["outbox"][0]) == (["0", "1"], 3.0)
    for _ in range(2):
        clock.seconds += 3.0
        await mouth.fire("outbox")
    assert mouth.sent == ["0", "1", "2", "3"]


async def test_a_restriction_holds_new_contacts_at_the_cost_of_no_attempt_and_lets_others_go(
    mouths: list[Mouth], clock: Clock
) -> None:
    mouth = await start(mouths)
    mouth.ledger.person(CHANNEL, "5511900000002@s.whatsapp.net").contact = replace(
        mouth.ledger.person(CHANNEL, "x").contact, last_in=AT - timedelta(days=3)
    )

    async def answer(request: Anything) -> Any:
        return failed("restricted") if not request.to.startswith("5511900000002") else await obliging(request)  # type: ignore[union-attr]  # sends

    mouth.port.answer = answer
    await mouth.send(to(1))
    await mouth.send(to(2), to(3))
    assert mouth.sent == ["1", "2"], "3 is new, and not tried"
    assert mouth.results == [("2", "sent")]
    assert mouth.part.conditions.restricted_until == clock.utc_now() + timedelta(hours=6)
    assert (mouth.state("1"), mouth.ledger.entry(CHANNEL, "1").accepted.attempts) == ("waiting", 0)
    assert mouth.part.conditions.new_today == 0
    mouth.port.answer = obliging
    mouth.part.wrote(["5511900000003@s.whatsapp.net"], None)
    await mouth.run()
    assert mouth.results[1:] == [("3", "sent")], "who writes is no new contact any more"
    clock.seconds += 6 * 3600
    await mouth.fire("outbox")
    assert mouth.results[2:] == [("1", "sent")]
    assert mouth.bus.results()[-1].attempts == 1


async def test_a_restart_gives_no_second_allowance(mouths: list[Mouth]) -> None:
    mouth = await start(mouths, per_day=2)
    await mouth.send(*(to(number) for number in range(3)))
    assert len(mouth.sent) == 2
    after = await start(mouths, mouth, per_day=2)
    assert (after.sent, after.part.conditions.sent_today) == ([], 2)


async def test_other_rules_hold_at_once(mouths: list[Mouth]) -> None:
    mouth = await start(mouths, per_day=1)
    await mouth.send(to(1), to(2))
    assert mouth.sent == ["1"]
    mouth.part.configure(replace(mouth.policy, pacing=replace(OPEN, per_day=2)))
    await mouth.run()
    assert mouth.sent == ["1", "2"]


async def test_what_was_not_sent_is_given_back(mouths: list[Mouth], clock: Clock) -> None:
    mouth = await start(mouths, per_day=1)

    async def answer(_: Anything) -> Any:
        return failed("not_connected")

    mouth.port.answer = answer
    await mouth.send(to(1))
    assert mouth.part.conditions.sent_today == 0
    mouth.port.answer = obliging
    clock.seconds += 1.0
    await mouth.fire("outbox")
    assert (mouth.results, mouth.part.conditions.sent_today) == ([("1", "sent")], 1)


async def test_a_chat_held_in_quiet_hours_lets_its_high_priority_pass(mouths: list[Mouth]) -> None:
    mouth = await start(mouths, quiet_from=time(20), quiet_until=time(8))
    mouth.bus.put(CHANNEL, to(1))
    await mouth.run()
    assert mouth.sent == []
    mouth.part.wrote(["5511900000001@s.whatsapp.net"], None)
    await mouth.run()
    assert mouth.sent == ["1"]


async def test_what_pacing_holds_wakes_no_channel_that_is_at_rest(mouths: list[Mouth], clock: Clock) -> None:
    mouth = await start(mouths, quiet_from=time(20), quiet_until=time(22))
    mouth.part.use(None)
    await mouth.send(to(1))
    looks = [mouth.part.waiting]
    assert mouth.timers["outbox"][0] <= 900.0
    clock.seconds += 3600.0
    looks.append(mouth.part.waiting)
    assert looks == [False, True]
    assert mouth.part.conditions.sent_today == 0, "nothing is counted by looking"


async def test_typing_is_shown_before_a_text(mouths: list[Mouth]) -> None:
    mouth = await start(mouths, typing_per_s=1000.0)
    await mouth.send(to(1))
    while not mouth.results:
        await mouth.run()
    assert [type(call).__name__ for call in mouth.port.calls] == ["ShowPresence", "SendText"]
    assert mouth.port.calls[0] == ShowPresence(presence="typing", chat="5511900000001@s.whatsapp.net")


async def test_a_port_that_cannot_show_it_sends_all_the_same(mouths: list[Mouth]) -> None:
    mouth = await start(mouths, typing_per_s=1000.0)
    mouth.part.use(None)
    mouth.part.use(mouth.port)
    mouth.port.die()
    await mouth.send(to(1))
    while mouth.part.flying:
        await mouth.run()
    assert (mouth.state("1"), mouth.sent) == ("waiting", [])
