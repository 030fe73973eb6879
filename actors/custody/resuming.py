"""Exchanges of clinics' keys that were interrupted, gone on with. On the loop's thread."""

import asyncio
from itertools import count
from random import Random
from typing import Final

import structlog

from actors.custody.rotating import Rotating
from protocol.errors import PlantaoError
from supervisor.backoff import Backoff

_BACKOFF: Final = Backoff(base_s=30.0, factor=2.0, cap_s=3600.0)

log = structlog.get_logger(__name__)


class Resuming:
    """Implements ``protocol.interfaces.Service``: looks from its start on, until there is nothing to go on with."""

    def __init__(self, rotating: Rotating, *, backoff: Backoff = _BACKOFF) -> None:
        self._rotating = rotating
        self._backoff = backoff
        self._random = Random()  # noqa: S311 - jitter
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; nothing is waited for."""
        await self.stop(timeout=1.0)
        self._work = asyncio.create_task(self._resume(), name="resuming")

    async def wait(self) -> str:
        """Returns only if it broke by a mistake of ours."""
        if (work := self._work) is None:
            return "it is not running"
        await asyncio.wait((work,))
        if not work.cancelled() and (error := work.exception()) is not None:
            return f"it broke: {error!r}"
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await ended

    async def stop(self, *, timeout: float) -> None:
        """Look no more; the jobs that were begun are those of others to stop."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            await asyncio.wait((work,), timeout=timeout)

    async def _resume(self) -> None:
        for looks in count(1):
            if await self._resumed():
                break
            await asyncio.sleep(self._backoff.delay(looks, self._random))

    async def _resumed(self) -> bool:
        try:
            return await self._rotating.resume()
        except PlantaoError as error:
            log.warning("exchange of keys not gone on with yet", error=str(error))
            return False
