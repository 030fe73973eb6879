"""A pull consumer, told what a server would say."""

import json
from collections.abc import Sequence
from typing import cast

import pytest

from gateway.nats.client import Receive
from gateway.nats.link import Connection
from gateway.nats.pull import LINGER, MAX_BYTES, Pull, Request, Wake


class ScriptedServer:
    """Stands for a connection: remembers what was published and written, and speaks when told to."""

    def __init__(self) -> None:
        self.nc = self
        self.published: list[tuple[str, bytes, str]] = []
        self.written: list[bytes] = []
        self.delivered = 0
        self._hear: Receive | None = None

    def new_inbox(self) -> str:
        return "_INBOX.x"

    async def listen(self, subject: str, receive: Receive) -> "ScriptedServer":
        self._hear = receive
        return self

    async def unlisten(self, subscription: object) -> None:
        self._hear = None

    async def publish(self, subject: str, body: bytes, reply: str = "") -> None:
        self.published.append((subject, body, reply))

    def write(self, frames: Sequence[bytes]) -> None:
        self.written += frames

    async def request(self, subject: str, body: bytes, timeout: float) -> None:
        self.written.append(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(body), body))

    def deliver(self, body: bytes, again: int | None = None) -> bytes:
        """``again``: the stream sequence under which it was delivered before. Where to acknowledge it."""
        self.delivered += 1
        reply = f"$JS.ACK.send.front.1.{again or self.delivered}.{self.delivered}.0.0".encode()
        self._say(b"_INBOX.x.1", reply, body, None)
        return reply

    def status(self, text: str, *, to: str | None = None) -> None:
        self._say((to or self.published[-1][2]).encode(), b"", b"", f"NATS/1.0 {text}\r\n\r\n".encode())

    def _say(self, subject: bytes, reply: bytes, body: bytes, block: bytes | None) -> None:
        assert self._hear is not None
        self._hear(subject, reply, body, block)


def nak(reply: bytes) -> bytes:
    """What is written to give back what was delivered with ``reply``."""
    return b"PUB %b 4\r\n-NAK\r\n" % reply


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
async def pull(server: ScriptedServer, clock: Clock) -> Pull:
    """Bound to the scripted server."""
    made = Pull("send", "send-front-high", Wake(), clock=clock)
    await made.bind(cast(Connection, server))
    return made


async def test_a_probe_ends_at_once_and_a_linger_with_time(pull: Pull, server: ScriptedServer) -> None:
    await pull.probe(5)
    subject, body, _ = server.published[-1]
    assert subject == "$JS.API.CONSUMER.MSG.NEXT.send.send-front-high"
    assert json.loads(body) == {"batch": 5, "max_bytes": MAX_BYTES, "no_wait": True}
    assert pull.request.name == "PROBE"
    server.status("404")
    assert pull.request.name == "NONE"
    await pull.linger(9)
    assert json.loads(server.published[-1][1]) == {"batch": 9, "max_bytes": MAX_BYTES, "expires": int(LINGER * 1e9)}


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        ("404 No Messages", None),
        ("408 Request Timeout", None),
        ("409 Batch Completed", None),
        ("409 Message Size Exceeds MaxBytes", None),
        ("409 Consumer Deleted", "409 Consumer Deleted"),
        ("503", "503"),
    ],
)
async def test_what_ends_a_request_is_a_failure_only_if_it_is_none_of_the_orderly_ends(
    pull: Pull, server: ScriptedServer, said: str, failure: str | None
) -> None:
    await pull.linger(5)
    server.status(said)
    assert (pull.request, pull.failure) == (Request.NONE, failure)


async def test_a_request_stands_until_it_is_filled(pull: Pull, server: ScriptedServer) -> None:
    await pull.linger(2)
    server.deliver(b"1")
    server.status("100 Idle Heartbeat")
    assert pull.request.name == "LINGER"
    server.deliver(b"2")
    assert pull.request.name == "NONE"
    assert [delivery.body for delivery in pull.take(10)] == [b"1", b"2"]
    assert not pull.take(1)


async def test_the_end_of_an_older_request_says_nothing_of_the_new_one(pull: Pull, server: ScriptedServer) -> None:
    await pull.probe(1)
    old = server.published[-1][2]
    server.deliver(b"1")
    await pull.linger(5)
    server.status("409 Batch Completed", to=old)
    assert pull.request.name == "LINGER"


async def test_an_answer_that_never_comes_is_not_waited_for(pull: Pull, clock: Clock) -> None:
    await pull.probe(1)
    clock.now += 6
    assert pull.request.name == "NONE"


async def test_what_was_held_too_long_goes_back_with_all_that_is_newer(
    pull: Pull, server: ScriptedServer, clock: Clock
) -> None:
    await pull.linger(5)
    old = server.deliver(b"old")
    clock.now += 20
    new = server.deliver(b"new")
    await pull.give_back(older_than=21)
    assert pull.holds
    clock.now += 2
    await pull.give_back(older_than=21)
    assert not pull.take(1)
    assert server.written == [nak(old), nak(new)]


async def test_what_the_server_delivers_again_takes_the_place_of_what_is_held(
    pull: Pull, server: ScriptedServer, clock: Clock
) -> None:
    await pull.linger(5)
    server.deliver(b"1")
    server.deliver(b"2")
    clock.now += 20
    server.deliver(b"1", again=1)
    server.deliver(b"2", again=2)
    await pull.give_back(older_than=10)
    assert [delivery.body for delivery in pull.take(9)] == [b"1", b"2"]


async def test_what_is_put_back_comes_first_again(pull: Pull, server: ScriptedServer) -> None:
    await pull.linger(5)
    for body in (b"1", b"2", b"3"):
        server.deliver(body)
    pull.put_back(pull.take(2))
    assert [delivery.body for delivery in pull.take(5)] == [b"1", b"2", b"3"]


async def test_a_new_connection_voids_requests_and_what_came_comes_again(pull: Pull, server: ScriptedServer) -> None:
    await pull.linger(5)
    server.deliver(b"1")
    await pull.bind(cast(Connection, ScriptedServer()))
    assert pull.request.name == "NONE"
    assert not pull.holds


async def test_what_came_again_while_it_was_taken_is_settled_with_it(pull: Pull, server: ScriptedServer) -> None:
    await pull.linger(5)
    server.deliver(b"1")
    [taken] = pull.take(1)
    server.deliver(b"1", again=1)
    pull.settled(taken)
    assert not pull.unsettled


async def test_what_is_released_is_all_that_was_not_settled_in_the_order_of_the_stream(
    pull: Pull, server: ScriptedServer
) -> None:
    await pull.linger(9)
    replies = [server.deliver(body) for body in (b"1", b"2", b"3", b"4")]
    first, second, third = pull.take(3)
    pull.settled(second)
    pull.put_back([third])
    await pull.release()
    assert server.written == [nak(replies[0]), nak(replies[2]), nak(replies[3])]
    assert (first.body, pull.holds) == (b"1", False)
    await pull.release()
    assert len(server.written) == 3


async def test_what_was_taken_and_comes_again_is_given_back_once(pull: Pull, server: ScriptedServer) -> None:
    await pull.linger(9)
    server.deliver(b"1")
    pull.take(1)
    again = server.deliver(b"1", again=1)
    await pull.release()
    assert server.written == [nak(again)]
