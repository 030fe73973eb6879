"""Many messages under way at once: which answer is whose, and what the call is told."""

import asyncio
import json
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import ConnectionClosedError

from gateway.nats.client import Receive
from gateway.nats.link import Connection
from gateway.nats.publisher import WINDOW_BYTES, WINDOW_MESSAGES, Outgoing, Publisher, refusal
from protocol.errors import BusUnavailableError, InvalidInputError, PlantaoError

STORED = b'{"stream":"events","seq":1}'
TWICE = b'{"stream":"events","seq":1,"duplicate":true}'
FULL = b'{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"events","seq":0}'
LARGE = (
    b'{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"},"stream":"events"}'
)
NOBODY = b"NATS/1.0 503\r\n\r\n"


class ScriptedServer:
    """Stands for a connection: keeps what was published, and answers when told to."""

    def __init__(self) -> None:
        self.nc = self
        self.max_payload = 1 << 20
        self.bodies: list[bytes] = []
        self.waiting: list[bytes] = []
        self.closed = False
        self.most = 0
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hear: Receive | None = None

    def new_inbox(self) -> str:
        return "_INBOX.x"

    async def listen(self, subject: str, receive: Receive) -> object:
        self._hear = receive
        return self

    def write(self, frames: Sequence[bytes]) -> None:
        if self.closed:
            raise ConnectionClosedError
        for frame in frames:
            line, _, rest = frame.partition(b"\r\n")
            _, _, reply, head, total = line.split(b" ")
            self.bodies.append(rest[int(head) : int(total)])
            self.waiting.append(reply)
        self.most = max(self.most, len(self.waiting))

    def write_within(self, delay: float, frames: Sequence[bytes]) -> None:
        self.write(frames)

    def answer(self, place: int = 0, body: bytes = STORED, block: bytes | None = None) -> None:
        """To what is under way and was published at ``place``."""
        assert self._hear is not None
        self._hear(self.waiting.pop(place), b"", body, block)

    def answer_all(self) -> None:
        while self.waiting:
            self.answer()


def outgoing(number: int, size: int = 10) -> Outgoing:
    body = b"%d" % number
    return Outgoing("a.b", b"NATS/1.0\r\n\r\n", body + b"." * (size - len(body)), f"m{number}")


@pytest.fixture
async def server() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
async def publisher(server: ScriptedServer) -> Publisher:
    made = Publisher(cast(Connection, server))
    await made.start()
    return made


async def begun(publisher: Publisher, messages: Sequence[Outgoing], *, timeout: float = 9) -> "asyncio.Task[None]":
    """Publishing, as far as it gets without an answer."""
    task = asyncio.create_task(publisher.publish(messages, "testing", timeout=timeout))
    for _ in range(3 * len(messages) // 64 + 5):
        await asyncio.sleep(0)
    return task


async def test_it_returns_when_all_are_stored_in_whatever_order_that_is_said(
    publisher: Publisher, server: ScriptedServer
) -> None:
    task = await begun(publisher, [outgoing(number) for number in range(5)])
    assert [body.strip(b".") for body in server.bodies] == [b"0", b"1", b"2", b"3", b"4"]
    for place in (4, 0, 2, 0):
        server.answer(place, TWICE)
    await asyncio.sleep(0)
    assert not task.done()
    server.answer()
    await task


async def test_nothing_to_publish_is_done_at_once(publisher: Publisher) -> None:
    await publisher.publish([], "testing", timeout=9)


async def test_only_so_many_are_under_way(publisher: Publisher, server: ScriptedServer) -> None:
    count = 4 * WINDOW_MESSAGES
    task = await begun(publisher, [outgoing(number) for number in range(count)])
    assert len(server.bodies) == WINDOW_MESSAGES
    while not task.done():
        server.answer_all()
        await asyncio.sleep(0)
    await task
    assert len(server.bodies) == count
    assert server.most <= WINDOW_MESSAGES


async def test_only_so_many_bytes_are_under_way(publisher: Publisher, server: ScriptedServer) -> None:
    server.max_payload = 3 << 20
    task = await begun(publisher, [outgoing(number, WINDOW_BYTES // 2) for number in range(5)])
    assert len(server.bodies) == 1
    while not task.done():
        server.answer_all()
        await asyncio.sleep(0)
    assert len(server.bodies) == 5


async def test_what_a_full_stream_refuses_stops_what_is_not_under_way(
    publisher: Publisher, server: ScriptedServer
) -> None:
    task = await begun(publisher, [outgoing(number) for number in range(3 * WINDOW_MESSAGES)])
    server.answer(7, FULL)
    with pytest.raises(BusUnavailableError, match=r"a\.b: maximum bytes exceeded \(10077\)"):
        await task
    assert len(server.bodies) == WINDOW_MESSAGES
    # What comes of the others now is nobody's business any more.
    server.answer_all()


async def test_what_is_too_large_is_told_when_all_before_it_is_stored(
    publisher: Publisher, server: ScriptedServer
) -> None:
    batch = [outgoing(0), outgoing(1), outgoing(2, 2 << 20), outgoing(3)]
    task = await begun(publisher, batch)
    server.answer()
    await asyncio.sleep(0)
    assert not task.done()
    server.answer()
    with pytest.raises(InvalidInputError) as caught:
        await task
    assert caught.value.field == "m2"
    assert len(server.bodies) == 2


async def test_that_something_is_away_weighs_more_than_that_something_is_too_large(
    publisher: Publisher, server: ScriptedServer
) -> None:
    task = await begun(publisher, [outgoing(number) for number in range(3)])
    server.answer(1, LARGE)
    await asyncio.sleep(0)
    assert not task.done()
    server.answer(0, b"", NOBODY)
    with pytest.raises(BusUnavailableError, match="no stream takes it"):
        await task


async def test_a_connection_that_closes_is_unavailable(publisher: Publisher, server: ScriptedServer) -> None:
    server.closed = True
    with pytest.raises(BusUnavailableError, match="testing"):
        await publisher.publish([outgoing(1)], "testing", timeout=9)


async def test_a_connection_that_is_lost_ends_every_call(publisher: Publisher, server: ScriptedServer) -> None:
    tasks = [await begun(publisher, [outgoing(number) for number in range(count)]) for count in (1, 300)]
    server.lost.set_result(None)
    for task in tasks:
        with pytest.raises(BusUnavailableError, match="connection lost"):
            await task
    assert not publisher._flights


async def test_what_gets_no_answer_in_time_is_given_up(publisher: Publisher, server: ScriptedServer) -> None:
    task = await begun(publisher, [outgoing(1), outgoing(2)], timeout=0.05)
    server.answer()
    with pytest.raises(BusUnavailableError, match="testing: no answer in time"):
        await task


async def test_what_is_given_up_is_forgotten(publisher: Publisher, server: ScriptedServer) -> None:
    task = await begun(publisher, [outgoing(number) for number in range(3)])
    task.cancel()
    await asyncio.wait((task,))
    assert not publisher._flights
    server.answer_all()
    other = await begun(publisher, [outgoing(9)])
    server.answer()
    await other


@pytest.mark.parametrize(
    ("body", "block", "kind", "said"),
    [
        (STORED, None, None, ""),
        (TWICE, None, None, ""),
        (FULL, None, BusUnavailableError, "10077"),
        (LARGE, None, InvalidInputError, "m1"),
        (b"", NOBODY, BusUnavailableError, "no stream takes it"),
        (b"{}", None, BusUnavailableError, "no stream answered"),
        (b"", None, BusUnavailableError, "cannot be read"),
        (b'"x"', None, BusUnavailableError, "cannot be read"),
        (json.dumps({"error": {"code": 500}}).encode(), None, BusUnavailableError, "(0)"),
    ],
)
def test_every_answer_is_a_success_or_says_what_to_do(
    body: bytes, block: bytes | None, kind: type[PlantaoError] | None, said: str
) -> None:
    found = refusal(outgoing(1), block, body)
    if kind is None:
        assert found is None
    else:
        assert isinstance(found, kind)
        assert said in str(found)


CALLS = st.lists(st.integers(0, 40), min_size=1, max_size=4)


@given(CALLS, st.data())
def test_each_of_several_calls_ends_as_its_own_messages_fared(calls: list[int], data: st.DataObject) -> None:
    outcomes = {index: data.draw(st.sampled_from([STORED, FULL, LARGE])) for index in range(len(calls))}

    async def run() -> None:
        server = ScriptedServer()
        publisher = Publisher(cast(Connection, server))
        await publisher.start()
        tasks = [
            await begun(publisher, [outgoing(1000 * index + number) for number in range(count)])
            for index, count in enumerate(calls)
        ]
        unlucky = {
            b"%d" % (1000 * index + data.draw(st.integers(0, count - 1))): index
            for index, count in enumerate(calls)
            if count
        }
        # In what order streams answer is theirs to choose.
        pending = dict(zip(server.waiting, server.bodies, strict=True))
        for reply in data.draw(st.permutations(list(pending))):
            body = pending[reply].strip(b".")
            server.answer(server.waiting.index(reply), outcomes[unlucky[body]] if body in unlucky else STORED)
        await asyncio.wait(tasks)
        for index, (task, count) in enumerate(zip(tasks, calls, strict=True)):
            expected = {STORED: type(None), FULL: BusUnavailableError, LARGE: InvalidInputError}[outcomes[index]]
            assert type(task.exception()) is (expected if count else type(None))
        assert not publisher._flights

    asyncio.run(run())
