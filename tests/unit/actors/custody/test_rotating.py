import asyncio
from collections.abc import Callable

import pytest

from actors.board import Board
from actors.custody.resuming import Resuming
from actors.custody.rotating import Rotating
from actors.switchboard import Switchboard
from protocol.access import NODE, Caller, Role
from protocol.errors import ConflictError, NotFoundError, UnavailableError
from protocol.jobs import JobKind, JobState
from supervisor.backoff import Backoff
from supervisor.names import Names
from tests.fakes.memory_jobs import MemoryJobs
from tests.fakes.memory_keys import MemoryKeys

ANA = Caller(id="ana", role=Role.ADMIN)
STEPS = ["add", "channels", "back", "front", "database", "drop"]
AT_ONCE = Backoff(base_s=0.0, cap_s=0.0)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - of several parts, none of which knows of this test
            await asyncio.sleep(0)


class Shown(Switchboard):
    """Shows one clinic."""

    def __init__(self) -> None:
        super().__init__(Board(), Names())

    def clinic(self, clinic: str) -> object:  # type: ignore[override]
        if clinic != "north":
            raise NotFoundError(f"clinic {clinic}")
        return clinic


@pytest.fixture
def keys() -> MemoryKeys:
    made = MemoryKeys()
    made.add("north", "back", "front")
    made.add("south", "front")
    return made


@pytest.fixture
def jobs() -> MemoryJobs:
    return MemoryJobs()


@pytest.fixture
def rotating(keys: MemoryKeys, jobs: MemoryJobs) -> Rotating:
    return Rotating(Shown(), jobs, keys, keys)


async def test_a_clinic_gets_a_new_key_under_which_all_is_before_the_old_one_goes(
    rotating: Rotating, keys: MemoryKeys, jobs: MemoryJobs
) -> None:
    view = await rotating.rotate_clinic("north", by=ANA)
    assert (view.kind, view.clinic, view.by, view.state) == (JobKind.ROTATE, "north", "ana", JobState.RUNNING)
    await jobs.ended()
    assert keys.calls == [f"north: {step}" for step in STEPS]
    assert jobs.steps == [
        ("new key", 0, None),
        ("snapshots", 0, 2),
        ("snapshots", 1, 2),
        ("database", 0, None),
        ("old key", 0, None),
    ]
    assert jobs.get(view.id).result == {"channels": 2, "snapshots": 2}
    assert {key for (clinic, _), key in keys.sealed.items() if clinic == "north"} == {2}
    assert keys.keys == {"north": [2], "south": [1]}


async def test_the_master_key_is_the_node_s(rotating: Rotating, keys: MemoryKeys, jobs: MemoryJobs) -> None:
    view = await rotating.rotate_master(by=ANA)
    await jobs.ended()
    assert (view.clinic, keys.calls, jobs.get(view.id).result) == (None, ["master"], {"keys": 2})


async def test_a_clinic_that_is_not_there_is_not_rotated(rotating: Rotating, keys: MemoryKeys) -> None:
    with pytest.raises(NotFoundError, match="clinic nowhere"):
        await rotating.rotate_clinic("nowhere", by=ANA)
    assert keys.calls == []


async def test_before_the_registry_was_read_it_is_not_known_whether_there_is_one(
    keys: MemoryKeys, jobs: MemoryJobs
) -> None:
    rotating = Rotating(Switchboard(Board(), Names()), jobs, keys, keys)
    with pytest.raises(UnavailableError):
        await rotating.rotate_clinic("north", by=ANA)


async def test_beside_another_job_it_is_not_begun(rotating: Rotating, keys: MemoryKeys, jobs: MemoryJobs) -> None:
    jobs.busy.add("north")
    with pytest.raises(ConflictError):
        await rotating.rotate_clinic("north", by=ANA)
    assert keys.calls == []


@pytest.mark.parametrize("step", STEPS)
async def test_what_fails_keeps_both_keys_and_is_gone_on_with(
    rotating: Rotating, keys: MemoryKeys, jobs: MemoryJobs, step: str
) -> None:
    keys.failing.add(f"north: {step}")
    view = await rotating.rotate_clinic("north", by=ANA)
    await jobs.ended()
    failed = jobs.get(view.id)
    assert (failed.state, failed.error) == (JobState.FAILED, f"north: {step}: the disk is full")
    assert keys.keys["north"] == ([1] if step == "add" else [2, 1])
    keys.failing.clear()
    assert await rotating.resume() is (step == "add")
    await jobs.ended()
    assert keys.keys["north"] == ([1] if step == "add" else [2])
    assert await rotating.resume() is True


async def test_what_was_interrupted_is_gone_on_with_by_the_node_until_nothing_is_left(
    rotating: Rotating, keys: MemoryKeys, jobs: MemoryJobs
) -> None:
    keys.keys.update(north=[2, 1], south=[2, 1])
    jobs.busy.add("south")
    keys.failing.add("north: database")
    resuming = Resuming(rotating, backoff=AT_ONCE)
    await resuming.start()
    await until(lambda: len(jobs.views) == 2)
    assert {view.by for view in jobs.all()} == {NODE.id}
    keys.failing.clear()
    jobs.busy.clear()
    await until(lambda: all(len(held) == 1 for held in keys.keys.values()))
    await jobs.ended()
    looks = keys.calls.count("unfinished")
    waiting = asyncio.create_task(resuming.wait())
    for _ in range(100):
        await asyncio.sleep(0)
    assert keys.calls.count("unfinished") <= looks + 1
    assert not waiting.done()
    await resuming.stop(timeout=1.0)
    waiting.cancel()


async def test_a_disk_that_cannot_be_read_is_looked_at_again(rotating: Rotating, keys: MemoryKeys) -> None:
    keys.failing.add("unfinished")
    resuming = Resuming(rotating, backoff=AT_ONCE)
    await resuming.start()
    await until(lambda: len(keys.calls) >= 3)
    await resuming.stop(timeout=1.0)
    assert set(keys.calls) == {"unfinished"}


async def test_who_breaks_by_a_mistake_says_so() -> None:
    class Broken:
        async def resume(self) -> bool:
            raise RuntimeError("a mistake")

    resuming = Resuming(Broken())  # type: ignore[arg-type]
    assert await resuming.wait() == "it is not running"
    await resuming.start()
    assert await resuming.wait() == "it broke: RuntimeError('a mistake')"
    await resuming.stop(timeout=1.0)
