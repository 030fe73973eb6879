from collections.abc import AsyncIterator

import pytest

from actors.channel.leftover import Found, Leftover
from protocol.port import SendAnswered, Sent
from tests.fakes.scripted_port import AT
from tests.unit.actors.channel.bench import CHANNEL, Bench
from tests.unit.actors.channel.heard import message


class Heir(Bench):
    """The part that reads what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Found] = []
        self.part = Leftover(self.context, self.found.append)
        self.handlers = self.part.handlers

    async def look(self) -> Found:
        self.part.look()
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
    assert await heir.look() == Found(answered=((1, answered),), inbound=(record,), traced=0, row=0)


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


async def test_it_is_tried_until_it_can_be_read(heir: Heir) -> None:
    heir.remains.failing = True
    heir.part.look()
    await heir.run()
    await heir.fire("leftover")
    trouble = heir.part.trouble
    heir.remains.failing = False
    await heir.fire("leftover")
    assert (trouble, heir.part.trouble, len(heir.found)) == ("session store: disk I/O error", None, 1)
