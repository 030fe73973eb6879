import asyncio
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.turns import Turns


class Queue:
    """Who has a turn, in the order in which it was given."""

    def __init__(self, at_once: int) -> None:
        self.turns = Turns(at_once)
        self.given: list[str] = []
        self._having: list[tuple[str, asyncio.Event, asyncio.Task[None]]] = []

    @property
    def held(self) -> Counter[str]:
        return Counter(clinic for clinic, _, task in self._having if self.has(task))

    def has(self, task: asyncio.Task[None]) -> bool:
        return task.get_name() == "has" and not task.done()

    async def ask(self, clinic: str, times: int = 1) -> None:
        for _ in range(times):
            end = asyncio.Event()
            self._having.append((clinic, end, asyncio.create_task(self._take(clinic, end))))
        await rest()

    async def _take(self, clinic: str, end: asyncio.Event) -> None:
        async with self.turns.of(clinic):
            task = asyncio.current_task()
            assert task is not None
            task.set_name("has")
            self.given.append(clinic)
            await end.wait()

    async def end(self, clinic: str) -> None:
        """One of the clinic's turns ends."""
        next(end for of, end, task in self._having if of == clinic and self.has(task) and not end.is_set()).set()
        await rest()

    async def give_up(self, which: int) -> None:
        """Whoever asked is cancelled, whether it has its turn or waits."""
        task = self._having[which % len(self._having)][2]
        task.cancel()
        await rest()

    async def all_end(self) -> None:
        for _, end, _ in self._having:
            end.set()
        for _, _, task in self._having:
            with suppress(asyncio.CancelledError):
                await task


async def rest() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


async def test_a_clinic_has_as_many_as_it_leaves_to_others() -> None:
    queue = Queue(8)
    await queue.ask("flood", 100)
    assert queue.held == {"flood": 4}
    await queue.ask("north", 100)
    assert queue.held == {"flood": 4, "north": 2}
    await queue.ask("south")
    assert queue.held == {"flood": 4, "north": 2, "south": 1}
    await queue.all_end()


async def test_who_has_none_is_next_however_many_wait_before_it() -> None:
    queue = Queue(1)
    await queue.ask("flood", 100)
    await queue.ask("north")
    await queue.end("flood")
    assert queue.given == ["flood", "north"]
    await queue.all_end()


async def test_clinics_that_have_as_many_take_turns() -> None:
    queue = Queue(1)
    for clinic in ("north", "south", "west"):
        await queue.ask(clinic, 2)
    for clinic in ("north", "south", "west") * 2:
        await queue.end(clinic)
    assert queue.given == ["north", "south", "west"] * 2


async def test_who_is_cancelled_in_the_moment_of_its_turn_gives_it_back() -> None:
    queue = Queue(1)
    await queue.ask("north")
    await queue.ask("south")
    (_, end, _), (_, _, waiting) = queue._having
    end.set()
    await asyncio.sleep(0)
    waiting.cancel()
    await rest()
    await queue.ask("west")
    assert queue.held == {"west": 1}
    await queue.all_end()


async def test_who_waits_no_more_leaves_nothing() -> None:
    queue = Queue(1)
    await queue.ask("north")
    await queue.ask("south", 2)
    await queue.give_up(1)
    await queue.give_up(2)
    assert not queue.turns._waiting
    await queue.all_end()


ASKS = st.tuples(st.just("ask"), st.sampled_from("abc"))
ENDS = st.tuples(st.just("end"), st.sampled_from("abc"))
GIVEN_UP = st.tuples(st.just("give up"), st.integers(0, 100))


@given(at_once=st.integers(1, 6), steps=st.lists(ASKS | ENDS | GIVEN_UP, max_size=40))
def test_there_are_never_too_many_and_nobody_waits_for_nothing(
    at_once: int, steps: list[tuple[str, str | int]]
) -> None:
    async def run() -> None:
        queue = Queue(at_once)
        for what, who in steps:
            if what == "ask":
                await queue.ask(str(who))
            elif what == "end" and queue.held[str(who)]:
                await queue.end(str(who))
            elif what == "give up" and queue._having:
                await queue.give_up(int(who))
            held = queue.held
            free = at_once - held.total()
            assert free >= 0
            waiting = {clinic for clinic, _, task in queue._having if not task.done() and not queue.has(task)}
            assert all(held[clinic] >= free for clinic in waiting)
        await queue.all_end()
        await queue.ask("d", at_once)
        assert queue.held == {"d": max(1, at_once // 2 + at_once % 2)}
        await queue.all_end()

    asyncio.run(run())


@pytest.mark.parametrize(("at_once", "one"), [(1, 1), (2, 1), (3, 2), (16, 8)])
async def test_what_one_clinic_has_at_most(at_once: int, one: int) -> None:
    queue = Queue(at_once)
    await queue.ask("flood", 100)
    assert queue.held == {"flood": one}
    await queue.all_end()
