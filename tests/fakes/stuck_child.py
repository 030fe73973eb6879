"""A child that hangs: when it begins, or at a message."""

import threading
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from supervisor.actor import Actor, Link
from supervisor.reasons import ExitReason, Normal


@dataclass(frozen=True, slots=True)
class Hang:
    """A message that the child does not come back from."""


@dataclass(slots=True, eq=False)
class Trap:
    """Where children hang until the test lets them all go; what they did besides."""

    at_start: bool = False
    let_go: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    story: "SimpleQueue[str]" = field(default_factory=SimpleQueue)

    def hold(self) -> None:
        self.entered.set()
        assert self.let_go.wait(30), "the test forgot to let the child go"


class StuckChild(Actor):
    """Hangs in ``trap``; when it comes out it says what it still wanted to say."""

    def __init__(self, link: Link, trap: Trap) -> None:
        super().__init__(link)
        self._trap = trap

    def initialize(self) -> bool:
        if self._trap.at_start:
            self._trap.hold()
        return True

    def handle(self, message: Any) -> None:
        match message:
            case Hang():
                self._trap.hold()
                self.started("late")
                self.exit(Normal())
            case _:
                self._trap.story.put(f"handled {message}")

    def cleanup(self, reason: ExitReason) -> None:
        self._trap.story.put("cleaned up")

    def given_up(self) -> None:
        self._trap.story.put("given up")

    def dropped(self, message: Any) -> None:
        self._trap.story.put(f"dropped {message}")
