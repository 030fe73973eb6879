"""What is said of one thing that was looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How it is. ``UNKNOWN``: it could not be found out."""

    FINE = "fine"
    UNKNOWN = "unknown"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``check``: what was looked at, in a word. ``told``: how it is; holds no secret. ``mend``: what to do, empty if
    nothing is to be done."""

    check: str
    level: Level
    told: str
    mend: str = ""


def fine(check: str, told: str) -> Finding:
    """Nothing to be done."""
    return Finding(check=check, level=Level.FINE, told=told)


def unknown(check: str, told: str, mend: str = "") -> Finding:
    """It could not be found out."""
    return Finding(check=check, level=Level.UNKNOWN, told=told, mend=mend)


def warning(check: str, told: str, mend: str) -> Finding:
    """The node works, and something is to be done all the same."""
    return Finding(check=check, level=Level.WARNING, told=told, mend=mend)


def wrong(check: str, told: str, mend: str) -> Finding:
    """The node does not start like this, or does not work."""
    return Finding(check=check, level=Level.WRONG, told=told, mend=mend)
