"""A scheduled backup: a whole one, or none; those from before stay."""

import asyncio
from datetime import timedelta
from pathlib import Path

from gateway.backup.shelf import BackupShelf
from protocol.access import NODE
from protocol.commands import utc_now
from protocol.jobs import JobState
from tests.integration.backup.bed import CREATED, Bed, running
from tests.integration.backup.test_restore import fill

KEEP = 2


class BackupClinic:
    """Implements ``tests.drill.scenario.Scenario``."""

    name = "backup clinic"

    def prepare(self, directory: Path) -> None:
        """A clinic, and as many archives of it as there may be."""
        asyncio.run(self._prepare(directory))

    async def _prepare(self, directory: Path) -> None:
        async with running(directory) as bed:
            await bed.add("north", "desk")
            await fill(bed)
            shelf = BackupShelf(directory / "backups", KEEP)
            for days in range(KEEP):
                await self._back_up(bed, shelf.place("north", CREATED + timedelta(days=days)))

    def act(self, directory: Path) -> None:
        """One more, for which the oldest goes."""
        asyncio.run(self._act(directory))

    async def _act(self, directory: Path) -> None:
        async with running(directory) as bed:
            await bed.running("north", "desk")
            shelf = BackupShelf(directory / "backups", KEEP)
            await self._back_up(bed, shelf.place("north", utc_now()))
            await shelf.prune("north", utc_now())

    async def _back_up(self, bed: Bed, file: Path) -> None:
        view = await bed.done(await bed.backing_up.backup_to(file, "north", by=NODE))
        assert view.state is JobState.DONE, view.error

    def check(self, directory: Path, *, done: bool) -> None:
        """Each that there is is whole; in the end nothing lies beside them."""
        asyncio.run(self._check(directory, done))

    async def _check(self, directory: Path, done: bool) -> None:
        async with running(directory) as bed:
            await bed.running("north", "desk")
            names = await asyncio.to_thread(
                lambda: sorted(path.name for path in (directory / "backups/north").iterdir())
            )
            archives = [name for name in names if not name.startswith(".")]
            for name in archives:
                path = directory / "backups/north" / name
                view = await bed.archives.verify(path, passphrase=None, progress=lambda *_: None)
                assert view.clinics == ["north"]
            assert len(archives) >= KEEP
            if done:
                assert names == archives
                assert len(archives) == KEEP
                assert archives[-1] > "20260201"


SCENARIO = BackupClinic()
