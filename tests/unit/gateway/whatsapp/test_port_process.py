"""The parent side against a port that the test plays: a process that only sleeps, and a socket the test holds."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from gateway.whatsapp.frames import (
    Answered,
    Beat,
    Call,
    Ended,
    Frame,
    FrameDecoder,
    Grant,
    Happened,
    NotReady,
    Ready,
    Stop,
    ToPort,
    pack,
)
from gateway.whatsapp.port_process import PortProcess, Timings
from protocol.errors import CallTimeoutError, PortGoneError
from protocol.port import Disconnected, Failed, FetchMedia, PortEvent, PortExited, Probe, SendText, Sent

WAIT = 10.0
SENT = Sent(wa_id="3A", at=datetime(2026, 1, 1, tzinfo=UTC))
PATIENT = Timings(beat=60, silence=60)


class PlayedPort:
    """The test's end: what main says comes out of ``heard``, and ``say`` says something to main."""

    def __init__(self, timings: Timings) -> None:
        self.events: list[PortEvent] = []
        self.deliver: Callable[[PortEvent], None] = self.events.append
        self._told = asyncio.Event()
        self.log = os.memfd_create("log")
        self.pid = os.posix_spawn(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)"], os.environ)
        self.main = PortProcess(self.pid, 7, self.log, timings, self._tell)
        self._decoder: FrameDecoder[ToPort] = FrameDecoder(ToPort)  # type: ignore[arg-type]  # a union is no type[]
        self._ours, self._theirs = socket.socketpair()
        self._waiting: list[ToPort] = []

    async def begin(self) -> None:
        await self.main.attach(self._theirs, Beat())
        self._ours.setblocking(False)
        self.say(Ready())
        await asyncio.wait_for(asyncio.shield(self.main.readiness), WAIT)

    def _tell(self, event: PortEvent) -> None:
        self._told.set()
        self.deliver(event)

    async def told(self, count: int) -> None:
        """Wait until the listener has heard ``count`` events."""
        async with asyncio.timeout(WAIT):
            while len(self.events) < count:
                self._told.clear()
                await self._told.wait()

    def say(self, *frames: Frame) -> None:
        self._ours.send(b"".join(pack(frame) for frame in frames))

    def say_bytes(self, data: bytes) -> None:
        self._ours.send(data)

    def hang_up(self) -> None:
        self._ours.close()

    async def heard(self, kind: type[Frame]) -> Frame:
        """The next frame of ``kind`` from main."""
        async with asyncio.timeout(WAIT):
            while True:
                while self._waiting:
                    if isinstance(frame := self._waiting.pop(0), kind):
                        return frame
                self._waiting += self._decoder.feed(await asyncio.get_running_loop().sock_recv(self._ours, 65536))

    async def end(self) -> PortExited:
        await asyncio.wait_for(self.main.closed(), WAIT)
        last = self.events[-1]
        assert isinstance(last, PortExited)
        return last


@pytest_asyncio.fixture
async def play() -> AsyncIterator[Callable[..., PlayedPort]]:
    played: list[PlayedPort] = []

    def make(timings: Timings = PATIENT) -> PlayedPort:
        played.append(PlayedPort(timings))
        return played[-1]

    yield make
    for port in played:
        port.main.kill("the test is over")
        await port.main.closed()
        port.hang_up()
    await asyncio.sleep(0)


Play = Callable[..., PlayedPort]


def text(words: str = "x") -> SendText:
    return SendText(to="5511@s.whatsapp.net", text=words)


async def test_calls_are_answered_by_number_in_any_order(play: Play) -> None:
    port = play()
    await port.begin()
    first = asyncio.create_task(port.main.call(text("1"), deadline=WAIT))
    second = asyncio.create_task(port.main.call(Probe(), deadline=WAIT))
    calls = [await port.heard(Call), await port.heard(Call)]
    assert [call.request for call in calls if isinstance(call, Call)] == [text("1"), Probe()]
    refused = Failed(code="server_error", message="no")
    port.say(Answered(id=2, answer=refused), Answered(id=99, answer=SENT), Answered(id=1, answer=SENT))
    assert (await first, await second) == (SENT, refused)


async def test_an_answer_to_a_call_that_was_given_up_is_dropped(play: Play) -> None:
    port = play()
    await port.begin()
    call = asyncio.create_task(port.main.call(Probe(), deadline=WAIT))
    await port.heard(Call)
    call.cancel()
    await asyncio.wait([call])
    port.say(Answered(id=1, answer=SENT), Happened(event=Disconnected()))
    await port.told(1)
    assert port.events == [Disconnected()]


async def test_media_that_does_not_come_fails_without_harm(play: Play) -> None:
    port = play()
    await port.begin()
    answer = await port.main.call(FetchMedia(reference=b"x"), deadline=0.05)
    assert isinstance(answer, Failed)
    assert answer.code == "media_unavailable"
    port.say(Happened(event=Disconnected()))
    await port.told(1)
    assert port.events == [Disconnected()]


async def test_a_send_s_deadline_runs_from_the_answer_before_it(play: Play) -> None:
    port = play()
    await port.begin()
    first = asyncio.create_task(port.main.call(text("1"), deadline=0.4))
    second = asyncio.create_task(port.main.call(text("2"), deadline=0.4))
    await asyncio.sleep(0.25)
    port.say(Answered(id=1, answer=SENT))
    assert await first == SENT
    await asyncio.sleep(0.25)
    assert not second.done()
    with pytest.raises(CallTimeoutError):
        await second
    assert (await port.end()).reason == "missed the deadline of SendText (0.4 s)"


async def test_grants_and_the_wish_to_stop_reach_the_port(play: Play) -> None:
    port = play()
    await port.begin()
    port.main.grant(5)
    assert await port.heard(Grant) == Grant(count=5)
    stopping = asyncio.create_task(port.main.stop(timeout=0.1))
    assert await port.heard(Stop) == Stop()
    await stopping
    assert await port.end() == PortExited(reason="did not stop within 0.1 s", expected=True)


async def test_beats_are_sent_and_missed(play: Play) -> None:
    port = play(Timings(beat=0.05, silence=0.3))
    await port.begin()
    await port.heard(Beat)
    await port.heard(Beat)
    assert (await port.end()).reason.startswith("no heartbeat for ")


async def test_a_port_that_beats_lives(play: Play) -> None:
    port = play(Timings(beat=0.05, silence=0.3))
    await port.begin()
    for _ in range(12):
        port.say(Beat())
        await asyncio.sleep(0.05)
    assert port.events == []


async def test_what_is_no_frame_is_the_end(play: Play) -> None:
    port = play()
    await port.begin()
    port.say_bytes(b"\xff\xff\xff\xffgarbage")
    assert (await port.end()).reason.startswith("sent what is not a frame: ")


async def test_what_a_port_said_before_it_died_is_delivered_before_its_end(play: Play) -> None:
    port = play()
    await port.begin()
    waiting = asyncio.create_task(port.main.call(Probe(), deadline=WAIT))
    await port.heard(Call)
    port.say(*(Happened(event=Disconnected()) for _ in range(3)), Ended(reason="connect() raised: no"))
    port.hang_up()
    os.kill(port.pid, 9)
    assert await port.end() == PortExited(reason="connect() raised: no", expected=False)
    assert port.events[:-1] == [Disconnected()] * 3
    with pytest.raises(PortGoneError, match=r"connect\(\) raised: no"):
        await waiting
    with pytest.raises(PortGoneError):
        await port.main.call(Probe(), deadline=WAIT)


async def test_a_dead_port_whose_socket_stays_open_is_over_all_the_same(play: Play) -> None:
    port = play()
    await port.begin()
    os.kill(port.pid, 9)
    assert (await port.end()).reason == "killed by signal 9"


async def test_a_listener_that_fails_does_not_stop_the_port_from_being_looked_after(play: Play) -> None:
    port = play()
    await port.begin()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["exception"]))

    def fail(event: PortEvent) -> None:
        port.events.append(event)
        raise ValueError("the listener's own fault")

    port.deliver = fail
    port.say(Happened(event=Disconnected()), Happened(event=Disconnected()))
    await port.told(2)
    port.main.kill("enough")
    await port.end()
    assert len(complaints) == 3


async def test_a_port_that_was_never_ready_is_not_heard(play: Play) -> None:
    port = play()
    await port.main.attach(port._theirs, Beat())
    port.say(NotReady(reason="no"), Happened(event=Disconnected()))
    os.kill(port.pid, 9)
    port.hang_up()
    await port.main.closed()
    assert await port.main.readiness == NotReady(reason="no")
    assert port.events == []


async def test_a_port_that_says_nothing_is_killed_and_not_ready(play: Play) -> None:
    port = play()
    await port.main.attach(port._theirs, Beat())
    assert await port.main.until_ready(0.05) == NotReady(reason="not ready within 0.05 s")
    await port.main.closed()
    assert port.events == []


async def test_what_a_port_says_in_its_last_moment_is_why_it_is_not_ready(play: Play) -> None:
    port = play()
    await port.main.attach(port._theirs, Beat())
    os.kill(port.pid, 9)
    port.say(NotReady(reason="the store is held"))
    port.hang_up()
    assert await port.main.until_ready(WAIT) == NotReady(reason="the store is held")
