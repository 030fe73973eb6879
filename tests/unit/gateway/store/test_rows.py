from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.rows import content_of, micros, moment
from protocol.codec import Encoding, decode, encode
from protocol.commands import SendCommand

COMMAND = SendCommand(v=1, id="a", to="5511987654321", type="text", text="Olá")

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=offsets)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
metas = st.dictionaries(st.text(), plain, max_size=4)


@given(times)
def test_a_time_comes_back_as_the_same_instant(at: datetime) -> None:
    assert moment(micros(at)) == at
    assert moment(micros(at)).tzinfo is UTC


@given(times, times)
def test_times_compare_as_their_numbers_do(one: datetime, other: datetime) -> None:
    assert (one < other) == (micros(one) < micros(other))


@given(metas, st.sampled_from(Encoding))
def test_content_does_not_depend_on_encoding_or_order(meta: dict[str, Any], encoding: Encoding) -> None:
    command = msgspec.structs.replace(COMMAND, meta=meta)
    turned = msgspec.structs.replace(COMMAND, meta=dict(reversed(meta.items())))
    assert content_of(decode(encode(turned, encoding), SendCommand)) == content_of(command)


@given(metas, metas)
def test_content_is_the_same_only_for_the_same_meta(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = content_of(msgspec.structs.replace(COMMAND, meta=one)) == content_of(
        msgspec.structs.replace(COMMAND, meta=other)
    )
    assert same == (
        msgspec.json.encode(one, order="deterministic") == msgspec.json.encode(other, order="deterministic")
    )


@given(times, offsets)
def test_content_holds_the_instant_and_not_its_offset(at: datetime, offset: timezone) -> None:
    elsewhere = msgspec.structs.replace(COMMAND, expires_at=at.astimezone(offset))
    assert content_of(elsewhere) == content_of(msgspec.structs.replace(COMMAND, expires_at=at))


@pytest.mark.parametrize(
    "body",
    [
        b'{"v": 1, "id": "a", "to": "5511987654321", "type": "text", "text": "Ol\\u00e1"}',
        b'{"text": "Ol\xc3\xa1", "type": "text", "to": "5511987654321", "id": "a", "v": 1}',
        b'{"v": 1, "id": "a", "to": "5511987654321", "type": "text", "text": "Ol\xc3\xa1", "later": 1, "meta": null}',
        b'{"id": "a", "to": "5511987654321", "type": "text", "text": "Ol\xc3\xa1", "mentions": [], "v": 1}',
    ],
)
def test_content_is_what_a_body_says_and_not_how(body: bytes) -> None:
    assert content_of(decode(body, SendCommand)) == content_of(COMMAND)


OTHERS: list[dict[str, Any]] = [
    {"id": "b"},
    {"to": "5511987654322"},
    {"type": "edit"},
    {"text": "Olá "},
    {"text": None},
    {"text": ""},
    {"media": {"data": "AA=="}},
    {"media": {"object": "AA=="}},
    {"media": {"data": "AA==", "voice": True}},
    {"reply_to": {"id": "x"}},
    {"reply_to": {"id": "x", "from": "5511987654321"}},
    {"mentions": ["5511987654321"]},
    {"target": "x"},
    {"not_before": "2026-11-20T12:00:00Z"},
    {"expires_at": "2026-11-20T12:00:00Z"},
    {"deliver_by": "2026-11-20T12:00:00Z"},
    {"on_uncertain": "hold"},
    {"on_uncertain": "resend"},
    {"meta": {}},
    {"meta": {"a": None}},
    {"meta": {"a": False}},
    {"meta": {"a": []}},
]


def test_every_field_is_part_of_the_content() -> None:
    fields = msgspec.to_builtins(COMMAND)
    variants = [decode(encode({**fields, **change}, Encoding.JSON), SendCommand) for change in OTHERS]
    assert {field for change in OTHERS for field in change} == set(SendCommand.__struct_fields__) - {"v"}
    assert len({content_of(command) for command in [COMMAND, *variants]}) == len(OTHERS) + 1


def test_content_stays_the_same_from_one_version_to_the_next() -> None:
    assert content_of(COMMAND).hex() == "efdc92d58f79e0e15b9bd3f464fa81bd"
