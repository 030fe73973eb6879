"""A portable file as it lies on the disk: a ZIP inside a sealed stream, whose key is in memory alone.

So what is in clear exists only with whoever fetches it; what a kill leaves on the disk means nothing. A ZIP, because
all systems open it; it is written from front to back, so neither its size matters nor how many files it has.
"""

import asyncio
import os
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final, TypeVar

from gateway.lgpd.zip_directory import NoNames, ZipDirectory
from gateway.store.faults import fault_of
from gateway.vault.sealing import SealError
from gateway.vault.stream import StreamReader, StreamWriter, new_stream_key
from gateway.vault.stream_key import Header
from protocol.errors import StoreUnavailableError

T = TypeVar("T")

HOLDS: Final = "export"
_MODE: Final = 0o100600


class SealedExports:
    """Implements ``protocol.exporting.Exports``."""

    def __init__(self) -> None:
        self._key: Final = new_stream_key()

    @asynccontextmanager
    async def writing(self, file: Path) -> AsyncIterator["SealedZip"]:
        """See ``Exports``."""
        archive = await _do(file, lambda: SealedZip(file, self._key))
        try:
            yield archive
            await _do(file, archive.finish)
        finally:
            await _do(file, archive.close)

    async def reading(self, file: Path) -> AsyncIterator[bytes]:
        """See ``Exports``."""
        opened = await _do(file, lambda: file.open("rb"))
        try:
            chunks = await _do(file, lambda: StreamReader(opened, HOLDS).chunks(self._key))
            while (chunk := await _do(file, lambda: next(chunks, None))) is not None:
                yield chunk
        finally:
            await _do(file, opened.close)


class SealedZip:
    """Implements ``protocol.exporting.Archive``. Made in a thread; one caller at a time."""

    def __init__(self, file: Path, key: bytes) -> None:
        """Raises OSError."""
        self._path = file
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file: BinaryIO = os.fdopen(descriptor, "wb")
        self._stream = StreamWriter(self._file, Header(holds=HOLDS), key)
        self._sink = _Sink(self._stream)
        self._zip = zipfile.ZipFile(self._sink, "w")
        self._zip.filelist = self._directory = ZipDirectory(file)
        self._zip.NameToInfo = NoNames()
        self._entry: IO[bytes] | None = None
        self._made_at = time.localtime()[:6]

    async def begin(self, name: str, *, packed: bool, large: bool = False) -> None:
        """See ``Archive``."""
        await _do(self._path, lambda: self._begin(name, packed=packed, large=large))

    async def write(self, data: bytes) -> None:
        """See ``Archive``."""
        entry = self._entry
        assert entry is not None, "write comes after begin"
        await _do(self._path, lambda: entry.write(data))

    def finish(self) -> None:
        """It is whole, and on the disk."""
        self._end_entry()
        self._zip.close()
        self._stream.close()
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Of one that was not finished nothing can be read: what ``zipfile`` writes when it ends goes nowhere."""
        self._sink.close()
        self._directory.clear()
        self._end_entry()
        self._zip.close()
        self._file.close()

    def _begin(self, name: str, *, packed: bool, large: bool) -> None:
        self._end_entry()
        entry = zipfile.ZipInfo(name, self._made_at)
        entry.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        entry.external_attr = _MODE << 16
        self._entry = self._zip.open(entry, "w", force_zip64=large)

    def _end_entry(self) -> None:
        if self._entry is not None:
            self._entry.close()
            self._entry = None


class _Sink:
    """As much of a file as ``zipfile`` needs to write from front to back."""

    def __init__(self, stream: StreamWriter) -> None:
        self._stream: StreamWriter | None = stream

    def write(self, data: bytes) -> int:
        if self._stream is not None:
            self._stream.write(data)
        return len(data)

    def flush(self) -> None:
        """The stream seals full chunks, and the last one at its end."""

    def close(self) -> None:
        """Take nothing any more."""
        self._stream = None


async def _do(file: Path, work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except SealError as error:
        raise StoreUnavailableError(f"{file} cannot be opened: {error}; ask for it again") from error
    except OSError as error:
        fault = fault_of(error)
        raise StoreUnavailableError(f"{error.filename or file} {fault.what}: {fault.mend}") from error
