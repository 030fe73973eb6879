"""Why only a person can help a channel, and for how long that holds, pure: the literal table."""

from datetime import datetime
from enum import Enum
from typing import Final

from protocol.condemnation import Condemnation


class Cause(Enum):
    """What puts a channel in error for good."""

    BANNED = "banned"
    REPLACED = "replaced"
    OUTDATED = "outdated"
    STORE_UNUSABLE = "store unusable"
    GAVE_UP = "gave up"


class Holds(Enum):
    """Until when; an operator's word ends it in any case."""

    OVER_RESTARTS = "over restarts"
    """Each login does harm: a ban grows longer, and whoever has the session elsewhere loses it."""
    UNTIL_UPGRADED = "until upgraded"
    """No login can succeed with this client."""
    THIS_LIFE = "this life"
    """It does no harm to try again, and whoever mends it may restart the node for that."""


HOLDS: Final[dict[Cause, Holds]] = {
    Cause.BANNED: Holds.OVER_RESTARTS,
    Cause.REPLACED: Holds.OVER_RESTARTS,
    Cause.OUTDATED: Holds.UNTIL_UPGRADED,
    Cause.STORE_UNUSABLE: Holds.THIS_LIFE,
    Cause.GAVE_UP: Holds.THIS_LIFE,
}


def condemnation(
    cause: Cause, reason: str, now: datetime, *, until: datetime | None, client: str
) -> Condemnation | None:
    """What the channel's next life has to know of it; ``client``: the version of ours. None: nothing."""
    match HOLDS[cause]:
        case Holds.OVER_RESTARTS:
            return Condemnation(reason=reason, since=now, until=until)
        case Holds.UNTIL_UPGRADED:
            return Condemnation(reason=reason, since=now, client=client)
        case Holds.THIS_LIFE:
            return None


def holds(before: Condemnation, now: datetime, client: str) -> bool:
    """Whether what condemned an earlier life still does."""
    return (before.until is None or now < before.until) and before.client in (None, client)
