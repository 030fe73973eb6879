"""A child that crashes: how long until it is up again, below a supervisor and with pykka alone."""

import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

from pykka import ActorRef, ThreadingActor

from supervisor.actor import Actor, Link, tell
from supervisor.shell import Supervisor
from supervisor.spec import ChildSpec, Flags
from supervisor.state import Started
from tests.bench.actor_messages import PATIENCE_S, Base, Run

_CRASHING: Final = "crashing"
_HANG_S: Final = 2.0
_PAUSE_S: Final = 0.002
"""Between a restart and the next crash: what the last one has left to do is not the next one's."""

Crashed = Callable[[float], None]
"""Told when, in monotonic seconds."""
Up = Callable[[tuple[ActorRef[Any], float]], None]


class _CrashError(Exception):
    """Meant to happen."""


class _Plain(ThreadingActor):
    """Starts its successor when it crashes, as one would with pykka alone."""

    use_daemon_thread = True

    def __init__(self, crashed: Crashed, up: Up) -> None:
        super().__init__()
        self._crashed = crashed
        self._up = up

    def on_start(self) -> None:
        self._up((self.actor_ref, time.monotonic()))

    def on_receive(self, message: Any) -> None:
        self._crashed(time.monotonic())
        raise _CrashError

    def on_failure(self, *_: Any) -> None:
        type(self).start(self._crashed, self._up)


class _Child(Actor):
    """Crashes when it is told something."""

    def __init__(self, link: Link, crashed: Crashed) -> None:
        super().__init__(link)
        self._crashed = crashed

    def handle(self, message: Any) -> None:
        self._crashed(time.monotonic())
        raise _CrashError


class _Watched(Supervisor):
    """Says when it has dealt with ``Started`` of the child that crashes."""

    def __init__(self, up: Up, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._up = up

    def handle(self, message: Any) -> None:
        super().handle(message)
        if isinstance(message, Started) and message.id == _CRASHING:
            ref = self._ref(message.id, message.incarnation)
            assert ref is not None
            self._up((ref, time.monotonic()))


def restarts(*, base: Base, count: int, siblings: int = 0, hang: bool = False) -> Run:
    """From the moment before the exception until the supervisor has taken note that the child is up (pykka alone: until
    ``on_start``), ``count`` times. ``siblings``: children besides it; ``hang``: hung children are looked for."""
    crashes: SimpleQueue[float] = SimpleQueue()
    ups: SimpleQueue[tuple[ActorRef[Any], float]] = SimpleQueue()
    send: Callable[[ActorRef[Any], Any], object]
    if base == "pykka":
        send = ActorRef.tell
        _Plain.start(crashes.put, ups.put)
    else:
        send = tell
        _supervise(siblings, _HANG_S if hang else None, crashes.put, ups.put)
    ref, _ = ups.get(timeout=PATIENCE_S)
    latencies = []
    cpu = time.process_time()
    for _ in range(count):
        time.sleep(_PAUSE_S)
        send(ref, None)
        crashed = crashes.get(timeout=PATIENCE_S)
        ref, up = ups.get(timeout=PATIENCE_S)
        latencies.append(up - crashed)
    return Run(count=count, seconds=sum(latencies), cpu=time.process_time() - cpu, latencies=latencies)


def _supervise(siblings: int, hang_s: float | None, crashed: Crashed, up: Up) -> None:
    booted: SimpleQueue[object] = SimpleQueue()
    names = [_CRASHING, *(f"child-{number}" for number in range(siblings))]
    specs = [ChildSpec(id=name, start=lambda link: _Child.start(link, crashed), hang_s=hang_s) for name in names]
    link = Link(exited=lambda _: None, started=booted.put)
    _Watched.start(up, link, "bench", specs, Flags(intensity=1_000_000))
    booted.get(timeout=PATIENCE_S)
