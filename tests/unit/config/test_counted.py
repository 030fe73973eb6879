"""Ports in the tally."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from config.counted import CountedOpener
from protocol.errors import PortStartError
from protocol.interfaces import Port, Remains
from protocol.port import PortSpec
from protocol.port_events import PortEvent, PortExited
from supervisor.tally import Ending, Role, Tally, Totals

ROLE = Role("port", "acme")


class Opener:
    """Opens nothing; ``deliver`` is what the last one was opened with."""

    error: BaseException | None = None

    async def open(self, spec: PortSpec, deliver: Callable[[Sequence[PortEvent]], None]) -> Port:
        self.deliver = deliver
        if self.error is not None:
            raise self.error
        return cast(Port, object())

    def remains(self, store: str) -> Remains:
        return cast(Remains, store)


def spec(incarnation: int) -> PortSpec:
    return PortSpec(clinic="acme", channel="front", incarnation=incarnation, store="s", device_name="d")


@pytest.mark.parametrize(("expected", "ending"), [(True, Ending.SHUTDOWN), (False, Ending.CRASH)])
async def test_openings_and_ends_are_counted_and_passed_on(expected: bool, ending: Ending) -> None:
    opener, tally, heard = Opener(), Tally(), list[Any]()
    counted = CountedOpener(opener, tally)
    gone = PortExited(reason="killed by signal 9", expected=expected)

    await counted.open(spec(1), heard.extend)
    opener.deliver([gone])
    await counted.open(spec(2), heard.extend)

    assert heard == [gone]
    assert tally.read() == {ROLE: Totals(starts=2, restarts=1, exits={ending: 1})}


@pytest.mark.parametrize("error", [PortStartError("the nursery is away"), asyncio.CancelledError()])
async def test_a_port_that_could_not_be_opened_has_crashed_once(error: BaseException) -> None:
    opener, tally = Opener(), Tally()
    opener.error = error

    with pytest.raises(type(error)):
        await CountedOpener(opener, tally).open(spec(1), lambda _: None)
    opener.deliver([PortExited(reason="late", expected=False)])

    assert tally.read() == {ROLE: Totals(starts=1, exits={Ending.CRASH: 1})}


def test_what_ports_leave_behind_is_the_other_opener_s() -> None:
    found: object = CountedOpener(Opener(), Tally()).remains("s")
    assert found == "s"
