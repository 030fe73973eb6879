"""A clinic put back from an archive in the place of what is there: that, or the whole new."""

import asyncio
from pathlib import Path

from protocol.jobs import JobState
from tests.integration.backup.bed import CREATED, clinics_left, running
from tests.integration.backup.test_restore import fill, is_back
from tests.integration.store.samples import offer


class RestoreClinic:
    """Implements ``tests.drill.scenario.Scenario``."""

    name = "restore clinic"

    def prepare(self, directory: Path) -> None:
        """A clinic, an archive of it, and something that came since."""
        asyncio.run(self._prepare(directory))

    async def _prepare(self, directory: Path) -> None:
        async with running(directory) as bed:
            await bed.add("north", "desk", "lab", config={"pacing": {"per_minute": 10}})
            await fill(bed)
            await bed.backup("north", directory / "archive")
            await bed.ledger("north").accept("desk", [offer("since")], CREATED)

    def act(self, directory: Path) -> None:
        """What was begun goes on; then it is put back."""
        asyncio.run(self._act(directory))

    async def _act(self, directory: Path) -> None:
        async with running(directory) as bed:
            assert await bed.restoring.finish_all()
            view = await bed.restore(directory / "archive", replace=True)
            assert view.state is JobState.DONE, view.error

    def check(self, directory: Path, *, done: bool) -> None:
        """The clinic as it was, or as it is in the archive; and nothing beside it."""
        asyncio.run(self._check(directory, done))

    async def _check(self, directory: Path, done: bool) -> None:
        async with running(directory) as bed:
            assert await bed.restoring.finish_all()
            await bed.running("north", "desk", "lab")
            owned = [one.command.id for one in await bed.ledger("north").unfinished("desk")]
            if owned == ["waits"]:
                await is_back(bed)
            else:
                assert not done
                assert owned == ["waits", "since"]
                assert clinics_left(bed.data) == []
                assert await bed.vaults.clinic("north").restore("desk", str(bed.session("north", "desk")))


SCENARIO = RestoreClinic()
