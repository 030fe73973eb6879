"""How often keys may ask in an hour: each by itself, and all that name a clinic together."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from gateway.access.key import ApiKey
from gateway.access.windows import Windows

HOUR_S: Final = 3600.0
KEYS_OF_A_CLINIC: Final = 10
"""A clinic's keys together may ask as often as so many: its administrator makes more, each with an hour of its own, and
all that is changed stands in the audit."""


class TooOften(Struct, frozen=True, kw_only=True):
    """``why``, for the count of refusals; ``wait_s`` until it may ask again; ``whose`` limit that is."""

    why: str
    wait_s: float
    whose: str


class Hours:
    """``key_requests``: an hour with a key that has no limit of its own (0: no limit); it may be changed."""

    def __init__(self, key_requests: int, clock: Callable[[], float]) -> None:
        self.key_requests = key_requests
        self._keys = Windows(HOUR_S, clock)
        self._clinics = Windows(HOUR_S, clock)
        self._granted = Windows(HOUR_S, clock)

    def take(self, key: ApiKey, clinic: str | None) -> TooOften | None:
        """Count a request about ``clinic`` (None: it names none), for ``key`` and for the clinics that it names. None:
        it may go on. A key for several may while one of them may: what one clinic's keys do stops no other's."""
        limit = self.key_requests if key.per_hour is None else key.per_hour
        wait = self._keys.take(key.id, limit)
        if wait is not None:
            return TooOften(why="key", wait_s=wait, whose=f"with this key, which may make {limit} an hour")
        of = key.clinics or []
        most = self._most(key)
        windows = self._clinics if most <= self.key_requests * KEYS_OF_A_CLINIC else self._granted
        waits = {each: windows.take(each, most) for each in ([clinic] if clinic in of else of)}
        if not waits or None in waits.values():
            return None
        first = min(waits, key=lambda each: waits[each] or 0.0)
        whose = f"with keys of clinic {first}, which may make {most} an hour together"
        return TooOften(why="clinic", wait_s=waits[first] or 0.0, whose=whose)

    def _most(self, key: ApiKey) -> int:
        """Of a clinic, as far as this key is concerned: one that may ask more often than that by itself was given so by
        somebody who may, and is counted apart, with those of its kind: what it asks is not what the others may not."""
        if self.key_requests == 0 or key.per_hour == 0:
            return 0
        return max(self.key_requests * KEYS_OF_A_CLINIC, key.per_hour or 0)
