"""A child that does not end when it is told to."""

import threading

from supervisor.actor import Actor, Link
from supervisor.reasons import ExitReason


class DeafChild(Actor):
    """Hangs when told to end, until the test lets it go: a thread can't be killed."""

    def __init__(self, link: Link, let_go: threading.Event) -> None:
        super().__init__(link)
        self._let_go = let_go

    def shut_down(self, reason: ExitReason) -> None:
        assert self._let_go.wait(30), "the test forgot to let the child go"
        super().shut_down(reason)
