"""``NodeJobs``: what takes longer than a request may, with its progress, its file and its entries in the audit.

What a job made is ``<data>/jobs/<id>/file`` until whoever fetched it says so, or for a day. Nothing of a job outlives
the node: what a killed one left is deleted at the next start, and the job is to be asked for again.
"""

import asyncio
import logging
import secrets
import shutil
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from gateway import disk
from protocol.access import Caller
from protocol.audit import Audit
from protocol.errors import ConflictError, NotFoundError, PlantaoError, StoreUnavailableError, UnavailableError
from protocol.jobs import JobKind, JobState, JobView, JobWork, Reading

log = logging.getLogger(__name__)

REMEMBERED: Final = 100
"""Jobs of one clinic (or of the node) that have ended and are still shown. What one clinic asks for pushes out nothing
of another's."""
FILES_KEPT: Final = 10
"""What so many jobs of one clinic made waits to be fetched: else it could fill the disk on which all have theirs."""
WAITING_S: Final = 3600.0
"""How long one of the node waits for those of clinics, while no clinic begins another."""
KEPT_S: Final = 24 * 3600.0
"""How long what a job made waits to be fetched."""
STOPPED: Final = "the node was stopped before it was done: start it again"
_CHUNK_BYTES: Final = 256 * 1024


def jobs_directory(data: Path) -> Path:
    """Where what jobs made is."""
    return data / "jobs"


@dataclass(slots=True, kw_only=True)
class _Job:
    view: JobView
    directory: Path
    reading: Reading
    task: "asyncio.Task[None] | None" = None
    expiry: asyncio.TimerHandle | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def file(self) -> Path:
        return self.directory / "file"

    def progress(self, step: str, done: int = 0, total: int | None = None) -> None:
        if self.view.state is JobState.RUNNING:
            self.view = replace(self.view, step=step, done=done, total=total)

    def end(self, *, error: str | None = None, result: Mapping[str, int | str] | None = None, file: bool) -> None:
        state = JobState.DONE if error is None else JobState.FAILED
        ended = datetime.now(UTC)
        self.view = replace(self.view, state=state, error=error, result=result or {}, file=file, ended_at=ended)
        self.over.set()


class NodeJobs:
    """Implements ``protocol.jobs.Jobs``. On the loop's thread; ``open`` before, ``close`` after."""

    def __init__(self, data: Path, audit: Audit, *, kept_s: float = KEPT_S, waiting_s: float = WAITING_S) -> None:
        self._directory = jobs_directory(data)
        self._audit = audit
        self._kept_s = kept_s
        self._waiting_s = waiting_s
        self._jobs: dict[str, _Job] = {}
        self._removals: set[asyncio.Task[None]] = set()
        self._open = False

    async def open(self) -> None:
        """Delete what an earlier run left, and take jobs on. Raises StoreUnavailableError: it cannot be deleted."""
        await self.close(timeout=0.0)
        try:
            await asyncio.to_thread(_clear, self._directory)
        except OSError as error:
            raise _unusable(self._directory, error) from error
        self._open = True

    async def close(self, *, timeout: float) -> None:
        """Take none on any more, cancel those that run, and wait ``timeout`` seconds for them to end."""
        self._open = False
        tasks = {job.task for job in self._jobs.values() if job.task is not None} | self._removals
        for task in tasks - self._removals:
            task.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=timeout)
            if left:
                log.error("%d jobs have not ended in %g seconds: they are left", len(left), timeout)
        for job in self._jobs.values():
            _expire_no_more(job)
            if job.view.state is JobState.RUNNING and job.task is not None and job.task.done():
                job.end(error=STOPPED, file=False)  # cancelled while it was ending
            job.view = replace(job.view, file=False)

    async def start(
        self, kind: JobKind, clinic: str | None, work: JobWork, *, by: Caller, reading: Reading | None = None
    ) -> JobView:
        """See ``Jobs``; besides, UnavailableError: the node is stopping."""
        self._check_open()
        self._check_free(clinic)
        name = secrets.token_hex(8)
        now = datetime.now(UTC)
        view = JobView(id=name, kind=kind, clinic=clinic, state=JobState.RUNNING, by=by.id, started_at=now)
        job = _Job(view=view, directory=self._directory / name, reading=reading or _as_it_is)
        self._jobs[name] = job  # from now on nobody else begins one beside it
        try:
            about = await self._audit.asked(by.id, f"{kind}.run", clinic, detail={"job": name})
            self._check_open()
        except BaseException:
            del self._jobs[name]
            job.over.set()
            raise
        job.task = asyncio.create_task(self._run(job, work, about), name=f"job {kind} {name}")
        await self._forget_oldest(clinic)
        return job.view

    def get(self, id: str) -> JobView:
        """See ``Jobs``."""
        return self._job(id).view

    def all(self) -> Sequence[JobView]:
        """See ``Jobs``."""
        return [job.view for job in reversed(self._jobs.values())]

    def fetch(self, id: str) -> AsyncIterator[bytes]:
        """See ``Jobs``."""
        job = self._with_file(id)
        return job.reading(job.file)

    async def discard(self, id: str) -> None:
        """See ``Jobs``."""
        await self._remove(self._with_file(id))

    def _check_open(self) -> None:
        if not self._open:
            raise UnavailableError("the node is starting or stopping: no job is begun now")

    def _check_free(self, clinic: str | None) -> None:
        """One of the node waits for those of clinics (``_alone``), and lets no more begin: a clinic that begins one
        after another could else keep it out for ever."""
        for job in self._running():
            running = job.view
            if running.clinic in (None, clinic):
                of = "the node" if running.clinic is None else f"clinic {running.clinic}"
                raise ConflictError(
                    f"job {running.id} ({running.kind} of {of}) is running: wait for its end (plantao job list)"
                )

    def _running(self) -> list[_Job]:
        return [job for job in self._jobs.values() if job.view.state is JobState.RUNNING]

    async def _alone(self, job: _Job) -> None:
        """Returns when no other job runs. Raises ConflictError if that takes too long: a clinic whose job does not end
        must not keep all others from theirs."""
        others = [other for other in self._running() if other is not job]
        try:
            async with asyncio.timeout(self._waiting_s):
                for number, other in enumerate(others):
                    job.progress("waiting for the jobs of clinics", number, len(others))
                    await other.over.wait()
        except TimeoutError as error:
            left = next((other.view for other in others if not other.over.is_set()), None)
            if left is None:
                return
            what = f"job {left.id} ({left.kind} of clinic {left.clinic})"
            waited = f"{what} has not ended in {self._waiting_s:g} s"
            raise ConflictError(f"{waited}: begin again when it has (plantao job list)") from error

    def _job(self, id: str) -> _Job:
        try:
            return self._jobs[id]
        except KeyError:
            raise NotFoundError("the job") from None

    def _with_file(self, id: str) -> _Job:
        job = self._job(id)
        if job.view.state is JobState.RUNNING:
            raise ConflictError(f"job {id} is not done: what it makes cannot be fetched yet")
        if not job.view.file:
            raise NotFoundError(f"what job {id} made")
        return job

    async def _run(self, job: _Job, work: JobWork, about: int) -> None:
        outcome, error, result = "failed", None, None
        try:
            await asyncio.to_thread(disk.make_directory, job.directory)
            if job.view.clinic is None:
                await self._alone(job)
            result = await work(job.progress, job.file)
            outcome = "done"
        except asyncio.CancelledError:
            error = STOPPED
        except PlantaoError as failed:
            error = str(failed)
        except Exception as failed:
            incident = uuid.uuid4().hex
            log.error("job %s failed in an unknown way", job.view.id, exc_info=failed, extra={"incident": incident})
            error = f"it failed in an unknown way; see the node's log under incident {incident}"
        await self._end(job, error, result)
        try:
            await self._audit.ended(about, outcome, {"job": job.view.id})
        except StoreUnavailableError as failed:
            log.error("the end of job %s is not in the audit: %s", job.view.id, failed)

    async def _end(self, job: _Job, error: str | None, result: Mapping[str, int | str] | None) -> None:
        made = error is None and await asyncio.to_thread(job.file.is_file)
        job.end(error=error, result=result, file=made and self._open)
        if made and self._open:
            job.expiry = asyncio.get_running_loop().call_later(self._kept_s, self._expire, job)
        else:
            await self._remove(job)

    def _expire(self, job: _Job) -> None:
        task = asyncio.create_task(self._remove(job), name=f"expiry of job {job.view.id}")
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)

    async def _forget_oldest(self, clinic: str | None) -> None:
        theirs = [job for job in self._jobs.values() if job.view.clinic == clinic]
        ended = [job for job in theirs if job.view.state is not JobState.RUNNING]
        forgotten = ended[: max(0, len(theirs) - REMEMBERED)]
        for job in forgotten:
            del self._jobs[job.view.id]
        with_file = [job for job in ended if job.view.file and job not in forgotten]
        # One place is for what the new one makes.
        for job in [*forgotten, *with_file[: max(0, len(with_file) - FILES_KEPT + 1)]]:
            await self._remove(job)

    async def _remove(self, job: _Job) -> None:
        _expire_no_more(job)
        job.view = replace(job.view, file=False)
        try:
            await asyncio.to_thread(_clear, job.directory)
        except OSError as error:
            # It goes at the node's next start.
            log.error("what job %s made cannot be deleted: %s", job.view.id, _unusable(job.directory, error))


class JobService:
    """The jobs as a ``Service`` of the tree."""

    def __init__(self, jobs: NodeJobs) -> None:
        self._jobs = jobs

    async def start(self) -> None:
        """Raises StoreUnavailableError."""
        await self._jobs.open()

    async def wait(self) -> str:
        """Never returns: jobs end, not their keeper."""
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await ended

    async def stop(self, *, timeout: float) -> None:
        """Cancel those that run."""
        await self._jobs.close(timeout=timeout)


def _expire_no_more(job: _Job) -> None:
    if job.expiry is not None:
        job.expiry.cancel()
        job.expiry = None


def _clear(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)


def _unusable(path: Path, error: OSError) -> StoreUnavailableError:
    return StoreUnavailableError(f"{error.filename or path} cannot be deleted: {error.strerror or error}")


async def _as_it_is(file: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(file.open, "rb") as opened:
        while chunk := await asyncio.to_thread(opened.read, _CHUNK_BYTES):
            yield chunk
