"""What an entry is sealed with, and how a chain is walked. Pure; nothing here touches a file.

The seal of an entry is an HMAC-SHA256 over the seal before it (zeros before the first) and all fields, its number among
them, as one msgpack array: two entries that differ in anything differ in that.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgpack

SEAL_BYTES: Final = 32
BROKEN: Final = "audit.broken"
"""The action of an entry that says that the chain was found broken when the node started."""

Fields = tuple[Any, ...]
"""An entry as it is stored, its number first, without its seal: the columns ``FIELDS``."""
FIELDS: Final = ("seq", "at", "who", "action", "outcome", "clinic", "channel", "about", "detail")

_ENTRY: Final = b"entry\x00"
_HEAD: Final = b"head\x00"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: the number and the seal of its last entry."""

    seq: int
    seal: bytes


START: Final = Head(0, bytes(SEAL_BYTES))
"""Before the first entry."""


class BrokenError(Exception):
    """The entry ``seq``, the first that is bad, and what is wrong with it; None is the file of the head."""

    def __init__(self, seq: int | None, why: str) -> None:
        super().__init__(why if seq is None else f"entry {seq}: {why}")
        self.seq = seq
        self.why = why


def seal(key: bytes, previous: bytes, fields: Fields) -> bytes:
    """The seal of the entry with these ``fields`` after the one with the seal ``previous``."""
    return hmac.digest(key, _ENTRY + previous + msgpack.packb(fields), "sha256")


def seal_of_head(key: bytes, head: Head) -> bytes:
    """What shows that the file of the head is ours."""
    return hmac.digest(key, _HEAD + head.seq.to_bytes(8, "big") + head.seal, "sha256")


class Walk:
    """Goes along a chain from its beginning. ``known``: ends that it must have had at some time."""

    def __init__(self, key: bytes, known: Sequence[Head]) -> None:
        self._key = key
        self._known = {head.seq: head.seal for head in known if head.seq > 0}
        self.at = START

    def step(self, fields: Fields, sealed: object) -> None:
        """The next entry. Raises BrokenError."""
        seq, expected = fields[0], self.at.seq + 1
        if seq > expected:
            raise BrokenError(expected, f"missing, as are all before entry {seq}" if seq > expected + 1 else "missing")
        if seq < expected:
            raise BrokenError(seq, "not in its place")
        right = seal(self._key, self.at.seal, fields)
        if not isinstance(sealed, bytes) or not hmac.compare_digest(right, sealed):
            raise BrokenError(seq, "not what the node wrote there after the entry before it")
        if not hmac.compare_digest(self._known.get(seq, right), right):
            raise BrokenError(seq, "not the one that was known to end the chain once")
        if fields[3] == BROKEN:
            raise BrokenError(seq, f"says that the audit was found broken when the node started: {fields[8]}")
        self.at = Head(seq, right)

    def end(self) -> None:
        """There are no more. Raises BrokenError: there should be."""
        last = max(self._known, default=0)
        if last > self.at.seq:
            first = self.at.seq + 1
            raise BrokenError(first, f"missing, as is all up to entry {last}: the end was cut off")
