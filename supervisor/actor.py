"""The actor base: pykka's, with the guarantees a supervisor needs.

- Every end reaches the parent, with its reason: also from ``initialize``, also a ``BaseException`` (which pykka would
  answer by stopping every actor of the process).
- ``on_start`` only handles ``Initialize``, before anything that others may have sent already; the parent hears
  ``Started`` when ``initialize`` has returned, or later if the actor says so itself.
- An actor that is told to shut down may take its time (bounded by its parent) and ends by ``exit``.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from pykka import ActorDeadError, ActorRef, ThreadingActor

from supervisor.inbox import Inbox
from supervisor.names import Name
from supervisor.reasons import Crash, ExitReason, Normal, Shutdown

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How an actor reaches its parent. Both are callable from any thread and return at once."""

    started: Callable[[], None]
    exited: Callable[[ExitReason], None]


@dataclass(frozen=True, slots=True)
class Initialize:
    """The first message of every actor."""


@dataclass(frozen=True, slots=True)
class ShutDown:
    """Told by the parent: end."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose answer goes to ``reply``, which must not block; the answer may be an exception."""

    request: Any
    reply: Callable[[Any], None]


class NoAnswerError(Exception):
    """The actor has ended or did not answer in time."""


class Actor(ThreadingActor):
    """Subclasses override ``initialize``, ``handle``, ``answer`` and, if ending takes time, ``shut_down``.

    All hooks run in the actor's own thread. An exception in any of them ends the actor with ``Crash``, except in
    ``answer``, where an ``Exception`` raised is the answer. The thread is a daemon: a hung one can be left behind.
    """

    use_daemon_thread = True

    def __init__(self, link: Link, name: Name | None = None) -> None:
        super().__init__()
        self._link = link
        self._own_name = name
        self._ended = False

    # -- hooks --

    def initialize(self) -> bool:
        """Begin. False: not up yet; the actor calls ``started`` itself."""
        return True

    def handle(self, message: Any) -> None:
        """A message."""
        log.warning("unexpected message", actor=type(self).__name__, message=type(message).__name__)

    def answer(self, request: Any, reply: Callable[[Any], None]) -> None:
        """A request by ``ask``: call ``reply`` once, now or later, with the answer or an exception."""
        raise NotImplementedError(f"{type(self).__name__} does not answer {type(request).__name__}")

    def shut_down(self) -> None:
        """End, by ``exit``, now or within the time that the child spec gives."""
        self.exit(Shutdown())

    def cleanup(self, reason: ExitReason) -> None:
        """The last thing an actor does, whatever the reason."""

    def dropped(self, message: Any) -> None:
        """A message that arrived too late; ``ask``s are answered already. In the actor's thread, or in the thread of
        whoever called ``tell`` on an actor that has ended."""

    # -- for subclasses --

    def started(self) -> None:
        """Tell the parent that this actor is up."""
        self._link.started()

    def exit(self, reason: ExitReason) -> None:
        """End after this message."""
        if self._ended:
            return
        self._ended = True
        self._inbox.cancel_all()
        try:
            self.cleanup(reason)
        except BaseException as error:
            log.exception("cleanup failed", actor=type(self).__name__)
            reason = Crash(error)
        super()._stop()
        if self._own_name is not None:
            self._own_name.give_back(self.actor_ref)
        self._link.exited(reason)

    def tell(self, message: Any) -> None:
        """Put ``message`` into this actor's own inbox, from any thread; given to ``dropped`` if it has ended."""
        if not tell(self.actor_ref, message):
            self.dropped(message)

    def timer(self, name: str, seconds: float, message: Any) -> None:
        """Have ``message`` come in ``seconds``; replaces the timer of the same name. Only from this actor's thread."""
        self._inbox.schedule(name, seconds, message)

    def cancel(self, name: str) -> None:
        """Stop a timer; its message will not come. Only from this actor's thread."""
        self._inbox.cancel(name)

    # -- pykka's side --

    @staticmethod
    def _create_actor_inbox() -> Inbox:
        return Inbox()

    @property
    def _inbox(self) -> Inbox:
        assert isinstance(self.actor_inbox, Inbox)
        return self.actor_inbox

    def on_start(self) -> None:
        """In the actor's thread, before its first message: whoever hears of it can find it by its name."""
        if self._own_name is not None:
            self._own_name.take(self.actor_ref)
        self.on_receive(Initialize())

    def on_receive(self, message: Any) -> None:
        """Every message comes through here; nothing it raises goes further."""
        if self._ended:
            return
        try:
            match message:
                case Initialize():
                    if self.initialize():
                        self.started()
                case ShutDown():
                    self.shut_down()
                case Call(request, reply):
                    self._answer(request, reply)
                case _:
                    self.handle(message)
        except BaseException as error:
            log.exception("actor crashed", actor=type(self).__name__)
            self.exit(Crash(error))

    def _answer(self, request: Any, reply: Callable[[Any], None]) -> None:
        try:
            self.answer(request, reply)
        except Exception as error:  # noqa: BLE001 - a refusal is the asker's to handle
            reply(error)
        except BaseException as error:
            reply(NoAnswerError(f"the actor crashed: {type(error).__name__}"))
            raise

    def _actor_loop_teardown(self) -> None:
        self._inbox.close()
        while not self._inbox.empty():
            message = self._inbox.get().message
            if isinstance(message, Call):
                message.reply(NoAnswerError("the actor has ended"))
            else:
                self.dropped(message)

    def _stop(self) -> None:
        # pykka's own stop message (ActorRegistry.stop_all): an end like any other.
        self.exit(Normal())


def tell(ref: ActorRef[Any], message: Any) -> bool:
    """Put ``message`` into an inbox; False if the actor has ended. Callable from any thread."""
    try:
        ref.tell(message)
    except ActorDeadError:
        return False
    return True


async def ask(ref: ActorRef[Any], request: Any, *, timeout: float) -> Any:
    """Ask from the asyncio loop without blocking it.

    Raises:
        NoAnswerError: the actor has ended, or ``timeout`` seconds have passed.
        Exception: what the actor answered with.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(answer: Any) -> None:
        if future.done():
            return
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def reply(answer: Any) -> None:
        try:
            loop.call_soon_threadsafe(settle, answer)
        except RuntimeError:
            log.debug("answer after the loop's end", request=type(request).__name__)

    if not tell(ref, Call(request, reply)):
        raise NoAnswerError("the actor has ended")
    try:
        return await asyncio.wait_for(future, timeout)
    except TimeoutError as error:
        raise NoAnswerError(f"no answer within {timeout:g} s") from error


def monotonic() -> float:
    """The clock of all timers, in seconds."""
    return time.monotonic()
