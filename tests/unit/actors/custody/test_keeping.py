import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from actors.custody.backing_up import BackingUp
from actors.custody.erasing import ErasingClinics
from actors.custody.keeping import RETRY, Keeping, Schedule
from actors.custody.restoring import Restoring
from protocol.access import NODE
from protocol.backup import Committed
from protocol.errors import NotFoundError
from protocol.jobs import JobState
from tests.fakes.bell import Bell
from tests.fakes.memory_jobs import MemoryJobs
from tests.fakes.memory_node import MemoryStore
from tests.fakes.memory_registry import MemoryRegistry
from tests.fakes.memory_tombstones import MemoryTombstones
from tests.unit.actors.custody.archives_in_memory import AT, MemoryArchives, showing

DAY_S = 86_400.0


class MemoryShelf:
    """Implements ``actors.custody.keeping.Shelf``. ``pruned``: of which clinics, in order."""

    def __init__(self, archives: MemoryArchives) -> None:
        self.lasts: dict[str, datetime] = {}
        self.pruned: list[str] = []
        self._archives = archives

    async def last(self, clinic: str, now: datetime) -> datetime | None:
        last = self.lasts.get(clinic)
        return None if last is None or last > now else last

    def place(self, clinic: str, at: datetime) -> Path:
        return Path(f"/backups/{clinic}/{at:%H%M}")

    async def prune(self, clinic: str, now: datetime) -> Sequence[str]:
        file, _, _ = self._archives.written[-1]
        self.lasts[clinic] = AT.replace(hour=int(file.name[:2]), minute=int(file.name[2:]))
        self.pruned.append(clinic)
        return ()


class Bench:
    """``now``: what the clock says."""

    def __init__(self, *clinics: str, every_s: float = DAY_S) -> None:
        bell = Bell()
        self.now = AT
        self.archives, self.jobs = MemoryArchives(), MemoryJobs()
        self.shelf = MemoryShelf(self.archives)
        switchboard = showing(*clinics)
        self.backing_up = BackingUp(switchboard, self.jobs, self.archives)
        self.restoring = Restoring(switchboard, self.jobs, self.archives, MemoryRegistry(bell), MemoryStore(bell))
        schedule = Schedule(every_s=every_s, look_s=0.001, follow_s=0.001)
        self.tombstones = MemoryTombstones()
        erasing = ErasingClinics(switchboard, self.jobs, MemoryRegistry(bell), self.tombstones, ())
        self.part = Keeping(schedule, self.shelf, self.jobs, self.backing_up, self.restoring, erasing, lambda: self.now)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - of several parts, none of which knows of this test
                await asyncio.sleep(0.001)

    async def a_while(self) -> None:
        """Some looks."""
        swept = self.archives.swept
        await self.until(lambda: self.archives.swept > swept + 3)


Begin = Callable[[Bench], "asyncio.Future[None]"]


@pytest.fixture
async def started() -> AsyncIterator[list[Bench]]:
    """Whatever is put in here is stopped in the end."""
    benches: list[Bench] = []
    yield benches
    for bench in benches:
        await bench.part.stop(timeout=1)
        await bench.jobs.ended()


async def begin(bench: Bench, started: list[Bench]) -> Bench:
    started.append(bench)
    await bench.part.start()
    return bench


def clinics_of(bench: Bench) -> list[str]:
    return [contents[0].record.id for _, contents, _ in bench.archives.written]


async def test_each_clinic_is_backed_up_when_it_is_due(started: list[Bench]) -> None:
    bench = await begin(Bench("north", "south"), started)
    await bench.until(lambda: bench.shelf.pruned == ["north", "south"])
    await bench.a_while()
    assert clinics_of(bench) == ["north", "south"]
    assert all(not node for _, _, node in bench.archives.written)
    bench.shelf.lasts["south"] = bench.now - timedelta(days=2)
    await bench.until(lambda: bench.shelf.pruned == ["north", "south", "south"])
    assert {view.by for view in bench.jobs.views.values()} == {NODE.id}


async def test_without_a_schedule_there_are_none(started: list[Bench]) -> None:
    bench = await begin(Bench("north", every_s=0.0), started)
    await bench.a_while()
    assert bench.archives.written == []


async def test_one_that_fails_removes_nothing_and_is_tried_again_later(started: list[Bench]) -> None:
    bench = Bench("north", "south")
    bench.archives.failing.add("north")
    await begin(bench, started)
    await bench.until(lambda: bench.shelf.pruned == ["south"])
    await bench.a_while()
    assert [view.state for view in bench.jobs.all() if view.clinic == "north"] == [JobState.FAILED]
    bench.archives.failing.clear()
    bench.now += RETRY
    await bench.until(lambda: bench.shelf.pruned == ["south", "north"])


async def test_a_clock_that_is_put_back_stops_no_backups(started: list[Bench]) -> None:
    bench = Bench("north", "south")
    bench.archives.failing.add("south")
    await begin(bench, started)
    await bench.until(lambda: bench.shelf.pruned == ["north"] and bool(bench.archives.swept))
    await bench.a_while()
    bench.archives.failing.clear()
    bench.now -= timedelta(hours=3)
    await bench.until(lambda: bench.shelf.pruned == ["north", "north", "south"])
    await bench.a_while()
    assert bench.shelf.pruned == ["north", "north", "south"]
    assert bench.part.made == {"north": bench.now, "south": bench.now}


async def test_a_clinic_of_which_another_job_runs_waits(started: list[Bench]) -> None:
    bench = Bench("north", "south")
    bench.jobs.busy.add("north")
    await begin(bench, started)
    await bench.until(lambda: bench.shelf.pruned == ["south"])
    bench.jobs.busy.clear()
    await bench.until(lambda: bench.shelf.pruned == ["south", "north"])


async def test_a_clinic_that_cannot_be_put_back_keeps_no_others_backups_waiting(started: list[Bench]) -> None:
    bench = Bench("north")
    bench.archives.unfinished.append(Committed(clinic="gone", held_at=None, settled=False))
    await begin(bench, started)
    await bench.until(lambda: bench.shelf.pruned == ["north"])
    assert clinics_of(bench) == ["north"]


async def test_it_ends_only_when_told_to(started: list[Bench]) -> None:
    bench = await begin(Bench("north"), started)
    waiting = asyncio.create_task(bench.part.wait())
    await bench.a_while()
    assert not waiting.done()
    await bench.part.stop(timeout=1)
    await waiting
    assert await bench.part.wait() == "it is not running"


async def test_a_backup_of_all_is_one_of_the_node_and_of_a_clinic_is_not() -> None:
    bench = Bench("north", "south")
    await bench.backing_up.backup(None, by=NODE)
    await bench.backing_up.backup("south", by=NODE, passphrase="correct horse battery")
    await bench.jobs.ended()
    (_, everything, node), (_, only, of_clinic) = bench.archives.written
    assert ([one.record.id for one in everything], node) == (["north", "south"], True)
    assert ([one.record.id for one in only], of_clinic) == (["south"], False)
    assert [one.id for one in only[0].channels] == ["desk"]
    with pytest.raises(NotFoundError):
        await bench.backing_up.backup("east", by=NODE)


async def test_an_interrupted_erasure_goes_on_and_backups_of_others_do_not_wait_for_it(started: list[Bench]) -> None:
    bench = Bench("north")
    started.append(bench)
    bench.tombstones.standing.add("gone")
    await bench.part.start()
    await bench.until(lambda: not bench.tombstones.standing)
    await bench.until(lambda: bench.shelf.pruned == ["north"])


async def test_it_says_when_each_clinic_was_backed_up_also_if_it_never_was(started: list[Bench]) -> None:
    bench = Bench("north", "south")
    bench.archives.failing.add("south")
    await begin(bench, started)
    await bench.until(lambda: bench.shelf.pruned == ["north"])
    await bench.a_while()
    assert bench.part.made == {"north": bench.shelf.lasts["north"], "south": None}


async def test_without_a_schedule_it_says_nothing_of_backups(started: list[Bench]) -> None:
    bench = await begin(Bench("north", every_s=0.0), started)
    await bench.a_while()
    assert bench.part.made == {}
