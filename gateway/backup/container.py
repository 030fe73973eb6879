"""How records stand in an archive, inside its sealed stream.

::

    for each record:
        header length   4 bytes
        header                      JSON (``records``)
        for each piece of what belongs to it:
            length      4 bytes     1 to LARGEST
            piece
        length          4 bytes     0: that was all

The lengths of pieces are bounded, so what an archive says cannot have us hold more. Everything here blocks, and is for
one caller at a time.
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.backup.records import ArchiveError, Closing, Order, Record
from gateway.vault.stream import Sink, Source

LARGEST: Final = 1 << 20
MOST_HEADER: Final = (1 << 20) + (64 << 10)
"""Room for a manifest of as many clinics as there may be."""

_LENGTH: Final = struct.Struct("!I")
_DECODER: Final[msgspec.json.Decoder[Record]] = msgspec.json.Decoder(Record)


class ContainerWriter:
    """Writes records: each is begun, given its pieces, and ended."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._order = Order()
        self._hash = hashlib.sha256()
        self.records = 0
        self.bytes = 0

    def begin(self, record: Record) -> None:
        """Raises ArchiveError if it may not come now."""
        self._order.take(record)
        header = msgspec.json.encode(record)
        self._put(_LENGTH.pack(len(header)), header)
        self.records += 1

    def piece(self, data: bytes) -> None:
        """More of what belongs to it, of any size."""
        view = memoryview(data)
        for at in range(0, len(view), LARGEST):
            part = view[at : at + LARGEST]
            self._put(_LENGTH.pack(len(part)), part)

    def end(self) -> None:
        """That was all."""
        self._put(_LENGTH.pack(0))

    def close(self) -> None:
        """Write the closing record. Raises ArchiveError if something is missing."""
        self.begin(Closing(records=self.records, bytes=self.bytes, sha256=self._hash.hexdigest()))
        self.end()

    def _put(self, *parts: bytes | memoryview) -> None:
        for part in parts:
            self._hash.update(part)
            self.bytes += len(part)
            self._sink.write(bytes(part))


class ContainerReader:
    """Reads records, in the order in which they may come."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._order = Order()
        self._hash = hashlib.sha256()
        self._open = False
        self.records_read = 0
        self.bytes = 0

    def records(self) -> Iterator[Record]:
        """All of them; what belongs to each is to be had from ``pieces`` until the next is asked for. Ends only if the
        archive is whole.

        Raises:
            ArchiveError: it is not.
            SealError: as the stream does.
        """
        while not self._order.closed:
            so_far = (self.records_read, self.bytes, self._hash.hexdigest())
            record = self._header()
            self._order.take(record)
            if isinstance(record, Closing) and (record.records, record.bytes, record.sha256) != so_far:
                raise ArchiveError("it holds something else than it says at its end")
            self._open = True
            self.records_read += 1
            yield record
            for _ in self.pieces():
                """What nobody asked for is verified all the same."""
        if self._source.read(1):
            raise ArchiveError("something follows its end")

    def pieces(self) -> Iterator[bytes]:
        """What belongs to the record that was read last."""
        while self._open:
            length = self._length(LARGEST)
            self._open = length > 0
            if length:
                yield self._take(length)

    def _header(self) -> Record:
        try:
            return _DECODER.decode(self._take(self._length(MOST_HEADER)))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise ArchiveError(f"a record cannot be read: {error}") from error

    def _length(self, most: int) -> int:
        (length,) = _LENGTH.unpack(self._take(_LENGTH.size))
        if length > most:
            raise ArchiveError(f"a length of {length} is more than there may be ({most})")
        return int(length)

    def _take(self, size: int) -> bytes:
        parts, missing = [], size
        while missing:
            part = self._source.read(missing)
            if not part:
                raise ArchiveError("it is cut off")
            parts.append(part)
            missing -= len(part)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._hash.update(data)
        self.bytes += size
        return data
