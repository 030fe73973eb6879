"""A bounded and staggered boot: so many ports are opened at once, each after a short random pause."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from protocol.errors import PortStartError
from protocol.interfaces import Port, PortOpener, Remains
from protocol.port import PortSpec
from protocol.port_events import PortEvent


class StaggeredOpener:
    """A ``PortOpener`` in front of another. An opening has ``deadline_s`` from the moment it has one of the
    ``parallel`` places, so one that is stuck gives its place back, and nobody is late for having waited in line."""

    def __init__(
        self, opener: PortOpener, *, parallel: int, jitter_s: float, deadline_s: float, random: Random
    ) -> None:
        self._opener = opener
        self._deadline_s = deadline_s
        self._places = asyncio.Semaphore(parallel)
        self._jitter_s = jitter_s
        self._random = random

    async def open(self, spec: PortSpec, deliver: Callable[[Sequence[PortEvent]], None]) -> Port:
        """See ``PortOpener``. Raises PortStartError also when the deadline is missed."""
        await asyncio.sleep(self._random.uniform(0.0, self._jitter_s))
        async with self._places:
            deadline = asyncio.timeout(self._deadline_s)
            try:
                async with deadline:
                    return await self._opener.open(spec, deliver)
            except TimeoutError as error:
                if not deadline.expired():
                    raise
                raise PortStartError(f"the port was not open within {self._deadline_s:g} s") from error

    def remains(self, store: str) -> Remains:
        """See ``PortOpener``."""
        return self._opener.remains(store)
