"""An OS process with the life of a child: started or adopted, ready in time, heard from, ended, reaped, and the reason
of its end known. Everything here runs on the thread of one asyncio loop, except ``ChildProcess.kill`` and ``send``.

A process may hang or die at any moment, so nothing waits for it without a limit. Whatever limit is missed, it is
killed, with that as the reason, and its end, seen through a pidfd, is the one way in which its life ends here. What is
left of its process group is killed with it and reaped, so the group is empty when ``ended`` returns. There is no
PDEATHSIG: that fires when the *thread* ends which started the process.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from supervisor.affinity import unbound
from supervisor.heartbeat import Heartbeat, Pulse
from supervisor.pidfd import Pidfd

T = TypeVar("T")

_PR_SET_CHILD_SUBREAPER: Final = 36
_AGAIN_S: Final = 0.01
_STUCK_S: Final = 5.0
"""What is killed is gone in milliseconds, unless it hangs in the kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessExit:
    """How a process ended: by itself with ``status``, or by ``signal``; neither, if somebody else reaped it.
    ``killed_for`` is the reason if it was we who killed it, ``said`` what it had last to say, if that is known. Its
    text reads after "it"."""

    status: int | None = None
    signal: int | None = None
    killed_for: str | None = None
    said: str = ""

    @classmethod
    def of(cls, result: os.waitid_result | None, *, killed_for: str | None = None, said: str = "") -> "ProcessExit":
        """From what ``waitid`` gave (None: nothing). A kill that came when it had ended otherwise was no reason."""
        if result is None:
            return cls(killed_for=killed_for, said=said)
        if result.si_code == os.CLD_EXITED:
            return cls(status=result.si_status, said=said)
        killed = result.si_status == signal.SIGKILL
        return cls(signal=result.si_status, killed_for=killed_for if killed else None, said=said)

    def __str__(self) -> str:
        return f"{self._how}; it said: {self.said}" if self.said else self._how

    @property
    def _how(self) -> str:
        if self.killed_for is not None:
            return f"was killed: {self.killed_for}"
        if self.signal is not None:
            return f"was killed by signal {self.signal}"
        if self.status is not None:
            return f"ended with status {self.status}"
        return "ended, and its exit status is not known"


class ProcessError(Exception):
    """A process did not do what was wanted of it."""


class ProcessStartError(ProcessError):
    """It ended, or was killed, before it was ready; ``exit`` says how, and what it had said."""

    def __init__(self, exit: ProcessExit) -> None:
        super().__init__(f"it {exit}")
        self.exit = exit


class ProcessStuckError(ProcessError):
    """It was killed and does not end: it hangs in the kernel. Should it ever end, it is still reaped."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"process {pid} was killed and does not end")
        self.pid = pid


def _nothing() -> str:
    return ""


class ChildProcess:
    """One process. Made by ``start``, or from the ``pid`` of one that is our child already.

    ``said`` is called once, when the process has ended: what it had last to say, which it must know without waiting and
    without raising.
    """

    def __init__(self, pid: int, said: Callable[[], str] = _nothing) -> None:
        """Adopt ``pid``.

        Raises:
            ProcessLookupError: it has ended and somebody else has reaped it.
            OSError: there is no descriptor to watch it by; it was killed and reaped.
        """
        self._loop = asyncio.get_running_loop()
        self._pid = pid
        self._said = said
        self._ended: asyncio.Future[ProcessExit] = self._loop.create_future()
        self._killed_for: str | None = None
        self._heard = True
        self._timers: set[asyncio.TimerHandle] = set()
        try:
            self._handle = Pidfd(pid)
        except ProcessLookupError:
            raise
        except OSError:
            # Ours and not reaped: the number is still its own.
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED)
            raise
        self._loop.add_reader(self._handle, self._on_exit)

    @classmethod
    def start(
        cls,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
        said: Callable[[], str] = _nothing,
    ) -> Self:
        """Start ``command`` in a session of its own, with nothing of ours open but ``pass_fds``, ``stdout`` and
        ``stderr``, on any CPU. From then on orphans among our descendants are given to us, or nobody could reap what it
        leaves.

        Raises:
            OSError: it cannot be started; nothing is left of it.
        """
        _own_orphans()
        with unbound():
            process = subprocess.Popen(
                command,
                env=env,
                pass_fds=pass_fds,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        process.returncode = 0  # it is reaped here, by its pidfd, and not by this object when that is collected
        return cls(process.pid, said)

    @property
    def pid(self) -> int:
        """Of the process; of its process group too, once it leads one."""
        return self._pid

    @property
    def exit(self) -> ProcessExit | None:
        """How it ended; None while anything of it is left."""
        return self._ended.result() if self._ended.done() else None

    async def ended(self) -> ProcessExit:
        """Returns how it ended, when it and all of its group are gone and reaped."""
        return await asyncio.shield(self._ended)

    def when_ended(self, run: Callable[[ProcessExit], None]) -> None:
        """Call ``run`` as soon as ``ended`` would return; soon, if it would already."""
        self._ended.add_done_callback(lambda ended: run(ended.result()))

    async def until_ready(self, ready: Awaitable[T], *, timeout: float) -> T:
        """The outcome of ``ready``, which its owner completes when the process can be used. Whatever happens instead,
        the process is killed and gone when this raises, and ``ready`` is cancelled.

        Raises:
            ProcessStartError: it ended first, or was not ready within ``timeout`` seconds.
            ProcessStuckError: it was killed and does not end.
            Exception: what ``ready`` raised.
        """
        waiting = asyncio.ensure_future(ready)
        both: set[asyncio.Future[Any]] = {waiting, self._ended}
        try:
            await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            self.kill(f"not ready within {timeout:g} s")
            raise ProcessStartError(await self._gone(within=_STUCK_S))
        except BaseException:
            waiting.cancel()
            self.kill("given up while it started")
            await asyncio.wait(both, timeout=_STUCK_S)
            raise

    # -- heartbeat --

    def beat(self, ask: Callable[[], None], limits: Heartbeat) -> None:
        """Call ``ask`` now and at every beat; kill the process if nothing is ``heard`` for too long. Once."""
        self._beat(ask, Pulse(limits=limits, due=self._loop.time()))

    def heard(self) -> None:
        """It said something."""
        self._heard = True

    def _beat(self, ask: Callable[[], None], pulse: Pulse) -> None:
        pulse = pulse.beat(self._loop.time(), heard=self._heard)
        self._heard = False
        if pulse.is_lost:
            self.kill(f"no heartbeat for {pulse.silent:g} s")
            return
        ask()
        self._later(pulse.limits.every, lambda: self._beat(ask, pulse))

    def _later(self, delay: float, run: Callable[[], None]) -> None:
        if self._handle.fileno() < 0:
            return

        def fire() -> None:
            self._timers.discard(handle)
            run()

        handle = self._loop.call_later(delay, fire)
        self._timers.add(handle)

    # -- the end --

    def send(self, number: signal.Signals) -> None:
        """Signal the process, not its group; harmless if it is gone. Callable from any thread."""
        self._handle.send(number)

    def kill(self, reason: str) -> None:
        """SIGKILL it, for ``reason``; ``ended`` follows. Callable from any thread; harmless if it is gone."""
        self._killed_for = self._killed_for or reason
        self._handle.send(signal.SIGKILL)

    def must_end(self, within: float, otherwise: str) -> None:
        """It is ending: kill it, for ``otherwise``, if it has not ended ``within`` seconds."""
        self._later(within, lambda: self.kill(otherwise))

    async def end(self, *, timeout: float, ask: Callable[[], None] | None = None) -> ProcessExit:
        """Have it end: call ``ask`` (None: SIGTERM), kill it after ``timeout`` seconds, return how it ended. If this is
        cancelled, the limit still holds.

        Raises:
            ProcessStuckError: it was killed and does not end.
        """
        if not self._ended.done():
            if ask is None:
                self.send(signal.SIGTERM)
            else:
                ask()
            self.must_end(timeout, f"did not stop within {timeout:g} s")
        return await self._gone(within=timeout + _STUCK_S)

    async def _gone(self, *, within: float) -> ProcessExit:
        await asyncio.wait({self._ended}, timeout=within)
        if not self._ended.done():
            raise ProcessStuckError(self._pid)
        return self._ended.result()

    def _on_exit(self) -> None:
        """The pidfd is readable: the process has ended, and is ours to reap."""
        self._loop.remove_reader(self._handle)
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        result = self._reap()
        self._handle.close()
        how = ProcessExit.of(result, killed_for=self._killed_for, said=self._said())
        if result is None:
            self._ended.set_result(how)
        else:
            self._end_group(how)

    def _reap(self) -> os.waitid_result | None:
        """Its group goes first, while the dead leader keeps the number from coming to mean another. None if somebody
        else has reaped it, with a group that was theirs: the number may mean anything by now."""
        descriptor = self._handle.fileno()
        try:
            os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOWAIT)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)
            return os.waitid(os.P_PIDFD, descriptor, os.WEXITED)
        except ChildProcessError:
            return None

    def _end_group(self, how: ProcessExit) -> None:
        """Reap what was in the group. The members that are left are our children, and keep its number their own."""
        try:
            while os.waitid(os.P_PGID, self._pid, os.WEXITED | os.WNOHANG):
                pass
        except ChildProcessError:
            self._ended.set_result(how)
        else:
            self._loop.call_later(_AGAIN_S, self._end_group, how)


def _own_orphans() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"cannot own orphans: {os.strerror(number)}")
