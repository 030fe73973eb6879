"""A child that is up at once and ends at once when told to."""

from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from supervisor.actor import Actor, Link
from supervisor.reasons import ExitReason

Story = SimpleQueue[tuple[str, str]]
"""What children did, in order: (child, what)."""


@dataclass(frozen=True, slots=True)
class Do:
    """Have the child do something in its own thread."""

    what: Callable[[Actor], Any]


class SteadyChild(Actor):
    """``story`` hears of its beginning and its end."""

    def __init__(self, link: Link, id: str = "steady", story: Story | None = None) -> None:
        super().__init__(link)
        self.id = id
        self.story: Story = story or SimpleQueue()

    def initialize(self) -> bool:
        self.story.put((self.id, "began"))
        return True

    def handle(self, message: Any) -> None:
        if isinstance(message, Do):
            message.what(self)
        else:
            super().handle(message)

    def cleanup(self, reason: ExitReason) -> None:
        self.story.put((self.id, "ended"))

    def given_up(self) -> None:
        self.story.put((self.id, "was given up"))
