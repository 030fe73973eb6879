"""So many requests in so long, for each key or address; in bounded memory."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Final

MOST: Final = 10_000
"""Who is counted at once. Whoever is one too many takes the place of the one that has been counted for longest."""


class Windows:
    """Who asks is counted from its first request on for ``period_s``, and then anew: within a period it gets no more
    than its limit, within any stretch of that length no more than twice that. ``clock`` in seconds."""

    def __init__(self, period_s: float, clock: Callable[[], float], most: int = MOST) -> None:
        self._period_s = period_s
        self._clock = clock
        self._most = most
        self._counted: OrderedDict[str, tuple[float, int]] = OrderedDict()  # by when they began

    def take(self, who: str, limit: int) -> float | None:
        """Count a request, of ``limit`` (0: as many as it likes). None: it may go on; else how many seconds are left
        until it may."""
        if limit == 0:
            return None
        now = self._clock()
        self._forget(now, who)
        began, count = self._counted.get(who, (now, 0))
        if count >= limit:
            return began + self._period_s - now
        self._counted[who] = (began, count + 1)
        if len(self._counted) > self._most:
            self._counted.popitem(last=False)
        return None

    def _forget(self, now: float, who: str) -> None:
        """Drop ``who`` if its time is over, and two others, of which the first are the oldest."""
        for name in [who, *islice(self._counted, 2)]:
            counted = self._counted.get(name)
            if counted is not None and now - counted[0] >= self._period_s:
                del self._counted[name]

    def __len__(self) -> int:
        return len(self._counted)


def network_of(address: str | None) -> str:
    """Whom an address stands for: of IPv6 its /64, which is what one customer has; of IPv4 itself."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
