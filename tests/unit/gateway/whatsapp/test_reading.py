"""Reads that may hang."""

import asyncio
import threading

import pytest

from gateway.whatsapp.reading import Reader
from protocol.errors import StoreUnavailableError


def fail() -> None:
    raise OSError("no such disk")


async def test_what_is_read_or_raised_is_given_back() -> None:
    reader = Reader("it")
    assert await reader.read(lambda: 1) == 1
    with pytest.raises(OSError, match="no such disk"):
        await reader.read(fail)
    assert await reader.read(lambda: 2) == 2, "and on it goes"


async def test_one_at_a_time_in_the_order_asked_for() -> None:
    reader = Reader("it")
    release = threading.Event()
    done: list[int] = []
    first = asyncio.create_task(reader.read(lambda: done.append(1) if release.wait() else None))
    others = [asyncio.create_task(reader.read(lambda each=each: done.append(each))) for each in (2, 3)]  # type: ignore[misc]
    await asyncio.sleep(0)
    assert done == []
    release.set()
    await asyncio.gather(first, *others)
    assert done == [1, 2, 3]


async def test_while_one_hangs_that_nobody_waits_for_others_are_refused() -> None:
    reader = Reader("the store")
    release = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await reader.read(release.wait)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="the store cannot be read: an earlier read of it hangs"):
            await reader.read(fail)
    release.set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await reader.read(lambda: 1) == 1
                return
            except StoreUnavailableError:
                await asyncio.sleep(0)


async def test_without_a_thread_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    reader = Reader("it")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(StoreUnavailableError, match="can't start new thread"):
            await reader.read(lambda: 1)
    assert await reader.read(lambda: 1) == 1
