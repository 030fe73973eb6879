"""An actor's timers, as values: a message, by name, for a moment. Knows no clock and wakes nobody."""

from heapq import heapify, heappop, heappush
from typing import Any, Final

_SLACK: Final = 16
"""Entries of cancelled and replaced timers that may wait in the heap at most, beside as many as there are timers."""


class Timers:
    """Times are monotonic seconds. Of timers due at the same time the one that was set first comes first."""

    def __init__(self) -> None:
        self._timers: dict[str, tuple[int, Any]] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._number = 0

    def __len__(self) -> int:
        return len(self._timers)

    def set(self, name: str, due: float, message: Any) -> None:
        """Replaces the timer of the same name."""
        self._number += 1
        self._timers[name] = self._number, message
        heappush(self._heap, (due, self._number, name))
        if len(self._heap) > 2 * len(self._timers) + _SLACK:
            self._heap = [entry for entry in self._heap if self._holds(entry)]
            heapify(self._heap)

    def cancel(self, name: str) -> None:
        """Forget a timer; harmless if there is none."""
        self._timers.pop(name, None)

    def cancel_all(self) -> None:
        """Forget all timers."""
        self._timers.clear()
        self._heap.clear()

    def due(self) -> float | None:
        """When the next one is due."""
        while self._heap:
            if self._holds(self._heap[0]):
                return self._heap[0][0]
            heappop(self._heap)
        return None

    def take(self) -> Any:
        """The message of the next one, after ``due`` has said when; it is a timer no more."""
        _, _, name = heappop(self._heap)
        return self._timers.pop(name)[1]

    def _holds(self, entry: tuple[float, int, str]) -> bool:
        _, number, name = entry
        return name in self._timers and self._timers[name][0] == number
