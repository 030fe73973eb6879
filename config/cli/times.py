"""Times as people type them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from protocol.errors import InvalidInputError

FORMS: Final = "2026-12-24T09:30 (local), 2026-12-24T09:30:00Z, 09:30 (the next one), or +90m, +2h, +3d from now"

_FROM_NOW: Final = re.compile(r"\+([0-9]{1,5})([smhd])\Z")
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])\Z")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_time(option: str, text: str, now: datetime) -> str:
    """``text`` as an RFC 3339 time in UTC. What has no offset is in the zone of ``now``.

    Raises:
        InvalidInputError: it is none of ``FORMS``; names ``option``.
    """
    try:
        found = _read(text.strip(), now).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidInputError(option, f"a time such as {FORMS}") from error
    return found.isoformat(timespec="seconds").replace("+00:00", "Z")


def _read(text: str, now: datetime) -> datetime:
    if later := _FROM_NOW.match(text):
        return now + timedelta(**{_UNITS[later[2]]: int(later[1])})
    if clock := _CLOCK.match(text):
        at = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return at if at > now else at + timedelta(days=1)
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=now.tzinfo)
