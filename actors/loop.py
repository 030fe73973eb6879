"""The one asyncio loop, on a thread of its own, and the actor that owns it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from protocol.interfaces import Failure
from supervisor.actor import Actor, Link
from supervisor.reasons import Crash, ExitReason

T = TypeVar("T")
STOP_TIMEOUT_S: Final = 5.0

log = structlog.get_logger(__name__)


def nothing() -> None:
    """Cancels no work: what a cancel is before there is any."""


class LoopEndedError(Exception):
    """The loop's thread ended without having been asked to."""


class AsyncioLoop:
    """Implements ``protocol.interfaces.Loop``. ``start`` and ``stop`` may each be called once."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)
        self._on_end: Callable[[], None] | None = None

    def start(self, on_end: Callable[[], None]) -> None:
        """Run the loop; ``on_end`` is called on its thread when it has ended, for whatever reason."""
        self._on_end = on_end
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            # Whatever becomes of the tidying: who owns the loop must hear that it is dead.
            try:
                self._finish()
            finally:
                if self._on_end is not None:
                    self._on_end()

    def _finish(self) -> None:
        try:
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=STOP_TIMEOUT_S))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    def stop(self) -> None:
        """Cancel what still runs and end the thread; returns when it has ended. Not from the loop's thread."""
        if self._thread.is_alive():
            self._call(self._loop.stop)
            self._thread.join(STOP_TIMEOUT_S * 2)

    def spawn(
        self, work: Coroutine[Any, Any, T], deliver: Callable[[T | Failure], None], *, timeout: float
    ) -> Callable[[], None]:
        """See ``protocol.interfaces.Loop``. After the loop's end: a ``CancelledError``, at once."""
        task: asyncio.Task[None] | None = None
        cancelled = False

        def begin() -> None:
            nonlocal task
            if cancelled:
                never_begun()
            else:
                task = self._loop.create_task(run())
                task.add_done_callback(ended)

        async def run() -> None:
            # Nor does the task keep it: what an error's frames hold, such as media, would be in a cycle with it.
            deliver(await _outcome(work, timeout))

        def ended(run: "asyncio.Task[None]") -> None:  # not worked out anew for each
            if run.cancelled():
                # Before its first step: later, the cancellation is an outcome.
                never_begun()

        def never_begun() -> None:
            work.close()
            deliver(Failure(asyncio.CancelledError()))

        def cancel() -> None:
            nonlocal cancelled
            cancelled = True
            # Whether there is a task is asked on the loop's thread, where ``begin`` is over by then.
            self._call(lambda: task is not None and task.cancel())

        if not self._call(begin):
            never_begun()
        return cancel

    def _call(self, function: Callable[[], object]) -> bool:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            return False
        return True


async def _outcome(work: Coroutine[Any, Any, T], timeout: float) -> T | Failure:
    try:
        async with asyncio.timeout(timeout):
            return await work
    except BaseException as error:  # noqa: BLE001 - the outcome belongs to whoever asked
        return Failure(error)


class LoopOwner(Actor):
    """Starts the loop, and crashes if it ends by itself."""

    def __init__(self, link: Link, loop: AsyncioLoop) -> None:
        super().__init__(link)
        self._loop = loop

    def initialize(self) -> bool:
        """The loop runs when this returns."""
        self._loop.start(lambda: self.tell(LoopEndedError("the asyncio loop ended")))
        return True

    def handle(self, message: Any) -> None:
        """The loop has ended."""
        if isinstance(message, LoopEndedError):
            self.exit(Crash(message))
        else:
            super().handle(message)

    def cleanup(self, reason: ExitReason) -> None:
        """End the loop's thread."""
        self._loop.stop()
