"""How a node comes to its end, pure: what it does now, and what makes it go on to the next."""

from enum import Enum
from typing import Final


class Stage(Enum):
    """``ON_DUTY``: it runs. ``DRAINING``: what is under way may end, nothing new begins. ``ENDING``: its parts end.
    ``FORCED``: what has not ended is killed."""

    ON_DUTY = "on duty"
    DRAINING = "draining"
    ENDING = "ending"
    FORCED = "forced"


class Cause(Enum):
    """``ASKED``: by a signal. ``DRAINED``: nothing is under way any more. ``TIME_OVER``: that of the stage."""

    ASKED = "asked"
    DRAINED = "drained"
    TIME_OVER = "time over"


STAGES: Final[dict[Stage, dict[Cause, Stage]]] = {
    Stage.ON_DUTY: {Cause.ASKED: Stage.DRAINING},
    Stage.DRAINING: {
        Cause.ASKED: Stage.ENDING,
        Cause.DRAINED: Stage.ENDING,
        Cause.TIME_OVER: Stage.ENDING,
    },
    Stage.ENDING: {Cause.TIME_OVER: Stage.FORCED},
    Stage.FORCED: {},
}
"""A signal hurries a drain on. It hurries no end: what ends in an orderly way has sealed its session."""


def after(stage: Stage, cause: Cause) -> Stage:
    """The stage that follows; the same if ``cause`` means nothing to it."""
    return STAGES[stage].get(cause, stage)
