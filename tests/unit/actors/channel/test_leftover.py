from collections.abc import AsyncIterator

import pytest

from actors.channel.leftover import Found, Leftover, prune
from actors.channel.restoring import Restored
from protocol.port import Sent
from protocol.port_events import SendAnswered
from protocol.vault import Restoration
from tests.fakes.scripted_port import AT
from tests.fakes.scripted_remains import DEVICE
from tests.unit.actors.channel.bench import CHANNEL, Bench
from tests.unit.actors.channel.heard import message

KEPT = Restored(Restoration.KEPT, paired=True, device=DEVICE)
STALE = Restored(Restoration.STALE, paired=True, device=DEVICE)


class Heir(Bench):
    """The part that reads what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Found] = []
        self.part = Leftover(self.context, self.found.append)
        self.handlers = self.part.handlers

    async def look(self, restored: Restored = KEPT) -> Found:
        self.part.look(restored)
        await self.run()
        return self.found[-1]


@pytest.fixture
async def heir() -> AsyncIterator[Heir]:
    heir = Heir()
    yield heir
    await heir.loop.end()


async def test_outcomes_of_sends_and_what_came_in_are_told_apart(heir: Heir) -> None:
    answered = SendAnswered(key="1:a", answer=Sent(wa_id="WA", at=AT))
    heir.remains.write(answered)
    record = heir.remains.write(message("A"))
    assert await heir.look() == Found(answered=((1, answered),), inbound=(record,), traced=0, row=0, device=DEVICE)


async def test_the_first_look_ever_is_the_base(heir: Heir) -> None:
    heir.remains.trace("A", b"")
    found = await heir.look()
    assert (found.traced, found.row, heir.ledger.channel(CHANNEL).traced) == (1, 1, 1)


@pytest.mark.parametrize(("before", "traced"), [(1, 1), (2, 2), (9, 2)])
async def test_traces_are_looked_at_from_where_they_were_left_or_anew_in_another_store(
    heir: Heir, before: int, traced: int
) -> None:
    heir.ledger.channel(CHANNEL).traced = before
    heir.remains.trace("A", b"")
    heir.remains.trace("B", b"")
    found = await heir.look()
    assert (found.traced, found.row, heir.ledger.channel(CHANNEL).traced) == (traced, 2, traced)


async def test_in_a_store_that_was_restored_from_before_new_traces_take_the_places_of_those_that_are_gone(
    heir: Heir,
) -> None:
    heir.ledger.channel(CHANNEL).traced = 9
    heir.remains.trace("A", b"")
    found = await heir.look(STALE)
    assert (found.traced, found.row, found.device, found.whole) == (1, 1, DEVICE, False)
    heir.remains.trace("B", b"")
    found = await heir.look()
    assert (found.traced, found.row) == (1, 2), "the new one is yet to be accounted for"


async def test_in_a_store_that_was_restored_from_before_what_was_not_accounted_for_still_is_not(heir: Heir) -> None:
    heir.ledger.channel(CHANNEL).traced = 1
    for wa_id in ("A", "B", "C"):
        heir.remains.trace(wa_id, b"")
    found = await heir.look(STALE)
    assert (found.traced, found.row) == (1, 3)


async def test_it_is_tried_until_it_can_be_read(heir: Heir) -> None:
    heir.remains.failing = True
    heir.part.look(KEPT)
    await heir.run()
    await heir.fire("leftover")
    trouble = heir.part.trouble
    heir.remains.failing = False
    await heir.fire("leftover")
    assert (trouble, heir.part.trouble, len(heir.found)) == ("session store: disk I/O error", None, 1)


async def test_traces_of_another_store_are_not_old(heir: Heir) -> None:
    heir.remains.trace("A", b"")
    await prune(heir.context, 2)
    assert heir.remains.pruned == []
    await prune(heir.context, 1)
    assert heir.remains.pruned == [1]


async def test_a_store_that_cannot_be_read_stops_nothing(heir: Heir) -> None:
    heir.remains.failing = True
    await prune(heir.context, 1)
    assert heir.remains.pruned == []
