"""The life of a child process: started, ready, heard from, ended. Its group has tests of its own, and its reason's text
too."""

import asyncio
import errno
import gc
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from supervisor import process as process_module
from supervisor.heartbeat import Heartbeat
from supervisor.pidfd import Pidfd
from supervisor.process import ChildProcess, ProcessExit, ProcessStartError, ProcessStuckError
from tests.unit.supervisor.processes import WAIT, Spoken, descriptors, stat

SLEEP = ["sleep", "60"]
DEAF = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 60; done"]
FAST = Heartbeat(every=0.05, silence=0.3)

Speak = Callable[..., Spoken]


@pytest_asyncio.fixture
async def speak() -> AsyncIterator[Speak]:
    """Starts processes that are gone after the test."""
    made: list[Spoken] = []

    def make(*command: str, said: Callable[[], str] = lambda: "") -> Spoken:
        made.append(Spoken(command, said=said))
        return made[-1]

    yield make
    for spoken in made:
        await spoken.close()


async def end_of(process: ChildProcess) -> ProcessExit:
    return await asyncio.wait_for(process.ended(), WAIT)


def spawned() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(SLEEP)


def is_thread(task: int) -> bool:
    return Path(f"/proc/self/task/{task}").exists()


def is_running(pid: int) -> bool:
    fields = stat(pid)
    return fields is not None and fields[0] not in "ZX"


# -- the reason --


async def test_what_ends_by_itself_tells_its_status_and_its_last_words(speak: Speak) -> None:
    ended = await end_of(speak("sh", "-c", "exit 3", said=lambda: "no luck").process)
    assert ended == ProcessExit(status=3, said="no luck")


async def test_its_status_is_not_lost_to_another_start(speak: Speak) -> None:
    first = speak("sh", "-c", "exit 3").process
    gc.collect()
    with Pidfd(first.pid) as handle:
        select.select([handle], [], [])  # the loop itself must not see it yet
    speak(*SLEEP)
    assert await end_of(first) == ProcessExit(status=3)


async def test_what_is_killed_from_outside_tells_the_signal(speak: Speak) -> None:
    process = speak(*SLEEP).process
    os.kill(process.pid, signal.SIGKILL)
    assert await end_of(process) == ProcessExit(signal=9)
    assert process.exit == ProcessExit(signal=9)


# -- starting --


async def test_it_starts_in_a_session_of_its_own_with_nothing_of_ours_but_what_it_is_given() -> None:
    kept, passed = os.pipe()
    os.set_inheritable(kept, True)
    script = (
        "import os; numbers = os.listdir('/proc/self/fd'); "
        "print(sorted(int(n) for n in numbers if os.path.exists(f'/proc/self/fd/{n}')), os.environ['WORD'], flush=True)"
    )
    spoken = Spoken([sys.executable, "-c", script], env={"WORD": "yes"}, pass_fds=[passed])
    assert await spoken.line() == f"[0, 1, 2, {passed}] yes"
    assert spoken.process.pid != os.getpgrp()
    await spoken.close()
    os.close(kept)
    os.close(passed)


async def test_it_leads_its_group_and_its_session(speak: Speak) -> None:
    pid = speak(*SLEEP).process.pid
    fields = stat(pid)
    assert fields is not None
    assert [int(field) for field in fields[1:4]] == [os.getpid(), pid, pid]


async def test_a_program_that_is_not_there_leaves_nothing() -> None:
    before = descriptors()
    with pytest.raises(FileNotFoundError):
        ChildProcess.start(["/nonexistent/program"])
    assert descriptors() == before


async def test_without_a_descriptor_to_watch_it_by_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    born: list[int] = []

    def full(pid: int) -> int:
        born.append(pid)
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "pidfd_open", full)
    with pytest.raises(OSError, match="too many"):
        ChildProcess.start(SLEEP)
    assert stat(born[0]) is None


async def test_it_outlives_the_thread_that_started_it() -> None:
    started: list[tuple[int, int]] = []

    async def start() -> None:
        started.append((ChildProcess.start(SLEEP).pid, threading.get_native_id()))

    thread = threading.Thread(target=lambda: asyncio.run(start()))
    thread.start()
    thread.join()
    pid, task = started[0]
    while is_thread(task):  # noqa: ASYNC110 - the kernel tells nobody
        await asyncio.sleep(0)
    assert is_running(pid)
    process = ChildProcess(pid)
    process.kill("seen")
    assert (await end_of(process)).killed_for == "seen"


# -- adopting --


async def test_a_child_that_was_handed_over_is_like_any_other(speak: Speak) -> None:
    script = "import os, time\nif os.fork() == 0: os.setsid(); print(os.getpid(), flush=True)\ntime.sleep(60)"
    parent = speak(sys.executable, "-c", script)
    process = ChildProcess(int(await parent.line()))
    os.kill(parent.process.pid, signal.SIGKILL)
    await end_of(parent.process)
    assert process.exit is None
    assert str(await process.end(timeout=WAIT)) == "was killed by signal 15"
    assert stat(process.pid) is None


async def test_what_somebody_else_has_reaped_ends_too() -> None:
    other = spawned()
    process = ChildProcess(other.pid)
    other.terminate()
    other.wait()
    assert await end_of(process) == ProcessExit()
    with pytest.raises(ProcessLookupError):
        ChildProcess(other.pid)


# -- ready --


async def test_the_owner_says_when_it_is_ready_and_with_what(speak: Speak) -> None:
    spoken = speak("sh", "-c", "echo 4222; exec sleep 60")
    assert await spoken.process.until_ready(spoken.line(), timeout=WAIT) == "4222"
    assert spoken.process.exit is None


async def test_what_ends_before_it_is_ready_says_why(speak: Speak) -> None:
    process = speak("sh", "-c", "exit 1", said=lambda: "port taken").process
    with pytest.raises(ProcessStartError, match="it ended with status 1; it said: port taken") as raised:
        await process.until_ready(asyncio.get_running_loop().create_future(), timeout=WAIT)
    assert raised.value.exit == process.exit == ProcessExit(status=1, said="port taken")


async def test_what_is_not_ready_in_time_is_killed(speak: Speak) -> None:
    process = speak(*DEAF, said=lambda: "loading").process
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(ProcessStartError, match=r"it was killed: not ready within 0\.05 s; it said: loading"):
        await process.until_ready(ready, timeout=0.05)
    assert process.exit is not None
    assert ready.cancelled()


async def test_a_start_that_is_given_up_leaves_nothing(speak: Speak) -> None:
    spoken = speak(*DEAF)
    starting = asyncio.create_task(spoken.process.until_ready(asyncio.get_running_loop().create_future(), timeout=WAIT))
    await spoken.line()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert spoken.process.exit is not None


async def test_a_handshake_that_fails_ends_the_process(speak: Speak) -> None:
    process = speak(*SLEEP).process

    async def handshake() -> None:
        raise ValueError("said nonsense")

    with pytest.raises(ValueError, match="nonsense"):
        await process.until_ready(handshake(), timeout=WAIT)
    assert process.exit is not None


# -- heartbeat --


async def test_what_is_not_heard_from_is_killed(speak: Speak) -> None:
    spoken = speak("sh", "-c", "while :; do echo word; sleep 0.02; done")
    asked: list[None] = []
    spoken.process.beat(lambda: asked.append(None), replace(FAST, silence=2.0))
    for _ in range(30):
        await spoken.line()
        spoken.process.heard()
    assert spoken.process.exit is None
    os.killpg(spoken.process.pid, signal.SIGSTOP)
    assert str(await end_of(spoken.process)) == "was killed: no heartbeat for 2 s"
    assert len(asked) > 6


async def test_it_is_not_killed_because_our_loop_was_late(speak: Speak) -> None:
    process = speak(*SLEEP).process
    asked = 0
    enough = asyncio.Event()

    def stand_still() -> None:
        """For so long that the next beat is late."""
        nonlocal asked
        asked += 1
        if asked <= 8:
            threading.Event().wait(FAST.every * 2.4)
        else:
            enough.set()

    process.beat(stand_still, FAST)
    await asyncio.wait_for(enough.wait(), WAIT)
    assert process.exit is None
    assert (await end_of(process)).killed_for == "no heartbeat for 0.3 s"


async def test_what_is_gone_is_not_asked_any_more(speak: Speak) -> None:
    process = speak(*SLEEP).process
    asked: list[None] = []
    process.beat(lambda: asked.append(None), Heartbeat(every=0.01, silence=60.0))
    process.kill("enough")
    await end_of(process)
    count = len(asked)
    await asyncio.sleep(0.05)
    assert len(asked) == count


# -- ending --


async def test_it_is_asked_to_end(speak: Speak) -> None:
    spoken = speak("sh", "-c", "trap 'echo bye; exit 5' TERM; echo here; while :; do sleep 0.01; done")
    await spoken.line()
    assert await spoken.process.end(timeout=WAIT) == ProcessExit(status=5)
    assert await spoken.line() == "bye"
    assert await spoken.process.end(timeout=WAIT) == ProcessExit(status=5)


async def test_its_owner_may_have_a_way_of_its_own_to_ask(speak: Speak) -> None:
    process = speak(*SLEEP).process
    assert await process.end(timeout=WAIT, ask=lambda: process.send(signal.SIGINT)) == ProcessExit(signal=signal.SIGINT)


async def test_what_does_not_end_is_killed(speak: Speak) -> None:
    spoken = speak(*DEAF)
    await spoken.line()
    assert str(await spoken.process.end(timeout=0.05)) == "was killed: did not stop within 0.05 s"


async def test_what_is_stopped_is_killed_all_the_same(speak: Speak) -> None:
    process = speak(*SLEEP).process
    os.kill(process.pid, signal.SIGSTOP)
    await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED)
    assert (await process.end(timeout=0.0)).killed_for == "did not stop within 0 s"


async def test_an_end_that_nobody_waits_for_comes_all_the_same(speak: Speak) -> None:
    spoken = speak(*DEAF)
    await spoken.line()
    with suppress(TimeoutError):
        await asyncio.wait_for(spoken.process.end(timeout=0.05), 0.0)
    ending = asyncio.create_task(spoken.process.end(timeout=0.05))
    await asyncio.sleep(0)
    ending.cancel()
    assert (await end_of(spoken.process)).killed_for == "did not stop within 0.05 s"


async def test_what_is_ending_has_a_limit(speak: Speak) -> None:
    process = speak(*SLEEP).process
    process.must_end(0.01, "closed its socket and did not end")
    assert (await end_of(process)).killed_for == "closed its socket and did not end"
    process.must_end(0.01, "too late")


async def test_what_cannot_be_killed_is_reported(speak: Speak, monkeypatch: pytest.MonkeyPatch) -> None:
    process = speak(*SLEEP).process
    with monkeypatch.context() as patch:
        patch.setattr(process_module, "_STUCK_S", 0.01)
        patch.setattr(Pidfd, "send", lambda *_: None)
        with pytest.raises(ProcessStuckError, match=f"process {process.pid} was killed and does not end"):
            await process.end(timeout=0.0)
    process.kill("now it can be")
    await end_of(process)


async def test_the_first_reason_counts(speak: Speak) -> None:
    process = speak(*SLEEP).process
    process.kill("first")
    process.kill("second")
    assert (await end_of(process)).killed_for == "first"


async def test_any_thread_may_kill_it_at_any_time(speak: Speak) -> None:
    for _ in range(20):
        process = speak(*SLEEP).process
        threads = [threading.Thread(target=process.kill, args=(f"reason {number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        reason = (await end_of(process)).killed_for
        for thread in threads:
            thread.join()
        assert reason is not None
        assert reason.startswith("reason ")
        await asyncio.to_thread(process.kill, "too late")
        assert process.exit == ProcessExit(signal=9, killed_for=reason)


async def test_who_wants_to_know_is_told_once(speak: Speak) -> None:
    process = speak("sh", "-c", "exit 3").process
    told: list[ProcessExit] = []
    process.when_ended(told.append)
    await end_of(process)
    process.when_ended(told.append)
    await asyncio.sleep(0)
    assert told == [ProcessExit(status=3)] * 2


async def test_fifty_lives_leave_nothing() -> None:
    await asyncio.create_subprocess_exec("true", stdin=subprocess.DEVNULL)  # whatever asyncio keeps open, it has now
    before = descriptors()
    pids = []
    for number in range(50):
        process = ChildProcess.start(["sh", "-c", "sleep 60 & wait"] if number % 2 else SLEEP)
        process.beat(lambda: None, Heartbeat(every=1.0, silence=60.0))
        process.kill("next")
        await end_of(process)
        pids.append(process.pid)
    assert descriptors() == before
    assert [pid for pid in pids if stat(pid) is not None] == []
