"""One nursery process as main sees it: asked to fork, watched, ended and reaped. On the loop's thread."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Final, Self

from gateway.whatsapp.control import REPLY, REQUEST
from protocol.errors import PortStartError

_AGAIN_S: Final = 0.01
_SAID: Final = 400

_ENVIRONMENT: Final = {
    "NEONIZE_BOT_TAG": "off",  # else neonize marks messages to phone numbers as written by a bot
    "MALLOC_ARENA_MAX": "1",  # 4 MB less for each port
}
"""neonize and libc read these when the process is started; later is too late."""


class NurseryProcess:
    """Made by ``start``; over when ``ended`` is done, and then reaped, with all that had not become a port of its own
    yet."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._control = control
        self._forks: dict[int, asyncio.Future[int]] = {}
        self._last_fork = 0
        self._ready = self._loop.create_future()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self._pidfd = os.pidfd_open(process.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)
        self._loop.add_reader(control, self._on_reply)

    @classmethod
    async def start(cls, command: Sequence[str], env: Mapping[str, str] | None, *, timeout: float) -> Self:
        """Start it and wait until it can fork.

        Raises:
            PortStartError: it ended, or was not ready in time; the text has what it said.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with tempfile.TemporaryFile() as said, theirs:
            try:
                process = subprocess.Popen(  # noqa: ASYNC220 - asyncio's own would take a thread to wait for it
                    [*command, "--control-fd", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env={**_inherited(), **_ENVIRONMENT, **(env or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise PortStartError(f"the nursery cannot be started: {error}") from error
            theirs.close()
            self = cls(process, ours)
            try:
                await asyncio.wait({self._ready, self.ended}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not self._ready.done():
                    await self.stop(timeout=0.0)
            if not self._ready.done():
                said.seek(0)
                raise PortStartError(f"the nursery did not become ready: {_tail(said.read()) or self.ended.result()}")
        return self

    @property
    def pid(self) -> int:
        """Of the nursery, and of its process group."""
        return self._process.pid

    async def fork(self, sock: socket.socket, log: int) -> int:
        """Have a port forked that gets ``sock`` and ``log`` (the caller closes its own copies); its pid. The port is
        our child, and stays in the nursery's process group until it gets its first frame.

        Raises:
            PortStartError: the nursery is gone, or the machine gives no process.
        """
        if self.ended.done():
            raise PortStartError(f"the nursery is away: it {self.ended.result()}")
        self._last_fork += 1
        number = self._last_fork
        reply = self._forks[number] = self._loop.create_future()
        try:
            socket.send_fds(self._control, [REQUEST.pack(number)], [sock.fileno(), log])
        except OSError as error:
            del self._forks[number]
            raise PortStartError(f"the nursery takes no requests: {error}") from error
        pid = await reply
        if pid <= 0:
            raise PortStartError("the machine gives no process for a port")
        return int(pid)

    async def stop(self, *, timeout: float) -> None:
        """Close the control socket, at which it ends, and kill it after ``timeout`` seconds; until it is reaped."""
        self._close_control()
        try:
            await asyncio.wait_for(asyncio.shield(self.ended), timeout)
        except TimeoutError:
            self.kill()
            await asyncio.shield(self.ended)

    def kill(self) -> None:
        """SIGKILL it; harmless if it is gone."""
        if self._pidfd >= 0:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _close_control(self) -> None:
        if self._control.fileno() >= 0:
            self._loop.remove_reader(self._control)
            self._control.close()

    def _on_reply(self) -> None:
        try:
            data = self._control.recv(REPLY.size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close_control()
            return
        number, pid = REPLY.unpack(data)
        if number == 0:
            self._ready.set_result(None)
            return
        reply = self._forks.pop(number)
        if not reply.done():
            reply.set_result(pid)
        elif pid > 0:
            _reap_when_dead(self._loop, pid)  # whoever asked has gone, and closed the socket, at which the port ends

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._close_control()
        self._reap_group()

    def _reap_group(self) -> None:
        """Children of the nursery that were not ports yet are ours now; they were killed with it."""
        try:
            while os.waitid(os.P_PGID, self.pid, os.WEXITED | os.WNOHANG):
                pass
        except ChildProcessError:
            self._over()
        else:
            self._loop.call_later(_AGAIN_S, self._reap_group)

    def _over(self) -> None:
        code = self._process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        self.ended.set_result(how)
        for reply in self._forks.values():
            if not reply.done():
                reply.set_exception(PortStartError(f"the nursery is away: it {how}"))
        self._forks.clear()


def _reap_when_dead(loop: asyncio.AbstractEventLoop, pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return

    def reap() -> None:
        loop.remove_reader(pidfd)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)

    loop.add_reader(pidfd, reap)


def _inherited() -> dict[str, str]:
    """Our environment without our own settings: no port needs them, and some are secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PLANTAO_")}


def _tail(said: bytes) -> str:
    return said.decode(errors="replace").strip()[-_SAID:]
