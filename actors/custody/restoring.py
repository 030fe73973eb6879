"""Clinics put back from an archive. On the loop's thread.

What is killed before ``commit`` has touched nothing; what is killed after it is finished when the node is there again
(``finish_all``). Each step can be repeated, so nobody has to know how far it was. What the server refuses ``TRIES``
times would go on being refused: a job that has failed says so, and it rests until a person does something. What rests
goes as soon as another archive of its clinic is unpacked, whatever comes of that.

What was queued and not known to be sent when the archive was made may have been sent since. Nobody can tell, and a
reminder must not come twice: so it is held for a person to release (``restored``), wherever it waits, by the rule that
holds what was queued for another number (``actors.channel.identity``). What was not to be sent before the clinic was
put back anyway goes on, even if it was cancelled since. ``resume`` leaves that away: for a clinic that was stopped when
the archive was made, and moves.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from actors.switchboard import Switchboard
from protocol.access import NODE, Caller
from protocol.backup import Archives, ClinicContents, Committed
from protocol.bus import Registry
from protocol.commands import utc_now
from protocol.errors import AlreadyExistsError, ConflictError, InvalidInputError, PlantaoError, UnavailableError
from protocol.jobs import JobKind, Jobs, JobView, Progress
from protocol.ledger import NO_NUMBER, Paired, Store

TRIES: Final = 5
"""How often what a restore puts back may be refused, in one life of the node: each takes as long as all of it takes."""

log = structlog.get_logger(__name__)


class Restoring:
    """Puts them back, one at a time; none that ``is_erased``, whose erasure has begun and not ended."""

    def __init__(
        self,
        switchboard: Switchboard,
        jobs: Jobs,
        archives: Archives,
        registry: Registry,
        store: Store,
        is_erased: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._switchboard = switchboard
        self._jobs = jobs
        self._archives = archives
        self._registry = registry
        self._store = store
        self._is_erased = is_erased
        self._turn = asyncio.Lock()
        self._refused: Counter[str] = Counter()
        self._to_tell: dict[str, PlantaoError] = {}

    async def restore(
        self,
        archive: Path,
        clinic: str | None,
        *,
        replace: bool,
        by: Caller,
        resume: bool = False,
        passphrase: str | None = None,
    ) -> JobView:
        """See ``protocol.custody``."""

        async def work(progress: Progress, _file: Path) -> Mapping[str, int | str]:
            try:
                return await self._restore(
                    archive, clinic, progress, over=replace, resume=resume, passphrase=passphrase
                )
            finally:
                await asyncio.to_thread(archive.unlink, missing_ok=True)

        return await self._jobs.start(JobKind.RESTORE, clinic, work, by=by)

    async def _restore(
        self, archive: Path, clinic: str | None, progress: Progress, *, over: bool, resume: bool, passphrase: str | None
    ) -> Mapping[str, int | str]:
        view = await self._archives.verify(archive, passphrase=passphrase, progress=progress)
        if clinic is not None and clinic not in view.clinics:
            raise InvalidInputError("clinic", f"one that the archive holds: {', '.join(view.clinics) or 'none'}")
        clinics = view.clinics if clinic is None else [clinic]
        self._check_free(clinics, over=over)
        async with self._turn:
            await self._check_unfinished(clinics, over=over)
            await self._archives.stage(archive, clinics, passphrase=passphrase, progress=progress)
            try:
                for each in clinics:
                    self._check_free([each], over=over)
                    held_at = None if resume else utc_now()
                    await self._archives.commit(each, held_at=held_at)
                    del self._refused[each]
                    self._to_tell.pop(each, None)
                    try:
                        await self._try(Committed(clinic=each, held_at=held_at, settled=False), progress)
                    except PlantaoError as error:
                        going_on = f"clinic {each} is not back yet, and the node goes on by itself"
                        raise UnavailableError(f"{going_on}: {error}") from error
            finally:
                await self._archives.sweep()
        return {"clinics": len(clinics), "made_at": view.made_at.isoformat(), "version": view.version}

    async def finish_all(self) -> bool:
        """Finish what was interrupted, but for what was refused too often; whether all is finished.

        Raises:
            StoreUnavailableError: it cannot be told what was.
        """
        async with self._turn:
            done = True
            for one in await self._archives.committed():
                if self._is_erased(one.clinic):
                    continue  # what was to be put back is erased with all else
                done = await self._go_on(one) and done
            await self._archives.sweep()
            return done

    async def _go_on(self, one: Committed) -> bool:
        """Whether it is finished."""
        if self._rests(one.clinic):
            await self._tell_refused(one.clinic)
            return False
        log.info("an interrupted restore goes on", clinic=one.clinic)
        try:
            await self._try(one, _untold)
        except PlantaoError as error:
            log.warning("an interrupted restore is not finished yet", clinic=one.clinic, error=str(error))
            if self._rests(one.clinic):
                log.error("a restore is refused again and again", clinic=one.clinic, error=str(error))
                self._to_tell[one.clinic] = error
                await self._tell_refused(one.clinic)
            return False
        return True

    async def _try(self, one: Committed, progress: Progress) -> None:
        try:
            await self._finish(one, progress)
        except InvalidInputError:
            self._refused[one.clinic] += 1
            raise
        del self._refused[one.clinic]

    def _rests(self, clinic: str) -> bool:
        return self._refused[clinic] >= TRIES

    async def _tell_refused(self, clinic: str) -> None:
        """By a job that has failed: it is listed, and in the audit. Once; if none can be begun now, when one can."""
        if (error := self._to_tell.get(clinic)) is None:
            return
        mend = (
            "make room and restart the node, which tries again; or restore another archive with --replace; or erase "
            "the clinic"
        )
        failure = UnavailableError(
            f"clinic {clinic} is not back, and what its archive holds is refused: {error}; {mend}"
        )

        async def work(_progress: Progress, _file: Path) -> Mapping[str, int | str]:
            raise failure from error

        try:
            await self._jobs.start(JobKind.RESTORE, clinic, work, by=NODE)
        except PlantaoError as busy:
            log.warning("a refused restore is in the log alone so far", clinic=clinic, error=str(busy))
            return
        del self._to_tell[clinic]

    async def _finish(self, one: Committed, progress: Progress) -> None:
        clinic = one.clinic
        if not one.settled:
            progress(f"clinic {clinic}: ending")
            await self._end(clinic)
            await self._archives.place(clinic)
            if one.held_at is not None:
                progress(f"clinic {clinic}: holding what waits")
                await self._hold(await self._archives.contents(clinic), one.held_at)
            await self._archives.put_streams(clinic, progress)
            await self._archives.settle(clinic)
        progress(f"clinic {clinic}: starting")
        contents = await self._archives.contents(clinic)
        with suppress(AlreadyExistsError):  # who put it there was killed before it could say so
            await self._registry.put_clinic(contents.record, contents.channels)
        await self._archives.finish(clinic)
        await self._begun(clinic, [channel.id for channel in contents.channels])

    async def _begun(self, clinic: str, channels: Sequence[str]) -> None:
        """Who restored it asks its channels next: they are waited for, but are back without that."""
        board = self._switchboard.board
        await self._switchboard.until(lambda: board.clinic(clinic), f"clinic {clinic} is put back")
        with suppress(UnavailableError):
            await self._switchboard.until(
                lambda: all(board.channel(clinic, channel) for channel in channels) or None,
                f"the channels of clinic {clinic} begin",
            )

    async def _end(self, clinic: str) -> None:
        """Nothing of it runs, and nothing of it is open."""
        await self._registry.withdraw_clinic(clinic)
        await self._switchboard.until_ended(clinic)

    async def _hold(self, contents: ClinicContents, at: datetime) -> None:
        """What was queued before ``at`` is not sent by any of its channels."""
        ledger = await self._store.open_clinic(contents.record.id)
        try:
            for channel in contents.channels:
                paired = await ledger.paired(channel.id) or Paired(phone=NO_NUMBER)
                await ledger.pair(channel.id, replace(paired, restored_at=at))
        finally:
            await self._store.close_clinic(contents.record.id)

    def _check_free(self, clinics: Sequence[str], *, over: bool) -> None:
        """Raises ConflictError, UnavailableError."""
        erased = sorted(filter(self._is_erased, clinics))
        if erased:
            raise ConflictError(f"{', '.join(erased)}: being erased; wait for the end of that (plantao job list)")
        there = sorted(set(clinics) & self._switchboard.wanted().clinics.keys())
        if there and not over:
            raise ConflictError(
                f"{', '.join(there)}: there already, and what it holds would be lost: ask for it to be replaced, or "
                "remove it first"
            )

    async def _check_unfinished(self, clinics: Sequence[str], *, over: bool) -> None:
        """What is half put back is in no other place, and would go to make room. Raises ConflictError."""
        unfinished = {one.clinic for one in await self._archives.committed()} & set(clinics)
        resting = sorted(filter(self._rests, unfinished))
        if resting and not over:
            raise ConflictError(
                f"{', '.join(resting)}: half put back from another archive, and that would be lost: ask for it to be "
                "replaced"
            )
        under_way = sorted(unfinished.difference(resting))
        if under_way:
            raise ConflictError(
                f"{', '.join(under_way)}: being put back from another archive, and the node goes on by itself until it "
                "is: wait for that, or erase the clinic first"
            )


def _untold(step: str, done: int = 0, total: int | None = None) -> None:
    """Nobody waits to hear how far it is."""
