"""The order in which a clinic goes, and what is left to do when something fails."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.board import Board
from actors.custody.erasing import ErasingClinics
from actors.switchboard import Switchboard
from gateway.jobs import NodeJobs
from protocol.access import NODE, Caller, Role
from protocol.bus import Wanted
from protocol.channel import ClinicRecord, ClinicSnapshot, ClinicState
from protocol.errors import BusUnavailableError, ConflictError, InvalidIdError, NotFoundError
from protocol.jobs import JobKind, JobState, JobView, Progress
from supervisor.names import Names
from tests.fakes.bell import Bell
from tests.fakes.memory_audit import MemoryAudit
from tests.fakes.memory_registry import MemoryRegistry
from tests.fakes.memory_tombstones import MemoryTombstones

ADMIN = Caller(id="admin", role=Role.ADMIN)
RECORD = ClinicRecord(
    id="acme", name="Acme", timezone="America/Sao_Paulo", created_at=datetime(2026, 11, 28, tzinfo=UTC)
)


@dataclass
class MemoryHolding:
    """Implements ``protocol.erasing.Holding``; ``failing``: it raises that."""

    name: str
    steps: list[str]
    failing: Exception | None = None
    there: bool = False

    async def holds(self, clinic: str) -> bool:
        return self.there

    async def erase(self, clinic: str, progress: Progress) -> Mapping[str, int | str]:
        if self.failing is not None:
            raise self.failing
        self.steps.append(self.name)
        return {self.name: 1}


class Bed:
    """A registry with one clinic, which ends as soon as it is not wanted."""

    def __init__(self, data: Path) -> None:
        self.steps: list[str] = []
        self.registry = MemoryRegistry(Bell())
        self.board = Board()
        self.jobs = NodeJobs(data, MemoryAudit())
        self.tombstones = MemoryTombstones(self.steps)
        self.holdings = [MemoryHolding(name, self.steps) for name in ("keys", "streams", "files")]
        self.erasing = ErasingClinics(
            Switchboard(self.board, Names()), self.jobs, self.registry, self.tombstones, self.holdings
        )

    async def begin(self) -> None:
        await self.jobs.open()
        await self.registry.create_clinic(RECORD)
        self.board.put_wanted(self.registry.wanted)
        self.board.put_clinic(ClinicSnapshot.of(RECORD, ClinicState.RUNNING, ""))

    def end_clinic(self) -> None:
        self.steps.append("ended")
        self.board.put_wanted(Wanted(clinics={}, channels={}))
        self.board.drop_clinic("acme")

    async def erase(self) -> JobView:
        view = await self.erasing.erase("acme", by=ADMIN)
        return await self.over(view)

    async def over(self, view: JobView) -> JobView:
        async with asyncio.timeout(5):
            while (view := self.jobs.get(view.id)).state is JobState.RUNNING:
                if "acme" not in self.registry.clinics and self.board.clinic("acme") is not None:
                    self.end_clinic()
                await asyncio.sleep(0.001)
        return view


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    made = Bed(tmp_path)
    await made.begin()
    yield made
    await made.jobs.close(timeout=1.0)


async def test_the_keys_go_first_once_nothing_runs_and_the_tombstone_stands_all_the_while(bed: Bed) -> None:
    view = await bed.erase()
    assert view.state is JobState.DONE
    assert bed.steps == ["put", "ended", "keys", "streams", "files", "removed"]
    assert view.result["keys"] == 1
    assert "phones" in str(view.result["out_of_reach"])


async def test_what_fails_leaves_the_tombstone_and_is_finished_later(bed: Bed) -> None:
    bed.holdings[1].failing = BusUnavailableError("NATS is away")
    view = await bed.erase()
    assert (view.state, view.error) == (JobState.FAILED, "NATS is away")
    assert bed.tombstones.stands("acme")

    bed.holdings[1].failing = None
    await bed.erasing.finish_all()
    view = await bed.over(bed.jobs.all()[0])
    assert (view.state, view.by) == (JobState.DONE, NODE.id)
    assert not bed.tombstones.stands("acme")


async def test_what_fails_again_is_not_tried_at_once(bed: Bed) -> None:
    bed.holdings[0].failing = BusUnavailableError("NATS is away")
    await bed.erase()
    await bed.erasing.finish_all()
    await bed.over(bed.jobs.all()[0])
    await bed.erasing.finish_all()
    assert len(bed.jobs.all()) == 2


async def test_an_unknown_clinic_is_not_erased(bed: Bed) -> None:
    with pytest.raises(NotFoundError):
        await bed.erasing.erase("bela", by=ADMIN)
    with pytest.raises(InvalidIdError):
        await bed.erasing.erase("../acme", by=ADMIN)
    assert bed.steps == []


async def test_one_that_was_removed_before_is_erased_if_anything_of_it_is_left(bed: Bed) -> None:
    await bed.registry.delete_clinic("acme")
    bed.end_clinic()
    with pytest.raises(NotFoundError):
        await bed.erasing.erase("acme", by=ADMIN)
    bed.holdings[2].there = True
    view = await bed.erase()
    assert view.state is JobState.DONE


async def test_nothing_else_is_done_to_it_meanwhile(bed: Bed) -> None:
    await bed.erasing.erase("acme", by=ADMIN)
    with pytest.raises(ConflictError):
        await bed.erasing.erase("acme", by=ADMIN)


async def test_what_other_jobs_made_of_it_goes_with_it(bed: Bed) -> None:
    async def work(_progress: Progress, file: Path) -> Mapping[str, int | str]:
        await asyncio.to_thread(file.write_bytes, b"sealed")
        return {}

    made = await bed.over(await bed.jobs.start(JobKind.EXPORT, "acme", work, by=ADMIN))
    assert made.file
    await bed.erase()
    assert not bed.jobs.get(made.id).file
