"""Opens ports: the nursery as a service of main, which is started, waited for and stopped.

One nursery serves all channels. Its death harms no running port (main owns them); it only has to be started again
before the next one can be opened. To use it in a plain program::

    nursery = Nursery([sys.executable, "-m", "gateway.whatsapp.nursery"])
    await nursery.start()
    port = await nursery.open(PortSpec(...), print)
    ...
    await port.stop(timeout=10)
    await nursery.stop(timeout=5)
"""

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.whatsapp import lock
from gateway.whatsapp.frames import Holder, NotReady, Open
from gateway.whatsapp.nursery_process import NurseryProcess
from gateway.whatsapp.port_process import PortProcess, Timings
from protocol.errors import PortStartError
from protocol.interfaces import INBOUND_CREDIT
from protocol.port import PortEvent, PortSpec

_PR_SET_CHILD_SUBREAPER: Final = 36
_LOG_SIZE: Final = 1 << 16
_KILLED_S: Final = 5.0
_DEFAULT_TIMINGS: Final = Timings()


class Nursery:
    """``protocol.interfaces.PortOpener`` and ``Service``. ``command`` starts the nursery (the option for its control
    socket is added), ``env`` is put over our own environment for it: Go reads proxy and CA from there."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, *, timings: Timings = _DEFAULT_TIMINGS
    ) -> None:
        self._command = tuple(command)
        self._env = env
        self._timings = timings
        self._process: NurseryProcess | None = None

    @property
    def pid(self) -> int | None:
        """Of the nursery process; None while it does not run."""
        return None if self._process is None or self._process.ended.done() else self._process.pid

    # -- Service --

    async def start(self) -> None:
        """Start the nursery process, and make this process the one that its orphans are given to.

        Raises:
            PortStartError: it did not become ready; with what it said.
        """
        if self.pid is not None:
            return
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise PortStartError(f"cannot own ports: prctl: {os.strerror(ctypes.get_errno())}")
        self._process = await NurseryProcess.start(self._command, self._env, timeout=self._timings.start)

    async def wait(self) -> str:
        """Returns when the nursery has ended; how."""
        if self._process is None:
            return "was not started"
        return await asyncio.shield(self._process.ended)

    async def stop(self, *, timeout: float) -> None:
        """End the nursery; the ports go on."""
        if self._process is not None:
            await self._process.stop(timeout=timeout)

    # -- PortOpener --

    async def open(self, spec: PortSpec, deliver: Callable[[PortEvent], None]) -> PortProcess:
        """See ``protocol.interfaces.PortOpener``. A port whose main is gone and that still holds the store is given a
        moment to end, and killed."""
        if not Path(spec.store).is_absolute():
            raise PortStartError(f"the path of a session store must be absolute: {spec.store!r}")
        try:
            Path(spec.store).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise PortStartError(f"the folder of the session store cannot be made: {error}") from error
        refusal = await self._attempt(spec, deliver)
        if isinstance(refusal, NotReady) and refusal.holder is not None and lock.is_orphan(refusal.holder):
            await self._evict(refusal.holder, spec.store)
            refusal = await self._attempt(spec, deliver)
        if isinstance(refusal, NotReady):
            raise PortStartError(f"the port could not start: {refusal.reason}")
        return refusal

    async def _attempt(self, spec: PortSpec, deliver: Callable[[PortEvent], None]) -> PortProcess | NotReady:
        port = await self._fork(spec, deliver)
        ready = False
        try:
            said = await asyncio.wait_for(asyncio.shield(port.readiness), self._timings.start)
            ready = not isinstance(said, NotReady)
        except TimeoutError:
            raise PortStartError(f"the port was not ready within {self._timings.start:g} s") from None
        finally:
            if not ready:
                port.mute()
                port.kill("was not ready")
        if isinstance(said, NotReady):
            await port.closed()
            return said
        return port

    async def _fork(self, spec: PortSpec, deliver: Callable[[PortEvent], None]) -> PortProcess:
        nursery = self._process
        if nursery is None:
            raise PortStartError("the nursery is not started")
        ours, theirs = socket.socketpair()
        log = _bounded_log()
        try:
            with theirs:
                pid = await asyncio.wait_for(nursery.fork(theirs, log), self._timings.start)
        except BaseException as error:
            ours.close()
            os.close(log)
            if isinstance(error, TimeoutError):
                nursery.kill()  # it hangs; whoever owns it starts another
                raise PortStartError(f"the nursery did not answer within {self._timings.start:g} s") from error
            raise
        port = PortProcess(pid, spec.incarnation, log, self._timings, deliver)
        try:
            await port.attach(ours, self._opening(spec))
        except BaseException:
            port.kill("was given up")
            raise
        return port

    def _opening(self, spec: PortSpec) -> Open:
        return Open(
            spec=spec,
            beat_s=self._timings.beat,
            silence_s=self._timings.silence,
            credit=INBOUND_CREDIT,
            main_pid=os.getpid(),
            main_started=lock.started(os.getpid()) or 0,
        )

    async def _evict(self, holder: Holder, store: str) -> None:
        """Wait for the end of a port whose main is gone; kill it if need be."""
        try:
            pidfd = os.pidfd_open(holder.pid)
        except ProcessLookupError:
            return
        try:
            if not lock.holds(holder.pid, store) or await _exited(pidfd, self._timings.orphan_grace):
                return
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            if not await _exited(pidfd, _KILLED_S):
                raise PortStartError(f"the session store is held by process {holder.pid}, which cannot be killed")
        finally:
            os.close(pidfd)


async def _exited(pidfd: int, timeout: float) -> bool:
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(pidfd, gone.set)
    try:
        await asyncio.wait_for(gone.wait(), timeout)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(pidfd)
    return True


def _bounded_log() -> int:
    """A file in memory that cannot grow: what Go writes when it dies, and no more."""
    log = os.memfd_create("port-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(log, _LOG_SIZE)
    fcntl.fcntl(log, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    return log
