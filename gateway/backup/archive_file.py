"""An archive's file: sealed as it is written, opened as it is read."""

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from gateway import disk
from gateway.backup.container import LARGEST, ContainerReader, ContainerWriter
from gateway.backup.records import Record
from gateway.vault.master import MasterKey
from gateway.vault.stream import Opened, StreamReader, StreamWriter, new_stream_key
from gateway.vault.stream_key import Header, header_for

HOLDS: Final = "backup"
"""What the header of such a stream says."""

KeyOf = Callable[[Header], bytes]
"""Finds the key of a stream by its header; blocks. Raises WrongKeyError."""


class ArchiveWriter:
    """On the loop's thread; each piece is sealed and written in another. One caller at a time."""

    def __init__(self, file: BinaryIO, header: Header, key: bytes) -> None:
        self._stream = StreamWriter(file, header, key)
        self._container = ContainerWriter(self._stream)

    @property
    def records(self) -> int:
        """How many were written."""
        return self._container.records

    @property
    def size(self) -> int:
        """Bytes that were written, before they were sealed."""
        return self._container.bytes

    async def write(self, record: Record, content: bytes = b"") -> None:
        """A record that is small."""

        def put() -> None:
            self._container.begin(record)
            self._container.piece(content)
            self._container.end()

        await asyncio.to_thread(put)

    async def write_pieces(self, record: Record, pieces: AsyncIterable[bytes]) -> None:
        """A record whose content comes piece by piece. Raises what ``pieces`` raises; then nothing more can be
        written."""
        await asyncio.to_thread(self._container.begin, record)
        async for piece in pieces:
            await asyncio.to_thread(self._container.piece, piece)
        await asyncio.to_thread(self._container.end)

    def close(self) -> None:
        """Blocks. Raises ArchiveError if something is missing."""
        self._container.close()
        self._stream.close()


@asynccontextmanager
async def writing(path: Path, master: MasterKey, passphrase: str | None) -> AsyncIterator[ArchiveWriter]:
    """A new archive at ``path``, which opens with the master key and the passphrase. The file is there, whole and on
    the disk, when this is left in good order; else there is none.

    Raises:
        OSError
        InvalidInputError: the passphrase cannot be one.
    """
    draft = path.with_name(f".{path.name}.draft")

    def begin() -> tuple[BinaryIO, ArchiveWriter]:
        key = new_stream_key()
        header = header_for(HOLDS, key, master=master, passphrase=passphrase)
        disk.make_directory(path.parent)
        file = os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")
        return file, ArchiveWriter(file, header, key)

    def complete(file: BinaryIO, archive: ArchiveWriter) -> None:
        archive.close()
        file.flush()
        os.fsync(file.fileno())
        draft.replace(path)
        disk.sync_directory(path.parent)

    file, archive = await asyncio.to_thread(begin)
    try:
        yield archive
        await asyncio.to_thread(complete, file, archive)
    finally:
        file.close()
        draft.unlink(missing_ok=True)


@contextmanager
def reading(path: Path, key: KeyOf) -> Iterator[ContainerReader]:
    """The archive at ``path``. Blocks.

    Raises:
        OSError
        SealError: it is no such stream, or its header is damaged.
        WrongKeyError: as ``key`` does.
    """
    with path.open("rb", buffering=0) as file:
        stream = StreamReader(file, HOLDS)
        yield ContainerReader(Opened(stream.chunks(key(stream.header))))


def header_of(path: Path) -> Header:
    """Blocks. Raises OSError, SealError."""
    with path.open("rb", buffering=0) as file:
        return StreamReader(file, HOLDS).header


async def file_pieces(path: Path) -> AsyncIterator[bytes]:
    """What a file holds. Raises OSError."""
    with await asyncio.to_thread(path.open, "rb", buffering=0) as file:
        while piece := await asyncio.to_thread(file.read, LARGEST):
            yield piece
