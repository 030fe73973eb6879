"""The calls that a port has to answer, as main sees them."""

import asyncio

import pytest

from gateway.whatsapp.calls import Calls
from gateway.whatsapp.frames import Call
from protocol.errors import CallTimeoutError, PortGoneError
from protocol.port import Done, Failed, FetchMedia, PortAnswer, PortRequest, Probe

LONG_S = 60.0


class Line:
    """What the calls write, and why they gave the port up."""

    def __init__(self) -> None:
        self.written: list[Call] = []
        self.given_up: list[str] = []
        self.calls = Calls(self.written.append, self.given_up.append)

    async def begin(self, request: PortRequest, *, deadline: float = LONG_S) -> asyncio.Task[PortAnswer]:
        """One that is under way when this returns."""
        call = asyncio.create_task(self.calls.make(request, deadline=deadline))
        await asyncio.sleep(0)  # its first step
        return call


async def test_each_is_answered_by_its_number_once() -> None:
    line = Line()
    first, second = await line.begin(Probe()), await line.begin(FetchMedia(reference=b"x"))
    one, two = line.written
    failed = Failed(code="media_unavailable", message="gone")
    assert line.calls.answered(two.id, failed)
    assert not line.calls.answered(two.id, Done())
    assert line.calls.answered(one.id, Done())
    assert (await first, await second) == (Done(), failed)
    assert not line.calls.answered(one.id, Done())


async def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    line = Line()
    call = await line.begin(Probe())
    call.cancel()
    await asyncio.wait([call])
    assert not line.calls.answered(line.written[0].id, Done())


async def test_a_missed_deadline_gives_the_port_up() -> None:
    line = Line()
    with pytest.raises(CallTimeoutError, match="the port missed the deadline of Probe"):
        await line.calls.make(Probe(), deadline=0.01)
    assert line.given_up == ["missed the deadline of Probe (0.01 s)"]


async def test_media_that_does_not_come_is_no_fault_of_the_port() -> None:
    line = Line()
    answer = await line.calls.make(FetchMedia(reference=b"x"), deadline=0.01)
    assert answer == Failed(code="media_unavailable", message="the media server did not answer within 0.01 s")
    assert line.given_up == []


async def test_the_port_s_end_is_everybody_s() -> None:
    line = Line()
    calls = [await line.begin(Probe()) for _ in range(2)]
    line.calls.end("killed by signal 9")
    for call in calls:
        with pytest.raises(PortGoneError, match="killed by signal 9"):
            await call
