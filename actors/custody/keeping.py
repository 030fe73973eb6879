"""What of custody is done by the clock: restores and erasures that a kill interrupted, and backups. On the loop's
thread."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import structlog

from actors.custody.backing_up import BackingUp
from actors.custody.erasing import ErasingClinics
from actors.custody.restoring import Restoring
from protocol.access import NODE
from protocol.commands import utc_now
from protocol.errors import PlantaoError
from protocol.jobs import Jobs, JobState

LOOK_S: Final = 30.0
"""After which it is looked again what there is to do."""
FOLLOW_S: Final = 1.0
"""Between two looks at a backup that is being made."""
RETRY: Final = timedelta(minutes=10)
"""After which one that failed is tried again."""

log = structlog.get_logger(__name__)


class Shelf(Protocol):
    """Where scheduled backups lie: a directory for each clinic. The work is done in threads."""

    async def last(self, clinic: str, now: datetime) -> datetime | None:
        """When the newest of a clinic was begun, not later than ``now``; None: there is none. Raises
        StoreUnavailableError."""

    def place(self, clinic: str, at: datetime) -> Path:
        """Where one that is begun now belongs."""

    async def prune(self, clinic: str, now: datetime) -> Sequence[str]:
        """Delete the oldest but so many (those dated later than ``now`` before all others), and what killed ones left;
        the names of those that went. Raises StoreUnavailableError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A backup of each clinic every ``every_s`` seconds; 0: none. ``look_s``, ``follow_s``: see above."""

    every_s: float = 0.0
    look_s: float = LOOK_S
    follow_s: float = FOLLOW_S


class Keeping:
    """Implements ``protocol.interfaces.Service``: works from its start to its stop, one clinic after another."""

    def __init__(
        self,
        schedule: Schedule,
        shelf: Shelf,
        jobs: Jobs,
        backing_up: BackingUp,
        restoring: Restoring,
        erasing: ErasingClinics,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._schedule = schedule
        self._shelf = shelf
        self._jobs = jobs
        self._backing_up = backing_up
        self._restoring = restoring
        self._erasing = erasing
        self._clock = clock
        self._failed: dict[str, datetime] = {}
        self.made: Mapping[str, datetime | None] = {}
        """When the newest of each clinic was begun, as last looked; replaced, never changed, so in any thread."""
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; nothing is waited for."""
        await self.stop(timeout=1.0)
        self._work = asyncio.create_task(self._keep(), name="custody")

    async def wait(self) -> str:
        """Returns only if it broke by a mistake of ours."""
        if (work := self._work) is None:
            return "it is not running"
        await asyncio.wait((work,))
        return "it was stopped" if work.cancelled() else f"it broke: {work.exception()!r}"

    async def stop(self, *, timeout: float) -> None:
        """What it was at is finished at the next start."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            await asyncio.wait((work,), timeout=timeout)

    async def _keep(self) -> None:
        while True:
            await self._erase_on()
            await self._finish_restores()
            if self._schedule.every_s:
                await self._back_up_all()
            await asyncio.sleep(self._schedule.look_s)

    async def _finish_restores(self) -> None:
        """Also those that failed half-way while the node ran. A clinic between two states is not registered, so it has
        no backup made of it, and one that cannot be finished keeps no other's waiting."""
        try:
            await self._restoring.finish_all()
        except PlantaoError as error:
            log.warning("interrupted restores are not known yet", error=str(error))

    async def _erase_on(self) -> None:
        """Nobody's backups wait for that."""
        try:
            await self._erasing.finish_all()
        except PlantaoError as error:
            log.warning("interrupted erasures do not go on yet", error=str(error))

    async def _back_up_all(self) -> None:
        try:
            clinics = [contents.record.id for contents in self._backing_up.contents(None)]
        except PlantaoError:
            return  # the registry has not been read yet
        self.made = {clinic: at for clinic, at in self.made.items() if clinic in clinics}
        for clinic in clinics:
            try:
                if await self._is_due(clinic):
                    await self._back_up(clinic)
                    self._note(clinic, await self._shelf.last(clinic, self._clock()))
            except PlantaoError as error:
                self._note(clinic, self.made.get(clinic))
                log.warning("scheduled backup not made", clinic=clinic, error=str(error))

    async def _is_due(self, clinic: str) -> bool:
        now, failed = self._clock(), self._failed.get(clinic)
        if failed is not None and timedelta() <= now - failed < RETRY:
            return False
        last = await self._shelf.last(clinic, now)
        self._note(clinic, last)
        return last is None or (now - last).total_seconds() >= self._schedule.every_s

    def _note(self, clinic: str, last: datetime | None) -> None:
        self.made = {**self.made, clinic: last}

    async def _back_up(self, clinic: str) -> None:
        """One that fails takes none of the older ones with it."""
        file = self._shelf.place(clinic, self._clock())
        view = await self._backing_up.backup_to(file, clinic, by=NODE)
        while view.state is JobState.RUNNING:
            await asyncio.sleep(self._schedule.follow_s)
            view = self._jobs.get(view.id)
        if view.state is JobState.FAILED:
            log.error("scheduled backup failed", clinic=clinic, error=view.error)
            self._failed[clinic] = self._clock()
            return
        self._failed.pop(clinic, None)
        gone = await self._shelf.prune(clinic, self._clock())
        log.info("scheduled backup made", clinic=clinic, file=str(file), removed=list(gone))
