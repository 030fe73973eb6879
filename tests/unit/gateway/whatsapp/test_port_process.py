"""The parent side against a port that the test plays: a process that only sleeps, and a socket the test holds."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.whatsapp.conduct import MOST_UNASKED
from gateway.whatsapp.frames import (
    Answered,
    Beat,
    Call,
    Ended,
    Frame,
    FrameDecoder,
    FromPort,
    Grant,
    Happened,
    NotReady,
    Outcome,
    Ready,
    Send,
    Stop,
    ToPort,
    pack,
)
from gateway.whatsapp.journal import Inbound, Journal
from gateway.whatsapp.port_process import PortProcess, Timings
from gateway.whatsapp.remains import StoreRemains
from protocol.errors import CallTimeoutError, PortGoneError
from protocol.interfaces import SendOutcome
from protocol.port import Done, Failed, FetchMedia, Probe, SendText, Sent
from protocol.port_events import Disconnected, PortEvent, PortExited, Record, SendAnswered, Undecryptable
from tests.unit.protocol.shapes import values_of

WAIT = 10.0
SENT = Sent(wa_id="3A", at=datetime(2026, 1, 1, tzinfo=UTC))
PATIENT = Timings(beat=60, silence=60)


class PlayedPort:
    """The test's end: what main says comes out of ``heard``, and ``say`` says something to main."""

    def __init__(self, timings: Timings, store: Path, most_bytes: int | None = None) -> None:
        self.events: list[PortEvent] = []
        self.deliver: Callable[[Sequence[PortEvent]], None] = self.events.extend
        self.outcomes: list[SendOutcome] = []
        self.told_at_once: list[int] = []
        self._told = asyncio.Event()
        self.journal = Journal(str(store))
        self.log = os.memfd_create("log")
        self.pid = os.posix_spawn(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)"], os.environ)
        remains = StoreRemains(str(store), orphan_grace=1)
        self.main = PortProcess(self.pid, 7, self.log, timings, self._tell, remains, most_bytes=most_bytes)
        self._decoder: FrameDecoder[ToPort] = FrameDecoder(ToPort)  # type: ignore[arg-type]  # a union is no type[]
        self._ours, self._theirs = socket.socketpair()
        self._waiting: list[ToPort] = []

    async def begin(self) -> None:
        await self.main.attach(self._theirs, Beat())
        self._ours.setblocking(False)
        self.say(Ready())
        await asyncio.wait_for(asyncio.shield(self.main.readiness), WAIT)

    def _tell(self, events: Sequence[PortEvent]) -> None:
        self._told.set()
        self.deliver(events)

    def send(self, *requests: SendText, deadline: float = 60.0) -> None:
        self.main.send(requests, self._tell_outcomes, deadline=deadline)

    def _tell_outcomes(self, outcomes: Sequence[SendOutcome]) -> None:
        self._told.set()
        self.told_at_once.append(len(outcomes))
        self.outcomes += outcomes

    async def told(self, count: int) -> None:
        """Wait until the listeners have heard ``count`` events and outcomes."""
        async with asyncio.timeout(WAIT):
            while len(self.events) + len(self.outcomes) < count:
                self._told.clear()
                await self._told.wait()

    def write_down(self, what: Inbound | SendAnswered) -> int:
        return self.journal.append(what)

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
async def play(tmp_path: Path) -> AsyncIterator[Callable[..., PlayedPort]]:
    played: list[PlayedPort] = []

    def make(timings: Timings = PATIENT, most_bytes: int | None = None) -> PlayedPort:
        played.append(PlayedPort(timings, tmp_path / "session.db", most_bytes))
        return played[-1]

    yield make
    for port in played:
        port.main.kill("the test is over")
        await port.main.closed()
        port.hang_up()
    await asyncio.sleep(0)


Play = Callable[..., PlayedPort]


def text(key: str) -> SendText:
    return SendText(key=key, secret=b"s" * 32, to="5511@s.whatsapp.net", text="x")


def inbound(wa_id: str) -> Undecryptable:
    return Undecryptable(wa_id=wa_id, chat="7755@lid", sender="7755@lid", at=SENT.at)


async def test_calls_are_answered_by_number_in_any_order(play: Play) -> None:
    port = play()
    await port.begin()
    first = asyncio.create_task(port.main.call(Probe(), deadline=WAIT))
    second = asyncio.create_task(port.main.call(Probe(), deadline=WAIT))
    assert [await port.heard(Call), await port.heard(Call)] == [
        Call(id=1, request=Probe()),
        Call(id=2, request=Probe()),
    ]
    refused = Failed(code="server_error", message="no")
    port.say(Answered(id=2, answer=refused), Answered(id=99, answer=Done()), Answered(id=1, answer=Done()))
    assert (await first, await second) == (Done(), refused)


async def test_a_port_that_takes_too_much_memory_is_ended_in_order_and_says_why(play: Play) -> None:
    port = play(most_bytes=1 << 10)
    await port.begin()
    port.say(Beat(), Beat())
    await port.heard(Stop)
    port.say(Ended(reason="was asked to end"))
    os.kill(port.pid, signal.SIGTERM)
    last = await port.end()
    assert last.expected
    assert "MiB of memory, more than limits.port_bytes" in last.reason


async def test_a_port_within_its_memory_goes_on(play: Play) -> None:
    port = play(most_bytes=1 << 40)
    await port.begin()
    port.say(Beat(), Happened(event=Disconnected()))
    await port.told(1)
    assert port.events == [Disconnected()]


async def test_a_call_that_is_not_answered_in_time_kills_the_port(play: Play) -> None:
    port = play()
    await port.begin()
    with pytest.raises(CallTimeoutError):
        await port.main.call(Probe(), deadline=0.05)
    assert (await port.end()).reason == "missed the deadline of Probe (0.05 s)"


async def test_sends_go_out_in_order_and_what_came_of_them_comes_together(play: Play) -> None:
    port = play()
    await port.begin()
    port.send(text("a"), text("b"))
    port.send(text("c"))
    assert [await port.heard(Send) for _ in range(3)] == [Send(request=text(key)) for key in "abc"]
    no = Failed(code="rejected", message="no")
    port.say(
        Outcome(key="a", answer=SENT, record=1),
        Outcome(key="b", answer=no, record=2),
        Outcome(key="c", answer=SENT, record=None),
        Outcome(key="nobody's", answer=SENT, record=3),
    )
    await port.told(3)
    assert port.outcomes == [
        SendOutcome(key="a", answer=SENT, record=1),
        SendOutcome(key="b", answer=no, record=2),
        SendOutcome(key="c", answer=SENT),
    ]
    assert port.told_at_once == [3]


async def test_an_answer_to_a_call_that_was_given_up_is_dropped(play: Play) -> None:
    port = play()
    await port.begin()
    call = asyncio.create_task(port.main.call(Probe(), deadline=WAIT))
    await port.heard(Call)
    call.cancel()
    await asyncio.wait([call])
    port.say(Answered(id=1, answer=Done()), Happened(event=Disconnected()))
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


async def test_a_send_s_deadline_runs_from_the_outcome_before_it(play: Play) -> None:
    port = play()
    await port.begin()
    port.send(text("a"), text("b"), text("c"), deadline=1.5)
    await asyncio.sleep(0.5)
    said = time.monotonic()
    port.say(Outcome(key="a", answer=SENT, record=1))
    end = await port.end()
    assert time.monotonic() - said > 1.4
    assert end.reason == "missed the deadline of a send (1.5 s)"
    assert [(outcome.key, outcome.cut) for outcome in port.outcomes] == [("a", False), ("b", False), ("c", True)]
    assert {outcome.answer.code for outcome in port.outcomes if isinstance(outcome.answer, Failed)} == {
        "outcome_unknown"
    }


async def test_what_a_dead_port_had_written_down_and_not_said_is_delivered(play: Play) -> None:
    port = play()
    await port.begin()
    port.send(text("a"), text("b"), text("c"))
    said, outcome = port.write_down(inbound("1")), port.write_down(SendAnswered(key="a", answer=SENT))
    port.say(Happened(event=Record(number=said, what=inbound("1"))), Outcome(key="a", answer=SENT, record=outcome))
    await port.told(2)
    unsaid, late_outcome = port.write_down(inbound("2")), port.write_down(SendAnswered(key="b", answer=SENT))
    os.kill(port.pid, 9)
    port.hang_up()
    await port.end()
    assert port.events == [
        Record(number=said, what=inbound("1")),
        Record(number=unsaid, what=inbound("2")),
        PortExited(reason="killed by signal 9", expected=False, last_row=0),
    ]
    assert port.outcomes[:2] == [
        SendOutcome(key="a", answer=SENT, record=outcome),
        SendOutcome(key="b", answer=SENT, record=late_outcome),
    ]
    assert [(last.key, last.cut, last.record) for last in port.outcomes[2:]] == [("c", True, None)]


async def test_a_send_to_a_port_that_is_gone_is_refused_but_not_at_once(play: Play) -> None:
    port = play()
    await port.begin()
    os.kill(port.pid, 9)
    port.hang_up()
    await port.end()
    port.send(text("a"))
    assert port.outcomes == []
    await asyncio.sleep(0)
    (outcome,) = port.outcomes
    assert isinstance(outcome.answer, Failed)
    assert (outcome.answer.code, outcome.cut) == ("not_connected", False)


async def test_grants_and_the_wish_to_stop_reach_the_port(play: Play) -> None:
    port = play()
    await port.begin()
    port.main.grant(5)
    assert await port.heard(Grant) == Grant(count=5)
    stopping = asyncio.create_task(port.main.stop(timeout=0.1))
    assert await port.heard(Stop) == Stop()
    await stopping
    assert await port.end() == PortExited(reason="did not stop within 0.1 s", expected=True, last_row=0)


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
    assert await port.end() == PortExited(reason="connect() raised: no", expected=False, last_row=0)
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

    def fail(events: Sequence[PortEvent]) -> None:
        port.events += events
        raise ValueError("the listener's own fault")

    port.deliver = fail
    port.say(Happened(event=Disconnected()))
    await port.told(1)
    port.main.kill("enough")
    await port.end()
    assert len(complaints) == 2


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


# -- a port that was taken over --


async def test_a_port_that_tells_its_own_end_is_killed_and_its_word_is_not_passed_on(play: Play) -> None:
    port = play()
    await port.begin()
    port.say(Happened(event=PortExited(reason="all is well", expected=True)), Happened(event=Disconnected()))
    assert (await port.end()).reason == "sent word of its own end, which is not its to give"
    assert len(port.events) == 1


async def test_a_port_that_begins_twice_is_killed_and_its_end_is_told_all_the_same(play: Play) -> None:
    port = play()
    await port.begin()
    port.say(NotReady(reason="no"))
    assert (await port.end()).reason == "sent word of its beginning twice"


async def test_a_port_that_says_what_nobody_asked_for_without_an_end_is_killed(play: Play) -> None:
    port = play()
    await port.begin()
    for _ in range(MOST_UNASKED // 10 + 1):
        port.say(*[Beat()] * 10)
    assert "that nobody asked for" in (await port.end()).reason


async def test_the_outcome_of_a_send_is_not_something_that_came_in(play: Play) -> None:
    port = play()
    await port.begin()
    port.say(Happened(event=Record(number=1, what=SendAnswered(key="a", answer=SENT))))
    assert (await port.end()).reason == "sent the outcome of a send as something that came in"


async def test_last_words_are_short_and_printable(play: Play) -> None:
    port = play()
    await port.begin()
    asked = asyncio.create_task(port.main.call(Probe(), deadline=WAIT))
    await port.heard(Call)
    port.say(Ended(reason="\x1b[2J" + "x" * 9000), Answered(id=1, answer=Done()))
    await asked
    os.kill(port.pid, signal.SIGKILL)
    said = (await port.end()).reason
    assert len(said) < 600
    assert said.isprintable()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(st.one_of(st.binary(max_size=100), values_of(FromPort).map(pack)), max_size=30))
def test_whatever_a_port_says_main_stays_whole_and_hears_of_its_end_once(said: list[bytes], tmp_path: Path) -> None:
    async def play() -> None:
        faults: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        port = PlayedPort(PATIENT, tmp_path / "session.db")
        await port.begin()
        port.say_bytes(b"".join(said))
        port.hang_up()
        port.main.kill("the test is over")
        await asyncio.wait_for(port.main.closed(), WAIT)
        await asyncio.sleep(0)
        assert faults == []
        assert [type(event) for event in port.events].count(PortExited) == 1
        assert isinstance(port.events[-1], PortExited)

    asyncio.run(play())
