"""``audit.head``: where the chain ends, sealed. Blocks.

::

    magic, format version   9 bytes
    number of the entry     8 bytes
    its seal               32 bytes
    HMAC-SHA256            32 bytes     of the two before it
"""

import hmac
import struct
from pathlib import Path
from typing import Final

from gateway import disk
from gateway.audit.chain import SEAL_BYTES, Head, seal_of_head

_MAGIC: Final = b"PLANTAOA\x01"
_FORMAT: Final = struct.Struct(f"!{len(_MAGIC)}sQ{SEAL_BYTES}s{SEAL_BYTES}s")


class ForgedError(Exception):
    """The file is not one that was written with this key."""


def head_file(data: Path) -> Path:
    """Where it is."""
    return data / "audit.head"


def write_head(path: Path, key: bytes, head: Head) -> None:
    """Replace the file as a whole. Raises OSError."""
    disk.write(path, _FORMAT.pack(_MAGIC, head.seq, head.seal, seal_of_head(key, head)))


def read_head(path: Path, key: bytes) -> Head | None:
    """What it says; None if there is no such file.

    Raises:
        ForgedError: it is damaged or not ours.
        OSError
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(content) != _FORMAT.size:
        raise ForgedError
    magic, seq, sealed, mac = _FORMAT.unpack(content)
    head = Head(seq, sealed)
    if magic != _MAGIC or not hmac.compare_digest(mac, seal_of_head(key, head)):
        raise ForgedError
    return head
