"""Clinics erased. On the loop's thread.

What is killed before the tombstone stands has touched nothing; what is killed after it is finished when the node is
there again (``finish_all``). The order is that of ``holdings``: the keys go first, once nothing of the clinic runs, so
that what is sealed means nothing from then on, wherever there are copies of it; then the rest. Each step can be
repeated, so nobody has to know how far it was.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import structlog

from actors.switchboard import Switchboard
from protocol.access import NODE, Caller
from protocol.bus import Registry
from protocol.erasing import Holding, Tombstones
from protocol.errors import ConflictError, NotFoundError
from protocol.ids import check_name
from protocol.jobs import JobKind, Jobs, JobView, Progress
from supervisor.backoff import Backoff

OUT_OF_REACH: Final = (
    "archives and exports that were fetched or copied, and archives of the whole node; what services that read the "
    "events have kept; what WhatsApp and the phones keep"
)

_AGAIN: Final = Backoff(base_s=30.0, cap_s=3600.0)

log = structlog.get_logger(__name__)


class ErasingClinics:
    """Erases them, as jobs. ``holdings``: all places, in the order in which they are emptied."""

    def __init__(
        self,
        switchboard: Switchboard,
        jobs: Jobs,
        registry: Registry,
        tombstones: Tombstones,
        holdings: Sequence[Holding],
    ) -> None:
        self._switchboard = switchboard
        self._jobs = jobs
        self._registry = registry
        self._tombstones = tombstones
        self._holdings = holdings
        self._tries: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._random = Random()  # noqa: S311 - jitter

    async def erase(self, clinic: str, *, by: Caller) -> JobView:
        """See ``protocol.custody``. Also one that was removed before, if anything of it is left."""
        check_name("clinic", clinic)
        if not await self._is_there(clinic):
            raise NotFoundError(f"clinic {clinic}")
        return await self._jobs.start(JobKind.ERASE, clinic, partial(self._work, clinic), by=by)

    async def finish_all(self) -> None:
        """Begin again, after longer and longer pauses, what was interrupted or failed.

        Raises:
            UnavailableError: the registry has not been read yet, or no job can be begun now.
        """
        standing = self._tombstones.all()
        if standing:
            self._switchboard.wanted()
        now = asyncio.get_running_loop().time()
        for clinic in standing:
            if now < self._due.get(clinic, now):
                continue
            tries = self._tries[clinic] = self._tries.get(clinic, 0) + 1
            self._due[clinic] = now + _AGAIN.delay(tries, self._random)
            with suppress(ConflictError):  # it is being done
                await self._jobs.start(JobKind.ERASE, clinic, partial(self._work, clinic), by=NODE)
                log.info("an interrupted erasure goes on", clinic=clinic)

    async def _is_there(self, clinic: str) -> bool:
        if self._tombstones.stands(clinic) or clinic in self._switchboard.wanted().clinics:
            return True
        for holding in self._holdings:
            if await holding.holds(clinic):
                return True
        return False

    async def _work(self, clinic: str, progress: Progress, _file: Path) -> Mapping[str, int | str]:
        await self._tombstones.put(clinic)
        progress("ending the clinic")
        await self._end(clinic)
        await discard_made(self._jobs, clinic)
        result: dict[str, int | str] = {}
        for holding in self._holdings:
            progress(holding.name)
            result |= await holding.erase(clinic, progress)
        await self._tombstones.remove(clinic)
        self._tries.pop(clinic, None)
        self._due.pop(clinic, None)
        return {**result, "out_of_reach": OUT_OF_REACH}

    async def _end(self, clinic: str) -> None:
        """Nothing of it runs, and nothing of it is open. Raises UnavailableError: not yet."""
        self._switchboard.wanted()
        with suppress(NotFoundError):  # it was removed before
            await self._registry.delete_clinic(clinic)
        await self._switchboard.until_ended(clinic)


async def discard_made(jobs: Jobs, clinic: str) -> None:
    """Delete what other jobs made of a clinic and nobody has fetched. Raises StoreUnavailableError."""
    for view in jobs.all():
        if view.clinic == clinic and view.file:
            with suppress(NotFoundError):  # fetched just now
                await jobs.discard(view.id)
