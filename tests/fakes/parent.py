"""A parent that keeps what it hears."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from pykka import ActorRef

from supervisor.actor import Link
from supervisor.reasons import ExitReason
from supervisor.spec import ChildSpec

PATIENCE_S = 5.0


class Parent:
    """``started`` is set, and ``exits`` filled, by the actor that was given ``link``."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.exits: SimpleQueue[ExitReason] = SimpleQueue()
        self.link = Link(started=lambda _: self.started.set(), exited=self.exits.put)

    def wait_started(self) -> None:
        assert self.started.wait(PATIENCE_S), "the actor did not come up"

    def wait_exit(self) -> ExitReason:
        try:
            return self.exits.get(timeout=PATIENCE_S)
        except Empty:
            raise AssertionError("the actor did not end") from None

    def heard_nothing_more(self) -> bool:
        return self.exits.empty()


class Starts:
    """The start function of a child spec that keeps what it started. ``make`` is the actor's ``start``."""

    def __init__(self, make: Callable[..., ActorRef[Any]], *args: Any) -> None:
        self._make = make
        self._args = args
        self.refs: SimpleQueue[ActorRef[Any]] = SimpleQueue()
        self.count = 0

    def __call__(self, link: Link) -> ActorRef[Any]:
        ref = self._make(link, *self._args)
        self.count += 1
        self.refs.put(ref)
        return ref

    def next(self) -> ActorRef[Any]:
        """The actor that was started next."""
        try:
            return self.refs.get(timeout=PATIENCE_S)
        except Empty:
            raise AssertionError("no child was started") from None

    def spec(self, id: str, **settings: Any) -> ChildSpec:
        return ChildSpec(id=id, start=self, **settings)
