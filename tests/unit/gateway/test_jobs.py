"""Jobs: one of a clinic at a time, followed, fetched, ended with the node, and in the audit."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from gateway.jobs import FILES_KEPT, REMEMBERED, STOPPED, JobService, NodeJobs, jobs_directory
from protocol.access import NODE
from protocol.errors import ConflictError, InvalidInputError, NotFoundError, StoreUnavailableError, UnavailableError
from protocol.jobs import JobKind, JobState, JobView, JobWork, Progress
from tests.fakes.memory_audit import MemoryAudit


@pytest.fixture
def audit() -> MemoryAudit:
    return MemoryAudit()


@pytest.fixture
async def jobs(audit: MemoryAudit, tmp_path: Path) -> AsyncIterator[NodeJobs]:
    kept = NodeJobs(tmp_path, audit)
    await kept.open()
    yield kept
    await kept.close(timeout=5.0)


class Waiting:
    """Work that has begun, and ends when it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.progress: Progress | None = None

    async def __call__(self, progress: Progress, file: Path, /) -> Mapping[str, int | str]:
        self.progress = progress
        self.begun.set()
        await self.go.wait()
        return {"rows": 3}


async def writing(_progress: Progress, file: Path, /) -> Mapping[str, int | str]:
    await asyncio.to_thread(file.write_bytes, b"sealed")
    return {}


async def nothing(_progress: Progress, _file: Path, /) -> Mapping[str, int | str]:
    return {}


async def ended(jobs: NodeJobs, view: JobView) -> JobView:
    await tasks_of(view)
    return jobs.get(view.id)


async def tasks_of(view: JobView) -> None:
    """Whatever is under way for the job has ended."""
    tasks = [task for task in asyncio.all_tasks() if task.get_name().endswith(view.id)]
    if tasks:
        await asyncio.wait(tasks, timeout=5)


async def run(jobs: NodeJobs, work: JobWork, clinic: str | None = "acme") -> JobView:
    return await ended(jobs, await jobs.start(JobKind.BACKUP, clinic, work, by=NODE))


async def read(jobs: NodeJobs, view: JobView) -> bytes:
    return b"".join([chunk async for chunk in jobs.fetch(view.id)])


async def test_a_job_is_seen_from_its_beginning_to_its_end(jobs: NodeJobs) -> None:
    work = Waiting()
    view = await jobs.start(JobKind.ROTATE, "acme", work, by=NODE)
    assert (view.state, view.by, view.ended_at) == (JobState.RUNNING, "node", None)
    await work.begun.wait()
    assert work.progress is not None
    work.progress("rows", 1, 3)
    seen = jobs.get(view.id)
    assert (seen.step, seen.done, seen.total) == ("rows", 1, 3)
    work.go.set()
    done = await ended(jobs, view)
    assert (done.state, done.result, done.file, done.error) == (JobState.DONE, {"rows": 3}, False, None)
    assert done.ended_at is not None
    assert jobs.all() == [done]


async def test_its_beginning_and_end_are_in_the_audit(jobs: NodeJobs, audit: MemoryAudit) -> None:
    view = await run(jobs, nothing)
    await jobs.close(timeout=5.0)
    assert audit.said() == [("backup.run", "asked"), ("backup.run", "done")]
    assert [each.detail for each in audit.kept] == [{"job": view.id}] * 2
    assert audit.kept[1].about == audit.kept[0].seq


async def test_what_the_audit_cannot_keep_is_not_begun(jobs: NodeJobs, audit: MemoryAudit) -> None:
    audit.full = True
    with pytest.raises(StoreUnavailableError):
        await jobs.start(JobKind.BACKUP, "acme", nothing, by=NODE)
    assert jobs.all() == []
    audit.full = False
    assert (await run(jobs, nothing)).state is JobState.DONE


@pytest.mark.parametrize(
    ("running", "wanted", "possible"),
    [
        ("acme", "acme", False),
        ("acme", "bela", True),
        (None, "acme", False),
        (None, None, False),
    ],
)
async def test_a_clinic_has_one_job_at_a_time_and_none_beside_one_of_the_node(
    jobs: NodeJobs, running: str | None, wanted: str | None, possible: bool
) -> None:
    work = Waiting()
    view = await jobs.start(JobKind.ROTATE, running, work, by=NODE)
    if possible:
        assert (await run(jobs, nothing, wanted)).state is JobState.DONE
    else:
        with pytest.raises(ConflictError, match=view.id):
            await jobs.start(JobKind.BACKUP, wanted, nothing, by=NODE)
    work.go.set()
    await ended(jobs, view)
    assert (await run(jobs, nothing, wanted)).state is JobState.DONE


async def test_one_of_the_node_waits_for_those_of_clinics_and_lets_no_more_begin(jobs: NodeJobs) -> None:
    clinics, node = Waiting(), Waiting()
    running = [await jobs.start(JobKind.EXPORT, clinic, clinics, by=NODE) for clinic in ("acme", "zeta")]
    view = await jobs.start(JobKind.ROTATE, None, node, by=NODE)
    await clinics.begun.wait()
    with pytest.raises(ConflictError, match=view.id):
        await jobs.start(JobKind.EXPORT, "beta", nothing, by=NODE)
    assert not node.begun.is_set()
    clinics.go.set()
    await node.begun.wait()
    assert [jobs.get(each.id).state for each in running] == [JobState.DONE] * 2
    node.go.set()
    assert (await ended(jobs, view)).state is JobState.DONE


async def test_a_clinic_whose_job_does_not_end_keeps_the_others_from_theirs_for_so_long_at_most(
    audit: MemoryAudit, tmp_path: Path
) -> None:
    jobs = NodeJobs(tmp_path, audit, waiting_s=0.0)
    await jobs.open()
    endless = await jobs.start(JobKind.EXPORT, "acme", Waiting(), by=NODE)
    view = await run(jobs, nothing, None)
    assert view.state is JobState.FAILED
    assert view.error is not None
    assert f"job {endless.id} (export of clinic acme) has not ended" in view.error
    assert (await run(jobs, nothing, "beta")).state is JobState.DONE
    await jobs.close(timeout=5.0)


async def test_one_of_the_node_that_waits_ends_with_the_node(jobs: NodeJobs) -> None:
    await jobs.start(JobKind.EXPORT, "acme", Waiting(), by=NODE)
    view = await jobs.start(JobKind.ROTATE, None, nothing, by=NODE)
    await jobs.close(timeout=5.0)
    assert jobs.get(view.id).error == STOPPED


async def test_two_asked_for_at_once_are_not_both_begun(jobs: NodeJobs) -> None:
    work = Waiting()
    both = await asyncio.gather(
        *(jobs.start(JobKind.BACKUP, "acme", work, by=NODE) for _ in range(2)), return_exceptions=True
    )
    assert [type(each) for each in both] == [JobView, ConflictError]


async def test_an_error_of_ours_is_told_and_another_is_found_in_the_log_only(
    jobs: NodeJobs, caplog: pytest.LogCaptureFixture, audit: MemoryAudit
) -> None:
    async def wrong(_progress: Progress, _file: Path, /) -> Mapping[str, int | str]:
        raise InvalidInputError("archive", "one of this version")

    async def broken(_progress: Progress, _file: Path, /) -> Mapping[str, int | str]:
        raise ValueError("Maria")

    first, second = await run(jobs, wrong), await run(jobs, broken)
    assert (first.state, first.error) == (JobState.FAILED, "archive: expected one of this version")
    assert second.error is not None
    assert "Maria" not in second.error
    assert caplog.records[0].incident in second.error  # type: ignore[attr-defined] # given as extra
    await jobs.close(timeout=5.0)
    assert [outcome for _, outcome in audit.said()] == ["asked", "failed"] * 2


async def test_what_it_made_is_private_and_fetched_until_it_is_discarded(jobs: NodeJobs, tmp_path: Path) -> None:
    view = await run(jobs, writing)
    assert view.file
    assert jobs_directory(tmp_path).stat().st_mode & 0o777 == 0o700
    assert [await read(jobs, view), await read(jobs, view)] == [b"sealed"] * 2
    await jobs.discard(view.id)
    assert not jobs.get(view.id).file
    assert list(jobs_directory(tmp_path).iterdir()) == []
    with pytest.raises(NotFoundError):
        jobs.fetch(view.id)


async def test_it_may_be_opened_on_the_way_out(jobs: NodeJobs) -> None:
    async def opened(file: Path) -> AsyncIterator[bytes]:
        yield (await asyncio.to_thread(file.read_bytes)).upper()

    view = await jobs.start(JobKind.EXPORT, "acme", writing, by=NODE, reading=opened)
    assert await read(jobs, await ended(jobs, view)) == b"SEALED"


async def test_what_nobody_fetches_goes_after_its_time(tmp_path: Path, audit: MemoryAudit) -> None:
    jobs = NodeJobs(tmp_path, audit, kept_s=0.0)
    await jobs.open()
    view = await run(jobs, writing)
    await asyncio.sleep(0.01)  # longer than its time
    await tasks_of(view)
    assert not jobs.get(view.id).file
    await jobs.close(timeout=5.0)
    assert list(jobs_directory(tmp_path).iterdir()) == []


async def test_what_a_failed_job_wrote_does_not_stay(jobs: NodeJobs, tmp_path: Path) -> None:
    async def half(_progress: Progress, file: Path, /) -> Mapping[str, int | str]:
        await asyncio.to_thread(file.write_bytes, b"half")
        raise ConflictError("no")

    view = await run(jobs, half)
    assert not view.file
    assert list(jobs_directory(tmp_path).iterdir()) == []


async def test_nothing_is_fetched_of_one_that_runs(jobs: NodeJobs) -> None:
    view = await jobs.start(JobKind.BACKUP, "acme", Waiting(), by=NODE)
    with pytest.raises(ConflictError):
        jobs.fetch(view.id)
    with pytest.raises(NotFoundError):
        jobs.get("another")


async def test_the_end_of_the_node_ends_those_that_run_in_order(
    jobs: NodeJobs, audit: MemoryAudit, tmp_path: Path
) -> None:
    work = Waiting()
    view = await jobs.start(JobKind.RESTORE, None, work, by=NODE)
    await work.begun.wait()
    await JobService(jobs).stop(timeout=5.0)
    stopped = jobs.get(view.id)
    assert (stopped.state, stopped.error) == (JobState.FAILED, STOPPED)
    assert audit.said()[-1] == ("restore.run", "failed")
    with pytest.raises(UnavailableError):
        await jobs.start(JobKind.BACKUP, None, work, by=NODE)


async def test_none_is_begun_whose_beginning_the_end_of_the_node_overtook(
    jobs: NodeJobs, audit: MemoryAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: object, **__: object) -> int:
        await jobs.close(timeout=0.0)
        return 1

    monkeypatch.setattr(audit, "asked", slow)
    with pytest.raises(UnavailableError):
        await jobs.start(JobKind.BACKUP, None, nothing, by=NODE)
    assert jobs.all() == []


async def test_one_that_does_not_end_is_left_after_a_while(jobs: NodeJobs, caplog: pytest.LogCaptureFixture) -> None:
    released = asyncio.Event()

    async def deaf(_progress: Progress, _file: Path, /) -> Mapping[str, int | str]:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        return {}

    view = await jobs.start(JobKind.BACKUP, None, deaf, by=NODE)
    await asyncio.sleep(0.05)
    await jobs.close(timeout=0.01)
    assert "have not ended" in caplog.text
    released.set()
    assert not (await ended(jobs, view)).file


async def test_leftovers_of_a_killed_node_are_deleted(tmp_path: Path, audit: MemoryAudit) -> None:
    left = jobs_directory(tmp_path) / "old" / "file"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"left")
    service = JobService(NodeJobs(tmp_path, audit))
    await service.start()
    assert not left.exists()
    await service.stop(timeout=1.0)


async def test_only_the_last_hundred_are_remembered_and_one_that_runs_is_not_forgotten(
    jobs: NodeJobs, tmp_path: Path
) -> None:
    work = Waiting()
    running = await jobs.start(JobKind.ROTATE, "slow", work, by=NODE)
    of_another = await run(jobs, writing, "other")
    first = await run(jobs, writing)
    for _ in range(REMEMBERED):
        last = await run(jobs, nothing)
    assert len([view for view in jobs.all() if view.clinic == "acme"]) == REMEMBERED
    assert await read(jobs, of_another) == b"sealed"
    assert jobs.all()[0] == last
    assert jobs.get(running.id) == jobs.all()[-1]
    with pytest.raises(NotFoundError):
        jobs.get(first.id)
    assert not (jobs_directory(tmp_path) / first.id).exists()


async def test_a_clinic_keeps_no_more_than_so_many_files_and_pushes_out_none_of_another(jobs: NodeJobs) -> None:
    of_another = await run(jobs, writing, "other")
    made = [await run(jobs, writing) for _ in range(FILES_KEPT + 2)]
    assert [jobs.get(view.id).file for view in made] == [False] * 2 + [True] * FILES_KEPT
    assert await read(jobs, of_another) == b"sealed"


async def test_a_job_that_is_cancelled_while_it_ends_is_not_taken_to_run_for_ever(
    jobs: NodeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = asyncio.Event()

    async def end(*_: object) -> None:
        ending.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(jobs, "_end", end)
    view = await jobs.start(JobKind.BACKUP, "acme", nothing, by=NODE)
    await asyncio.wait_for(ending.wait(), 5)
    await jobs.close(timeout=5.0)
    assert jobs.get(view.id).state is JobState.FAILED
    monkeypatch.undo()
    await jobs.open()
    assert (await run(jobs, nothing)).state is JobState.DONE
