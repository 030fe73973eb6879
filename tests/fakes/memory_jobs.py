"""Jobs in memory: each is done at once, in a task of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from protocol.access import Caller
from protocol.errors import ConflictError, NotFoundError, PlantaoError
from protocol.jobs import JobKind, JobState, JobView, JobWork, Reading


class MemoryJobs:
    """Implements ``protocol.jobs.Jobs``. ``steps``: what they said of their progress. ``busy``: clinics of which
    another job is running; None is the node."""

    def __init__(self) -> None:
        self.views: dict[str, JobView] = {}
        self.steps: list[tuple[str, int, int | None]] = []
        self.busy: set[str | None] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ended(self) -> None:
        """Returns when all that were started have ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def start(
        self, kind: JobKind, clinic: str | None, work: JobWork, *, by: Caller, reading: Reading | None = None
    ) -> JobView:
        if clinic in self.busy:
            raise ConflictError("another job is running")
        name, now = f"job-{len(self.views) + 1}", datetime.now(UTC)
        self.views[name] = JobView(id=name, kind=kind, clinic=clinic, state=JobState.RUNNING, by=by.id, started_at=now)
        task = asyncio.create_task(self._run(name, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return self.views[name]

    async def _run(self, name: str, work: JobWork) -> None:
        result: Mapping[str, int | str] = {}
        error = None
        try:
            result = await work(self._progress, Path("/nowhere"))
        except PlantaoError as failed:
            error = str(failed)
        state = JobState.DONE if error is None else JobState.FAILED
        self.views[name] = replace(self.views[name], state=state, error=error, result=result)

    def _progress(self, step: str, done: int = 0, total: int | None = None) -> None:
        self.steps.append((step, done, total))

    def get(self, id: str) -> JobView:
        if id not in self.views:
            raise NotFoundError("the job")
        return self.views[id]

    def all(self) -> Sequence[JobView]:
        return list(reversed(self.views.values()))

    def fetch(self, id: str) -> AsyncIterator[bytes]:
        raise ConflictError("nothing was made")

    async def discard(self, id: str) -> None:
        raise NotFoundError("what the job made")
