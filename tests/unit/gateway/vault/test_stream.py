import io
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.vault import stream, stream_file
from gateway.vault.master import MasterKey
from gateway.vault.sealing import SealError
from gateway.vault.stream import CHUNK, MAGIC, Opened, StreamReader, StreamWriter, new_stream_key
from gateway.vault.stream_key import Header, header_for, key_from
from protocol.errors import InvalidInputError, StoreUnavailableError, WrongKeyError

KEY = bytes(range(32))
HEADER = Header(holds="test")
MASTER = MasterKey(bytes(range(1, 33)), "a test")
OTHER = MasterKey(bytes(range(2, 34)), "a test")
TAG = 16

contents = st.binary(max_size=200) | st.sampled_from([-1, 0, 1, 77]).map(lambda more: bytes(CHUNK + more))


def sealed(plain: bytes, *pieces: int, header: Header = HEADER, key: bytes = KEY) -> bytes:
    sink = io.BytesIO()
    writer = StreamWriter(sink, header, key)
    rest = plain
    for piece in pieces:
        writer.write(rest[:piece])
        rest = rest[piece:]
    writer.write(rest)
    writer.close()
    return sink.getvalue()


def opened(content: bytes, key: bytes = KEY, holds: str = "test") -> bytes:
    return b"".join(StreamReader(io.BytesIO(content), holds).chunks(key))


def split(content: bytes) -> tuple[bytes, list[bytes]]:
    """What comes before the chunks, and the chunks."""
    start = len(MAGIC) + 4 + int.from_bytes(content[len(MAGIC) : len(MAGIC) + 4]) + 16
    step = CHUNK + TAG
    return content[:start], [content[at : at + step] for at in range(start, len(content), step)]


@given(contents, st.lists(st.integers(0, 300), max_size=4))
def test_what_was_sealed_opens_again_however_it_was_written(plain: bytes, pieces: list[int]) -> None:
    assert opened(sealed(plain, *pieces)) == plain


@given(contents, st.integers(1, 3 * CHUNK))
def test_it_can_be_read_in_pieces_of_any_size(plain: bytes, size: int) -> None:
    reader = Opened(StreamReader(io.BytesIO(sealed(plain)), "test").chunks(KEY))
    pieces = list(iter(lambda: reader.read(max(size, 50)), b""))
    assert b"".join(pieces) == plain
    assert all(len(piece) <= max(size, 50) for piece in pieces)


@given(contents, st.data())
def test_a_flipped_bit_anywhere_is_found(plain: bytes, data: st.DataObject) -> None:
    content = bytearray(sealed(plain))
    at = data.draw(st.integers(0, min(len(content), 400) - 1) | st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealError):
        opened(bytes(content))


@given(contents, st.data())
def test_what_is_cut_off_or_grew_does_not_open_to_its_end(plain: bytes, data: st.DataObject) -> None:
    content = sealed(plain)
    with pytest.raises(SealError):
        opened(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(SealError):
        opened(content + data.draw(st.binary(min_size=1, max_size=40)))


@settings(max_examples=20)
@given(st.permutations(range(4)))
def test_chunks_open_in_their_order_alone(order: list[int]) -> None:
    plain = b"".join(bytes([number]) * CHUNK for number in range(4))
    prelude, chunks = split(sealed(plain))
    content = prelude + b"".join(chunks[number] for number in order)
    if order == [0, 1, 2, 3]:
        assert opened(content) == plain
    else:
        with pytest.raises(SealError):
            opened(content)


def test_what_came_before_damage_was_given_out_and_nothing_after() -> None:
    prelude, chunks = split(sealed(b"a" * CHUNK + b"b" * CHUNK + b"c"))
    reader = StreamReader(io.BytesIO(prelude + chunks[0] + chunks[2]), "test")
    found = list[bytes]()
    with pytest.raises(SealError):
        found.extend(reader.chunks(KEY))
    assert b"".join(found) == b"a" * CHUNK


def test_a_chunk_of_another_stream_under_the_same_key_is_found() -> None:
    (prelude, _), (_, chunks) = split(sealed(b"mine")), split(sealed(b"your"))
    with pytest.raises(SealError):
        opened(prelude + chunks[0])


def test_a_stream_cut_at_a_chunk_is_not_whole() -> None:
    prelude, chunks = split(sealed(bytes(2 * CHUNK)))
    assert len(chunks) == 2
    with pytest.raises(SealError):
        opened(prelude + chunks[0])
    with pytest.raises(SealError):
        opened(prelude)


def test_it_opens_as_what_it_is_and_with_its_key_alone() -> None:
    content = sealed(b"secret")
    with pytest.raises(SealError, match="it holds 'test', not 'backup'"):
        opened(content, holds="backup")
    with pytest.raises(SealError):
        opened(content, key=new_stream_key())


def test_the_header_belongs_to_the_stream() -> None:
    content = sealed(b"secret")
    assert b'"test"' in content
    with pytest.raises(SealError, match="damaged"):
        opened(content.replace(b'"test"', b'"tesT"'), holds="tesT")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PLANTAO",
        b"PLANTAOS\x02" + bytes(400),
        MAGIC + b"\xff\xff\xff\xff" + bytes(400),
        MAGIC + b"\0\0\0\x02{}" + bytes(400),
        MAGIC + b"\0\0\0\x04nope" + bytes(400),
    ],
)
def test_what_is_no_stream_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(SealError):
        opened(content)


@given(st.binary(max_size=300))
def test_no_bytes_at_all_break_it(content: bytes) -> None:
    for start in (b"", MAGIC, MAGIC + (2).to_bytes(4), MAGIC + (len(content) // 2).to_bytes(4)):
        with pytest.raises(SealError):
            opened(start + content)


def test_a_writer_that_was_not_closed_has_written_no_stream() -> None:
    sink = io.BytesIO()
    writer = StreamWriter(sink, HEADER, KEY)
    writer.write(bytes(CHUNK + 1))
    with pytest.raises(SealError):
        opened(sink.getvalue())


def test_numbers_are_not_used_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_MOST_CHUNKS", 2)
    writer = StreamWriter(io.BytesIO(), HEADER, KEY)
    with pytest.raises(SealError):
        writer.write(bytes(3 * CHUNK + 1))


# -- its key --


def test_the_master_key_opens_it_and_so_does_the_passphrase() -> None:
    header = header_for("backup", KEY, master=MASTER, passphrase="correct horse battery")
    assert key_from(header, masters=[OTHER, MASTER]) == KEY
    assert key_from(header, passphrase="correct horse battery") == KEY
    assert KEY.hex() not in msgspec.json.encode(header).decode()
    with pytest.raises(WrongKeyError, match="another passphrase"):
        key_from(header, masters=[MASTER], passphrase="correct horse batterY")
    with pytest.raises(WrongKeyError, match=f"{MASTER.id.hex()} or its passphrase"):
        key_from(header, masters=[OTHER])


def test_what_has_no_passphrase_says_so() -> None:
    with pytest.raises(WrongKeyError, match="without a passphrase"):
        key_from(header_for("backup", KEY, master=MASTER), passphrase="correct horse battery")
    with pytest.raises(WrongKeyError, match="kept elsewhere"):
        key_from(Header(holds="export"), masters=[MASTER])


def test_a_wrapped_key_serves_what_it_was_wrapped_for() -> None:
    header = header_for("backup", KEY, master=MASTER)
    with pytest.raises(SealError):
        key_from(msgspec.structs.replace(header, holds="export"), masters=[MASTER])


def test_a_short_passphrase_is_none() -> None:
    with pytest.raises(InvalidInputError, match="12 to 1024"):
        header_for("backup", KEY, passphrase="short")


def test_a_header_cannot_have_us_take_much_memory() -> None:
    (found,) = header_for("backup", KEY, passphrase="correct horse battery").keys
    dear = msgspec.structs.replace(found, n=1 << 20, r=32, p=4)
    with pytest.raises(SealError, match="more memory"):
        key_from(Header(holds="backup", keys=[dear]), passphrase="correct horse battery")


# -- its file --


async def test_a_file_is_opened_chunk_by_chunk(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    plain = bytes(2 * CHUNK + 5)
    path.write_bytes(sealed(plain))
    assert [len(chunk) async for chunk in stream_file.opened(path, "test", lambda _: KEY)] == [CHUNK, CHUNK, 5]


async def test_a_file_that_is_damaged_or_gone_says_which(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    with pytest.raises(StoreUnavailableError, match=str(path)):
        [chunk async for chunk in stream_file.opened(path, "test", lambda _: KEY)]
    path.write_bytes(sealed(b"secret")[:-1])
    with pytest.raises(StoreUnavailableError, match="damaged or cut off"):
        [chunk async for chunk in stream_file.opened(path, "test", lambda _: KEY)]
