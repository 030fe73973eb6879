"""A thousand actors: starting and stopping them, what they weigh, and looking at them all."""

import gc
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, Literal

from msgspec import Struct
from pykka import ActorRef, ThreadingActor

from supervisor import snapshot
from supervisor.actor import Actor, Link, ShutDown, tell
from supervisor.shell import Supervisor
from supervisor.snapshot import Node
from supervisor.spec import ChildSpec, Flags
from tests.bench import actor_channels
from tests.bench.actor_messages import PATIENCE_S
from tests.bench.processes import memory

_SNAPSHOTS: Final = 20
_NOT_ACTORS: Final = ("MainThread", "loop", "asyncio_")
"""How the names of threads begin that are no actor's."""

Kind = Literal["pykka", "base", "one_for_one", "independent", "channels"]


class Tree(Struct, kw_only=True):
    """``start``: seconds until all are up (channels: connected); ``stop``: seconds until the last thread has ended;
    each also as CPU seconds of the process. ``memory``: MB (10^6 bytes), private and written to, that came with the
    actors. ``snapshot``: CPU seconds for one of the whole tree, the median; 0 without a supervisor."""

    start: float
    start_cpu: float
    stop: float
    stop_cpu: float
    memory: float
    snapshot: float


class _Plain(ThreadingActor):
    """Says when it has started."""

    use_daemon_thread = True

    def __init__(self, started: Callable[[object], None]) -> None:
        super().__init__()
        self._started = started

    def on_start(self) -> None:
        self._started(None)


Start = Callable[[int], "list[ActorRef[Any]]"]
"""Starts so many actors, waits until they are up, and returns those that are to be told to stop."""


def tree(*, kind: Kind, actors: int) -> Tree:
    """``pykka``: plain actors; ``base``: of the actor base, without a supervisor; ``channels``: clinics with channels;
    else one supervisor."""
    gc.collect()
    dirty = memory(os.getpid()).dirty
    cpu, begun = time.process_time(), time.monotonic()
    refs = _STARTS[kind](actors)
    start, start_cpu = time.monotonic() - begun, time.process_time() - cpu
    gc.collect()
    grown = memory(os.getpid()).dirty - dirty
    looked = _snapshots(refs[0], actors) if len(refs) == 1 else 0.0
    cpu, begun = time.process_time(), time.monotonic()
    for ref in refs:
        if kind == "pykka":
            ref.stop(block=False)
        else:
            tell(ref, ShutDown())
    for thread in threading.enumerate():
        if not thread.name.startswith(_NOT_ACTORS):
            thread.join(PATIENCE_S)
    stop, stop_cpu = time.monotonic() - begun, time.process_time() - cpu
    return Tree(start=start, start_cpu=start_cpu, stop=stop, stop_cpu=stop_cpu, memory=grown, snapshot=looked)


def _plain(actors: int) -> list[ActorRef[Any]]:
    started: SimpleQueue[object] = SimpleQueue()
    refs: list[ActorRef[Any]] = [_Plain.start(started.put) for _ in range(actors)]
    for _ in refs:
        started.get(timeout=PATIENCE_S)
    return refs


def _base(actors: int) -> list[ActorRef[Any]]:
    started: SimpleQueue[object] = SimpleQueue()
    link = Link(exited=lambda _: None, started=started.put)
    refs: list[ActorRef[Any]] = [Actor.start(link) for _ in range(actors)]
    for _ in refs:
        started.get(timeout=PATIENCE_S)
    return refs


def _supervised(flags: Flags) -> Start:
    def start(actors: int) -> list[ActorRef[Any]]:
        booted: SimpleQueue[object] = SimpleQueue()
        specs = [ChildSpec(id=f"child-{number}", start=Actor.start) for number in range(actors)]
        link = Link(exited=lambda _: None, started=booted.put)
        supervisor: ActorRef[Any] = Supervisor.start(link, "bench", specs, flags)
        booted.get(timeout=PATIENCE_S)
        return [supervisor]

    return start


_STARTS: Final[dict[Kind, Start]] = {
    "pykka": _plain,
    "base": _base,
    "one_for_one": _supervised(Flags()),
    "independent": _supervised(Flags(independent=True)),
    "channels": actor_channels.start,
}


def _snapshots(root: ActorRef[Any], actors: int) -> float:
    times = []
    for _ in range(_SNAPSHOTS):
        begun = time.thread_time()
        seen = snapshot.tree(root)
        times.append(time.thread_time() - begun)
        assert _count(seen) > actors
    return sorted(times)[_SNAPSHOTS // 2]


def _count(node: Node) -> int:
    return 1 + sum(map(_count, node.children))
