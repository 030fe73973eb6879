"""The binary XML dictionaries, read out of neonize's own library, so that they cannot drift from the client.

Go keeps a ``[]string`` as consecutive 16-byte headers (pointer to the bytes, length).  In a shared library each
pointer is an R_*_RELATIVE relocation whose addend is the address of the bytes, while the lengths stand in the
file as they are.  So the tables can be found by a text they are known to begin with.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from elftools.elf.elffile import ELFFile

from tests.emulator.schemas import neonize_directory

FIRST_DICTIONARY_TAG = 236
"""Tags below it are single byte tokens; this one and the next three name a double byte dictionary."""

_RELATIVE_RELOCATION = {"EM_X86_64": 8, "EM_AARCH64": 1027}
_HEADER = 16
_SLICE = 24
_LONGEST_TOKEN = 256


@dataclass(frozen=True, slots=True)
class Tokens:
    """``single``: 236 texts by tag (index 0 is the nil tag, empty); ``double``: four dictionaries of texts."""

    single: tuple[str, ...]
    double: tuple[tuple[str, ...], ...]


def library_path() -> Path:
    """neonize's Go library; LookupError if the package or the library is missing."""
    for path in sorted(neonize_directory().glob("neonize-*.so")):
        return path
    raise LookupError("neonize's Go library is not installed")


@cache
def installed_tokens() -> Tokens:
    """The tokens of the installed neonize; read once per process (0.2 s)."""
    return load_tokens(library_path())


def load_tokens(path: Path) -> Tokens:
    """Read both tables from the ELF file at ``path``; LookupError if they are not in it."""
    image = _Image(path)
    single = image.single_byte_table()
    double = image.double_byte_tables()
    if single is None or double is None:
        raise LookupError(f"no token tables in {path}")
    return Tokens(single, double)


class _Image:
    """A shared library as it would lie in memory, addressed by virtual address."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            elf = ELFFile(file)
            relative = _RELATIVE_RELOCATION[elf["e_machine"]]
            self._segments = [(s["p_vaddr"], s["p_filesz"], s.data()) for s in elf.iter_segments("PT_LOAD")]
            relocations = elf.get_section_by_name(".rela.dyn").data()
        self._pointers = {
            address: target
            for address, info, target in struct.iter_unpack("<QQq", relocations)
            if info & 0xFFFFFFFF == relative
        }

    def single_byte_table(self) -> tuple[str, ...] | None:
        for first in self._headers_of("xmlstreamstart"):
            if self._string(first + _HEADER) == "xmlstreamend":
                return _complete(["", *self._strings(first, FIRST_DICTIONARY_TAG - 1)])
        return None

    def double_byte_tables(self) -> tuple[tuple[str, ...], ...] | None:
        """The array of four slices whose first one begins with "read-self"."""
        for first in self._headers_of("read-self"):
            for array in (address for address, target in self._pointers.items() if target == first):
                slices = [array + _SLICE * number for number in range(4)]
                if all(self._is_dictionary(header) for header in slices):
                    tables = [_complete(self._slice(header)) for header in slices]
                    return None if None in tables else tuple(t for t in tables if t is not None)
        return None

    def _is_dictionary(self, header: int) -> bool:
        length, capacity = self._word(header + 8), self._word(header + 16)
        return length is not None and 0 < length <= 256 and length == capacity and header in self._pointers

    def _slice(self, header: int) -> list[str | None]:
        return self._strings(self._pointers[header], self._word(header + 8) or 0)

    def _strings(self, first: int, count: int) -> list[str | None]:
        return [self._string(first + _HEADER * index) for index in range(count)]

    def _string(self, header: int) -> str | None:
        length = self._word(header + 8)
        target = self._pointers.get(header)
        if target is None:
            return "" if length == 0 else None
        if length is None or not 0 < length <= _LONGEST_TOKEN:
            return None
        return self._bytes(target, length).decode("latin-1")

    def _word(self, address: int) -> int | None:
        raw = self._bytes(address, 8)
        return int.from_bytes(raw, "little") if len(raw) == 8 else None

    def _bytes(self, address: int, length: int) -> bytes:
        for base, size, data in self._segments:
            if base <= address < base + size:
                return bytes(data[address - base : address - base + length])
        return b""

    def _headers_of(self, text: str) -> Iterator[int]:
        """Addresses of the string headers that hold exactly ``text``."""
        wanted = text.encode("latin-1")
        found = {base + at for base, _, data in self._segments for at in _occurrences(data, wanted)}
        for header, target in self._pointers.items():
            if target in found and self._word(header + 8) == len(wanted):
                yield header


def _occurrences(data: bytes, wanted: bytes) -> Iterator[int]:
    at = data.find(wanted)
    while at >= 0:
        yield at
        at = data.find(wanted, at + 1)


def _complete(strings: list[str | None]) -> tuple[str, ...] | None:
    texts = tuple(text for text in strings if text is not None)
    return texts if len(texts) == len(strings) else None
