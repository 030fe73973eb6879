"""A child that takes its time to come up and to end."""

from dataclasses import dataclass
from typing import Any

from supervisor.actor import Actor
from supervisor.reasons import ExitReason, Shutdown


@dataclass(frozen=True, slots=True)
class ComeUp:
    """It is up now, and has ``info`` to say."""

    info: object = None


@dataclass(frozen=True, slots=True)
class StayAway:
    """It is not to be."""


@dataclass(frozen=True, slots=True)
class BeGone:
    """It has finished what it had to, and ends."""


class SlowChild(Actor):
    """Is up, and ends, only by ``ComeUp``, ``StayAway`` and ``BeGone``."""

    def initialize(self) -> bool:
        return False

    def handle(self, message: Any) -> None:
        match message:
            case ComeUp(info):
                self.started(info)
            case StayAway():
                self.ignore()
            case BeGone():
                self.exit(Shutdown())
            case _:
                super().handle(message)

    def shut_down(self, reason: ExitReason) -> None:
        """It hears, and goes on until ``BeGone``."""
