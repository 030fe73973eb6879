"""Who looks on at once: streams of events, and how many of them a key, a clinic and all together may have. Pure."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.http.problems import TOO_MANY, Refused
from protocol.access import Caller

PER_KEY: Final = 8
PER_CLINIC: Final = 16
"""Of all keys that name the clinic."""
MOST: Final = 128
"""Of all: half of the connections that there may be."""
RETRY_S: Final = 10


@dataclass(eq=False, slots=True, kw_only=True)
class Stream:
    """An open one. ``gone``: whether its client has left. ``wake`` is set when there may be something to send, or it
    is ``over``: to be ended."""

    caller: Caller
    gone: Callable[[], bool]
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False

    @property
    def holders(self) -> frozenset[str]:
        """Whose share it is of: the clinics of its key, or the node's (the empty name)."""
        return self.caller.clinics or frozenset([""])

    def end(self) -> None:
        """Have it ended."""
        self.over = True
        self.wake.set()


class Streams:
    """All that are open."""

    def __init__(self, *, per_key: int = PER_KEY, per_clinic: int = PER_CLINIC, most: int = MOST) -> None:
        self._per_key = per_key
        self._per_clinic = per_clinic
        self._most = most
        self._open: dict[Stream, None] = {}  # the oldest first

    def open(self, caller: Caller, gone: Callable[[], bool]) -> Stream:
        """Another one. If there are as many as there may be, it takes the place of the oldest of whoever has most,
        unless that is its own. A key for several clinics needs room in one of their shares.

        Raises:
            Refused: its key or each of its clinics has as many as it may, or there is no place.
        """
        for left in [stream for stream in self if stream.gone()]:
            left.end()
            self.close(left)
        stream = Stream(caller=caller, gone=gone)
        if sum(other.caller.id == caller.id for other in self) >= self._per_key:
            raise _too_many(f"{self._per_key} streams of this key are open")
        shares = Counter(holder for other in self for holder in other.holders)
        if caller.clinics and all(shares[clinic] >= self._per_clinic for clinic in caller.clinics):
            raise _too_many(f"{self._per_clinic} streams of this clinic are open")
        if len(self) >= self._most:
            self._make_room(shares, min(shares[holder] for holder in stream.holders))
        self._open[stream] = None
        return stream

    def _make_room(self, shares: Counter[str], own: int) -> None:
        holder, most = max(shares.items(), key=lambda share: share[1])
        if most <= own + 1:
            raise _too_many(f"{self._most} streams are open, as many as there may be")
        oldest = next(stream for stream in self if holder in stream.holders)
        oldest.end()
        self.close(oldest)

    def close(self, stream: Stream) -> None:
        """It has ended."""
        self._open.pop(stream, None)

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._open)


def _too_many(detail: str) -> Refused:
    return Refused(TOO_MANY, f"{detail}; close one", headers={"Retry-After": str(RETRY_S)})
