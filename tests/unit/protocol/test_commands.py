import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import Encoding, decode, encode
from protocol.commands import (
    MAX_INLINE_MEDIA,
    MAX_META,
    MAX_META_BYTES,
    MAX_META_VALUES,
    MAX_TEXT,
    SUPPORTED_TYPES,
    Media,
    ReplyTo,
    SendCommand,
    parse,
    salvage_id,
    unsupported,
    utc_now,
)
from protocol.errors import InvalidBodyError, InvalidInputError
from protocol.events import ResultEvent
from tests.unit.protocol.shapes import json_values, values_of

PHONE = "5511987654321"
TEXT: dict[str, Any] = {"v": 1, "id": "a", "to": PHONE, "type": "text", "text": "Olá"}
IMAGE: dict[str, Any] = {"v": 1, "id": "a", "to": PHONE, "type": "image", "media": {"object": "key"}}
AUDIO: dict[str, Any] = {"v": 1, "id": "a", "to": PHONE, "type": "audio", "media": {"object": "key"}}
VIDEO: dict[str, Any] = {**AUDIO, "type": "video"}
DOCUMENT: dict[str, Any] = {**AUDIO, "type": "document", "media": {"object": "key", "filename": "exame.pdf"}}
REACTION: dict[str, Any] = {"v": 1, "id": "a", "to": PHONE, "type": "reaction", "text": "👍", "target": "3EB0"}

encodings = pytest.mark.parametrize("encoding", Encoding)
anything = json_values | st.binary(max_size=5) | st.just(msgpack.Timestamp(1)) | st.just(msgpack.ExtType(5, b"x"))


def without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"deeper": value}
    return value


def command(**fields: Any) -> SendCommand:
    return parse(encode({**TEXT, **fields}, Encoding.JSON))


def refusal(body: bytes) -> InvalidInputError | None:
    """Why ``parse`` refuses ``body``; None if it takes it."""
    try:
        parse(body)
    except InvalidInputError as error:
        return error
    return None


def refused_field(body: bytes) -> str | None:
    """The field for which ``parse`` refuses ``body``; None if it takes it."""
    error = refusal(body)
    return error.field if error else None


# -- what is taken --


@pytest.mark.parametrize(
    "fields",
    [
        TEXT,
        IMAGE,
        AUDIO,
        {**AUDIO, "media": {"object": "key", "voice": True}},
        VIDEO,
        {**VIDEO, "media": {"object": "key", "caption": "Exame", "filename": "exame.mp4"}},
        DOCUMENT,
        REACTION,
        {**REACTION, "text": ""},
        {**TEXT, "not_before": "2026-11-20T12:00:00Z", "deliver_by": "2026-11-20T13:00:00Z"},
    ],
)
@encodings
def test_a_valid_command_is_taken_in_both_encodings(fields: dict[str, Any], encoding: Encoding) -> None:
    parsed = parse(encode(fields, encoding))
    assert (parsed.id, parsed.to, parsed.type) == (fields["id"], fields["to"], fields["type"])
    assert str(parsed.address) == f"{PHONE}@s.whatsapp.net"
    assert unsupported(parsed) is None


@pytest.mark.parametrize("to", ["+5511987654321", f"{PHONE}@s.whatsapp.net", "123456789@lid", "5511-160000@g.us"])
def test_every_form_of_address_is_taken(to: str) -> None:
    assert command(to=to).to == to


@given(values_of(SendCommand), st.sampled_from(Encoding))
def test_a_command_is_taken_whole_or_refused_by_name(value: SendCommand, encoding: Encoding) -> None:
    body = encode(value, encoding)
    field = refused_field(body)
    if field is None:
        assert parse(body) == value
    else:
        assert field.split(".")[0].split("[")[0] in {*SendCommand.__struct_fields__, "body"}


@given(st.sampled_from(sorted(SendCommand.__struct_fields__)), anything)
def test_what_is_taken_can_be_written_again_in_both_encodings(field: str, value: Any) -> None:
    body = msgpack.packb({**TEXT, field: value})
    if refused := refused_field(body):
        assert refused.startswith(field) or refused in ("text", "media", "target")
        return
    parsed = parse(body)
    result = ResultEvent(clinic="acme", channel="recepcao", id=parsed.id, status="sent", meta=parsed.meta)
    for encoding in Encoding:
        encode(result, encoding)
        encode(parsed, encoding)
    assert decode(encode(parsed), SendCommand) == parsed
    assert decode(encode(result), ResultEvent) == result


# -- what is refused --

WRONG: list[tuple[str, dict[str, Any]]] = [
    ("v", without(TEXT, "v")),
    ("v", {**TEXT, "v": 2}),
    ("v", {**TEXT, "v": "1"}),
    ("id", without(TEXT, "id")),
    *(("id", {**TEXT, "id": each}) for each in ("", "a b", "a\n", "ação", "a.b", "a*", "a>", "x" * 129, 7, None)),
    ("to", without(TEXT, "to")),
    *(
        ("to", {**TEXT, "to": to})
        for to in ("", "12", "x" * 65, "+55 11", "a@s.whatsapp.net", f"{PHONE}@evil", 5, None)
    ),
    ("type", without(TEXT, "type")),
    ("type", {**TEXT, "type": "fax"}),
    ("text", without(TEXT, "text")),
    ("text", {**TEXT, "text": ""}),
    ("text", {**TEXT, "text": None}),
    ("text", {**TEXT, "text": 5}),
    ("text", {**TEXT, "text": "x" * (MAX_TEXT + 1)}),
    ("text", without(REACTION, "text")),
    ("text", {**TEXT, "type": "edit", "text": ""}),
    ("media", without(IMAGE, "media")),
    ("media", {**IMAGE, "media": {}}),
    ("media", {**IMAGE, "media": {"object": "a", "url": "https://example.org/"}}),
    ("media", {**IMAGE, "media": "a"}),
    ("media.object", {**IMAGE, "media": {"object": ""}}),
    ("media.object", {**IMAGE, "media": {"object": "x" * 257}}),
    ("media.url", {**IMAGE, "media": {"url": "x" * 2049}}),
    ("media.url", {**IMAGE, "media": {"url": "ftp://example.org/"}}),
    ("media.url", {**IMAGE, "media": {"url": "https://user:pw@example.org/"}}),
    ("media.data", {**IMAGE, "media": {"data": 5}}),
    ("media.mime", {**IMAGE, "media": {"object": "a", "mime": "image"}}),
    ("media.mime", {**IMAGE, "media": {"object": "a", "mime": "image/png\n"}}),
    ("media.filename", {**IMAGE, "media": {"object": "a", "filename": ""}}),
    ("media.caption", {**IMAGE, "media": {"object": "a", "caption": "x" * (MAX_TEXT + 1)}}),
    ("media.voice", {**IMAGE, "media": {"object": "a", "voice": "yes"}}),
    *(("media.voice", {**each, "media": {**each["media"], "voice": True}}) for each in (IMAGE, VIDEO, DOCUMENT)),
    ("media.filename", {**DOCUMENT, "media": {"object": "a"}}),
    ("media.caption", {**AUDIO, "media": {"object": "a", "caption": "Exame"}}),
    ("media.caption", {**AUDIO, "type": "sticker", "media": {"object": "a", "caption": "Exame"}}),
    ("reply_to.id", {**TEXT, "reply_to": {}}),
    ("reply_to.id", {**TEXT, "reply_to": {"id": ""}}),
    ("reply_to.from", {**TEXT, "reply_to": {"id": "x", "from": "somebody"}}),
    ("mentions", {**TEXT, "mentions": PHONE}),
    ("mentions", {**TEXT, "mentions": [PHONE] * 257}),
    ("mentions[1]", {**TEXT, "mentions": [PHONE, 5]}),
    ("mentions[1]", {**TEXT, "mentions": [PHONE, "somebody"]}),
    ("target", without(REACTION, "target")),
    ("target", {**REACTION, "target": ""}),
    ("target", {**TEXT, "type": "revoke"}),
    *((field, {**TEXT, field: at}) for field in ("not_before", "expires_at", "deliver_by") for at in ("soon", 5)),
    *((field, {**TEXT, field: "2026-11-20T12:00:00"}) for field in ("not_before", "expires_at", "deliver_by")),
    *(
        (field, {**TEXT, "not_before": "2026-11-20T12:00:00Z", field: at})
        for field in ("expires_at", "deliver_by")
        for at in ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00+01:00")
    ),
    ("on_uncertain", {**TEXT, "on_uncertain": "shrug"}),
    ("meta", {**TEXT, "meta": [1]}),
    ("meta", {**TEXT, "meta": nested(MAX_META + 1)}),
    ("meta", {**TEXT, "meta": {"a": "x" * MAX_META_BYTES}}),
    ("meta", {**TEXT, "meta": {"a": [0] * MAX_META_VALUES}}),
    ("meta", {**TEXT, "meta": {f"{n}": {"a": 1} for n in range(MAX_META_VALUES // 2 + 1)}}),
    ("body", {}),
]


@pytest.mark.parametrize(("field", "fields"), WRONG[:-1])
@encodings
def test_the_error_names_the_wrong_field(field: str, fields: dict[str, Any], encoding: Encoding) -> None:
    with pytest.raises(InvalidInputError, match="expected") as caught:
        parse(encode(fields, encoding))
    assert caught.value.field == field


def test_every_field_is_tried_above() -> None:
    tried = {field.split(".")[0].split("[")[0] for field, _ in WRONG}
    assert tried >= set(SendCommand.__struct_fields__)
    assert {field for field, _ in WRONG} >= {f"media.{name}" for name in Media.__struct_fields__}


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xc0", b"\x93\x01\x02\x03", b"{", b"text", b"\xef\xbb\xbf{}"])
def test_what_is_no_map_is_an_invalid_body(body: bytes) -> None:
    with pytest.raises(InvalidBodyError) as caught:
        parse(body)
    assert caught.value.field == "body"


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, msgpack.Timestamp(1), msgpack.ExtType(5, b"x"), {b"bytes": 1}, [[{b"k": 1}]]],
)
def test_meta_holds_only_what_can_be_echoed(value: Any) -> None:
    with pytest.raises(InvalidBodyError) as caught:
        parse(msgpack.packb({**TEXT, "meta": {"a": value}}))
    assert caught.value.field == "meta"


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30])
def test_a_number_in_meta_fits_64_bits(number: int) -> None:
    with pytest.raises(InvalidBodyError) as caught:
        parse(msgspec.json.encode({**TEXT, "meta": {"a": 0}}).replace(b'"a":0', b'"a":%d' % number))
    assert caught.value.field.startswith("meta")


@encodings
@pytest.mark.parametrize(
    "fields",
    [
        {"meta": {"a": [[]] * 300_000}},
        {"zzz": [[]] * 300_000},
        {"text": [[]] * 300_000},
        {"type": "image", "media": {"data": [[]] * 300_000}},
        {"type": "image", "media": {"object": "x", "zzz": [[]] * 300_000}},
    ],
    ids=["meta", "unknown", "text", "data", "unknown in media"],
)
def test_a_body_of_very_many_values_is_refused_before_they_are_built(
    monkeypatch: pytest.MonkeyPatch, encoding: Encoding, fields: dict[str, Any]
) -> None:
    body = encode({**TEXT, **fields}, encoding)
    monkeypatch.setattr("protocol.commands.decode", None)
    with pytest.raises(InvalidBodyError, match=r"beside text, caption and media\.data"):
        parse(body)
    assert salvage_id(body) == TEXT["id"]


@encodings
def test_what_a_body_may_be_large_for_is_taken(encoding: Encoding) -> None:
    assert parse(encode({**TEXT, "text": "ã" * MAX_TEXT}, encoding)).text == "ã" * MAX_TEXT
    media = {"mime": "image/png", "data": b"x" * MAX_INLINE_MEDIA, "caption": "ã" * MAX_TEXT}
    assert parse(encode({**TEXT, "type": "image", "media": media}, encoding)).media is not None
    meta = {"a": "\x00" * (MAX_META_BYTES - 100)}
    assert parse(encode({**TEXT, "text": "ã" * MAX_TEXT, "meta": {"a": "ã" * 32_000}}, encoding)).meta is not None
    assert encoding is Encoding.JSON or parse(encode({**TEXT, "meta": meta}, encoding)).meta == meta


def test_meta_at_its_limits_is_taken() -> None:
    assert command(meta=nested(MAX_META)).meta == nested(MAX_META)
    assert command(meta={"a": 2**64 - 1, "b": -(2**63), "c": [None, True, 1.5, "x"]}).meta is not None
    room = MAX_META_BYTES - len(encode({"a": "x" * 60_000})) + 60_000
    assert command(meta={"a": "x" * room}).meta == {"a": "x" * room}
    many = {"a": [1] * (MAX_META_VALUES // 2 - 1), "b": {f"{n}": 1 for n in range(MAX_META_VALUES // 2 - 1)}}
    assert command(meta=many).meta == many


def test_inline_media_has_a_limit() -> None:
    whole = {**IMAGE, "media": {"data": bytes(MAX_INLINE_MEDIA)}}
    assert parse(encode(whole)).media == Media(data=bytes(MAX_INLINE_MEDIA))
    with pytest.raises(InvalidBodyError) as caught:
        parse(encode({**IMAGE, "media": {"data": bytes(MAX_INLINE_MEDIA + 1)}}))
    assert caught.value.field == "media.data"


@given(
    st.from_regex(r"[1-9][0-9]{9,14}", fullmatch=True),
    st.sampled_from(sorted(SendCommand.__struct_fields__)),
    json_values,
)
def test_no_error_tells_the_recipient(phone: str, field: str, value: Any) -> None:
    for wrong in (
        {field: value},
        {field: phone},
        {field: int(phone)},
        {field: [phone, f"{phone}@evil"]},
        {"to": f"x{phone}"},
    ):
        assert phone not in str(refusal(encode({**TEXT, "to": phone, **wrong}, Encoding.JSON)))


# -- the id of what was refused --


@pytest.mark.parametrize(("field", "fields"), [each for each in WRONG if each[0] not in ("id", "body")])
@encodings
def test_the_id_of_a_refused_command_is_salvaged(field: str, fields: dict[str, Any], encoding: Encoding) -> None:
    assert salvage_id(encode(fields, encoding)) == "a"


@pytest.mark.parametrize(("field", "fields"), [each for each in WRONG if each[0] in ("id", "body")])
@encodings
def test_an_id_that_is_none_is_not_salvaged(field: str, fields: dict[str, Any], encoding: Encoding) -> None:
    assert salvage_id(encode(fields, encoding)) is None


@given(st.binary(max_size=100))
def test_nothing_is_salvaged_from_garbage(body: bytes) -> None:
    assert salvage_id(body) is None
    assert salvage_id(b"[" * 100_000) is None


# -- what this version cannot do --


@pytest.mark.parametrize("kind", ["sticker", "location", "contact", "poll", "edit", "revoke"])
def test_a_type_that_is_not_supported_is_named(kind: str) -> None:
    assert kind not in SUPPORTED_TYPES
    said = unsupported(command(type=kind, media={"object": "a"}, target="x"))
    assert said == f"type {kind} (supported: audio, document, image, reaction, text, video)"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mentions": [PHONE]}, "mentions"),
    ],
)
def test_a_promise_that_cannot_be_kept_is_named(fields: dict[str, Any], said: str) -> None:
    assert (unsupported(command(**fields)) or "").startswith(said)


def test_what_needs_no_promise_is_supported() -> None:
    taken = command(reply_to={"id": "x", "from": PHONE}, expires_at="2026-11-20T12:00:00-03:00", meta={"a": 1})
    assert taken.reply_to == ReplyTo(id="x", from_=PHONE)
    assert unsupported(taken) is None


def test_a_command_is_expired_from_its_instant_on() -> None:
    at = datetime(2026, 11, 20, 15, tzinfo=UTC)
    taken = command(expires_at="2026-11-20T12:00:00-03:00")
    assert [taken.expired(at + timedelta(microseconds=n)) for n in (-1, 0, 1)] == [False, True, True]
    assert not command().expired(at)


def test_the_present_has_an_offset() -> None:
    assert utc_now().tzinfo is UTC
