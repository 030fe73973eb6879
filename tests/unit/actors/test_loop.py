import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from actors.loop import AsyncioLoop, LoopEndedError, LoopOwner
from protocol.interfaces import Failure
from supervisor.actor import ShutDown, tell
from supervisor.reasons import Crash, Shutdown
from tests.fakes.parent import PATIENCE_S, Parent


class Desk:
    """A loop, and what it delivered."""

    def __init__(self) -> None:
        self.loop = AsyncioLoop()
        self.ended = threading.Event()
        self.loop.start(self.ended.set)
        self._delivered: SimpleQueue[Any] = SimpleQueue()

    def spawn(self, work: Any, timeout: float = PATIENCE_S) -> Any:
        return self.loop.spawn(work, self._delivered.put, timeout=timeout)

    def next(self) -> Any:
        return self._delivered.get(timeout=PATIENCE_S)

    def failure(self) -> BaseException:
        outcome = self.next()
        assert isinstance(outcome, Failure)
        return outcome.error


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.loop.stop()
    assert desk.ended.wait(PATIENCE_S)


async def say(word: str) -> str:
    await asyncio.sleep(0)
    return word


async def hang() -> None:
    await asyncio.Event().wait()


async def fail(error: BaseException) -> None:
    raise error


def test_work_runs_on_the_loops_thread_and_its_outcome_is_delivered_there(desk: Desk) -> None:
    threads: SimpleQueue[str] = SimpleQueue()

    async def work() -> None:
        threads.put(threading.current_thread().name)

    desk.loop.spawn(work(), lambda _: threads.put(threading.current_thread().name), timeout=PATIENCE_S)
    assert [threads.get(timeout=PATIENCE_S) for _ in range(2)] == ["loop", "loop"]
    desk.spawn(say("hello"))
    assert desk.next() == "hello"


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()])
def test_what_work_raises_is_delivered_and_harms_nobody(desk: Desk, error: BaseException) -> None:
    desk.spawn(fail(error))
    assert desk.failure() is error
    desk.spawn(say("still here"))
    assert desk.next() == "still here"


def test_work_that_takes_too_long_is_a_timeout(desk: Desk) -> None:
    desk.spawn(hang(), timeout=0.01)
    assert isinstance(desk.failure(), TimeoutError)


def test_what_work_held_that_took_too_long_goes_with_its_outcome_not_with_the_garbage(desk: Desk) -> None:
    class Media:
        def __del__(self) -> None:
            gone.set()

    async def fetch(media: Media) -> Media:
        await hang()
        return media

    gone = threading.Event()
    gc.disable()
    try:
        desk.spawn(fetch(Media()), timeout=0.01)
        assert isinstance(desk.failure(), TimeoutError)
        desk.spawn(say("it is over"))
        assert desk.next() == "it is over"
        assert gone.wait(PATIENCE_S)
    finally:
        gc.enable()


def test_work_under_way_can_be_cancelled(desk: Desk) -> None:
    begun = threading.Event()

    async def work() -> None:
        begun.set()
        await hang()

    cancel = desk.spawn(work())
    assert begun.wait(PATIENCE_S)
    cancel()
    assert isinstance(desk.failure(), asyncio.CancelledError)
    cancel()


def test_work_cancelled_before_it_began_is_delivered_as_cancelled(desk: Desk) -> None:
    blocked, go_on = threading.Event(), threading.Event()

    async def block() -> None:
        blocked.set()
        assert go_on.wait(PATIENCE_S)

    desk.loop.spawn(block(), lambda _: None, timeout=PATIENCE_S)
    assert blocked.wait(PATIENCE_S)
    desk.spawn(hang())()
    go_on.set()
    assert isinstance(desk.failure(), asyncio.CancelledError)


def test_a_cancel_that_meets_the_beginning_of_the_work_is_not_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = desk.loop._loop
    create_task = loop.create_task
    cancels: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def cancelled_just_before(work: Any) -> Any:
        cancels.get(timeout=PATIENCE_S)()
        return create_task(work)

    monkeypatch.setattr(loop, "create_task", cancelled_just_before)
    cancels.put(desk.spawn(hang()))
    assert isinstance(desk.failure(), asyncio.CancelledError)


def test_work_given_to_a_loop_that_has_ended_is_cancelled_at_once(desk: Desk) -> None:
    desk.loop.stop()
    cancel = desk.spawn(hang())
    assert isinstance(desk.failure(), asyncio.CancelledError)
    cancel()


def test_the_end_of_the_loop_cancels_what_still_runs(desk: Desk) -> None:
    for _ in range(3):
        desk.spawn(hang())
    desk.spawn(say("all begun"))
    assert desk.next() == "all begun"
    desk.loop.stop()
    assert all(isinstance(desk.failure(), asyncio.CancelledError) for _ in range(3))
    desk.loop.stop()


def test_the_loops_owner_starts_it_and_ends_it() -> None:
    parent, loop = Parent(), AsyncioLoop()
    ref = LoopOwner.start(parent.link, loop)
    parent.wait_started()
    outcome: SimpleQueue[Any] = SimpleQueue()
    loop.spawn(say("hello"), outcome.put, timeout=PATIENCE_S)
    assert outcome.get(timeout=PATIENCE_S) == "hello"
    tell(ref, ShutDown())
    assert parent.wait_exit() == Shutdown()


def test_the_loops_owner_crashes_when_the_loop_ends_by_itself() -> None:
    parent, loop = Parent(), AsyncioLoop()
    LoopOwner.start(parent.link, loop)
    parent.wait_started()
    loop.stop()
    reason = parent.wait_exit()
    assert isinstance(reason, Crash)
    assert isinstance(reason.error, LoopEndedError)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("step", ["shutdown_asyncgens", "shutdown_default_executor"])
def test_the_loops_owner_hears_of_its_end_even_if_tidying_up_fails(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parent, loop = Parent(), AsyncioLoop()
    LoopOwner.start(parent.link, loop)
    parent.wait_started()
    monkeypatch.setattr(loop._loop, step, lambda: fail(RuntimeError("generator ignored its end")))
    loop.stop()
    reason = parent.wait_exit()
    assert isinstance(reason, Crash)
    assert isinstance(reason.error, LoopEndedError)
    assert loop._loop.is_closed()
