"""Framing: whatever the pieces, the frames come out; whatever the garbage, nothing else does."""

from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.whatsapp.frames import (
    MAX_FRAME,
    Answered,
    Beat,
    Call,
    Ended,
    Frame,
    FrameDecoder,
    FrameError,
    FromPort,
    Grant,
    Happened,
    Holder,
    NotReady,
    Open,
    Outcome,
    Ready,
    Send,
    Stop,
    ToPort,
    pack,
)
from protocol.port import (
    Done,
    Failed,
    FetchMedia,
    LogOut,
    MediaFetched,
    PortSpec,
    Probe,
    Quote,
    SendMedia,
    SendReaction,
    SendText,
    Sent,
)
from protocol.port_events import (
    LONGEST_TEXT,
    Banned,
    Disconnected,
    LoggedOut,
    MediaReference,
    MessageReceived,
    PortEvent,
    QrShown,
    ReceiptReceived,
    Record,
)

AT = datetime(2026, 11, 21, 3, 4, 5, 678000, tzinfo=UTC)
WORDS = st.text(max_size=30)
NUMBERS = st.integers(min_value=0, max_value=2**31)

SECRETS = st.binary(min_size=32, max_size=32)

SENDS = st.one_of(
    st.builds(
        SendText,
        key=WORDS,
        secret=SECRETS,
        to=WORDS,
        text=WORDS,
        quote=st.none() | st.builds(Quote, wa_id=WORDS, author=WORDS),
    ),
    st.builds(
        SendMedia,
        key=WORDS,
        secret=SECRETS,
        to=WORDS,
        kind=st.just("image"),
        data=st.binary(max_size=200),
        mime=WORDS,
        caption=st.none() | WORDS,
    ),
    st.builds(SendReaction, key=WORDS, secret=SECRETS, to=WORDS, target=WORDS, from_me=st.booleans(), emoji=WORDS),
)
REQUESTS = st.one_of(
    st.builds(FetchMedia, reference=st.binary(max_size=50)),
    st.sampled_from([Probe(), LogOut()]),
)
TO_PORT = st.one_of(
    st.builds(Call, id=NUMBERS, request=REQUESTS),
    st.builds(Send, request=SENDS),
    st.builds(Grant, count=NUMBERS),
    st.sampled_from([Stop(), Beat()]),
    st.builds(
        Open,
        spec=st.builds(PortSpec, clinic=WORDS, channel=WORDS, incarnation=NUMBERS, store=WORDS, device_name=WORDS),
        beat_s=st.floats(0, 100),
        silence_s=st.floats(0, 100),
        credit=NUMBERS,
        main_pid=NUMBERS,
        main_started=NUMBERS,
    ),
)
MEDIA = MediaReference(
    kind="image", mime="image/png", size=3, sha256="aa", filename=None, caption=None, reference=b"\x00\xff"
)
MESSAGE = MessageReceived(
    wa_id="3A",
    chat="1@lid",
    sender="1@lid",
    sender_phone="5511",
    sender_lid="1@lid",
    push_name=None,
    is_group=False,
    from_me=False,
    backlog=True,
    at=AT,
    type="image",
    media=MEDIA,
    quote=Quote(wa_id="3B", author="2@lid"),
)
FROM_PORT: list[Frame] = [
    Ready(),
    NotReady(reason="no", holder=Holder(pid=1, main_pid=2, main_started=3)),
    Outcome(key="1:a", answer=Sent(wa_id="3A", at=AT), record=2**33),
    Outcome(key="1:b", answer=Failed(code="rejected", message="no"), record=None),
    Answered(id=2, answer=Failed(code="rejected", message="no")),
    Answered(id=3, answer=MediaFetched(data=bytes(range(256)))),
    Answered(id=4, answer=Done()),
    Happened(event=Record(number=1, what=MESSAGE)),
    Happened(event=QrShown(code="2@x", valid_s=60.0)),
    Happened(event=Disconnected()),
    Happened(event=Record(number=2**40, what=ReceiptReceived(wa_ids=["a"], chat="c", sender="s", kind="read", at=AT))),
    Ended(reason="stopped"),
    Beat(),
]


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.lists(TO_PORT, max_size=8), st.lists(NUMBERS, max_size=20))
def test_frames_come_out_whole_however_the_stream_is_cut(frames: list[ToPort], places: list[int]) -> None:
    stream = b"".join(pack(frame) for frame in frames)
    decoder = FrameDecoder[ToPort](ToPort)  # type: ignore[arg-type]  # a union is no type[]
    assert [frame for piece in cut(stream, places) for frame in decoder.feed(piece)] == frames


def test_frames_come_out_whole_byte_by_byte() -> None:
    decoder = FrameDecoder[FromPort](FromPort)  # type: ignore[arg-type]  # a union is no type[]
    stream = b"".join(pack(frame) for frame in FROM_PORT)
    assert [frame for byte in stream for frame in decoder.feed(bytes([byte]))] == FROM_PORT


@given(st.binary(max_size=300), st.lists(NUMBERS, max_size=5))
def test_garbage_gives_nothing_but_frames_or_an_error(garbage: bytes, places: list[int]) -> None:
    decoder = FrameDecoder[ToPort](ToPort, limit=64)  # type: ignore[arg-type]  # a union is no type[]
    try:
        for piece in cut(garbage, places):
            for frame in decoder.feed(piece):
                assert isinstance(frame, ToPort)
    except FrameError:
        with pytest.raises(FrameError):
            list(decoder.feed(b""))


def test_a_length_beyond_the_limit_is_refused_before_the_body_comes() -> None:
    decoder = FrameDecoder[ToPort](ToPort)  # type: ignore[arg-type]  # a union is no type[]
    with pytest.raises(FrameError, match="at most"):
        list(decoder.feed((MAX_FRAME + 1).to_bytes(4, "big")))


def test_frames_before_the_broken_one_are_not_lost() -> None:
    decoder = FrameDecoder[ToPort](ToPort)  # type: ignore[arg-type]  # a union is no type[]
    frames = decoder.feed(pack(Beat()) + b"\x00\x00\x00\x01\xc1")
    assert next(frames) == Beat()
    with pytest.raises(FrameError):
        next(frames)


def test_a_frame_of_the_other_direction_is_not_accepted() -> None:
    decoder = FrameDecoder[ToPort](ToPort)  # type: ignore[arg-type]  # a union is no type[]
    with pytest.raises(FrameError):
        list(decoder.feed(pack(Ready())))


def values() -> st.SearchStrategy[object]:
    """Anything that msgpack can say, timestamps and extensions among it."""
    odd = [msgspec.msgpack.Ext(-1, b"\xff" * 12), msgspec.msgpack.Ext(5, b"x"), float("nan"), float("inf"), 2**64 - 1]
    leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | WORDS | st.binary(max_size=9)
    names = st.sampled_from(
        ["frame", "event", "tag", "what", "at", "id", "answer", "number", "wa_id", "reason", "code"]
    )
    tags = st.sampled_from(["Happened", "Record", "MessageReceived", "QrShown", "Banned", "Ended", "Outcome", "Sent"])
    return st.recursive(
        leaves | tags | st.sampled_from(odd),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
        max_leaves=12,
    )


@given(values())
def test_any_msgpack_is_a_frame_or_an_error(value: object) -> None:
    decoder = FrameDecoder[FromPort](FromPort)  # type: ignore[arg-type]  # a union is no type[]
    body = msgspec.msgpack.encode(value)
    with suppress(FrameError):
        for frame in decoder.feed(len(body).to_bytes(4, "big") + body):
            assert isinstance(frame, FromPort)


@pytest.mark.parametrize(
    "event",
    [
        QrShown(code="2@x", valid_s=float("inf")),
        QrShown(code="2@x", valid_s=float("nan")),
        QrShown(code="2@x", valid_s=-1.0),
        QrShown(code="x" * 3000, valid_s=1.0),
        Banned(code=1, expires_in_s=1e300),
        LoggedOut(reason="x" * 3000),
        Record(number=2**63, what=MESSAGE),
        Record(number=1, what=replace(MESSAGE, at=datetime(2026, 1, 1))),
        Record(number=1, what=replace(MESSAGE, text="x" * (LONGEST_TEXT + 1))),
        Record(number=1, what=replace(MESSAGE, push_name="x" * 257)),
    ],
    ids=lambda event: type(event).__name__,
)
def test_values_that_the_actor_could_not_take_do_not_reach_it(event: PortEvent) -> None:
    decoder = FrameDecoder[FromPort](FromPort)  # type: ignore[arg-type]  # a union is no type[]
    with pytest.raises(FrameError):
        list(decoder.feed(pack(Happened(event=event))))
