import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.board import Board
from actors.custody.restoring import TRIES, Restoring
from actors.switchboard import Switchboard
from protocol.access import NODE
from protocol.backup import Committed
from protocol.channel import ChannelSnapshot, ClinicSnapshot, ClinicState
from protocol.errors import BusUnavailableError, InvalidInputError
from protocol.jobs import JobKind, JobState, JobView
from supervisor.names import Names
from tests.fakes.bell import Bell
from tests.fakes.memory_jobs import MemoryJobs
from tests.fakes.memory_node import MemoryStore
from tests.fakes.memory_registry import MemoryRegistry
from tests.unit.actors.custody.archives_in_memory import AT, MemoryArchives, record_of, showing

REFUSED = InvalidInputError("putting back the stream send", "what the server takes (snapshot is damaged)")


class Bench:
    """``acme`` and ``north`` are half put back, and ``trouble`` is in the way."""

    def __init__(self, trouble: InvalidInputError | BusUnavailableError) -> None:
        bell = Bell()
        self.archives, self.jobs = MemoryArchives(), MemoryJobs()
        self.archives.unfinished = [Committed(clinic=one, held_at=None, settled=False) for one in ("acme", "north")]
        self.archives.trouble = trouble
        self.part = Restoring(showing(), self.jobs, self.archives, MemoryRegistry(bell), MemoryStore(bell))

    async def look(self, times: int) -> None:
        for _ in range(times):
            assert not await self.part.finish_all()
        await self.jobs.ended()

    async def restore(self, clinic: str, *, replace: bool = True) -> JobView:
        view = await self.part.restore(Path(f"/nowhere/{clinic}"), None, replace=replace, by=NODE)
        await self.jobs.ended()
        return self.jobs.get(view.id)


@pytest.fixture
async def refused() -> AsyncIterator[Bench]:
    """What is put back was refused as often as it may be."""
    bench = Bench(REFUSED)
    await bench.look(TRIES)
    yield bench
    await bench.jobs.ended()


async def test_what_is_refused_is_not_tried_for_ever_and_a_failed_job_says_what_to_do(refused: Bench) -> None:
    await refused.look(3)
    assert refused.archives.tried == ["acme", "north"] * TRIES
    told = {view.clinic: view for view in refused.jobs.all()}
    assert told.keys() == {"acme", "north"}
    assert len(refused.jobs.all()) == 2
    for clinic, view in told.items():
        assert (view.kind, view.state, view.by) == (JobKind.RESTORE, JobState.FAILED, NODE.id)
        assert view.error == (
            f"clinic {clinic} is not back, and what its archive holds is refused: {REFUSED}; make room and restart "
            "the node, which tries again; or restore another archive with --replace; or erase the clinic"
        )


async def test_what_is_only_away_is_tried_until_it_is_there() -> None:
    bench = Bench(BusUnavailableError("NATS is away"))
    await bench.look(TRIES * 3)
    assert bench.archives.tried == ["acme", "north"] * TRIES * 3
    assert bench.jobs.all() == []


async def test_one_that_was_refused_makes_room_for_another_archive_which_is_tried_anew(refused: Bench) -> None:
    view = await refused.restore("acme")
    assert view.state is JobState.FAILED
    assert view.error == f"clinic acme is not back yet, and the node goes on by itself: {REFUSED}"
    refused.archives.tried.clear()
    await refused.look(TRIES * 2)
    assert refused.archives.tried == ["acme"] * (TRIES - 1)


async def test_one_that_was_refused_makes_room_only_if_that_is_asked_for(refused: Bench) -> None:
    view = await refused.restore("acme", replace=False)
    assert view.state is JobState.FAILED
    assert "half put back from another archive, and that would be lost" in (view.error or "")
    await refused.look(1)
    assert refused.archives.tried == ["acme", "north"] * TRIES


async def test_one_that_is_still_tried_makes_room_for_none() -> None:
    bench = Bench(REFUSED)
    await bench.look(TRIES - 1)
    view = await bench.restore("acme")
    assert view.state is JobState.FAILED
    assert "being put back from another archive" in (view.error or "")


async def test_another_job_of_the_clinic_is_in_nobodys_way() -> None:
    bench = Bench(REFUSED)
    bench.jobs.busy.add("acme")
    await bench.look(TRIES + 1)
    assert [view.clinic for view in bench.jobs.all()] == ["north"]
    assert bench.archives.tried == ["acme", "north"] * TRIES
    bench.jobs.busy.clear()
    await bench.look(2)
    assert sorted(str(view.clinic) for view in bench.jobs.all()) == ["acme", "north"], "each is told of, and once"


async def test_it_is_done_when_the_channels_have_begun_too() -> None:
    """Who restored a clinic asks its channels next."""
    bench, board, registry = Bench(REFUSED), Board(), MemoryRegistry(Bell())
    bench.archives.unfinished = [Committed(clinic="acme", held_at=None, settled=True)]
    part = Restoring(Switchboard(board, Names()), bench.jobs, bench.archives, registry, MemoryStore(Bell()))
    board.put_clinic(ClinicSnapshot.of(record_of("acme"), ClinicState.RUNNING, ""))
    finishing = asyncio.create_task(part.finish_all())
    await asyncio.sleep(0.05)
    assert not finishing.done()
    board.put_channel(ChannelSnapshot.not_begun(registry.channels["acme", "desk"], AT))
    assert await asyncio.wait_for(finishing, 5)
