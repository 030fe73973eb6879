"""Jobs over HTTP and by the command line: followed, fetched as a stream, and seen by whom they concern."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest

from config.cli.asking import Asking
from config.cli.client import NodeAwayError, NodeClient, NodeRefusedError
from config.cli.following import JobFailedError, JobLostError, fetch, follow
from config.cli.output import Output
from gateway.access.api_keys import ApiKeys
from gateway.http.server import AdminServer
from gateway.jobs import NodeJobs
from protocol.access import NODE, Role
from protocol.errors import AlreadyExistsError, ConflictError, InvalidInputError, StoreUnavailableError
from protocol.jobs import JobKind, JobState, JobView, Progress, Reading
from tests.integration.http.conftest import Plantao

MANY = 64 << 20


class Work:
    """Makes ``content``, once it is let go."""

    def __init__(self, content: bytes | None = None) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.content = content

    async def __call__(self, progress: Progress, file: Path, /) -> Mapping[str, int | str]:
        progress("clinics", 1, 2)
        self.begun.set()
        await self.go.wait()
        if self.content is not None:
            await asyncio.to_thread(file.write_bytes, self.content)
        return {"rows": 3}


async def made(jobs: NodeJobs, content: bytes, clinic: str | None = "acme", reading: Reading | None = None) -> JobView:
    """A job that has made ``content``."""
    work = Work(content)
    work.go.set()
    return await ended(jobs, await jobs.start(JobKind.BACKUP, clinic, work, by=NODE, reading=reading))


async def ended(jobs: NodeJobs, view: JobView) -> JobView:
    tasks = [task for task in asyncio.all_tasks() if task.get_name().endswith(view.id)]
    if tasks:
        await asyncio.wait(tasks, timeout=30)
    return jobs.get(view.id)


@pytest.fixture
def asking(server: AdminServer, key: str) -> Asking:
    node = NodeClient(server.url, key)
    return Asking(node, Output(as_json=True), lambda: node)


async def client(server: AdminServer, keys: ApiKeys, role: Role, *clinics: str) -> aiohttp.ClientSession:
    _, secret = await keys.make("test", role, clinics, made_by="test")
    return aiohttp.ClientSession(server.url, headers={"X-API-Key": secret})


async def test_a_job_is_shown_from_its_beginning_to_its_end(operator: aiohttp.ClientSession, jobs: NodeJobs) -> None:
    work = Work()
    view = await jobs.start(JobKind.ROTATE, "acme", work, by=NODE)
    await work.begun.wait()
    async with operator.get(f"/api/v1/jobs/{view.id}") as response:
        shown = await response.json()
    assert (shown["kind"], shown["state"], shown["step"], shown["done"], shown["total"]) == (
        "rotate", "running", "clinics", 1, 2,
    )  # fmt: skip
    work.go.set()
    await ended(jobs, view)
    async with operator.get("/api/v1/jobs") as response:
        [listed] = (await response.json())["items"]
    assert (listed["state"], listed["result"], listed["file"]) == ("done", {"rows": 3}, False)
    async with operator.get("/api/v1/jobs/0000") as response:
        assert response.status == 404


async def test_a_key_sees_the_jobs_of_its_clinics_and_no_others(
    server: AdminServer, keys: ApiKeys, jobs: NodeJobs
) -> None:
    own, other = await made(jobs, b"own"), await made(jobs, b"other", "bela")
    whole = await made(jobs, b"whole", None)
    async with await client(server, keys, Role.ADMIN, "acme") as admin:
        async with admin.get("/api/v1/jobs") as response:
            assert [each["id"] for each in (await response.json())["items"]] == [own.id]
        for hidden in (other, whole):
            for method, path in (("GET", ""), ("GET", "/file"), ("DELETE", "/file")):
                async with admin.request(method, f"/api/v1/jobs/{hidden.id}{path}") as response:
                    assert response.status == 404
        async with admin.get(f"/api/v1/jobs/{own.id}/file") as response:
            assert (response.status, await response.read()) == (200, b"own")


async def test_jobs_are_looked_for_by_what_they_are_page_by_page(
    operator: aiohttp.ClientSession, jobs: NodeJobs
) -> None:
    done = [await made(jobs, b"x", clinic) for clinic in ("acme", "bela", "acme")]
    running = await jobs.start(JobKind.EXPORT, "acme", Work(), by=NODE)

    async def ids(query: str) -> list[str]:
        async with operator.get(f"/api/v1/jobs?{query}") as response:
            return [job["id"] for job in (await response.json())["items"]]

    assert await ids("clinic=acme") == [running.id, done[2].id, done[0].id]
    assert await ids("clinic=acme&state=done") == [done[2].id, done[0].id]
    assert await ids("kind=export") == [running.id]
    async with operator.get("/api/v1/jobs?limit=2") as response:
        first = await response.json()
    assert await ids(f"cursor={first['next']}") == [done[1].id, done[0].id]


async def test_its_file_is_named_and_stays_until_it_is_discarded(
    operator: aiohttp.ClientSession, jobs: NodeJobs
) -> None:
    view = await made(jobs, b"sealed")
    path = f"/api/v1/jobs/{view.id}/file"
    async with operator.head(path) as response:
        assert response.status == 200
    for _ in range(2):
        async with operator.get(path) as response:
            disposition = response.headers["Content-Disposition"]
            assert disposition == f'attachment; filename="plantao-backup-acme-{view.started_at:%Y%m%dT%H%M%SZ}"'
            assert await response.read() == b"sealed"
    async with operator.delete(path) as response:
        assert response.status == 204
    async with operator.get(path) as response:
        assert response.status == 404


async def test_nothing_is_read_ahead_of_a_client_that_takes_nothing(
    operator: aiohttp.ClientSession, jobs: NodeJobs
) -> None:
    read = 0

    async def endless(_file: Path) -> AsyncIterator[bytes]:
        nonlocal read
        while read < MANY:
            read += 1 << 18
            yield bytes(1 << 18)

    view = await made(jobs, b"x", reading=endless)
    async with operator.get(f"/api/v1/jobs/{view.id}/file") as response:
        await response.content.read(1)
        seen = -1
        while seen != read:
            seen = read
            await asyncio.sleep(0.05)
        assert read < MANY / 2
        response.close()


async def test_what_cannot_be_read_to_its_end_is_no_whole_file_to_anybody(
    asking: Asking, jobs: NodeJobs, tmp_path: Path
) -> None:
    async def breaking(_file: Path) -> AsyncIterator[bytes]:
        yield bytes(1 << 20)
        raise StoreUnavailableError("the disk is broken")

    view = await made(jobs, b"x", reading=breaking)
    with pytest.raises(NodeAwayError):
        await asyncio.to_thread(fetch, asking, view.id, tmp_path / "backup")
    assert not any("backup" in name for name in os.listdir(tmp_path))  # noqa: PTH208 - nor a draft


async def test_what_is_fetched_is_private_whole_and_deleted_at_the_node(
    asking: Asking, jobs: NodeJobs, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 10_000
    view = await made(jobs, content)
    path = tmp_path / "backup"
    assert await asyncio.to_thread(fetch, asking, view.id, path) == len(content)
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert not jobs.get(view.id).file


async def test_a_file_that_is_there_is_replaced_only_if_that_is_wanted(
    asking: Asking, jobs: NodeJobs, tmp_path: Path
) -> None:
    view = await made(jobs, b"new")
    path = tmp_path / "backup"
    path.write_bytes(b"old")
    with pytest.raises(AlreadyExistsError):
        await asyncio.to_thread(fetch, asking, view.id, path)
    assert path.read_bytes() == b"old"
    await asyncio.to_thread(lambda: fetch(asking, view.id, path, replace=True))
    assert path.read_bytes() == b"new"


async def test_where_nothing_can_be_written_nothing_is_lost_at_the_node(
    asking: Asking, jobs: NodeJobs, tmp_path: Path
) -> None:
    view = await made(jobs, b"new")
    with pytest.raises(InvalidInputError, match="FILE"):
        await asyncio.to_thread(fetch, asking, view.id, tmp_path / "nowhere" / "backup")
    assert jobs.get(view.id).file


async def test_a_job_is_followed_to_its_end_and_its_error_is_the_commands(asking: Asking, jobs: NodeJobs) -> None:
    async def failing(_progress: Progress, _file: Path, /) -> Mapping[str, int | str]:
        raise ConflictError("the clinic is being removed")

    work = Work()
    running = await jobs.start(JobKind.EXPORT, "acme", work, by=NODE)
    asyncio.get_running_loop().call_later(0.1, work.go.set)
    view = {"id": running.id, "state": "running", "kind": "export"}
    done = await asyncio.to_thread(lambda: follow(asking, view, sleep=lambda _: None))
    assert (done["state"], done["result"]) == (JobState.DONE, {"rows": 3})
    failed = await jobs.start(JobKind.ERASE, "acme", failing, by=NODE)
    with pytest.raises(JobFailedError, match="erase failed: the clinic is being removed"):
        await asyncio.to_thread(lambda: follow(asking, {**view, "id": failed.id}, sleep=lambda _: None))


async def test_a_job_of_a_node_that_went_away_is_said_to_be_lost(asking: Asking, server: AdminServer) -> None:
    await server.stop(timeout=0.1)
    with pytest.raises(JobLostError, match="plantao job show 17"):
        await asyncio.to_thread(
            lambda: follow(asking, {"id": "17", "state": "running", "kind": "x"}, sleep=lambda _: None)
        )


async def test_jobs_are_listed_and_shown_by_the_command_line(plantao: Plantao, jobs: NodeJobs) -> None:
    view = await made(jobs, b"sealed")
    listed = await plantao("job", "list")
    assert listed.exit_code == 0
    assert view.id in listed.stdout
    assert "backup" in listed.stdout
    shown = await plantao("job", "show", view.id)
    assert "to be fetched" in shown.stdout
    assert json.loads((await plantao("job", "show", view.id, "--json")).stdout)["result"] == {"rows": 3}
    assert (await plantao("job", "show", "0000")).exit_code == 1


@pytest.mark.parametrize(
    ("only", "shown"),
    [
        (("--kind", "backup"), True),
        (("--kind", "export"), False),
        (("--state", "done"), True),
        (("--state", "running"), False),
        (("--clinic", "acme"), True),
        (("--clinic", "bela"), False),
        (("--clinic", "acme", "--kind", "backup", "--state", "failed"), False),
    ],
)
async def test_lists_of_jobs_are_of_a_clinic_kind_and_state(
    plantao: Plantao, jobs: NodeJobs, only: tuple[str, ...], shown: bool
) -> None:
    view = await made(jobs, b"sealed")
    listed = json.loads((await plantao("job", "list", "--json", *only)).stdout)
    assert [job["id"] for job in listed["items"]] == [view.id] * shown


async def test_what_a_job_made_can_be_fetched_later(plantao: Plantao, jobs: NodeJobs, tmp_path: Path) -> None:
    view = await made(jobs, b"sealed")
    there = tmp_path / "later.backup"

    fetched = await plantao("job", "fetch", view.id, str(there), "--json")

    assert json.loads(fetched.stdout) == {"file": str(there), "bytes": len(b"sealed")}
    assert there.read_bytes() == b"sealed"
    assert "to be fetched" not in (await plantao("job", "show", view.id)).stdout


async def test_a_large_body_is_sent_as_a_stream_and_a_refusal_is_heard(asking: Asking) -> None:
    pieces = (bytes(1024) for _ in range(64))
    with pytest.raises(NodeRefusedError):
        await asyncio.to_thread(lambda: asking.node.upload("clinics", pieces=pieces, size=64 * 1024, replace="true"))
