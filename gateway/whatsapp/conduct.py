"""What a port may do beside speaking in frames. A port reads what strangers send: it may have been taken over by one.

So main counts. What a port is asked for or was given credit for is bounded by main itself; the rest is beats and rare
events, and a port that says more of them than any session could would only fill main's memory and take its time.
"""

from typing import Final

from gateway.whatsapp.outflow import MAX_RECORDS
from protocol.interfaces import INBOUND_CREDIT

PERIOD_S: Final = 10.0
MOST_UNASKED: Final = 2000
"""Frames in a period that nobody asked for. A session that flaps says some tens."""
MOST_OWED: Final = 2 * MAX_RECORDS
"""Records beyond its credit: a port that ends says all that it holds."""
_LONGEST: Final = 500


class BreachError(Exception):
    """It has done what no port of ours does: nothing that it says is believed any more."""


class Conduct:
    """Of one port, whose credit is ``INBOUND_CREDIT`` at first. Times in seconds, of one clock."""

    def __init__(self) -> None:
        self._credit = INBOUND_CREDIT
        self._begun = float("-inf")
        self._unasked = 0

    def granted(self, count: int) -> None:
        """It may send ``count`` more records."""
        self._credit += count

    def record(self) -> None:
        """It sent one. Raises BreachError: far more than it may."""
        self._credit -= 1
        if self._credit < -MOST_OWED:
            raise BreachError("far more records than it had credit for")

    def unasked(self, now: float) -> None:
        """It said something that nobody asked for. Raises BreachError: too often."""
        if now - self._begun >= PERIOD_S:
            self._begun, self._unasked = now, 0
        self._unasked += 1
        if self._unasked > MOST_UNASKED:
            raise BreachError(f"more than {MOST_UNASKED} frames in {PERIOD_S:g} s that nobody asked for")


def words(text: str) -> str:
    """What a port says for people, on one line, printable and of bounded length."""
    return "".join(each if each.isprintable() else " " for each in text[:_LONGEST])
