"""What a client asks JetStream again, and what it does not; what it writes when; what it reads past the library."""

import asyncio
from typing import Any, cast

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from structlog.testing import capture_logs

from gateway.nats import client
from gateway.nats.client import PatientClient

INFO = "$JS.API.STREAM.INFO.send"
PURGE = "$JS.API.STREAM.PURGE.send"


class Server:
    """Meets each request with the next of ``outcomes``: an error, or None for an answer."""

    def __init__(self) -> None:
        self.outcomes: list[Exception | None] = []
        self.timeouts: list[float] = []

    async def request(self, nc: Client, subject: str, payload: bytes, timeout: float, *_: Any) -> Msg:
        self.timeouts.append(timeout)
        await asyncio.sleep(0)
        outcome = self.outcomes.pop(0) if self.outcomes else NoRespondersError()
        if outcome is not None:
            raise outcome
        return Msg(nc, subject=subject, data=payload)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """In place of the library."""
    made = Server()
    monkeypatch.setattr(Client, "request", lambda *arguments: made.request(*arguments))
    return made


@pytest.mark.parametrize("subject", [INFO, PURGE])
async def test_what_nobody_got_is_asked_again(server: Server, subject: str) -> None:
    server.outcomes = [NoRespondersError(), NoRespondersError(), None]
    assert (await PatientClient().request(subject, b"x", timeout=10)).data == b"x"
    assert len(server.timeouts) == 3


async def test_what_got_no_answer_may_have_been_done_and_is_not_repeated(server: Server) -> None:
    server.outcomes = [NatsTimeoutError(), None]
    with pytest.raises(NatsTimeoutError):
        await PatientClient().request(PURGE, b"", timeout=10)
    assert server.timeouts == [pytest.approx(10, abs=0.1)]


@pytest.mark.parametrize("subject", ["$JS.API.DIRECT.GET.KV_registry", "clinic.acme.channel.front.send", "rpc"])
async def test_others_than_the_api_are_asked_once(server: Server, subject: str) -> None:
    with pytest.raises(NoRespondersError):
        await PatientClient().request(subject, b"", timeout=10)
    assert server.timeouts == [10]


async def test_an_api_that_stays_away_is_reported_in_the_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "UNSERVED", 0.05)
    with pytest.raises(NoRespondersError):
        await asyncio.wait_for(PatientClient().request(INFO, b"", timeout=10), 5)
    assert len(server.timeouts) > 1


async def test_the_deadline_holds_for_all_attempts_together(server: Server) -> None:
    with pytest.raises(NoRespondersError):
        await asyncio.wait_for(PatientClient().request(INFO, b"", timeout=0.1), 5)
    assert 0 < server.timeouts[-1] < server.timeouts[0] < 0.11


class Wire:
    """Stands for the transport: keeps what is sent at once."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)


@pytest.fixture
async def connected() -> tuple[PatientClient, Wire]:
    """A client that believes it is connected."""
    nc, wire = PatientClient(), Wire()
    nc._transport = cast(Any, wire)
    nc._status = Client.CONNECTED
    return nc, wire


async def test_what_is_written_goes_after_what_waits_and_all_at_once(connected: tuple[PatientClient, Wire]) -> None:
    nc, wire = connected
    nc.write_within(0.01, [b"ack1 "])
    nc.write_within(0, [b"last "])
    nc.write_within(0.01, [b"ack2 "])
    assert wire.sent == []
    nc.write([b"now"])
    assert wire.sent == [b"ack1 last ack2 now"]
    await asyncio.sleep(0.02)
    assert len(wire.sent) == 1


async def test_what_may_wait_is_written_in_the_end(connected: tuple[PatientClient, Wire]) -> None:
    nc, wire = connected
    nc.write_within(0.01, [b"a"])
    nc.write_within(0.01, [b"b"])
    await asyncio.sleep(0.05)
    assert wire.sent == [b"ab"]
    nc.write_within(0, [b"c"])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert wire.sent == [b"ab", b"c"]


async def test_a_client_that_is_closed_writes_nothing(connected: tuple[PatientClient, Wire]) -> None:
    nc, wire = connected
    nc.write_within(0.01, [b"a"])
    nc._status = Client.CLOSED
    with pytest.raises(ConnectionClosedError):
        nc.write([b"b"])
    with pytest.raises(ConnectionClosedError):
        nc.write_within(0, [b"b"])
    await asyncio.sleep(0.02)
    assert wire.sent == []


async def test_a_receiver_gets_messages_as_they_are_read_and_may_break(connected: tuple[PatientClient, Wire]) -> None:
    nc, _ = connected
    got: list[bytes] = []

    def receive(subject: bytes, reply: bytes, body: bytes, block: bytes | None) -> None:
        got.append(body)
        if body == b"bad":
            raise ZeroDivisionError

    nc._receivers[7] = receive
    parser: Any = nc._ps
    with capture_logs() as logs:
        await parser.parse(b"MSG a 7 3\r\nbad\r\nMSG a 7 4\r\ngood\r\nMSG a 8 2\r\nno\r\n")
    assert got == [b"bad", b"good"]
    assert [line["event"] for line in logs] == ["nats_receiver_broke"]


async def test_a_flush_asks_after_what_waits() -> None:
    """The library's own asks first: the answer says nothing of a subscription or a message made just before."""
    lines: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"max_payload": 1024, "proto": 1, "headers": true}\r\n')
        while line := await reader.readline():
            lines.append(line)
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        nc = PatientClient()
        await nc.connect("nats://{}:{}".format(*server.sockets[0].getsockname()), allow_reconnect=False)
        await nc.subscribe("a", future=asyncio.get_running_loop().create_future())
        await nc.flush()
        assert lines[-2:] == [b"SUB a  1\r\n", b"PING\r\n"]
        await nc.close()
