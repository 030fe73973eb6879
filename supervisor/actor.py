"""The actor base: pykka's, with the guarantees a supervisor needs.

- Every end reaches the parent and whoever monitors, once and with its reason: also from ``initialize``, also a
  ``BaseException`` (which pykka would answer by stopping every actor of the process).
- ``on_start`` only handles ``Initialize``, before anything that others may have sent already; the parent hears
  ``Started`` when ``initialize`` has returned, or later if the actor says so itself.
- An actor that is told to shut down may take its time (bounded by its parent) and ends by ``exit``.
- One that hangs can be given up (``kill``): its thread can't be ended, so it is left behind, but its end is reported at
  once, what it owns is killed, and nothing it says counts any more.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import structlog
from pykka import ActorDeadError, ActorRef, ThreadingActor
from pykka._envelope import Envelope

from supervisor.inbox import Closed, Inbox, InboxFullError, Urgent
from supervisor.names import Name
from supervisor.reasons import Crash, ExitReason, Killed, Normal, Shutdown

log = structlog.get_logger(__name__)


_SHUTDOWN: Final = Shutdown()


def _unheard(*_: object) -> None:
    """What a parent that does not listen does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How an actor reaches its parent. All are callable from any thread and return at once.

    ``started`` is given what the actor says of itself (OTP's ``{ok, Pid, Info}``). After ``ignored`` or ``exited``
    nothing more is said.
    """

    exited: Callable[[ExitReason], None]
    started: Callable[[object], None] = _unheard
    ignored: Callable[[], None] = _unheard


@dataclass(frozen=True, slots=True)
class Initialize:
    """The first message of every actor."""


@dataclass(frozen=True, slots=True)
class ShutDown(Urgent):
    """Told by the parent: end, for ``reason``."""

    reason: ExitReason = _SHUTDOWN


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose answer goes to ``reply``, which must not block; the answer may be an exception."""

    request: Any
    reply: Callable[[Any], None]

    def answer(self, answer: Any) -> None:
        """Give the answer. An asker that fails at it harms nobody else."""
        try:
            self.reply(answer)
        except Exception:
            log.exception("asker failed", request=type(self.request).__name__)


class NoAnswerError(Exception):
    """The actor has ended (``reason``, if it did after the question), is overloaded, or did not answer in time."""

    def __init__(self, text: str, reason: ExitReason | None = None) -> None:
        super().__init__(text)
        self.reason = reason


class Actor(ThreadingActor):
    """Subclasses override ``initialize``, ``handle``, ``answer`` and, if ending takes time, ``shut_down``.

    All hooks run in the actor's own thread, unless they say otherwise. An exception in any of them ends the actor with
    ``Crash``, except in ``answer``, where an ``Exception`` raised is the answer. The thread is a daemon: a hung one can
    be left behind.
    """

    use_daemon_thread = True

    inbox_limit: ClassVar[int | None] = None
    """Messages of others that may wait at most; who has one more is refused (``InboxFullError``). None: any number."""

    inbox_in_order: ClassVar[bool] = False
    """Whether even a stop waits for its turn."""

    def __init__(self, link: Link, name: Name | None = None) -> None:
        super().__init__()
        self._inbox.owner = self
        self._link = link
        self._own_name = name
        self._exiting = False
        self._ending = threading.Lock()
        self._reason: ExitReason | None = None
        self._monitors: list[Callable[[ExitReason], None]] = []
        self.busy_since: float | None = None
        """Since when (monotonic seconds) it is at the message it is at; None while it waits for one."""
        self.handled = 0
        """Messages dealt with so far."""

    # -- hooks --

    def initialize(self) -> bool:
        """Begin. False: not up yet; the actor calls ``started`` itself (or ``ignore``)."""
        return True

    def handle(self, message: Any) -> None:
        """A message."""
        log.warning("unexpected message", actor=type(self).__name__, message=type(message).__name__)

    def answer(self, request: Any, reply: Callable[[Any], None]) -> None:
        """A request by ``ask``: call ``reply`` once, now or later, with the answer or an exception."""
        raise NotImplementedError(f"{type(self).__name__} does not answer {type(request).__name__}")

    def shut_down(self, reason: ExitReason) -> None:
        """End, by ``exit``, now or within the time that the child spec gives."""
        self.exit(reason)

    def cleanup(self, reason: ExitReason) -> None:
        """The last thing an actor does, whatever the reason; not when it was killed, or is not to be (``ignore``)."""

    def given_up(self) -> None:
        """It is being killed: kill what it owns. In the killer's thread, while this actor's own may be anywhere; must
        not block."""

    def dropped(self, message: Any) -> None:
        """A message that arrived too late; ``ask``s are answered already. In the actor's thread, or in the thread of
        whoever called ``tell`` on an actor that has ended, or killed it."""

    def facts(self) -> dict[str, object]:
        """What the tree's snapshot shows of this actor besides. In any thread; returns at once."""
        return {}

    # -- for subclasses --

    def started(self, info: object = None) -> None:
        """Tell the parent that this actor is up, and what it has to say of itself."""
        with self._ending:
            if self._reason is None:
                self._link.started(info)

    def ignore(self) -> None:
        """Instead of ``started``: this actor is not to be, which is no error. It ends."""
        self._exiting = True
        self._end(Normal(), self._link.ignored)

    def exit(self, reason: ExitReason) -> None:
        """End after this message."""
        if self._exiting or self._reason is not None:
            return
        self._exiting = True
        self._inbox.cancel_all()
        try:
            self.cleanup(reason)
        except BaseException as error:
            log.exception("cleanup failed", actor=type(self).__name__)
            reason = Crash(error)
        self._end(reason, lambda: self._link.exited(reason))

    def tell(self, message: Any) -> None:
        """Put ``message`` into this actor's own inbox, from any thread; given to ``dropped`` if it has ended."""
        try:
            self._inbox.put_own(Envelope(message))
        except ActorDeadError:
            self.dropped(message)

    def timer(self, name: str, seconds: float, message: Any) -> None:
        """Have ``message`` come in ``seconds``; replaces the timer of the same name. Only from this actor's thread."""
        self._inbox.schedule(name, seconds, message)

    def cancel(self, name: str) -> None:
        """Stop a timer; its message will not come. Only from this actor's thread."""
        self._inbox.cancel(name)

    @property
    def depth(self) -> int:
        """Messages that wait. In any thread."""
        return self._inbox.depth

    # -- its end --

    def _end(self, reason: ExitReason, report: Callable[[], None]) -> bool:
        """The end, once, whoever comes first: itself, or who kills it."""
        with self._ending:
            if self._reason is not None:
                return False
            self._reason = reason
            monitors, self._monitors = self._monitors, []
        super()._stop()
        if self._own_name is not None:
            self._own_name.give_back(self.actor_ref)
        report()
        for told in monitors:
            try:
                told(reason)
            except Exception:
                log.exception("monitor failed", actor=type(self).__name__)
        return True

    def _give_up(self, reason: Killed) -> None:
        def report() -> None:
            try:
                self.given_up()
            except BaseException:
                log.exception("giving up failed", actor=type(self).__name__)
            self._link.exited(reason)

        if self._end(reason, report):
            self._inbox.close()
            self._drain()

    def _monitor(self, told: Callable[[ExitReason], None]) -> Callable[[], None]:
        with self._ending:
            if self._reason is None:
                self._monitors.append(told)
                return lambda: self._demonitor(told)
        told(self._reason)
        return _unheard

    def _demonitor(self, told: Callable[[ExitReason], None]) -> None:
        with self._ending:
            if told in self._monitors:
                self._monitors.remove(told)

    # -- pykka's side --

    @classmethod
    def _create_actor_inbox(cls) -> Inbox:
        return Inbox(cls.inbox_limit, in_order=cls.inbox_in_order)

    @property
    def _inbox(self) -> Inbox:
        assert isinstance(self.actor_inbox, Inbox)
        return self.actor_inbox

    def on_start(self) -> None:
        """In the actor's thread, before its first message: whoever hears of it can find it by its name."""
        if self._own_name is not None:
            self._own_name.take(self.actor_ref)
            if self._reason is not None:  # killed meanwhile, before there was anything to give back
                self._own_name.give_back(self.actor_ref)
        self.on_receive(Initialize())

    def on_receive(self, message: Any) -> None:
        """Every message comes through here; nothing it raises goes further."""
        if self._exiting or self._reason is not None:
            self._drop(message)
            return
        self.busy_since = time.monotonic()
        try:
            match message:
                case Initialize():
                    if self.initialize():
                        self.started()
                case ShutDown(reason):
                    self.shut_down(reason)
                case Call():
                    self._answer(message)
                case _:
                    self.handle(message)
        except BaseException as error:
            log.exception("actor crashed", actor=type(self).__name__)
            self.exit(Crash(error))
        self.handled += 1
        self.busy_since = None

    def _answer(self, call: Call) -> None:
        try:
            self.answer(call.request, call.answer)
        except Exception as error:  # noqa: BLE001 - a refusal is the asker's to handle
            call.answer(error)
        except BaseException as error:
            call.answer(NoAnswerError(f"the actor crashed: {type(error).__name__}"))
            raise

    def _actor_loop_teardown(self) -> None:
        self._inbox.close()
        self._drain()

    def _drain(self) -> None:
        while (envelope := self._inbox.take()) is not None:
            self._drop(envelope.message)

    def _drop(self, message: Any) -> None:
        if isinstance(message, Call):
            message.answer(NoAnswerError(f"the actor has ended: {self._reason}", self._reason))
        elif not isinstance(message, Initialize | Closed):
            try:
                self.dropped(message)
            except BaseException:
                log.exception("dropping failed", actor=type(self).__name__)

    def _stop(self) -> None:
        # pykka's own stop message (ActorRegistry.stop_all): an end like any other.
        self.exit(Normal())


def tell(ref: ActorRef[Any], message: Any, *, timeout: float = 0.0) -> bool:
    """Put ``message`` into an inbox; False if the actor has ended. Callable from any thread. Waits for room up to
    ``timeout`` seconds: only at the edge, never from an actor.

    Raises:
        InboxFullError: the actor has a limit (``inbox_limit``), and it is reached.
    """
    try:
        ref.actor_inbox.put(Envelope(message), timeout)  # type: ignore[call-arg]  # every inbox here is ours
    except ActorDeadError:
        return False
    return True


def kill(ref: ActorRef[Any], why: str) -> None:
    """Give an actor up, as OTP's ``exit(Pid, kill)``: its end is reported as ``Killed`` before this returns, and what
    it owns is killed. Harmless if it has ended. Callable from any thread."""
    of(ref)._give_up(Killed(why))


def monitor(ref: ActorRef[Any], told: Callable[[ExitReason], None]) -> Callable[[], None]:
    """Call ``told`` once with the reason when the actor ends, in whatever thread that is; at once if it has ended. It
    must not block. Returns what ends the monitoring. Callable from any thread."""
    return of(ref)._monitor(told)


def of(ref: ActorRef[Any]) -> Actor:
    """The actor behind ``ref``, for a look from outside: only what says that it may be called from any thread."""
    inbox = ref.actor_inbox
    assert isinstance(inbox, Inbox)
    assert isinstance(inbox.owner, Actor)
    return inbox.owner


async def ask(ref: ActorRef[Any], request: Any, *, timeout: float) -> Any:
    """Ask from the asyncio loop without blocking it.

    Raises:
        NoAnswerError: the actor has ended, has too much to do, or ``timeout`` seconds have passed.
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

    def expire() -> None:
        settle(NoAnswerError(f"no answer within {timeout:g} s"))

    def reply(answer: Any) -> None:
        try:
            loop.call_soon_threadsafe(settle, answer)
        except RuntimeError:
            log.debug("answer after the loop's end", request=type(request).__name__)

    try:
        if not tell(ref, Call(request, reply)):
            raise NoAnswerError("the actor has ended")
    except InboxFullError as error:
        raise NoAnswerError(f"the actor is overloaded: {error}") from error
    deadline = loop.call_later(timeout, expire)
    try:
        return await future
    finally:
        deadline.cancel()


def monotonic() -> float:
    """The clock of all timers, in seconds."""
    return time.monotonic()
