"""A handle on one OS process, ours or not, that can never come to mean another: a pid can, once it is reaped."""

import asyncio
import os
import select
import signal
import threading
from contextlib import suppress
from typing import Final, Self

_KILLED_S: Final = 5.0
"""What is killed is gone in milliseconds, unless it hangs in the kernel."""


class Pidfd:
    """Made while ``pid`` is known to be the process that is meant, or before that is looked at; closed by its owner."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError if there is no such process, OSError if there is no descriptor for it."""
        self._descriptor = os.pidfd_open(pid)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """The descriptor, readable once the process has ended; -1 after ``close``."""
        return self._descriptor

    def close(self) -> None:
        """Let go of the process; harmless if that has been done."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def send(self, number: signal.Signals) -> None:
        """Signal the process; harmless if it is gone. Callable from any thread.

        Raises:
            PermissionError: it belongs to somebody else.
        """
        with self._lock:
            if self._descriptor >= 0:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._descriptor, number)

    async def gone(self, timeout: float) -> bool:
        """Wait for its end for at most ``timeout`` seconds; whether it came. One caller at a time."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._descriptor, ended.set)
        try:
            async with asyncio.timeout(timeout):
                await ended.wait()
        except TimeoutError:
            return bool(select.select([self._descriptor], [], [], 0)[0])
        finally:
            loop.remove_reader(self._descriptor)
        return True

    async def end(self, *, ask: signal.Signals | None, patience: float) -> bool:
        """Have a process that is not our child end: by signal ``ask``, or by itself if that is None; by SIGKILL after
        ``patience`` seconds. False if it is still there some seconds later.

        Raises:
            PermissionError: it belongs to somebody else.
        """
        if ask is not None:
            self.send(ask)
        if await self.gone(patience):
            return True
        self.send(signal.SIGKILL)
        return await self.gone(_KILLED_S)
