"""The directory of a ZIP that is being written: what stands at its end of each file in it. Everything here blocks.

``zipfile`` keeps it in memory, near a kilobyte of each file, and a clinic may have stored a million tiny ones. Here it
waits on the disk: in a file without a name, sealed, because it says how large what people sent was.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final
from zipfile import ZipInfo

import msgspec
from msgspec import Struct

from gateway.vault.stream import Opened, StreamReader, StreamWriter, new_stream_key
from gateway.vault.stream_key import Header

_HOLDS: Final = "directory"


class _Entry(Struct, frozen=True, array_like=True):
    """What the directory says of a file."""

    name: str
    date_time: tuple[int, int, int, int, int, int]
    flag_bits: int
    compress_type: int
    external_attr: int
    header_offset: int
    crc: int
    compress_size: int
    file_size: int


class ZipDirectory(list[ZipInfo]):
    """Takes the place of ``ZipFile.filelist``, to which each file is added once, and which is gone through at its end.
    Raises OSError as its file does."""

    def __init__(self, beside: Path) -> None:
        """``beside``: a file on whose disk there is room."""
        super().__init__()
        self._key: Final = new_stream_key()
        self._file = TemporaryFile(dir=beside.parent)  # noqa: SIM115 - it is there until ``clear``
        self._stream = StreamWriter(self._file, Header(holds=_HOLDS), self._key)
        self._count = 0

    def append(self, info: ZipInfo, /) -> None:
        """Another one; of no interest once this is cleared."""
        if self._file.closed:
            return
        self._stream.write(_line(info))
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[ZipInfo]:
        """In order, once, and then there are no more. Raises SealError."""
        if self._file.closed:
            return
        self._stream.close()
        self._file.seek(0)
        source = Opened(StreamReader(self._file, _HOLDS).chunks(self._key))
        rest = b""
        while piece := source.read(1 << 16):
            *lines, rest = (rest + piece).split(b"\n")
            yield from map(_info, lines)
        self.clear()

    def clear(self) -> None:
        """Nothing is left of it."""
        with suppress(OSError):  # what could not be written is not wanted
            self._file.close()


class NoNames(dict[str, ZipInfo]):
    """Takes the place of ``ZipFile.NameToInfo``, by which ``zipfile`` finds a name that was there before."""

    def __setitem__(self, _name: str, _info: ZipInfo, /) -> None:
        """No name is given twice."""


def _line(info: ZipInfo) -> bytes:
    entry = _Entry(
        name=info.filename,
        date_time=info.date_time,
        flag_bits=info.flag_bits,
        compress_type=info.compress_type,
        external_attr=info.external_attr,
        header_offset=info.header_offset,
        crc=info.CRC,
        compress_size=info.compress_size,
        file_size=info.file_size,
    )
    return msgspec.json.encode(entry) + b"\n"


def _info(line: bytes) -> ZipInfo:
    entry = msgspec.json.decode(line, type=_Entry)
    info = ZipInfo(entry.name, entry.date_time)
    info.flag_bits, info.compress_type, info.external_attr = entry.flag_bits, entry.compress_type, entry.external_attr
    info.header_offset, info.CRC = entry.header_offset, entry.crc
    info.compress_size, info.file_size = entry.compress_size, entry.file_size
    return info
