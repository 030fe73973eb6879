"""A port's journal: what it has from WhatsApp, and what came of its sends, written down before anybody is told.

It lies beside the session store in ``<store>.journal/``, on the same memory-backed storage: it outlives every process,
and not the machine. It consists of segments, files named by their number. A port begins with a segment of its own,
after all that are there, and with another whenever one has grown large enough; it then puts the count of the records
into the name of the one before (``0000000007`` becomes ``0000000007.412``).

A record is its length, its CRC-32 and its msgpack body, written by one ``write()``, so that a SIGKILL leaves at most a
torn one at the end, which readers do not see. Its number is its segment's and its place in it, and grows from record
to record and from port to port. Who deletes segments is ``remains``.
"""

import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from protocol.port_events import AlreadyDecrypted, MessageReceived, ReceiptReceived, Record, SendAnswered, Undecryptable

Inbound = MessageReceived | ReceiptReceived | Undecryptable | AlreadyDecrypted
What = Inbound | SendAnswered

SEGMENT_SIZE: Final = 256 << 10
"""A segment that has reached so many bytes is the last one's successor's time to begin."""

_HEADER: Final = struct.Struct("!II")
_INDEX_BITS: Final = 32
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[What]] = msgspec.msgpack.Decoder(What)


class JournalError(Exception):
    """The journal cannot be written; the text says why."""


def folder_of(store: str) -> Path:
    """Where the journal of the session store at ``store`` is."""
    return Path(f"{store}.journal")


def number(segment: int, index: int) -> int:
    """The number of a record."""
    return segment << _INDEX_BITS | index


def segment_of(number: int) -> int:
    """In which segment the record ``number`` is."""
    return number >> _INDEX_BITS


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a journal. ``count``: of its records, if it was closed in an orderly way."""

    path: Path
    number: int
    count: int | None

    def records(self) -> list[Record]:
        """Its records, up to its end or the first that is torn. Raises OSError."""
        return [
            Record(number=number(self.number, index), what=what)
            for index, what in enumerate(_read(self.path.read_bytes()))
        ]


def segments(folder: Path) -> list[Segment]:
    """Those of the journal in ``folder``, in order; none if there is no journal. Raises OSError."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - the names are what is wanted
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        segment, _, count = name.partition(".")
        if segment.isdecimal() and (not count or count.isdecimal()):
            found.append(Segment(folder / name, int(segment), int(count) if count else None))
    return sorted(found, key=lambda segment: segment.number)


def _read(data: bytes) -> Iterator[What]:
    at = 0
    while len(data) - at >= _HEADER.size:
        length, checksum = _HEADER.unpack_from(data, at)
        body = data[at + _HEADER.size : at + _HEADER.size + length]
        if len(body) < length or zlib.crc32(body) != checksum:
            return
        try:
            what = _DECODER.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        yield what
        at += _HEADER.size + length


class Journal:
    """The port's side: appends. Callable from any thread.

    Once a write has failed nothing more is written: a record after a gap would say that it is whole.
    """

    def __init__(self, store: str, *, segment_size: int = SEGMENT_SIZE) -> None:
        """Begin a segment after all that are there. Raises OSError."""
        self._folder = folder_of(store)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._segment_size = segment_size
        self._lock = threading.Lock()
        self._broken: str | None = None
        there = segments(self._folder)
        self._begin(there[-1].number + 1 if there else 1)

    def _begin(self, segment: int) -> None:
        self._path = self._folder / f"{segment:010d}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        self._segment = segment
        self._index = 0
        self._size = 0

    def append(self, what: What) -> int:
        """Write ``what`` down; its number.

        Raises:
            JournalError: it is not written, now and ever after.
        """
        body = _ENCODER.encode(what)
        record = _HEADER.pack(len(body), zlib.crc32(body)) + body
        with self._lock:
            if self._broken is not None:
                raise JournalError(self._broken)
            try:
                if self._size >= self._segment_size:
                    self._rotate()
                self._write(record)
            except OSError as error:
                self._broken = f"the journal {self._folder} cannot be written: {error.strerror or error}"
                raise JournalError(self._broken) from error
            self._size += len(record)
            written = number(self._segment, self._index)
            self._index += 1
            return written

    def unwritten(self) -> int:
        """A number for what could not be written, so that it can be said all the same."""
        with self._lock:
            self._index += 1
            return number(self._segment, self._index - 1)

    def _write(self, record: bytes) -> None:
        """Whole or not at all. A short write comes of a disk that is full: what is wrong is said by the next one."""
        try:
            written = os.write(self._file, record)
            while written < len(record):
                written += os.write(self._file, record[written:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise

    def _rotate(self) -> None:
        """The count is in the old one's name before there is a new one, so whoever sees a record of the new one can
        know that the old one is closed."""
        os.close(self._file)
        self._path.rename(f"{self._path}.{self._index}")
        self._begin(self._segment + 1)
