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
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from gateway.whatsapp import exits, lock
from gateway.whatsapp.frames import NotReady, Open
from gateway.whatsapp.nursery_process import NurseryProcess
from gateway.whatsapp.port_process import Deliver, PortProcess, Timings
from gateway.whatsapp.remains import StoreRemains
from protocol.errors import PortStartError
from protocol.interfaces import INBOUND_CREDIT
from protocol.port import PortSpec
from supervisor.process import ProcessError

_DEFAULT_TIMINGS: Final = Timings()


class Nursery:
    """``protocol.interfaces.PortOpener`` and ``Service``. ``command`` starts the nursery (the option for its control
    socket is added), ``env`` is put over our own environment for it: Go reads proxy and CA from there. A port with
    more than ``port_bytes`` of memory (None: no limit) is ended."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        timings: Timings = _DEFAULT_TIMINGS,
        port_bytes: int | None = None,
    ) -> None:
        self._command = tuple(command)
        self._env = env
        self._timings = timings
        self._port_bytes = port_bytes
        self._process: NurseryProcess | None = None
        self._remains: dict[str, StoreRemains] = {}

    @property
    def pid(self) -> int | None:
        """Of the nursery process; None while it does not run."""
        return None if self._process is None or self._process.exit is not None else self._process.pid

    # -- Service --

    async def start(self) -> None:
        """Start the nursery process. Its orphans, the ports, are given to this process.

        Raises:
            PortStartError: it did not become ready; with what it said.
        """
        if self.pid is not None:
            return
        timings = self._timings
        self._process = await NurseryProcess.start(
            self._command, self._env, timeout=timings.start, heartbeat=timings.heartbeat
        )

    async def wait(self) -> str:
        """Returns when the nursery has ended; how."""
        if self._process is None:
            return "was not started"
        return str(await self._process.ended())

    async def stop(self, *, timeout: float) -> None:
        """End the nursery; the ports go on."""
        if self._process is not None:
            await self._process.stop(timeout=timeout)

    def kill(self, reason: str) -> None:
        """SIGKILL the nursery process, if it runs. Callable from any thread."""
        if self._process is not None:
            self._process.kill(reason)

    # -- PortOpener --

    async def open(self, spec: PortSpec, deliver: Deliver) -> PortProcess:
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
            if not await lock.evict(refusal.holder, spec.store, grace=self._timings.orphan_grace):
                raise PortStartError(f"{refusal.reason}, which cannot be killed")
            refusal = await self._attempt(spec, deliver)
        if isinstance(refusal, NotReady):
            raise PortStartError(f"the port could not start: {refusal.reason}")
        return refusal

    def remains(self, store: str) -> StoreRemains:
        """See ``protocol.interfaces.PortOpener``."""
        if store not in self._remains:
            self._remains[store] = StoreRemains(store, orphan_grace=self._timings.orphan_grace)
        return self._remains[store]

    async def _attempt(self, spec: PortSpec, deliver: Deliver) -> PortProcess | NotReady:
        port = await self._fork(spec, deliver)
        try:
            said = await port.until_ready(self._timings.start)
        except BaseException as error:
            port.mute()
            if isinstance(error, ProcessError):
                raise PortStartError(f"the port could not start: {error}") from error
            raise
        if not isinstance(said, NotReady):
            return port
        port.kill("was not ready")
        await port.closed()
        return said

    async def _fork(self, spec: PortSpec, deliver: Deliver) -> PortProcess:
        try:
            with ExitStack() as undo:
                ours, theirs = (undo.enter_context(end) for end in socket.socketpair())
                log = exits.open_log()
                undo.callback(os.close, log)
                pid = await self._ask_for_port(theirs, log)
                port = PortProcess(
                    pid,
                    spec.incarnation,
                    log,
                    self._timings,
                    deliver,
                    self.remains(spec.store),
                    most_bytes=self._port_bytes,
                )
                undo.pop_all()
        except OSError as error:
            raise PortStartError(f"a port cannot be opened: {error}") from error
        theirs.close()
        try:
            await port.attach(ours, self._opening(spec))
        except BaseException:
            port.kill("was given up")
            raise
        return port

    async def _ask_for_port(self, sock: socket.socket, log: int) -> int:
        nursery = self._process
        if nursery is None:
            raise PortStartError("the nursery is not started")
        try:
            return await asyncio.wait_for(nursery.fork(sock, log), self._timings.start)
        except TimeoutError as error:
            missed = f"did not answer within {self._timings.start:g} s"
            nursery.kill(missed)  # it hangs; whoever owns it starts another
            raise PortStartError(f"the nursery {missed}") from error

    def _opening(self, spec: PortSpec) -> Open:
        return Open(
            spec=spec,
            beat_s=self._timings.beat,
            silence_s=self._timings.silence,
            credit=INBOUND_CREDIT,
            main_pid=os.getpid(),
            main_started=lock.started(os.getpid()) or 0,
        )
