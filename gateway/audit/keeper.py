"""``NodeAudit``: the audit of the running node.

What is appended while the disk is at one commit shares the next: an entry waits for two commits at most, however many
there are.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import structlog

from gateway import thread
from gateway.audit.chain import BROKEN, Fields, Head
from gateway.audit.file import AuditFile, audit_file
from gateway.audit.head import ForgedError, head_file, read_head, write_head
from gateway.audit.verifying import verify
from gateway.audit.words import check, detail_text
from gateway.vault.keys import DataKey
from protocol.audit import Entry, Verification
from protocol.errors import ConflictError, StoreUnavailableError

log = logging.getLogger(__name__)
news = structlog.get_logger(__name__)

MOST_WAITING: Final = 4096
"""Entries that wait for the disk; more are refused."""
MOST_AT_ONCE: Final = 256
"""Entries of one commit: some 3 ms of work."""
WAIT_S: Final = 10.0
"""How long an entry may wait for the disk."""
HEAD_PACE_S: Final = 0.2
"""Between two writes of the head."""
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND: Final = timedelta(microseconds=1)
_ABOVE_ALL: Final = 1 << 62
"""Above the number of any entry."""
_MOST_OPEN: Final = 1 << 16
"""Entries that say ``asked`` and whose end may still be told."""

_Subject = tuple[str, str, str | None, str | None]
"""Who, what, and of which clinic and channel."""


def audit_key(node: DataKey) -> bytes:
    """What the audit of the node with this key is sealed with."""
    return node.derive("audit")


class NodeAudit:
    """Implements ``protocol.audit.VerifiedAudit``. On the loop's thread; ``open`` before, ``close`` after."""

    def __init__(self, data: Path, key: bytes, clock: Callable[[], datetime]) -> None:
        self._data = data
        self._key = key
        self._clock = clock
        self._file = AuditFile(audit_file(data), key)
        self._open = False
        self._end: Head | None = None
        """The last entry; None until it has been looked at."""
        self._shown: Head | None = None
        """What the file of the head says."""
        self._asked: dict[int, _Subject] = {}
        self._waiting: list[tuple[Fields, asyncio.Future[int]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._heading: asyncio.Task[None] | None = None
        self._verifying: asyncio.Future[Verification] | None = None
        self.trouble: str | None = None
        """Why the last entry could not be written; None: it could."""

    async def open(self) -> None:
        """Take entries on. A file that cannot be used now is logged, and may be mended later."""
        self._open = True
        try:
            await self._prepare()
        except StoreUnavailableError as error:
            self.trouble = str(error)
            log.error("nothing can be changed, only looked at, until this is mended: %s", error)

    @property
    def idle(self) -> bool:
        """Whether nothing waits for the disk."""
        return not self._waiting and (self._writing is None or self._writing.done())

    async def close(self, *, timeout: float) -> None:
        """Write what was asked for, for ``timeout`` seconds, and close the file."""
        self._open = False
        under_way = {task for task in (self._writing, self._heading) if task is not None}
        if under_way:
            await asyncio.wait(under_way, timeout=timeout)
        for _, future in self._waiting:
            _refuse(future, _closed())
        self._waiting.clear()
        await self._file.close()
        if self._end is not None:
            _say_end("audit_ended", self._end)

    async def asked(
        self,
        who: str,
        action: str,
        clinic: str | None = None,
        channel: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> int:
        """See ``Audit``."""
        subject = (who, action, clinic, channel)
        seq = await self._append(subject, "asked", None, detail)
        if len(self._asked) >= _MOST_OPEN:
            del self._asked[next(iter(self._asked))]
        self._asked[seq] = subject
        return seq

    async def ended(self, about: int, outcome: str, detail: Mapping[str, str] | None = None) -> None:
        """See ``Audit``. Raises ValueError: nothing was asked under this number, or its end has been told."""
        subject = self._asked.pop(about, None)
        if subject is None:
            raise ValueError(f"entry {about} is none whose end can be told")
        await self._append(subject, outcome, about, detail)

    async def noted(
        self,
        who: str,
        action: str,
        clinic: str | None = None,
        channel: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> None:
        """See ``Audit``."""
        await self._append((who, action, clinic, channel), "done", None, detail)

    async def entries(self, clinic: str | Collection[str] | None, *, before: int | None, limit: int) -> Sequence[Entry]:
        """See ``Audit``."""
        clinics = [clinic] if isinstance(clinic, str) else clinic
        return [_entry(fields) for fields in await self._file.page(clinics, before or _ABOVE_ALL, limit)]

    async def verify(self, since: tuple[int, str] | None = None) -> Verification:
        """See ``VerifiedAudit``."""
        if self._verifying is not None and not self._verifying.done():
            raise ConflictError("the audit is being verified: try again when that is done")
        known = [] if self._end is None else [self._end]
        work = partial(verify, self._data, self._key, since, known)
        self._verifying = asyncio.wrap_future(thread.begin(work, "audit verification"))
        return await asyncio.shield(self._verifying)

    async def _append(
        self, subject: _Subject, outcome: str, about: int | None, detail: Mapping[str, str] | None
    ) -> int:
        check(*subject[:2], outcome, *subject[2:])
        if not self._open:
            raise _closed()
        if len(self._waiting) >= MOST_WAITING:
            raise StoreUnavailableError(f"the audit: {MOST_WAITING} entries wait for the disk: try again later")
        who, action, clinic, channel = subject
        at = (self._clock() - _EPOCH) // _MICROSECOND
        fields = (at, who, action, outcome, clinic, channel, about, detail_text(detail))
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((fields, future))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="audit")
        try:
            async with asyncio.timeout(WAIT_S):
                return await future
        except TimeoutError as error:
            self.trouble = f"the audit: the disk has not taken an entry in {WAIT_S:g} seconds"
            raise StoreUnavailableError(self.trouble) from error

    async def _write(self) -> None:
        """Write what waits, and what has come meanwhile, until there is nothing."""
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            try:
                end = await self._prepare()
                self._end = end = await self._file.append([fields for fields, _ in batch], end)
            except StoreUnavailableError as error:
                self.trouble = str(error)
                for _, future in batch:
                    _refuse(future, error)
                continue
            self.trouble = None
            for seq, (_, future) in enumerate(batch, start=end.seq - len(batch) + 1):
                if not future.done():
                    future.set_result(seq)
            if self._heading is None or self._heading.done():
                self._heading = asyncio.create_task(self._show(), name="audit head")

    async def _prepare(self) -> Head:
        """The end of the chain, which is looked at the first time. Raises StoreUnavailableError."""
        if self._end is None:
            last = await self._file.last()
            head, why = await self._compared(last)
            if why is not None:
                log.error("the audit is not as this node left it (%s): see plantao audit verify", why)
                at = (self._clock() - _EPOCH) // _MICROSECOND
                said = (at, "node", BROKEN, "done", None, None, None, detail_text({"why": why}))
                head = await self._file.append([said], head)
            _say_end("audit_goes_on", head)
            self._end = head
            await self._write_head(head)
        return self._end

    async def _compared(self, last: Head) -> tuple[Head, str | None]:
        """Where to go on, and what is wrong: the head says where this node once was."""
        try:
            shown = await asyncio.to_thread(read_head, head_file(self._data), self._key)
        except ForgedError:
            return last, "head_forged"
        except OSError as error:
            raise _unusable(error) from error
        if shown is None:
            return last, None if last.seq == 0 else "head_missing"
        if shown.seq > last.seq:
            return shown, "end_missing"
        if shown.seq > 0 and await self._file.seal_of(shown.seq) != shown.seal:
            return (last if last.seq > shown.seq else shown), "end_changed"
        return last, None

    async def _show(self) -> None:
        """Have the file of the head follow. If it cannot, what was appended since could be cut off unseen."""
        while self._shown != self._end and self._end is not None:
            try:
                await self._write_head(self._end)
            except StoreUnavailableError as error:
                log.error("the end of the audit is not sealed: %s", error)
                return
            if self._open:
                await asyncio.sleep(HEAD_PACE_S)

    async def _write_head(self, head: Head) -> None:
        work = partial(write_head, head_file(self._data), self._key, head)
        try:
            await asyncio.wrap_future(thread.begin(work, "audit head"))
        except OSError as error:
            raise _unusable(error) from error
        except RuntimeError as error:
            raise StoreUnavailableError(f"the audit: its end cannot be sealed: {error}") from error
        self._shown = head


def _entry(fields: Fields) -> Entry:
    seq, at, who, action, outcome, clinic, channel, about, detail = fields
    return Entry(
        seq=seq,
        at=_EPOCH + timedelta(microseconds=at),
        who=who,
        action=action,
        outcome=outcome,
        clinic=clinic,
        channel=channel,
        about=about,
        detail=msgspec.json.decode(detail, type=dict[str, str]),
    )


def _say_end(event: str, end: Head) -> None:
    """For who keeps the log elsewhere. As values: in a sentence a number may be a phone's, and is masked."""
    news.info(event, seq=end.seq, hash=end.seal.hex())


def _refuse(future: "asyncio.Future[int]", error: StoreUnavailableError) -> None:
    if not future.done():
        future.set_exception(error)


def _closed() -> StoreUnavailableError:
    return StoreUnavailableError("the audit is closed: the node is starting or stopping")


def _unusable(error: OSError) -> StoreUnavailableError:
    what = f"{error.filename} cannot be read or written: {error.strerror or error}"
    return StoreUnavailableError(f"the audit: {what}; see to the disk and its space")
