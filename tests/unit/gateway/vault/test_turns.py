import asyncio
import threading
from collections.abc import Callable

import pytest

from gateway.vault.turns import Turns
from protocol.errors import StoreUnavailableError


def turns(at_once: int = 8, *, patience_s: float = 5.0) -> Turns:
    return Turns("the store", threading.Semaphore(at_once), patience_s=patience_s)


async def leave_behind(here: Turns, work: Callable[[], object]) -> None:
    """Begin ``work``, and be cancelled while it runs."""
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def begin() -> None:
        loop.call_soon_threadsafe(begun.set)
        work()

    left = asyncio.create_task(here.do(begin))
    await begun.wait()
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left


async def test_it_gives_what_the_work_returns_or_raises() -> None:
    here = turns()
    assert await here.do(lambda: threading.current_thread().name) == "vault"

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await here.do(fail)
    assert await here.do(lambda: 1) == 1


async def test_work_is_done_one_after_another_in_the_order_asked_for() -> None:
    here, done = turns(), list[int]()
    running = threading.Semaphore(1)

    def work(number: int) -> Callable[[], None]:
        def run() -> None:
            assert running.acquire(blocking=False)
            done.append(number)
            running.release()

        return run

    await asyncio.gather(*(here.do(work(number)) for number in range(20)))
    assert done == list(range(20))


async def test_what_was_left_behind_is_waited_for() -> None:
    here, go, done = turns(), threading.Event(), list[str]()

    def first() -> None:
        go.wait(5)
        done.append("first")

    await leave_behind(here, first)
    second = asyncio.create_task(here.do(lambda: done.append("second")))
    await asyncio.sleep(0)
    go.set()
    await second
    assert done == ["first", "second"]


async def test_what_hangs_is_not_waited_for_for_ever() -> None:
    here, go = turns(patience_s=0.01), threading.Event()
    await leave_behind(here, lambda: go.wait(5))
    with pytest.raises(StoreUnavailableError, match="the store cannot be used: earlier work on it hangs"):
        await here.do(lambda: None)
    go.set()


async def test_not_more_is_done_at_once_than_may_be() -> None:
    at_once = threading.Semaphore(2)
    lock, running, most = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.005)
        with lock:
            running -= 1

    await asyncio.gather(*(Turns(f"store {n}", at_once).do(work) for n in range(8)))
    assert most == 2
