"""A bounded and staggered boot: so many ports are opened at once, each after a short random pause."""

import asyncio
from collections.abc import Callable
from random import Random

from protocol.interfaces import Port, PortOpener
from protocol.port import PortEvent, PortSpec


class StaggeredOpener:
    """A ``PortOpener`` in front of another; a stuck opening holds one of the ``parallel`` places until it times out."""

    def __init__(self, opener: PortOpener, parallel: int, jitter_s: float, random: Random) -> None:
        self._opener = opener
        self._places = asyncio.Semaphore(parallel)
        self._jitter_s = jitter_s
        self._random = random

    async def open(self, spec: PortSpec, deliver: Callable[[PortEvent], None]) -> Port:
        """See ``PortOpener``."""
        await asyncio.sleep(self._random.uniform(0.0, self._jitter_s))
        async with self._places:
            return await self._opener.open(spec, deliver)
