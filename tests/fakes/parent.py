"""A parent that keeps what it hears."""

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from pykka import ActorRef

from supervisor.actor import Link
from supervisor.reasons import ExitReason
from supervisor.spec import ChildSpec

PATIENCE_S = 10.0

T = TypeVar("T")


def taken(queue: "SimpleQueue[T]", what: str) -> T:
    """The next of ``queue``, which has to come."""
    try:
        return queue.get(timeout=PATIENCE_S)
    except Empty:
        raise AssertionError(what) from None


def until(holds: Callable[[], bool]) -> None:
    """Look again and again: for what comes to be true without anybody saying so."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.001)


class Parent:
    """``started`` is set, ``infos`` and ``exits`` filled, by the actor that was given ``link``."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.ignored = threading.Event()
        self.infos: SimpleQueue[object] = SimpleQueue()
        self.exits: SimpleQueue[ExitReason] = SimpleQueue()
        self.link = Link(started=self._on_started, ignored=self.ignored.set, exited=self.exits.put)

    def _on_started(self, info: object) -> None:
        self.infos.put(info)
        self.started.set()

    def wait_started(self) -> None:
        assert self.started.wait(PATIENCE_S), "the actor did not come up"

    def wait_ignored(self) -> None:
        assert self.ignored.wait(PATIENCE_S), "the actor did not ignore its start"

    def wait_exit(self) -> ExitReason:
        return taken(self.exits, "the actor did not end")

    def heard_nothing_more(self) -> bool:
        return self.exits.empty() and self.infos.qsize() <= 1


class Starts:
    """The start function of a child spec that keeps what it started. ``make`` is the actor's ``start``."""

    def __init__(self, make: Callable[..., ActorRef[Any]], *args: Any) -> None:
        self._make = make
        self._args = args
        self.refs: SimpleQueue[ActorRef[Any]] = SimpleQueue()
        self.count = 0

    def __call__(self, link: Link, *more: Any) -> ActorRef[Any]:
        ref = self._make(link, *self._args, *more)
        self.count += 1
        self.refs.put(ref)
        return ref

    def next(self) -> ActorRef[Any]:
        """The actor that was started next."""
        return taken(self.refs, "no child was started")

    def spec(self, id: str, **settings: Any) -> ChildSpec:
        return ChildSpec(id=id, start=self, **settings)
