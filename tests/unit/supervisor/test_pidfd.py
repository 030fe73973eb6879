import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from supervisor import pidfd as pidfd_module
from supervisor.pidfd import Pidfd
from tests.unit.supervisor.processes import WAIT


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


async def test_it_sees_the_end(sleeper: subprocess.Popen[bytes]) -> None:
    with Pidfd(sleeper.pid) as handle:
        assert not await handle.gone(0.01)
        sleeper.kill()
        assert await handle.gone(WAIT)


async def test_an_end_that_came_before_it_was_waited_for_is_seen_without_waiting(
    sleeper: subprocess.Popen[bytes],
) -> None:
    with Pidfd(sleeper.pid) as handle:
        sleeper.kill()
        await asyncio.to_thread(os.waitid, os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
        assert await handle.gone(0.0)


@pytest.mark.parametrize(("ask", "ended_by"), [(signal.SIGTERM, signal.SIGTERM), (None, signal.SIGKILL)])
async def test_it_ends_who_is_not_our_child(
    sleeper: subprocess.Popen[bytes], ask: signal.Signals | None, ended_by: signal.Signals
) -> None:
    with Pidfd(sleeper.pid) as handle:
        assert await handle.end(ask=ask, patience=WAIT if ask else 0.01)
    assert sleeper.wait() == -ended_by


async def test_what_is_stopped_is_killed(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.send_signal(signal.SIGSTOP)
    with Pidfd(sleeper.pid) as handle:
        assert await handle.end(ask=signal.SIGTERM, patience=0.01)


async def test_what_cannot_be_killed_is_told(sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pidfd_module, "_KILLED_S", 0.01)
    monkeypatch.setattr(Pidfd, "send", lambda *_: None)
    with Pidfd(sleeper.pid) as handle:
        assert not await handle.end(ask=None, patience=0.0)


async def test_to_signal_what_is_gone_is_harmless(sleeper: subprocess.Popen[bytes]) -> None:
    handle = Pidfd(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    handle.send(signal.SIGKILL)
    handle.close()
    handle.close()
    handle.send(signal.SIGKILL)
    assert handle.fileno() == -1
    with pytest.raises(ProcessLookupError):
        Pidfd(sleeper.pid)
