import asyncio
from collections.abc import Callable, Sequence
from random import Random

import pytest

from config.boot import StaggeredOpener
from protocol.errors import PortStartError
from protocol.interfaces import Port, PortOpener, Remains
from protocol.port import PortSpec
from protocol.port_events import PortEvent
from tests.fakes.scripted_port import ScriptedOpener

LONG_S = 3600.0


def spec(channel: str) -> PortSpec:
    return PortSpec(clinic="acme", channel=channel, incarnation=1, store="/x.db", device_name="Plantão")


def ignore(_: Sequence[PortEvent]) -> None:
    """Nobody listens."""


def staggered(opener: PortOpener, *, parallel: int = 1, deadline_s: float = LONG_S) -> StaggeredOpener:
    return StaggeredOpener(opener, parallel=parallel, jitter_s=0.0, deadline_s=deadline_s, random=Random(1))


class StuckOnce:
    """A ``PortOpener`` whose first opening never ends; ``after`` opens the others."""

    def __init__(self, after: PortOpener) -> None:
        self._after = after
        self.stuck = asyncio.Event()
        self.given_up = False

    def remains(self, store: str) -> Remains:
        return self._after.remains(store)

    async def open(self, spec: PortSpec, deliver: Callable[[Sequence[PortEvent]], None]) -> Port:
        if self.stuck.is_set():
            return await self._after.open(spec, deliver)
        self.stuck.set()
        try:
            return await asyncio.Event().wait()  # type: ignore[return-value]  # it never returns
        except asyncio.CancelledError:
            self.given_up = True
            raise


async def test_an_opening_that_misses_its_deadline_is_given_up_and_leaves_its_place_to_the_next() -> None:
    stuck = StuckOnce(ScriptedOpener())
    opener = staggered(stuck, deadline_s=0.05)
    first = asyncio.ensure_future(opener.open(spec("first"), ignore))
    await stuck.stuck.wait()
    second = asyncio.ensure_future(opener.open(spec("second"), ignore))
    with pytest.raises(PortStartError, match=r"not open within 0\.05 s"):
        await first
    assert stuck.given_up
    assert (await second).incarnation == 1


async def test_waiting_for_a_place_does_not_count_against_the_deadline() -> None:
    deadline_s = 0.2
    inner = Slow(ScriptedOpener(), deadline_s * 0.6)
    opener = staggered(inner, deadline_s=deadline_s)
    opened = await asyncio.gather(*(opener.open(spec(f"c{number}"), ignore) for number in range(4)))
    assert len(opened) == 4
    assert inner.most_at_once == 1


class Slow:
    """A ``PortOpener`` that takes ``seconds`` for each."""

    def __init__(self, opener: PortOpener, seconds: float) -> None:
        self._opener = opener
        self._seconds = seconds
        self._now = 0
        self.most_at_once = 0

    def remains(self, store: str) -> Remains:
        return self._opener.remains(store)

    async def open(self, spec: PortSpec, deliver: Callable[[Sequence[PortEvent]], None]) -> Port:
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        await asyncio.sleep(self._seconds)
        self._now -= 1
        return await self._opener.open(spec, deliver)


@pytest.mark.parametrize("error", [PortStartError("no nursery"), TimeoutError("its own")])
async def test_what_the_opening_itself_raises_is_passed_on(error: Exception) -> None:
    refusing = ScriptedOpener()
    refusing.refusal = error
    with pytest.raises(type(error)) as raised:
        await staggered(refusing).open(spec("c"), ignore)
    assert raised.value is error
