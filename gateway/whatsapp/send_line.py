"""The sends that a port has, as main sees them: one line, answered one by one and handed on together.

A channel may send thousands a second, so nothing is made here for each but its place in the line: no future, no timer,
no task.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol.codes import ErrorCode
from protocol.interfaces import SendOutcome
from protocol.port import Failed, SendRequest, Sent

Deliver = Callable[[Sequence[SendOutcome]], None]


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the sends that were given together have in common. ``deadline`` in seconds."""

    deliver: Deliver
    deadline: float


class SendLine:
    """Times are the loop's, in seconds."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Batch] = {}
        self._moved = 0.0
        self._outcomes: dict[Deliver, list[SendOutcome]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, requests: Sequence[SendRequest], deliver: Deliver, deadline: float, now: float) -> None:
        """At the end of the line."""
        if not self._waiting:
            self._moved = now
        batch = _Batch(deliver, deadline)
        for request in requests:
            self._waiting[request.key] = batch

    def answered(self, key: str, answer: Sent | Failed, record: int | None, now: float) -> bool:
        """What came of one; whether somebody waits for it: else it is dropped."""
        batch = self._waiting.pop(key, None)
        if batch is None:
            return False
        self._moved = now
        self._give(batch, SendOutcome(key=key, answer=answer, record=record))
        return True

    def due(self) -> float | None:
        """When the head of the line is late; None if there is no line."""
        head = next(iter(self._waiting.values()), None)
        return None if head is None else self._moved + head.deadline

    def late(self) -> tuple[str, float]:
        """The head of the line: its key, and its deadline."""
        key, batch = next(iter(self._waiting.items()))
        return key, batch.deadline

    def end(self, reason: str, *, late: str | None) -> None:
        """The port is gone for ``reason``: whoever is left will not be answered. ``late``: the one that missed its
        deadline, which says that WhatsApp did not answer."""
        waiting, self._waiting = self._waiting, {}
        answer = Failed(code=ErrorCode.OUTCOME_UNKNOWN.value, message=f"the port is gone: {reason}")
        for key, batch in waiting.items():
            self._give(batch, SendOutcome(key=key, answer=answer, cut=key != late))

    def take_outcomes(self) -> dict[Deliver, list[SendOutcome]]:
        """What has come since the last time, by whom it is for."""
        outcomes, self._outcomes = self._outcomes, {}
        return outcomes

    def _give(self, batch: _Batch, outcome: SendOutcome) -> None:
        self._outcomes.setdefault(batch.deliver, []).append(outcome)
