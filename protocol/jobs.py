"""Jobs: what takes longer than a request may. Started by one request, followed by others."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from protocol.access import Caller


class JobKind(StrEnum):
    """What is done; also the first word of its audit entries."""

    BACKUP = "backup"
    RESTORE = "restore"
    ROTATE = "rotate"
    EXPORT = "export"
    ERASE = "erase"


class JobState(StrEnum):
    """How it stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobView(Struct, frozen=True, kw_only=True):
    """A job as it is shown. ``done`` of ``total`` (None: not known yet) of the present ``step``; ``error`` says what
    failed and what to do; ``result`` holds a few figures; ``file``: there is something to fetch."""

    id: str
    kind: JobKind
    clinic: str | None
    state: JobState
    by: str
    started_at: datetime
    ended_at: datetime | None = None
    step: str = ""
    done: int = 0
    total: int | None = None
    error: str | None = None
    result: Mapping[str, int | str] = {}
    file: bool = False


class Progress(Protocol):
    """How a job says how far it is, from the loop's thread."""

    def __call__(self, step: str, done: int = 0, total: int | None = None) -> None:
        """``step`` is for people: ``snapshots``."""


class JobWork(Protocol):
    """What a job does. ``file`` is where it puts what is to be fetched, if anything: a path in a directory of the
    job's own, on disk, so nothing may stand there in clear. Returns the job's ``result``."""

    def __call__(self, progress: Progress, file: Path, /) -> Awaitable[Mapping[str, int | str]]: ...


Reading = Callable[[Path], AsyncIterator[bytes]]
"""How what is to be fetched is read from its file: as it is, or opened (an export's key is the job's own)."""


class Jobs(Protocol):
    """Those of this node since it started; the last hundred of each clinic, and of the node. On the loop's thread."""

    async def start(
        self, kind: JobKind, clinic: str | None, work: JobWork, *, by: Caller, reading: Reading | None = None
    ) -> JobView:
        """Begin, with an entry in the audit before and after; returns at once. One of the node as a whole (``clinic``
        None) begins when those of clinics that run have ended, and fails if that takes an hour; none of them begins
        meanwhile.

        Raises:
            ConflictError: a job of this clinic is running, or one of the node as a whole.
            StoreUnavailableError: the audit cannot be written.
        """

    def get(self, id: str) -> JobView:
        """Raises NotFoundError."""

    def all(self) -> Sequence[JobView]:
        """Newest first."""

    def fetch(self, id: str) -> AsyncIterator[bytes]:
        """What it made, as often as one likes while it is there. Raises, before there is an iterator, NotFoundError
        (also: it made nothing, or that is gone) and ConflictError (it is not done)."""

    async def discard(self, id: str) -> None:
        """Delete what it made, which whoever fetched it has. Raises as ``fetch`` does, and StoreUnavailableError."""
