"""A running node: ``plantao run``. Owns the main thread, the lock on the data directory, signals and the ready line."""

import fcntl
import gc
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Final, TypeVar

import structlog
from pykka import ActorRef

from config import log as logging_setup
from config import node_file, takers, tree
from config.ending import Cause, Stage, after
from config.gateways import admin_key_file
from config.node_file import NODE_FILE
from config.parts import Parts, make
from config.reload import Reread
from config.runtime import ensure_private
from config.sections import Settings
from config.terminal import Terminal
from gateway.nats.accounts import Role
from gateway.nats.broker import EmbeddedBroker
from protocol.errors import ConflictError, InvalidInputError, PlantaoError
from protocol.subjects import ACCOUNT_PLATFORM
from supervisor.actor import Link, ShutDown, tell
from supervisor.affinity import OneCpu
from supervisor.reasons import Crash, ExitReason, FailedToStartChild, Shutdown
from supervisor.spec import Quarantine, Stagger
from supervisor.tally import Tally

T = TypeVar("T")

LOOK_S: Final = 0.5
LEAVE_S: Final = 10.0
"""How long the process may take to leave after the node has ended."""
COLLECT_AFTER: Final = 10_000
"""So many new objects, more than were freed, have the garbage collector look at them; some megabytes at most."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Up:
    """The whole tree is up."""


@dataclass(frozen=True, slots=True)
class _Read:
    """The registry has been read since: whoever asks for a clinic is told whether there is one."""


@dataclass(frozen=True, slots=True)
class _Rotated:
    """A login to NATS has a new password."""


@dataclass(frozen=True, slots=True)
class _Down:
    """The tree has ended."""

    reason: ExitReason


@dataclass(frozen=True, slots=True)
class _Signalled:
    """The operator wants an end, or has closed the terminal in which the node was started."""

    number: int


@dataclass(frozen=True, slots=True)
class _Drained:
    """Nothing is under way any more."""


@dataclass(frozen=True, slots=True)
class _HungUp:
    """The operator wants the settings to be read again."""


@dataclass(frozen=True, slots=True)
class _Reloaded:
    """They were: what the node's file says may be different."""


_News = _Up | _Read | _Rotated | _Down | _Signalled | _HungUp | _Reloaded | _Drained


def run(reread: Reread, json_ready: bool) -> int:
    """Run until SIGTERM or SIGINT (drains and ends, exit code 0; a second one ends the drain) or until the root gives
    up (1). SIGHUP has it read its settings again, by ``reread``, as it does first of all. Main thread only.

    ``json_ready``: the first line on stdout, once ready, is a JSON object that says where everything is.

    Raises:
        PlantaoError: it could not be started; the text says why and what to do.
    """
    settings = reread()
    logging_setup.configure(settings.log)
    ensure_private(settings.data)
    ensure_private(settings.runtime)
    _raise_descriptor_limit()
    with _locked(settings.data / "lock", "data"), _locked(settings.runtime / "runtime.lock", "runtime"):
        if not settings.runtime_in_memory:
            log.warning("runtime directory is not in memory: session keys are on a disk", runtime=str(settings.runtime))
        try:
            return _run(settings, reread, json_ready)
        finally:
            last = threading.Timer(LEAVE_S, _leave)
            last.daemon = True
            last.start()


def _run(settings: Settings, reread: Reread, json_ready: bool) -> int:
    parts = make(settings, reread)
    _spare_what_stays()
    news: SimpleQueue[_News] = SimpleQueue()
    takers.join(parts)
    parts.reloading.join(lambda _settings: partial(news.put, _Reloaded()))
    parts.gateways.logins.on_rotated(lambda account, _: news.put(_Rotated()) if account == ACCOUNT_PLATFORM else None)
    with _signals(news):
        link = Link(started=lambda _: news.put(_Up()), exited=lambda reason: news.put(_Down(reason)))
        cpu = OneCpu() if settings.threads.one_cpu else None
        supervision = _supervision(settings, parts.tally)
        root = _start(cpu, partial(tree.start, parts, supervision, link))
        terminal = Terminal(parts, show_codes=not json_ready and sys.stdout.isatty())
        end = _End(parts, root, lambda: news.put(_Drained()))
        try:
            while True:
                match _next(news, end.deadline, cpu):
                    case None:
                        if end.go_on(Cause.TIME_OVER) is Stage.FORCED:
                            return _give_up(parts)
                    case _Up():
                        parts.board.when_read(lambda: news.put(_Read()))
                    case _Read() if end.stage is Stage.ON_DUTY:
                        _ready(settings, parts, json_ready)
                        terminal.start()
                    case _Rotated() | _Reloaded() if (settings.data / NODE_FILE).exists():
                        _renew_node_file(settings, parts)
                    case _Signalled(number):
                        terminal.stop()
                        log.info("told to end", signal=signal.Signals(number).name)
                        end.go_on(Cause.ASKED)
                    case _HungUp():
                        # Apart: a file that cannot be read to its end must not keep the node from its own.
                        threading.Thread(target=_reload, args=(parts,), name="reload", daemon=True).start()
                    case _Drained():
                        end.go_on(Cause.DRAINED)
                    case _Down(reason):
                        return _exit_code(reason, asked=end.stage is not Stage.ON_DUTY)
        finally:
            node_file.remove(settings.data, settings.runtime)


class _End:
    """The node's way to its end: does what belongs to each stage when it comes to it. Main thread only. ``told`` is
    called when nothing is under way any more."""

    def __init__(self, parts: Parts, root: ActorRef[Any], told: Callable[[], None]) -> None:
        self._parts = parts
        self._root = root
        self._told = told
        self.stage = Stage.ON_DUTY
        self.deadline: float | None = None
        """When the stage is over, in monotonic seconds; None: it has no end of its own."""

    def go_on(self, cause: Cause) -> Stage:
        """The stage that follows from ``cause``; begins it if it is another."""
        before, self.stage = self.stage, after(self.stage, cause)
        if self.stage is not before:
            log.info(self.stage.value, reason=cause.value)
            self._begin()
        return self.stage

    def _begin(self) -> None:
        policy = self._parts.reloading.settings.shutdown
        match self.stage:
            case Stage.DRAINING:
                self.deadline = time.monotonic() + policy.drain_s
                channels = [(shown.clinic, shown.channel) for shown in self._parts.board.channels()]
                self._parts.drain.begin(channels, self._parts.names, self._told)
            case Stage.ENDING:
                self.deadline = time.monotonic() + policy.deadline_s
                tell(self._root, ShutDown())
            case _:
                pass


def _start(cpu: OneCpu | None, begin: Callable[[], T]) -> T:
    """Have ``begin`` start the tree, on one CPU if there is to be one."""
    if cpu is None:
        return begin()
    return cpu.start(begin)


def _next(news: "SimpleQueue[_News]", deadline: float | None, cpu: OneCpu | None) -> _News | None:
    """What happens next; None if nothing does before ``deadline`` (monotonic seconds). Sees to ``cpu`` meanwhile."""
    while deadline is None or time.monotonic() < deadline:
        if cpu is not None:
            cpu.look()
        try:
            # Not for ever: a signal that the kernel gives to another thread does not wake this one, and only this one
            # runs the handler.
            return news.get(timeout=LOOK_S if deadline is None else max(0.0, min(LOOK_S, deadline - time.monotonic())))
        except Empty:
            continue
    return None


def _spare_what_stays() -> None:
    """Have the garbage collector pass over what is there before any actor is: it stays anyway, and a full collection,
    during which no thread runs, would look at it again and again. It looks at what is new less often as well: next to
    nothing of ours is in cycles, and looking every 700 objects was 3 % of what a command costs."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


def _reload(parts: Parts) -> None:
    try:
        parts.reloading.now()
    except PlantaoError as error:
        log.error("settings not read again: they are as they were", error=str(error))
    except Exception:  # a fault of ours, for which no clinic is to lose its sessions
        log.exception("settings not read again")


def _give_up(parts: Parts) -> int:
    """End what is left by force. Ports end by themselves when they find that main is gone."""
    log.error("not ended in time: ending by force", deadline_s=parts.reloading.settings.shutdown.deadline_s)
    nursery, broker = parts.gateways.nursery, parts.gateways.broker
    nursery.kill("the node gave up")
    if isinstance(broker, EmbeddedBroker):
        broker.kill("the node gave up")
    return 1


def _leave() -> None:
    """Python waits at its end for threads, for ever if one hangs in a call to the system: a disk that is gone."""
    log.error("a thread hangs after the node has ended: leaving by force", count=threading.active_count())
    os._exit(1)


def _raise_descriptor_limit() -> None:
    """Every port takes three descriptors of ours: use as many as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _exit_code(reason: ExitReason, *, asked: bool) -> int:
    if asked and reason == Shutdown():
        log.info("ended")
        return 0
    cause = _cause(reason)
    if isinstance(cause, PlantaoError):
        raise cause
    log.error("the node gave up", reason=str(reason))
    return 1


def _cause(reason: ExitReason) -> BaseException | None:
    """What a child that did not start raised, below the reports of its supervisors."""
    match reason:
        case Crash(error):
            return error
        case Shutdown(term=FailedToStartChild(reason=inner)):
            return _cause(inner)
        case _:
            return None


def _supervision(settings: Settings, tally: Tally) -> tree.Supervision:
    given = settings.supervision
    return tree.Supervision(
        hang_s=given.hang,
        quarantine=Quarantine(
            restarts=given.quarantine_restarts,
            period_s=given.quarantine_period,
            release_s=given.quarantine_release or None,
        ),
        stagger=Stagger(at_once=settings.boot.parallel, jitter_s=settings.boot.jitter_s),
        tally=tally,
    )


def _ready(settings: Settings, parts: Parts, json_ready: bool) -> None:
    broker, key = parts.gateways.broker, admin_key_file(settings.data)
    login = broker.login(ACCOUNT_PLATFORM, Role.SERVICE)
    where = {"ready": True, "http": parts.admin.url, "nats": login.url, "admin_key": str(key)}
    _write_node_file(settings, parts)
    if json_ready:
        print(json.dumps(where), flush=True)  # noqa: T201 - the contract of --json
        return
    print(  # noqa: T201 - for the person who started it
        f"Plantão is on duty.\n"
        f"  admin endpoint  {parts.admin.url}\n"
        f"  admin key       {key}\n"
        f"  NATS            {broker.server} (credentials: {settings.data / NODE_FILE}, plantao key nats)\n"
        f"  data            {settings.data}\n"
        f"  session stores  {settings.runtime}\n"
        f"Add a clinic and a channel from another terminal:\n"
        f"  plantao clinic add acme --name 'Clínica Acme'\n"
        f"  plantao channel add acme reception\n"
        f"  plantao channel pair acme reception\n",
        flush=True,
    )


def _renew_node_file(settings: Settings, parts: Parts) -> None:
    """A full disk ends no node."""
    try:
        _write_node_file(settings, parts)
    except OSError as error:
        log.error(
            "the node's file is not renewed: reload the settings when it can be", file=NODE_FILE, error=str(error)
        )


def _write_node_file(settings: Settings, parts: Parts) -> None:
    gateways = parts.gateways
    node_file.write(
        settings.data,
        settings.runtime,
        http=parts.admin.url,
        nats=gateways.broker.login(ACCOUNT_PLATFORM, Role.SERVICE).url,
        certificate=None if gateways.certificate is None else gateways.certificate.pem,
    )


@contextmanager
def _locked(path: Path, setting: str) -> Iterator[None]:
    """Hold ``path``: two nodes on one data directory, or one runtime directory, would destroy each other's sessions,
    and end each other's broker as a left-over."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InvalidInputError(setting, f"a directory that can be written to; {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            told = f"another node (pid {holder}) runs on {path.parent}; stop it, or use another {setting} directory"
            raise ConflictError(told) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _signals(news: "SimpleQueue[_News]") -> Iterator[None]:
    # Under nohup the end of the terminal is to mean nothing.
    at_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    def handler(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and (not at_terminal or _has_terminal()):
            news.put(_HungUp())
        else:
            news.put(_Signalled(number))

    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _has_terminal() -> bool:
    """Whether there is a terminal from which this process can be told to end."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
