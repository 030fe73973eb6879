"""Main ends, by SIGKILL mostly: what becomes of the ports it leaves, and what the next main finds."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.whatsapp.port_process import Timings
from protocol.errors import PortStartError
from protocol.port import Sent
from protocol.port_events import Connected, SendAnswered
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.conftest import MakeAccount, MakeNumber, MakeNursery
from tests.integration.whatsapp.harness import WAIT, jid

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPOSITORY = Path(__file__).resolve().parents[3]

LoneMain = Callable[..., Awaitable[dict[str, int]]]


@pytest_asyncio.fixture(loop_scope="session")
async def lone_main(emulator: EmulatorProcess) -> AsyncIterator[LoneMain]:
    """Starts main processes of their own; reaps what they leave (this process is a subreaper, so it gets all)."""
    processes: list[asyncio.subprocess.Process] = []
    left: list[int] = []

    async def start(store: Path, *, send_to: str = "", silence: float = 30.0) -> dict[str, int]:
        ready = emulator.ready
        options: dict[str, Any] = {"command": ready.port_command, "env": ready.env, "store": str(store)}
        options |= {"send_to": send_to, "silence": silence}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.integration.whatsapp.lone_main", json.dumps(options)),
            cwd=REPOSITORY,
            stdout=asyncio.subprocess.PIPE,
        )
        processes.append(process)
        assert process.stdout is not None
        pids: dict[str, int] = json.loads(await asyncio.wait_for(process.stdout.readline(), WAIT))
        left.extend(pids.values())
        return pids | {"main": process.pid}

    yield start
    for process in processes:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    for pid in left:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(os.waitpid, pid, 0)


async def gone(pid: int, timeout: float) -> float:
    """Wait for the end of a process; how long that took, in seconds."""
    began = time.monotonic()
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:  # gone, and waited for, before we looked
        return 0.0
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(pidfd, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), timeout)
    finally:
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
    return time.monotonic() - began


async def test_a_port_and_the_nursery_end_when_main_is_killed(account: MakeAccount, lone_main: LoneMain) -> None:
    clinic = account()
    await (await clinic.paired()).stop(timeout=10)
    pids = await lone_main(clinic.store)
    os.kill(pids["main"], signal.SIGKILL)
    assert await gone(pids["port"], WAIT) < 4, "it has no send to wait for"
    await gone(pids["nursery"], WAIT)


async def test_a_port_whose_main_is_killed_finishes_the_send_in_flight_and_writes_down_what_came_of_it(
    account: MakeAccount, lone_main: LoneMain, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    await (await clinic.paired()).stop(timeout=10)
    await emulator.fault("late_ack", phone=clinic.phone, seconds=3)
    pids = await lone_main(clinic.store, send_to=jid(contact))
    await emulator.wait_for_message(contact)
    os.kill(pids["main"], signal.SIGKILL)
    await gone(pids["main"], WAIT)
    left = [record.what for record in await clinic.remains.journal()]
    (outcome,) = [what for what in left if isinstance(what, SendAnswered)]
    assert (outcome.key, type(outcome.answer)) == ("1:last", Sent)
    await gone(pids["port"], WAIT)


async def test_a_port_whose_main_is_killed_waits_no_longer_than_five_seconds(
    account: MakeAccount, lone_main: LoneMain, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    await (await clinic.paired()).stop(timeout=10)
    await emulator.fault("no_ack", phone=clinic.phone)
    pids = await lone_main(clinic.store, send_to=jid(contact))
    await emulator.wait_for_message(contact)
    os.kill(pids["main"], signal.SIGKILL)
    assert 4 < await gone(pids["port"], WAIT) < 9


async def test_a_port_whose_main_is_silent_ends(account: MakeAccount, lone_main: LoneMain) -> None:
    clinic = account()
    await (await clinic.paired()).stop(timeout=10)
    pids = await lone_main(clinic.store, silence=4.0)
    os.kill(pids["main"], signal.SIGSTOP)
    assert await gone(pids["port"], WAIT) > 1


async def test_a_new_main_kills_the_port_of_a_dead_one_that_holds_the_store(
    account: MakeAccount, lone_main: LoneMain, new_nursery: MakeNursery
) -> None:
    nursery = new_nursery(Timings(orphan_grace=0.3))
    await nursery.start()
    clinic = account(nursery=nursery)
    await (await clinic.paired()).stop(timeout=10)
    pids = await lone_main(clinic.store)
    with pytest.raises(PortStartError, match=f"in use by process {pids['port']}"):
        await clinic.open()
    assert clinic.heard.events == []
    os.kill(pids["port"], signal.SIGSTOP)
    os.kill(pids["main"], signal.SIGKILL)
    await gone(pids["main"], WAIT)
    await clinic.open()
    await clinic.heard.until(Connected)
