"""The circuit breaker around sending, pure: what each answer says of the way to WhatsApp, and how much may go now.

Only what concerns every chat alike counts. A recipient that cannot be encrypted for, or a media server that stalls,
holds up its own chat and no other; being disconnected is the lifecycle's.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final, assert_never

from protocol.codes import ErrorCode
from protocol.port import Failed, Sent
from supervisor.breaker import Breaker, BreakerState


class Way(Enum):
    """What an answer says of the way to WhatsApp."""

    WORKS = "works"
    FAILS = "fails"
    UNTOLD = "untold"


WAY: Final[dict[ErrorCode, Way]] = {
    ErrorCode.INVALID_COMMAND: Way.UNTOLD,
    ErrorCode.UNSUPPORTED: Way.UNTOLD,
    ErrorCode.ID_CONFLICT: Way.UNTOLD,
    ErrorCode.NOT_ON_WHATSAPP: Way.WORKS,
    ErrorCode.INVALID_RECIPIENT: Way.UNTOLD,
    ErrorCode.GROUP_UNAVAILABLE: Way.WORKS,
    ErrorCode.REJECTED: Way.WORKS,
    ErrorCode.RESTRICTED: Way.WORKS,
    ErrorCode.OPTED_OUT: Way.UNTOLD,
    ErrorCode.CANCELLED: Way.UNTOLD,
    ErrorCode.OTHER_NUMBER: Way.UNTOLD,
    ErrorCode.RESTORED: Way.UNTOLD,
    ErrorCode.MEDIA_INVALID: Way.UNTOLD,
    ErrorCode.EXPIRED: Way.UNTOLD,
    ErrorCode.MEDIA_UNAVAILABLE: Way.UNTOLD,
    ErrorCode.NOT_ENCRYPTED: Way.UNTOLD,
    ErrorCode.RATE_LIMITED: Way.FAILS,
    ErrorCode.SERVER_ERROR: Way.FAILS,
    ErrorCode.STORE_FAILED: Way.FAILS,
    ErrorCode.NOT_CONNECTED: Way.UNTOLD,
    ErrorCode.OUTCOME_UNKNOWN: Way.FAILS,
    ErrorCode.INTERNAL: Way.FAILS,
}


class Gate:
    """Belongs to one channel's actor; times are monotonic seconds. ``in_flight``: what may be with the port at once."""

    def __init__(self, breaker: Breaker, in_flight: int) -> None:
        self.breaker = breaker
        self._in_flight = in_flight
        self._began: dict[str, int] = {}

    def room(self, now: float) -> int:
        """How many commands may be given to the port: one that probes, none while it is under way or must wait."""
        if not self.breaker.ready(now):
            return 0
        return self._in_flight if self.breaker.state is BreakerState.CLOSED else 1

    def wait(self, now: float) -> float:
        """Seconds until a probe may go; 0 if none is waited for."""
        return self.breaker.wait(now)

    def let_through(self, keys: Iterable[str]) -> None:
        """These attempts are given to the port."""
        for key in keys:
            self.breaker = self.breaker.attempt()
            self._began[key] = self.breaker.opened

    def settle(self, key: str, answer: Sent | Failed, now: float, *, cut: bool = False) -> bool:
        """What came of an attempt; whether that changed the breaker's state. What began before it opened says no more.

        ``cut``: the port ended while it had it, which says nothing of the way to WhatsApp."""
        before = self.breaker
        if self._began.pop(key, None) != before.opened:
            return False
        way = Way.UNTOLD if cut else _way(answer)
        match way:
            case Way.WORKS:
                self.breaker = before.success(now)
            case Way.FAILS:
                self.breaker = before.failure(now)
            case Way.UNTOLD:
                self.breaker = before.abandon()
            case _:
                assert_never(way)
        return self.breaker.state is not before.state


def _way(answer: Sent | Failed) -> Way:
    return Way.WORKS if isinstance(answer, Sent) else WAY[ErrorCode.of(answer.code)]
