"""The parent side against a nursery that only plays one."""

import asyncio
import os
import socket
import sys

import pytest

from gateway.whatsapp.nursery_process import NurseryProcess
from protocol.errors import PortStartError
from supervisor.heartbeat import Heartbeat
from tests.unit.supervisor.processes import descriptors, stat

WAIT = 20.0
PATIENT = Heartbeat(every=60, silence=60)

OPENING = """
import os, socket, struct, sys, time
control = socket.socket(fileno=int(sys.argv[-1]))
ready = lambda: control.send(struct.pack("!Qq", 0, os.getpid()))
"""
"""How a played nursery begins: it can say that it is ready."""


async def start(script: str, *, timeout: float = WAIT, heartbeat: Heartbeat = PATIENT) -> NurseryProcess:
    command = [sys.executable, "-c", OPENING + script]
    return await NurseryProcess.start(command, None, timeout=timeout, heartbeat=heartbeat)


async def test_its_last_words_are_told() -> None:
    nursery = await start("ready()\nwhile not any(control.recv(8)): pass\nsys.exit('no more ports')")
    assert nursery.exit is None
    with pytest.raises(PortStartError, match="away: it ended with status 1; it said: no more ports"):
        await asyncio.wait_for(_fork(nursery), WAIT)
    assert str(nursery.exit) == "ended with status 1; it said: no more ports"


async def test_one_that_is_not_ready_in_time_says_what_it_does() -> None:
    script = "print('loading the library', file=sys.stderr, flush=True); time.sleep(60)"
    with pytest.raises(PortStartError, match=r"not ready within 3 s; it said: loading the library"):
        await start(script, timeout=3)


async def test_what_it_says_without_end_takes_no_room() -> None:
    before = descriptors()
    with pytest.raises(PortStartError, match="status 1; it said: xxxx"):
        await start("while True: os.write(2, b'x' * 1000)")
    assert descriptors() == before


async def test_one_that_hangs_is_killed_though_nobody_asks() -> None:
    nursery = await start("ready(); time.sleep(60)", heartbeat=Heartbeat(every=0.05, silence=0.3))
    assert str(await asyncio.wait_for(nursery.ended(), WAIT)) == "was killed: no heartbeat for 0.3 s"


async def test_one_that_answers_is_asked_again_and_again_and_lives() -> None:
    nursery = await start(
        "ready()\nfor _ in range(20): control.recv(8); ready()\nsys.exit('twenty')",
        heartbeat=Heartbeat(every=0.02, silence=WAIT),
    )
    assert str(await asyncio.wait_for(nursery.ended(), WAIT)) == "ended with status 1; it said: twenty"


async def test_one_that_takes_no_questions_for_a_while_is_not_waited_for() -> None:
    nursery = await start("ready(); time.sleep(60)", heartbeat=Heartbeat(every=0.001, silence=60))
    await asyncio.sleep(0)
    nursery.kill("enough")
    assert str(await asyncio.wait_for(nursery.ended(), WAIT)) == "was killed: enough"


async def test_a_port_that_nobody_waits_for_any_more_is_killed_and_reaped() -> None:
    port = sleeper()
    answer = f"struct.pack('!q', {port} if any(asked) else 1)"
    nursery = await start(f"ready()\nwhile (asked := control.recv(8)): control.send(asked + {answer})")
    opening = asyncio.create_task(_fork(nursery))
    await asyncio.sleep(0)
    opening.cancel()
    async with asyncio.timeout(WAIT):
        while stat(port) is not None:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0)
    await nursery.stop(timeout=WAIT)
    assert opening.cancelled()


def sleeper() -> int:
    """A child of ours that nobody looks after."""
    return os.posix_spawn("/bin/sleep", ["sleep", "60"], os.environ)


async def _fork(nursery: NurseryProcess) -> int:
    ours, theirs = socket.socketpair()
    log = os.memfd_create("log")
    try:
        return await nursery.fork(theirs, log)
    finally:
        ours.close()
        theirs.close()
        os.close(log)
