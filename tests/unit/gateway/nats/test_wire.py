"""The words of the protocol, read back by the client library's own parser."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.protocol.parser import Parser

from gateway.nats import wire

HEADERS = st.dictionaries(
    st.sampled_from(["traceparent", "Nats-Msg-Id", "Plantao-Correlation-Id"]), st.text(max_size=60), max_size=3
)


class Receiver:
    """Stands for a client: keeps what the parser makes of what it is fed."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, bytes, bytes, bytes | None]] = []

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.got.append((subject, reply, data, headers))


def parsed(*frames: bytes) -> list[tuple[bytes, bytes, bytes, bytes | None]]:
    """As a server would deliver what was published to it in ``frames``, and the library understand it."""
    receiver = Receiver()
    delivered = b""
    for frame in frames:
        line, _, rest = frame.partition(b"\r\n")
        word, subject, *more = line.split(b" ")
        sizes = [part for part in more if part.isdigit()]
        reply = [part for part in more if not part.isdigit()]
        verb = {b"PUB": b"MSG", b"HPUB": b"HMSG"}[word]
        delivered += b" ".join([verb, subject, b"1", *reply, *sizes]) + b"\r\n" + rest
    parser: Any = Parser(receiver)
    asyncio.run(parser.parse(delivered))
    return receiver.got


@given(HEADERS, st.binary(max_size=200))
def test_what_is_written_is_read_as_it_was_meant(headers: dict[str, str], body: bytes) -> None:
    frame = wire.publish("a.b", "inbox.7", wire.header_block(headers), body)
    ((subject, reply, data, block),) = parsed(frame)
    assert (subject, reply, data) == (b"a.b", b"inbox.7", body)
    expected = {name: value.translate({13: " ", 10: " "}).encode().strip().decode() for name, value in headers.items()}
    assert wire.headers_of(block) == expected
    assert wire.status_of(block) == ""


@given(HEADERS)
def test_headers_are_read_as_the_library_reads_them(headers: dict[str, str]) -> None:
    block = wire.header_block(headers)
    assert wire.headers_of(block) == Client._parse_header_lines(block.partition(b"\r\n")[2])


def test_acknowledgements_follow_one_another() -> None:
    frames = wire.answer(b"$JS.ACK.x", wire.ACK), wire.answer(b"$JS.ACK.y", wire.NAK)
    assert parsed(*frames) == [(b"$JS.ACK.x", b"", b"+ACK", None), (b"$JS.ACK.y", b"", b"-NAK", None)]


@pytest.mark.parametrize(
    ("block", "status", "headers"),
    [
        (None, "", {}),
        (b"NATS/1.0\r\n\r\n", "", {}),
        (b"NATS/1.0 404 No Messages\r\n\r\n", "404 No Messages", {}),
        (b"NATS/1.0 503\r\nA: b\r\n\r\n", "503", {"A": "b"}),
        (b"NATS/1.0\r\nno colon\r\nA:b: c\r\nB:\xff\r\n\xff: x\r\n\r\n", "", {"A": "b: c", "B": "\ufffd"}),
    ],
)
def test_statuses_and_headers_of_a_server_are_understood(
    block: bytes | None, status: str, headers: dict[str, str]
) -> None:
    assert (wire.status_of(block), wire.headers_of(block)) == (status, headers)


@pytest.mark.parametrize(
    "reply",
    [
        b"$JS.ACK.send.consumer.1.4711.3.1795792870900521000.42",
        b"$JS.ACK.domain.hash.send.consumer.1.4711.3.1795792870900521000.42",
        b"$JS.ACK.domain.hash.send.consumer.1.4711.3.1795792870900521000.42.random",
    ],
)
def test_a_delivery_tells_its_place_and_time_with_a_domain_or_without(reply: bytes) -> None:
    assert (wire.sequence_of(reply), wire.left_behind(reply)) == (4711, 42)
    assert wire.stored_at(reply) == datetime.fromtimestamp(1795792870.900521, UTC)
