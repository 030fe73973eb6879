"""What the ports of one session store leave behind, as main sees it: the journal and the traces. On the loop's thread.

A segment of the journal is deleted once all of its records are done and nobody writes to it any more. How many there
are is known of one that was read to its end after its port was gone, and of one whose port has begun another. The
newest one is emptied instead: its name says how far the numbers have gone.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from gateway.whatsapp import lock, traces
from gateway.whatsapp.frames import Holder
from gateway.whatsapp.journal import Segment, folder_of, number, segment_of, segments
from gateway.whatsapp.reading import Reader
from protocol.errors import StoreUnavailableError
from protocol.interfaces import Trace
from protocol.port_events import Record, SendAnswered

T = TypeVar("T")

_END_S: Final = 10.0


@dataclass(slots=True)
class _Tally:
    """Of one segment. ``left``: numbers that are not done, once it is known which there are; ``done`` until then."""

    done: set[int] = field(default_factory=set)
    left: set[int] | None = None

    def add(self, number: int) -> None:
        if self.left is None:
            self.done.add(number)
        else:
            self.left.discard(number)

    def close(self, segment: int, count: int) -> None:
        if self.left is None:
            self.left = {number(segment, index) for index in range(count)} - self.done
            self.done.clear()

    def has_done(self, number: int) -> bool:
        return number in self.done if self.left is None else number not in self.left


class StoreRemains:
    """``protocol.interfaces.Remains`` of ``store``. ``orphan_grace``: how long a port whose main, or actor, is gone may
    take to end, in seconds; ``end_s``: what is read at a port's end may take so long."""

    def __init__(self, store: str, *, orphan_grace: float, end_s: float = _END_S) -> None:
        self._store = store
        self._folder = folder_of(store)
        self._orphan_grace = orphan_grace
        self._end_s = end_s
        self._reader = Reader(f"the session store {store}")
        self._tallies: dict[int, _Tally] = {}
        self._known = 0
        self._writers = 0
        self._unused = asyncio.Event()
        self._unused.set()
        self._heard = 0

    # -- Remains --

    async def journal(self) -> Sequence[Record]:
        """See ``protocol.interfaces.Remains``."""
        holder = lock.holder_of(self._store)
        if holder is not None and lock.is_orphan(holder):
            await self._evict(holder)
        try:
            async with asyncio.timeout(self._orphan_grace):
                await self._unused.wait()  # a port of an actor that crashed still ends, and may still write
        except TimeoutError as error:
            raise StoreUnavailableError(f"a port still uses the session store {self._store}") from error
        records = await self._read(others=self._writers)
        if not self._writers:  # all there is was read; a store that was deleted begins anew
            self._heard = number(self._known + 1, 0) - 1
        return records

    async def _evict(self, holder: Holder) -> None:
        if not await lock.evict(holder, self._store, grace=self._orphan_grace):
            raise StoreUnavailableError(
                f"the session store {self._store} is held by process {holder.pid}, which cannot be killed"
            )

    def done(self, numbers: Iterable[int]) -> None:
        """See ``protocol.interfaces.Remains``."""
        touched = set()
        for done in numbers:
            segment = segment_of(done)
            tally = self._tallies.get(segment)
            if tally is None:
                if segment <= self._known:
                    continue  # it was done and is gone
                tally = self._begin(segment)
            tally.add(done)
            touched.add(segment)
        for segment in touched:
            self._drop_if_done(segment)

    async def last_row(self) -> int:
        """See ``protocol.interfaces.Remains``."""
        return await self._reader.read(lambda: traces.last_row(self._store))

    async def traces(self, after: int, until: int) -> Sequence[Trace]:
        """See ``protocol.interfaces.Remains``."""
        return await self._reader.read(lambda: traces.between(self._store, after, until))

    async def prune(self, traced: int) -> None:
        """See ``protocol.interfaces.Remains``."""
        if not self._writers and lock.holder_of(self._store) is None:
            await self._reader.read(lambda: traces.prune(self._store, traced))

    async def unlink(self) -> None:
        """See ``protocol.interfaces.Remains``."""
        if self._writers or lock.holder_of(self._store) is not None:
            raise StoreUnavailableError(f"a port still uses the session store {self._store}")
        await self._reader.read(lambda: traces.unlink(self._store))

    async def ids_of(self, secrets: Sequence[bytes], device: str | None) -> Mapping[bytes, str]:
        """See ``protocol.interfaces.Remains``."""
        return await self._reader.read(lambda: traces.ids_of(self._store, secrets, device))

    # -- for the port's parent side --

    def opening(self) -> None:
        """A port may write to the journal from now on."""
        self._writers += 1
        self._unused.clear()

    def heard(self, record: Record) -> None:
        """The port has said this ``record``, or it was read. What came in is said in the order of the journal."""
        if not isinstance(record.what, SendAnswered):
            self._heard = max(self._heard, record.number)

    async def ended(self, *, read: bool) -> tuple[Sequence[Record], int | None]:
        """A port is gone: what came in and nobody has heard of, and all outcomes that are not done; and the newest
        trace, None if the store cannot be read in time. Nothing of it if nobody is there to hear it (not ``read``)."""
        self._writers -= 1
        if not self._writers:
            self._unused.set()
        if not read:
            return (), None
        records: Sequence[Record] = ()
        row = None
        with suppress(StoreUnavailableError, TimeoutError):
            async with asyncio.timeout(self._end_s):
                records = await self._read(others=self._writers)
        with suppress(StoreUnavailableError, TimeoutError):
            async with asyncio.timeout(self._end_s):  # if the first one hangs, this one is refused
                row = await self.last_row()
        unheard = [record for record in records if isinstance(record.what, SendAnswered) or record.number > self._heard]
        for record in unheard:
            self.heard(record)
        return unheard, row

    # -- segments --

    def _begin(self, segment: int) -> _Tally:
        """The first record of a segment that is done: others may have been closed for it."""
        tally = self._tallies[segment] = _Tally()
        if any(other.left is None for other in self._tallies.values() if other is not tally):
            with suppress(OSError):
                for found in segments(self._folder):
                    if found.count is not None:
                        self._close(found.number, found.count)
        return tally

    async def _read(self, *, others: int) -> list[Record]:
        """All that is not done. ``others``: of the ports that may be writing to the newest segment meanwhile."""
        found = await self._in_thread(lambda: _read_all(self._folder))
        self._known = found[-1][0].number if found else 0
        on_disk = {segment.number for segment, _ in found}
        self._tallies = {number: tally for number, tally in self._tallies.items() if number in on_disk}
        left: list[Record] = []
        for position, (segment, records) in enumerate(found, start=1):
            if _is_empty(segment):
                records = []  # all was said to be done while it was read
            tally = self._tallies.setdefault(segment.number, _Tally())
            left += [record for record in records if not tally.has_done(record.number)]
            if not others or position < len(found):
                self._close(segment.number, len(records))
        return left

    def _close(self, segment: int, count: int) -> None:
        self._tallies.setdefault(segment, _Tally()).close(segment, count)
        self._drop_if_done(segment)

    def _drop_if_done(self, segment: int) -> None:
        tally = self._tallies.get(segment)
        if tally is None or tally.left is None or tally.left:
            return
        with suppress(OSError):
            there = segments(self._folder)
            for found in there:
                if found.number == segment:
                    _drop(found, newest=found is there[-1])
            self._tallies.pop(segment)

    async def _in_thread(self, read: Callable[[], T]) -> T:
        try:
            return await self._reader.read(read)
        except OSError as error:
            raise StoreUnavailableError(f"the journal {self._folder} cannot be read: {error.strerror}") from error


def _read_all(folder: Path) -> list[tuple[Segment, list[Record]]]:
    """Every segment with its records. A file that is renamed or deleted while it is read is looked for again."""
    while True:
        with suppress(FileNotFoundError):
            return [(segment, segment.records()) for segment in segments(folder)]


def _is_empty(segment: Segment) -> bool:
    try:
        return segment.path.stat().st_size == 0
    except OSError:
        return True


def _drop(segment: Segment, *, newest: bool) -> None:
    if newest:
        os.truncate(segment.path, 0)
    else:
        segment.path.unlink(missing_ok=True)
