"""A node that ends in the midst of a restore: what was before, or the whole new."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from protocol.access import NODE
from protocol.errors import BusUnavailableError
from protocol.jobs import JobState
from tests.integration.backup.bed import CREATED, Bed, clinics_left, running
from tests.integration.backup.test_restore import fill, is_back
from tests.integration.store.samples import offer

STEPS = ("stage", "commit", "place", "contents", "put_streams", "settle", "finish")


def killing(bed: Bed, step: str, *, before: bool) -> None:
    """The node ends as it comes to ``step``, or when it has done it; whatever comes then is not done."""
    archives: Any = bed.archives
    do = getattr(archives, step)

    async def dead(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    async def killed(*arguments: Any, **named: Any) -> None:
        if not before:
            await do(*arguments, **named)
        for name in (*STEPS, "sweep"):
            setattr(archives, name, dead)
        bed.reached.set()
        await asyncio.Event().wait()

    setattr(archives, step, killed)


async def interrupted(bed: Bed, archive: Path) -> None:
    """The restore, up to where it is killed."""
    copy = bed.data / "incoming"
    await asyncio.to_thread(lambda: copy.write_bytes(archive.read_bytes()))
    await bed.restoring.restore(copy, None, replace=True, by=NODE)
    async with asyncio.timeout(20):
        await bed.reached.wait()


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_restore_that_is_killed_did_not_begin_or_is_finished(tmp_path: Path, step: str, before: bool) -> None:
    async with running(tmp_path / "node") as bed:
        await bed.add("north", "desk", "lab", config={"pacing": {"per_minute": 10}})
        await fill(bed)
        await bed.backup("north", tmp_path / "archive")
        await bed.ledger("north").accept("desk", [offer("since")], CREATED)
        killing(bed, step, before=before)
        await interrupted(bed, tmp_path / "archive")
    async with running(tmp_path / "node") as again:
        assert await again.restoring.finish_all()
        if (step, before) in (("stage", True), ("stage", False), ("commit", True)):
            await again.running("north", "desk", "lab")
            owned = [one.command.id for one in await again.ledger("north").unfinished("desk")]
            assert owned == ["waits", "since"]
            assert clinics_left(again.data) == []
        else:
            await is_back(again)
        assert await again.restoring.finish_all()


async def test_a_restore_that_could_not_be_finished_is_finished_when_it_can_be(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(bed)
    await bed.backup("north", tmp_path / "archive")

    async def away(*_: object) -> None:
        raise BusUnavailableError("NATS is away")

    monkeypatch.setattr(bed.archives, "put_streams", away)
    view = await bed.restore(tmp_path / "archive", replace=True)
    assert view.state is JobState.FAILED
    assert (view.error or "").endswith("NATS is away")
    assert not await bed.restoring.finish_all()
    again = await bed.restore(tmp_path / "archive", replace=True)
    assert "being put back from another archive" in (again.error or "")
    monkeypatch.undo()
    assert await bed.restoring.finish_all()
    await is_back(bed)
