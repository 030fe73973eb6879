"""Waiting for what other threads do: they ring, the test looks."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 5.0


class Bell:
    """Fakes ring it after every change."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def ring(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def wait(self, look: Callable[[], T | None], what: str) -> T:
        """Return what ``look`` finds, once it finds something that is true; looks again at every ring."""
        deadline = time.monotonic() + PATIENCE_S
        with self._condition:
            while not (found := look()):
                left = deadline - time.monotonic()
                assert left > 0, f"waited in vain for {what}"
                self._condition.wait(left)
            return found
