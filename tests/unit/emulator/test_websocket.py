"""WebSocket framing."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulator.websocket import Opcode, Reader, WebSocketError, accept_key, encode

frames = st.lists(
    st.tuples(st.sampled_from([Opcode.BINARY, Opcode.PING, Opcode.TEXT]), st.binary(max_size=70_000)), max_size=4
)


def masked(opcode: int, payload: bytes, final: bool = True) -> bytes:
    """A frame as clients send it."""
    length, mask = len(payload), os.urandom(4)
    head = bytes([final << 7 | opcode])
    if length < 126:
        head += bytes([128 | length])
    elif length < 1 << 16:
        head += b"\xfe" + length.to_bytes(2)
    else:
        head += b"\xff" + length.to_bytes(8)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


@given(frames, st.data())
def test_messages_are_read_however_their_bytes_arrive(
    messages: list[tuple[Opcode, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(masked(opcode, payload) for opcode, payload in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    reader, read = Reader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        read += reader.feed(stream[start:end])
    assert read == messages


def test_fragments_are_joined_and_a_ping_may_come_between() -> None:
    stream = masked(2, b"ab", final=False) + masked(9, b"!") + masked(0, b"cd")
    assert Reader().feed(stream) == [(Opcode.PING, b"!"), (Opcode.BINARY, b"abcd")]


@pytest.mark.parametrize(
    "frame", [b"\x82\x01a", b"\x82\xff" + bytes(4) + b"\x7f" * 8, masked(3, b"")], ids=["plain", "huge", "opcode"]
)
def test_what_clients_do_not_send_is_refused(frame: bytes) -> None:
    with pytest.raises(WebSocketError):
        Reader().feed(frame)


@pytest.mark.parametrize(("size", "head"), [(5, 2), (200, 4), (70_000, 10)])
def test_the_length_takes_the_room_it_needs(size: int, head: int) -> None:
    assert len(encode(Opcode.BINARY, bytes(size))) == head + size


def test_the_accept_key_is_the_one_of_the_rfc() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
