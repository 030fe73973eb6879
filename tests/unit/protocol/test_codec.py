import json
from contextlib import suppress
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import channel, commands, events, port, port_events
from protocol.codec import MAX_BODY, Encoding, decode, decode_raw, encode, encoding_of
from protocol.commands import SendCommand
from protocol.errors import InvalidBodyError
from tests.unit.protocol.shapes import json_values, values_of


def subclasses(base: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    return [each for child in base.__subclasses__() for each in (child, *subclasses(child))]


BODIES = [
    SendCommand,
    commands.Media,
    commands.ReplyTo,
    *subclasses(events.Event),
    *subclasses(port.PortMessage),
    port.PortSpec,
    channel.ClinicRecord,
    channel.ChannelRecord,
    channel.ClinicSnapshot,
    channel.ChannelSnapshot,
    channel.QrCode,
    channel.PairingCode,
]

encodings = pytest.mark.parametrize("encoding", Encoding)
kinds = pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)


@kinds
@encodings
@settings(max_examples=20)
@given(data=st.data())
def test_what_is_written_is_read_again(kind: type[msgspec.Struct], encoding: Encoding, data: st.DataObject) -> None:
    value = data.draw(values_of(kind))
    body = encode(value, encoding)
    assert encoding_of(body) is encoding
    assert decode(body, kind) == value


@encodings
@given(data=st.data())
def test_a_message_of_a_port_is_told_from_the_others(encoding: Encoding, data: st.DataObject) -> None:
    value = data.draw(values_of(port_events.PortEvent))
    read: Any = decode(encode(value, encoding), port_events.PortEvent)  # type: ignore[arg-type]
    assert read == value
    assert type(read) is type(value)


@given(values_of(SendCommand))
def test_unknown_fields_are_ignored(command: SendCommand) -> None:
    for encoding in Encoding:
        fields = decode_raw(encode(command, encoding))
        assert decode(encode({**fields, "new": [1, {"x": None}]}, encoding), SendCommand) == command


@given(st.binary(max_size=200))
def test_garbage_is_an_invalid_body_and_nothing_else(body: bytes) -> None:
    for kind in (SendCommand, events.ResultEvent):
        with pytest.raises(InvalidBodyError):
            decode(body, kind)
    with suppress(InvalidBodyError):
        decode_raw(body)


@given(values_of(SendCommand), st.sampled_from(Encoding), st.data())
def test_a_body_with_wrong_bytes_is_read_or_refused(
    command: SendCommand, encoding: Encoding, data: st.DataObject
) -> None:
    body = bytearray(encode(command, encoding))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    with suppress(InvalidBodyError):
        assert isinstance(decode(cut, SendCommand), SendCommand)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=3))
def test_the_first_byte_tells_the_encoding_of_a_map(value: dict[str, Any]) -> None:
    assert encoding_of(encode(value, Encoding.JSON)) is Encoding.JSON
    assert encoding_of(encode(value, Encoding.MSGPACK)) is Encoding.MSGPACK
    assert encoding_of(b" \r\n\t" + json.dumps(value).encode()) is Encoding.JSON
    assert encoding_of(b"") is Encoding.MSGPACK


def bomb(levels: int, encoding: Encoding) -> bytes:
    if encoding is Encoding.JSON:
        return b'{"a":' * levels + b"1" + b"}" * levels
    return b"\x81\xa1a" * levels + b"\x01"


@encodings
@pytest.mark.parametrize("levels", [2_000, 100_000])
def test_a_body_that_is_nested_without_an_end_is_refused(encoding: Encoding, levels: int) -> None:
    with pytest.raises(InvalidBodyError, match="body: expected a msgpack map or a JSON object"):
        decode_raw(bomb(levels, encoding))
    with pytest.raises(InvalidBodyError):
        decode(bomb(levels, encoding), SendCommand)


@pytest.mark.parametrize("read", [decode_raw, lambda body, **more: decode(body, SendCommand, **more)])
def test_a_body_over_the_limit_is_refused_unread(read: Any) -> None:
    with pytest.raises(InvalidBodyError, match=r"body: expected at most 1048576 bytes, got 1048577"):
        read(b"{" + b" " * MAX_BODY)
    with pytest.raises(InvalidBodyError, match="at most 9 bytes, got 10"):
        read(b"{        }", limit=9)
    assert decode_raw(b"{}".ljust(MAX_BODY)) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"\xdf\xff\xff\xff\xff",  # a map of four thousand million entries
        b"\xdd\xff\xff\xff\xff",  # such an array
        b"\xc6\xff\xff\xff\xff",  # such bytes
        b"\xdb\xff\xff\xff\xff",  # such text
    ],
)
def test_a_body_that_promises_more_than_it_holds_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidBodyError):
        decode_raw(body)


@pytest.mark.parametrize(
    ("fields", "field", "expected"),
    [
        ({}, "clinic", "a value: it is required"),
        ({"clinic": 1}, "clinic", "`str`, got `int`"),
        ({"clinic": "a", "channel": "b"}, "id", "a value: it is required"),
        ({"v": 2}, "v", "one of 1; got '2'"),
        ({"status": "gone"}, "status", "one of expired, failed, held, late, sent; got 'gone'"),
        ({"error": {"code": "internal"}}, "error.message", "a value: it is required"),
        ({"queued_at": "yesterday"}, "queued_at", "a valid value: invalid RFC3339 encoded datetime"),
    ],
)
@encodings
def test_the_error_names_the_field_and_what_was_expected(
    encoding: Encoding, fields: dict[str, Any], field: str, expected: str
) -> None:
    with pytest.raises(InvalidBodyError) as caught:
        decode(encode(fields, encoding), events.ResultEvent)
    assert (caught.value.field, caught.value.expected) == (field, expected)


def test_the_error_for_an_entry_names_its_map_and_not_its_key() -> None:
    with pytest.raises(InvalidBodyError, match=r"^body\b|^\[\.\.\.\]"):
        decode(b'{"5511987654321": 1}', dict[str, str])
    with pytest.raises(InvalidBodyError) as caught:
        decode(
            msgpack.packb({"meta": {b"5511987654321": 1}, "v": 1, "id": "a", "to": "x", "type": "text"}), SendCommand
        )
    assert caught.value.field == "meta"
    assert "5511987654321" not in str(caught.value)


def test_a_value_that_is_not_known_is_shown_short_and_without_its_digits() -> None:
    with pytest.raises(InvalidBodyError) as caught:
        decode(b'{"status": "+55 11 98765-4321 ' + b"x" * 10_000 + b'"}', events.ResultEvent)
    assert len(str(caught.value)) < 200
    assert "+** ** *****-**21" in str(caught.value)


def test_bytes_are_bytes_in_msgpack_and_base64_in_json() -> None:
    media = commands.Media(data=b"\x00\xff")
    assert msgpack.unpackb(encode(media))["data"] == b"\x00\xff"
    assert json.loads(encode(media, Encoding.JSON))["data"] == "AP8="


@given(json_values | st.binary())
def test_what_is_packed_is_what_msgpack_would_pack(value: Any) -> None:
    assert encode(value) == msgpack.packb(value)


def test_content_types_are_those_of_the_encodings() -> None:
    assert Encoding.JSON.content_type == "application/json"
    assert Encoding.MSGPACK.content_type == "application/msgpack"
