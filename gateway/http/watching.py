"""What keeps open streams going: hears of changes, counts, and wakes the streams, at most every ``BATCH_S`` seconds.
What is new is looked up once for all streams that are at the same place.

While nobody looks on, nothing is listened to and nothing counted. On the loop, but for ``_touch``.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec import Struct

from gateway.http.streams import Streams
from gateway.http.telling import Said, said
from protocol.live import Live
from protocol.meters import ClinicTotals, Meters

log = logging.getLogger(__name__)

BATCH_S: Final = 0.2
COUNT_S: Final = 0.5
"""Between two counts at least; a thousand channels take some 0.3 ms."""
LOOK_S: Final = 1.0
"""Between two looks at the counts, and at who has left, at most."""
_NOTHING: Final = ClinicTotals()


class Counters(Struct, frozen=True, kw_only=True):
    """Of a clinic: ``queued`` commands that wait now; all others in total since ``since``, when the node was started.
    ``dead``: dead letters; ``received``: messages that came in."""

    clinic: str
    since: datetime
    queued: int = 0
    accepted: int = 0
    sent: int = 0
    delivered: int = 0
    read: int = 0
    failed: int = 0
    dead: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a stream has come: the version of what is shown, and the turn in which was counted."""

    version: int
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is to be said, and where a stream is that has said it."""

    place: Place
    said: Sequence[Said]


class Watching:
    """One for all ``streams``."""

    def __init__(self, live: Live, meters: Meters, streams: Streams) -> None:
        self._counted: Mapping[str, tuple[int, Said]] = {}
        self._turn = 0
        self._news: dict[Place | None, News] = {}
        self._live = live
        self._meters = meters
        self._streams = streams
        self._loop: asyncio.AbstractEventLoop | None = None
        self._touched = asyncio.Event()
        self._told = False
        self._counted_at = -COUNT_S
        self._version: int | None = None
        self._queued: dict[str, dict[str, int]] = {}
        self._task: asyncio.Task[None] | None = None

    def begin(self, closing: asyncio.Event) -> None:
        """Somebody looks on; until ``closing`` is set, which ends all streams."""
        if self._task is None or self._task.done():
            self._loop = asyncio.get_running_loop()
            self._news = {}
            self._count()
            self._task = asyncio.create_task(self._run(closing), name="events")
            self._task.add_done_callback(_say)

    def news(self, since: Place | None) -> News:
        """What is new for a stream that is at ``since`` (None: everything): looked up once for all that are there."""
        found = self._news.get(since)
        if found is None:
            seen = self._live.changes(None if since is None else since.version)
            turn = 0 if since is None else since.turn
            counted = [one for at, one in self._counted.values() if at > turn]
            place = Place(version=seen.version, turn=self._turn)
            found = self._news[since] = News(place=place, said=[*said(seen), *counted])
        return found

    def end(self) -> None:
        """Somebody looks on no more."""
        if not len(self._streams) and self._task is not None:
            self._task.cancel()
            self._task = None
            self._news = {}

    async def _run(self, closing: asyncio.Event) -> None:
        stop = self._live.listen(self._touch)
        closed = asyncio.create_task(closing.wait())
        try:
            while not closing.is_set():
                touched = asyncio.create_task(self._touched.wait())
                await asyncio.wait((touched, closed), timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                touched.cancel()
                self._touched.clear()
                self._told = False
                if time.monotonic() - self._counted_at >= COUNT_S:
                    self._count()
                self._news = {}
                for stream in self._streams:
                    stream.wake.set()
                await asyncio.wait((closed,), timeout=BATCH_S)
        finally:
            stop()
            closed.cancel()
            if self._task is asyncio.current_task():  # else it was cancelled, and who looks on by now has begun anew
                for stream in self._streams:
                    stream.end()

    def _touch(self) -> None:
        """In any thread. The loop is woken once, not for each of many changes."""
        if not self._told and self._loop is not None:
            self._told = True
            self._loop.call_soon_threadsafe(self._touched.set)

    def _count(self) -> None:
        self._counted_at = time.monotonic()
        self._count_queued()
        found = counters(self._meters.totals(), self._queued, self._live.began_at)
        before, self._turn = self._counted, self._turn + 1
        self._counted = {
            clinic: before[clinic]
            if clinic in before and before[clinic][1].what == one
            else (self._turn, Said("counters", one, clinic))
            for clinic, one in found.items()
        }

    def _count_queued(self) -> None:
        seen = self._live.changes(self._version)
        self._version = seen.version
        if seen.whole:
            self._queued = {}
        for gone in seen.gone:
            if gone.channel is None:
                self._queued.pop(gone.clinic, None)
            else:
                self._queued.get(gone.clinic, {}).pop(gone.channel, None)
        for channel in seen.channels:
            self._queued.setdefault(channel.clinic, {})[channel.channel] = channel.queued


def _say(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("what changes is not followed any more; streams begin anew", exc_info=error)


def counters(
    totals: Mapping[str, ClinicTotals], queued: Mapping[str, Mapping[str, int]], since: datetime
) -> dict[str, Counters]:
    """Of all clinics that have a channel: those of which it is known how much is ``queued``."""
    return {
        clinic: _counters(clinic, since, totals.get(clinic, _NOTHING), sum(of.values()))
        for clinic, of in queued.items()
    }


def _counters(clinic: str, since: datetime, total: ClinicTotals, queued: int) -> Counters:
    return Counters(
        clinic=clinic,
        since=since,
        queued=queued,
        accepted=total.accepted,
        sent=total.sent,
        delivered=total.delivered,
        read=total.read,
        failed=total.failed,
        dead=total.dead,
        received=total.received,
    )
