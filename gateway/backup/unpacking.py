"""What an archive holds of a clinic, put where it is staged. Everything here blocks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from gateway import disk
from gateway.backup import database_copy
from gateway.backup.container import ContainerReader
from gateway.backup.records import ArchiveError, Database, Keys, Record, Registry, Snapshot
from gateway.backup.staging import Staging
from gateway.vault.keys import SNAPSHOTS, DataKey, wrap
from gateway.vault.master import KEY_SIZE, MasterKey
from gateway.vault.sealing import LARGEST, Place, SealError, key_id_of, unseal
from protocol.backup import ClinicContents

_MOST_REGISTRY: Final = 64 << 20
_MOST_KEYS: Final = 255


class Unpacking:
    """Of one clinic, whose records are to be given in their order."""

    def __init__(self, staging: Staging, master: MasterKey) -> None:
        self._staging = staging
        self._master = master
        self._channels: frozenset[str] = frozenset()
        self._keys: dict[bytes, bytes] = {}

    def take(self, record: Record, reader: ContainerReader) -> None:
        """Put it in its place; streams stay in the archive.

        Raises:
            ArchiveError: it is not what it says.
            OSError
        """
        match record:
            case Registry():
                contents = read_contents(record.clinic, reader)
                self._channels = frozenset(channel.id for channel in contents.channels)
            case Keys():
                self._take_keys(limited(reader.pieces(), _MOST_KEYS * KEY_SIZE))
            case Database():
                path = self._staging.new / "clinic.db"
                with _private(path) as file:
                    for piece in reader.pieces():
                        file.write(piece)
                database_copy.sync(path)
                database_copy.check(path)
            case Snapshot():
                self._take_snapshot(record, limited(reader.pieces(), LARGEST))
            case _:
                pass

    def _take_keys(self, content: bytes) -> None:
        keys = [DataKey(content[at : at + KEY_SIZE]) for at in range(0, len(content), KEY_SIZE)]
        if not keys or len(keys[-1].key) != KEY_SIZE:
            raise ArchiveError("the keys in it are damaged")
        self._keys = {key.id: key.derive(SNAPSHOTS) for key in keys}
        disk.write(self._staging.new / "key", wrap(keys, self._staging.clinic, self._master))

    def _take_snapshot(self, record: Snapshot, content: bytes) -> None:
        """Never as a clean one, whatever it was: it is older than what happened since."""
        if record.channel not in self._channels:
            raise ArchiveError("it holds a session of a channel that it does not name")
        try:
            key = self._keys.get(key_id_of(content), bytes(KEY_SIZE))
            unseal(content, Place(record.clinic, record.channel, record.version), key)
        except SealError as error:
            raise ArchiveError(f"a session in it cannot be opened: {error}") from error
        directory = self._staging.new / "channels" / record.channel
        disk.make_directory(directory)
        disk.write(directory / f"{record.version:010d}.vault", content)


def read_contents(clinic: str, reader: ContainerReader) -> ClinicContents:
    """What the registry is to know of ``clinic``. Raises ArchiveError."""
    try:
        contents = msgspec.json.decode(limited(reader.pieces(), _MOST_REGISTRY), type=ClinicContents)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ArchiveError("what it says of a clinic cannot be read") from error
    ids = [channel.id for channel in contents.channels]
    theirs = all(channel.clinic == clinic for channel in contents.channels)
    if contents.record.id != clinic or not theirs or len(set(ids)) != len(ids):
        raise ArchiveError("what it says of a clinic is of another")
    return contents


def limited(pieces: Iterator[bytes], most: int) -> bytes:
    """All of them, if they are small enough to be held. Raises ArchiveError."""
    found, size = list[bytes](), 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise ArchiveError(f"a record is larger than it may be ({most} bytes)")
        found.append(piece)
    return b"".join(found)


def unpack(reader: ContainerReader, stagings: Sequence[Staging], master: MasterKey) -> None:
    """Stage these clinics; all of the archive is read. Raises ArchiveError, SealError, OSError."""
    unpacking = {staging.clinic: Unpacking(staging, master) for staging in stagings}
    for record in reader.records():
        clinic = getattr(record, "clinic", None)
        if clinic in unpacking:
            unpacking[clinic].take(record, reader)


def _private(path: Path) -> BinaryIO:
    path.touch(mode=0o600, exist_ok=False)
    return path.open("wb")
