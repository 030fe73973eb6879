"""A loop whose work runs in the test's own asyncio loop, until nothing moves any more."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from protocol.interfaces import Failure

T = TypeVar("T")
_SPINS = 25
"""Turns of the loop without any news after which nothing will come by itself: fakes do no real work."""


class SteppingLoop:
    """Implements ``protocol.interfaces.Loop``; time-outs are the test's to call, by ``time_out``."""

    def __init__(self) -> None:
        self.tasks: dict[asyncio.Task[None], str] = {}
        self._delivered = 0
        self._timed_out: set[asyncio.Task[None]] = set()

    def spawn(
        self, work: Coroutine[Any, Any, T], deliver: Callable[[T | Failure], None], *, timeout: float
    ) -> Callable[[], None]:
        assert timeout > 0

        started = cancelled = False

        async def run() -> None:
            nonlocal started
            started = True
            outcome: T | Failure
            try:
                if cancelled:
                    work.close()
                    raise asyncio.CancelledError
                outcome = await work
            except asyncio.CancelledError as error:
                timed_out = asyncio.current_task() in self._timed_out
                outcome = Failure(TimeoutError() if timed_out else error)
            except BaseException as error:  # noqa: BLE001 - the outcome belongs to whoever asked
                outcome = Failure(error)
            self._delivered += 1
            deliver(outcome)

        task = asyncio.get_running_loop().create_task(run())
        self.tasks[task] = getattr(work, "__name__", "")
        task.add_done_callback(lambda done: self.tasks.pop(done, None))

        def cancel() -> None:
            nonlocal cancelled
            cancelled = True
            if started:
                task.cancel()

        return cancel

    async def rest(self) -> None:
        """Return when all that is under way waits for something."""
        quiet = 0
        while quiet < _SPINS:
            before = self._delivered
            await asyncio.sleep(0)
            quiet = quiet + 1 if before == self._delivered else 0

    def time_out(self, name: str) -> None:
        """The work whose coroutine has this name takes too long."""
        (task,) = [task for task, of in self.tasks.items() if of == name]
        self._timed_out.add(task)
        task.cancel()

    async def end(self) -> None:
        """Cancel what is left."""
        for task in list(self.tasks):
            task.cancel()
        await self.rest()
