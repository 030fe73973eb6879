"""Nothing of a process group outlives its leader, however that ended."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import pytest

from supervisor.process import ChildProcess
from tests.unit.supervisor.processes import WAIT, Spoken, members, stat

FAMILY = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        if os.fork() == 0:
            print(os.getpid(), flush=True)
        time.sleep(60)
        os._exit(0)
sys.stdin.read() if "stay" in sys.argv else time.sleep(60)
"""
"""A leader with three children and three grandchildren, all of them deaf to SIGTERM; each grandchild says who it is."""


async def family() -> tuple[Spoken, set[int]]:
    """A leader, and all of its group."""
    spoken = Spoken([sys.executable, "-c", FAMILY])
    for _ in range(3):
        await spoken.line()
    found = members(spoken.process.pid)
    assert len(found) == 7
    return spoken, found


async def killed_by_us(process: ChildProcess) -> None:
    process.kill("enough")


async def asked_to_end(process: ChildProcess) -> None:
    await process.end(timeout=0.05)


async def killed_from_outside(process: ChildProcess) -> None:
    os.kill(process.pid, signal.SIGKILL)


async def stopped_and_ended(process: ChildProcess) -> None:
    os.killpg(process.pid, signal.SIGSTOP)
    await process.end(timeout=0.05)


async def crashed(process: ChildProcess) -> None:
    os.kill(process.pid, signal.SIGSEGV)


@pytest.mark.parametrize("end", [killed_by_us, asked_to_end, killed_from_outside, stopped_and_ended, crashed])
async def test_the_whole_family_is_gone_and_reaped(end: Callable[[ChildProcess], Awaitable[None]]) -> None:
    spoken, found = await family()
    await end(spoken.process)
    await asyncio.wait_for(spoken.process.ended(), WAIT)
    assert members(spoken.process.pid) == set()
    assert [pid for pid in found if stat(pid) is not None] == []
    await spoken.close()


async def test_what_a_leader_leaves_that_ends_by_itself_is_gone() -> None:
    spoken = Spoken(["sh", "-c", "sleep 60 & sleep 60 & exit 0"])
    assert str(await asyncio.wait_for(spoken.process.ended(), WAIT)) == "ended with status 0"
    assert members(spoken.process.pid) == set()
    await spoken.close()


async def test_an_orphan_that_ended_before_its_leader_is_reaped_with_it() -> None:
    spoken = Spoken(["sh", "-c", "(sleep 60 & echo $!); exec sleep 60"])
    orphan = int(await spoken.line())
    await until(orphan, parent=os.getpid(), state="S")
    os.kill(orphan, signal.SIGKILL)
    await until(orphan, parent=os.getpid(), state="Z")
    await spoken.close()
    assert stat(orphan) is None


async def until(pid: int, *, parent: int, state: str) -> None:
    """Wait for a process that tells nobody."""
    async with asyncio.timeout(WAIT):
        while (fields := stat(pid)) is not None and fields[:2] != [state, str(parent)]:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_who_has_left_the_group_goes_on() -> None:
    script = "import os, time\nif os.fork() == 0: os.setsid(); print(os.getpid(), flush=True)\ntime.sleep(60)"
    spoken = Spoken([sys.executable, "-c", script])
    left = int(await spoken.line())
    spoken.process.kill("enough")
    await asyncio.wait_for(spoken.process.ended(), WAIT)
    assert members(left) == {left}
    process = ChildProcess(left)
    process.kill("enough")
    await asyncio.wait_for(process.ended(), WAIT)
    await spoken.close()
