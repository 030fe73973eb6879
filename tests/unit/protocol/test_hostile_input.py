"""Anybody's bytes: what is made of them is a value or one of our own errors, in a time that their length bounds."""

import re
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store import rows
from protocol.codec import decode, decode_raw, skim
from protocol.commands import MEDIA_URL_PATTERN, SendCommand, parse, salvage_id
from protocol.errors import InvalidBodyError, InvalidInputError
from protocol.ids import ADDRESS_PATTERN, COMMAND_ID_PATTERN, NAME_PATTERN, Address, is_name, mask

ODD = st.sampled_from(
    [
        b"\xc7\x0c\xff" + b"\xff" * 12,  # a timestamp far beyond the year 9999
        b"\xc7\x0c\xff" + b"\x00" * 4 + b"\x80" + b"\x00" * 7,  # and one far before the year 1
        b"\xd7\xff" + b"\xff" * 8,  # 2**30 nanoseconds and more
        b"\xc7\x05\xffabcde",  # a timestamp of five bytes
        b"\xd4\x05a",  # an extension that nobody knows
        b"\xcf" + b"\xff" * 8,
        b"\xd3\x80" + b"\x00" * 7,
        b"\xcb\x7f\xf8" + b"\x00" * 6,  # not a number
        b"\xcb\x7f\xf0" + b"\x00" * 6,  # infinity
        b"\xa2\xff\xfe",  # no UTF-8
        b"\xa3\xed\xa0\x80",  # a lone surrogate
        b"\x82\xa1a\x01\xa1a\x02",  # a key twice
        b"\x81\x01\x01",
        b"\x81\x90\x01",
        b"\x91" * 2000 + b"\xc0",
    ]
)
FIELDS = ["v", "id", "to", "type", "text", "media", "reply_to", "mentions", "from", "url", "data", "not_before", "meta"]
NAMES = st.sampled_from(FIELDS).map(msgspec.msgpack.encode)
VALUES = st.recursive(
    ODD | st.text(max_size=9).map(msgspec.msgpack.encode) | st.integers(-9, 9).map(msgspec.msgpack.encode),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: bytes([0x90 + len(items)]) + b"".join(items))
        | st.lists(st.tuples(NAMES | inner, inner), max_size=9).map(
            lambda items: bytes([0x80 + len(items)]) + b"".join(key + value for key, value in items)
        )
    ),
    max_leaves=15,
)
COMMAND = b"\xa1v\x01\xa2id\xa1a\xa2to\xad5511999999999\xa4type\xa4text\xa4text\xa1x"


@given(VALUES | st.binary(max_size=100))
def test_a_body_is_a_command_or_an_input_error(body: bytes) -> None:
    for read in (decode_raw, parse, lambda each: decode(each, SendCommand), lambda each: skim(each, SendCommand)):
        with suppress(InvalidInputError):
            read(body)
    salvage_id(body)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4))
def test_a_command_with_anything_in_it_can_be_echoed_or_is_refused(more: list[tuple[bytes, bytes]]) -> None:
    body = bytes([0x80 + 5 + len(more)]) + COMMAND + b"".join(key + value for key, value in more)
    with suppress(InvalidInputError):
        command = parse(body)
        msgspec.json.encode(command)
        rows.content_of(command)
        rows.pack(command)


@pytest.mark.parametrize(
    "body",
    [
        b'{"v":1e999}',
        b'{"v":' + b"9" * 100_000 + b"}",
        b'{"v":NaN}',
        b'{"v":Infinity}',
        b'{"id":"\\ud800"}',
        b'{"id":"\xff"}',
        b"[" * 100_000,
        b'{"meta":{"a":1e400}}',
    ],
)
def test_json_that_no_other_reader_could_take_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidBodyError):
        parse(body)


BLOBS: list[Any] = [rows._unpack_private, rows._unpack_result, rows._unpack_paired, rows._unpack_agreed]


@given(VALUES | st.binary(max_size=100))
def test_a_damaged_row_is_said_to_be_damaged(blob: bytes) -> None:
    for unpack in (*BLOBS, rows._unpack_inbound):
        with suppress(InvalidBodyError):
            rows._checked(unpack, blob)


@given(st.text(max_size=80) | st.text("./\\\0aA_-\u212a\u0131", max_size=70))
def test_a_name_that_is_taken_is_one_file_in_its_folder(text: str) -> None:
    if is_name(text):
        assert text.isascii()
        assert text == text.lower()
        assert text[0] not in ".-_"
        assert not set(text) & set("./\\\0\n ")
        assert len(text) <= 63


@pytest.mark.parametrize(
    "text", ["..", ".", "", ".restoring-x", "a/b", "a\0", "a\n", "A", "é", "\u212a", "x" * 64, "-rf", "a.b", "a b", "*"]
)
def test_no_name_leads_out_of_its_folder_or_to_what_is_reserved(text: str) -> None:
    assert not is_name(text)


PUMPS = ["a", "1", "-", ":", ".", "%", "[", "a.", "1-", "a:", "+", "@", "/", " ", "`", "'"]


@pytest.mark.parametrize("pattern", [NAME_PATTERN, COMMAND_ID_PATTERN, ADDRESS_PATTERN, MEDIA_URL_PATTERN])
@pytest.mark.parametrize("pump", PUMPS)
def test_patterns_take_no_more_steps_than_there_are_characters(pattern: str, pump: str) -> None:
    """No repetition of theirs is within another: each is a fixed sequence of classes, read once. A pattern that tries
    again would not end here before the test's own time is over."""
    for start in ("", "a", "1", "https://a", "5511@"):
        re.search(pattern, start + pump * 100_000 + "\n")


@pytest.mark.parametrize("pump", PUMPS)
def test_a_long_text_costs_its_length(pump: str) -> None:
    text = pump * 100_000 + "!"
    mask(text[:2000])
    with pytest.raises(InvalidInputError):
        Address.parse(text)


def test_the_times_of_a_command_are_within_what_can_be_told() -> None:
    with pytest.raises(InvalidBodyError):
        parse(bytes([0x86]) + COMMAND + b"\xaaexpires_at" + b"\xc7\x0c\xff" + b"\xff" * 12)
