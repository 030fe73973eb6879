"""One nursery process as main sees it: asked to fork, watched, ended and reaped. On the loop's thread."""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Self

from gateway.whatsapp import exits
from gateway.whatsapp.control import ALIVE, REPLY, REQUEST
from protocol.errors import PortStartError
from supervisor.heartbeat import Heartbeat
from supervisor.process import ChildProcess, ProcessError, ProcessExit

_ENDING_S: Final = 1.0
"""From the closing of its socket until the kernel says how a process ended, at most."""

_ENVIRONMENT: Final = {
    "NEONIZE_BOT_TAG": "off",  # else neonize marks messages to phone numbers as written by a bot
    "MALLOC_ARENA_MAX": "1",  # 4 MB less for each port
}
"""neonize and libc read these when the process is started; later is too late."""


class NurseryProcess:
    """Made by ``start``; over when ``ended`` returns, and then reaped, with all that had not become a port of its own
    yet."""

    def __init__(self, process: ChildProcess, control: socket.socket, log: int) -> None:
        """``control`` and ``log``, which takes its stderr, are this object's from now on."""
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._control = control
        self._log = log
        self._forks: dict[int, asyncio.Future[int]] = {}
        self._last_fork = 0
        self._ready = self._loop.create_future()
        self._loop.add_reader(control, self._on_reply)
        process.when_ended(self._on_end)

    @classmethod
    async def start(
        cls, command: Sequence[str], env: Mapping[str, str] | None, *, timeout: float, heartbeat: Heartbeat
    ) -> Self:
        """Start it and wait until it can fork.

        Raises:
            PortStartError: it ended, or was not ready in time; the text has what it said.
        """
        try:
            self = cls._launch(command, env)
        except OSError as error:
            raise PortStartError(f"the nursery cannot be started: {error}") from error
        try:
            await self._process.until_ready(self._ready, timeout=timeout)
        except ProcessError as error:
            raise PortStartError(f"the nursery did not become ready: {error}") from error
        self._process.beat(self._ask, heartbeat)
        return self

    @classmethod
    def _launch(cls, command: Sequence[str], env: Mapping[str, str] | None) -> Self:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        log = -1
        try:
            with theirs:
                log = exits.open_log()
                process = ChildProcess.start(
                    [*command, "--control-fd", str(theirs.fileno())],
                    env={**_inherited(), **_ENVIRONMENT, **(env or {})},
                    pass_fds=[theirs.fileno()],
                    stderr=log,
                    said=lambda: exits.tail(log),
                )
        except BaseException:
            ours.close()
            if log >= 0:
                os.close(log)
            raise
        return cls(process, ours, log)

    @property
    def pid(self) -> int:
        """Of the nursery, and of its process group."""
        return self._process.pid

    @property
    def exit(self) -> ProcessExit | None:
        """How it ended; None while it runs."""
        return self._process.exit

    async def ended(self) -> ProcessExit:
        """Returns how it ended, when it is reaped."""
        return await self._process.ended()

    async def fork(self, sock: socket.socket, log: int) -> int:
        """Have a port forked that gets ``sock`` and ``log`` (the caller closes its own copies); its pid. The port is
        our child, and stays in the nursery's process group until it gets its first frame.

        Raises:
            PortStartError: the nursery is gone, or the machine gives no process.
        """
        if self.exit is not None:
            raise PortStartError(f"the nursery is away: it {self.exit}")
        self._last_fork += 1
        number = self._last_fork
        reply = self._forks[number] = self._loop.create_future()
        try:
            socket.send_fds(self._control, [REQUEST.pack(number)], [sock.fileno(), log])
        except OSError as error:
            del self._forks[number]
            raise PortStartError(await self._why_not(error)) from error
        pid = await reply
        if pid <= 0:
            raise PortStartError("the machine gives no process for a port")
        return int(pid)

    async def _why_not(self, error: OSError) -> str:
        """Why it takes no requests: most likely it is about to be known that it ended."""
        try:
            return f"the nursery is away: it {await asyncio.wait_for(self.ended(), _ENDING_S)}"
        except TimeoutError:
            return f"the nursery takes no requests: {error}"

    async def stop(self, *, timeout: float) -> None:
        """Close the control socket, at which it ends, and kill it after ``timeout`` seconds; until it is reaped."""
        await self._process.end(timeout=timeout, ask=self._close_control)

    def kill(self, reason: str) -> None:
        """SIGKILL it. Callable from any thread; harmless if it is gone."""
        self._process.kill(reason)

    def _ask(self) -> None:
        with suppress(OSError):  # it has not read the last ones yet, or is ending
            self._control.send(REQUEST.pack(ALIVE))

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
        self._process.heard()
        number, pid = REPLY.unpack(data)
        if number != ALIVE:
            self._on_fork(number, pid)
        elif not self._ready.done():
            self._ready.set_result(None)

    def _on_fork(self, number: int, pid: int) -> None:
        reply = self._forks.pop(number)
        if not reply.done():
            reply.set_result(pid)
        elif pid > 0:
            with suppress(OSError):
                ChildProcess(pid).kill("nobody waits for it any more")

    def _on_end(self, how: ProcessExit) -> None:
        self._close_control()
        os.close(self._log)
        for reply in self._forks.values():
            if not reply.done():
                reply.set_exception(PortStartError(f"the nursery is away: it {how}"))
        self._forks.clear()


def _inherited() -> dict[str, str]:
    """Our environment without our own settings: no port needs them, and some are secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PLANTAO_")}
