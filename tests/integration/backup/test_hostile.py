"""Archives that somebody made who has the key, and means no good: refused, and nothing was touched."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from gateway.backup.archive_file import HOLDS, reading
from gateway.backup.records import Closing, Database, Keys, Manifest, Record, Registry, Snapshot
from gateway.vault.stream import StreamWriter, new_stream_key
from gateway.vault.stream_key import header_for, key_from
from protocol.backup import ClinicContents
from protocol.jobs import JobState
from tests.integration.backup.bed import CREATED, MASTER, Bed, clinics_left
from tests.integration.backup.test_restore import fill
from tests.integration.store.samples import offer

Parts = list[tuple[Record, bytes]]


def opened(path: Path) -> Parts:
    """All records of an archive but the last, with what belongs to them."""
    with reading(path, lambda header: key_from(header, masters=[MASTER])) as reader:
        return [(record, b"".join(reader.pieces())) for record in reader.records()][:-1]


def sealed(parts: Parts, path: Path, *, holds: str = HOLDS) -> None:
    """An archive of whatever it is, with an end that fits it."""
    content = b""
    for record, data in parts:
        header = msgspec.json.encode(record)
        content += len(header).to_bytes(4) + header
        for at in range(0, len(data), 1 << 20):
            piece = data[at : at + (1 << 20)]
            content += len(piece).to_bytes(4) + piece
        content += bytes(4)
    end = Closing(records=len(parts), bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    header = msgspec.json.encode(end)
    content += len(header).to_bytes(4) + header + bytes(4)
    key = new_stream_key()
    with path.open("wb") as file:
        writer = StreamWriter(file, header_for(holds, key, master=MASTER), key)
        writer.write(content)
        writer.close()


def with_content(kind: type, change: Callable[[bytes], bytes]) -> Callable[[Parts], Parts]:
    return lambda parts: [
        (record, change(content) if isinstance(record, kind) else content) for record, content in parts
    ]


def of_another_clinic(content: bytes) -> bytes:
    contents = msgspec.json.decode(content, type=ClinicContents)
    return msgspec.json.encode(
        msgspec.structs.replace(contents, record=msgspec.structs.replace(contents.record, id="south"))
    )


def with_anothers_channel(content: bytes) -> bytes:
    contents = msgspec.json.decode(content, type=ClinicContents)
    channel = msgspec.structs.replace(contents.channels[0], clinic="south")
    return msgspec.json.encode(msgspec.structs.replace(contents, channels=[channel]))


def without_channels(content: bytes) -> bytes:
    contents = msgspec.json.decode(content, type=ClinicContents)
    return msgspec.json.encode(msgspec.structs.replace(contents, channels=[]))


def of_the_future(content: bytes) -> bytes:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.execute("CREATE TABLE what (ever)")
        database.execute("PRAGMA user_version = 999")
        return database.serialize()


def other_format(parts: Parts) -> Parts:
    (manifest, _), *rest = parts
    assert isinstance(manifest, Manifest)
    return [(msgspec.structs.replace(manifest, format=2), b""), *rest]


def misplaced(parts: Parts) -> Parts:
    """A session under the name of another channel."""
    return [
        (msgspec.structs.replace(record, channel="lab") if isinstance(record, Snapshot) else record, content)
        for record, content in parts
    ]


HOSTILE: dict[str, Callable[[Parts], Parts]] = {
    "another format": other_format,
    "a registry of another clinic": with_content(Registry, of_another_clinic),
    "a channel of another clinic": with_content(Registry, with_anothers_channel),
    "sessions of no channel": with_content(Registry, without_channels),
    "no registry": with_content(Registry, lambda _: b"{}"),
    "keys that are none": with_content(Keys, lambda content: content[:-1]),
    "no keys": with_content(Keys, lambda _: b""),
    "too many keys": with_content(Keys, lambda _: bytes(32 * 256)),
    "a session under another key": with_content(Keys, lambda _: bytes(32)),
    "a session of another channel": misplaced,
    "a session that is none": with_content(Snapshot, lambda _: b"rubbish"),
    "a database that is none": with_content(Database, lambda _: b"rubbish" * 1000),
    "a database that is damaged": with_content(Database, lambda content: content[:4096] + bytes(len(content) - 4096)),
    "a database of the future": with_content(Database, of_the_future),
    "a clinic that is missing": lambda parts: parts[:-3],
    "streams that are missing": lambda parts: [one for one in parts if getattr(one[0], "name", "") != "send"],
}


async def refused(bed: Bed, archive: Path) -> str:
    """Why it is not put back; everything is as it was."""
    directory = bed.data / "clinics" / "north"
    before = (directory / "key").read_bytes()
    view = await bed.restore(archive, replace=True)
    assert view.state is JobState.FAILED
    assert (directory / "key").read_bytes() == before
    assert clinics_left(bed.data) == []
    assert [one.command.id for one in await bed.ledger("north").unfinished("desk")] == ["waits", "since"]
    wanted = bed.board.wanted()
    assert wanted is not None
    assert ("north", "desk") in wanted.channels
    return view.error or ""


@pytest.fixture
async def archive(bed: Bed, tmp_path: Path) -> Path:
    """A good one; what came since is to stay."""
    await fill(bed)
    await bed.backup("north", tmp_path / "archive")
    await bed.ledger("north").accept("desk", [offer("since")], CREATED)
    return tmp_path / "archive"


@pytest.mark.parametrize("forge", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_forged_archive_is_refused(
    bed: Bed, archive: Path, tmp_path: Path, forge: Callable[[Parts], Parts]
) -> None:
    sealed(forge(opened(archive)), tmp_path / "forged")
    error = await refused(bed, tmp_path / "forged")
    assert error.startswith("archive: expected one that is whole")
    assert "unknown way" not in error


async def test_one_that_was_only_taken_apart_is_put_back(bed: Bed, archive: Path, tmp_path: Path) -> None:
    sealed(opened(archive), tmp_path / "again")
    view = await bed.restore(tmp_path / "again", replace=True)
    assert view.state is JobState.DONE, view.error


async def test_damage_anywhere_is_found_before_anything_is_touched(bed: Bed, archive: Path, tmp_path: Path) -> None:
    content = await asyncio.to_thread(archive.read_bytes)
    for at in (0, 100, 700, len(content) // 2, len(content) - 1):
        damaged = bytearray(content)
        damaged[at] ^= 1
        (tmp_path / "damaged").write_bytes(damaged)
        await refused(bed, tmp_path / "damaged")
    for size in (0, 8, 400, len(content) // 2, len(content) - 1):
        (tmp_path / "damaged").write_bytes(content[:size])
        await refused(bed, tmp_path / "damaged")


async def test_an_export_is_no_backup(bed: Bed, archive: Path, tmp_path: Path) -> None:
    sealed(opened(archive), tmp_path / "export", holds="export")
    assert "it holds 'export', not 'backup'" in await refused(bed, tmp_path / "export")
