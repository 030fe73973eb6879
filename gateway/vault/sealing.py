"""The format of a sealed file: compressed, encrypted with AES-256-GCM, bound to the place where it belongs. Pure.

::

    magic, format version   9 bytes
    id of the key           8 bytes     of the clinic's data key; what encrypts is derived from it
    size                    8 bytes     of what is sealed, before it is compressed
    nonce                  12 bytes     random
    ciphertext                          with its tag of 16 bytes

The header and the place (clinic, channel, version) are authenticated with it. A key seals far fewer than the 2**32
files after which a random nonce may repeat: one a second for a century.
"""

import secrets
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC: Final = b"PLANTAOV\x01"
LARGEST: Final = 1 << 30
"""What is larger is neither sealed nor opened: a store is read into memory."""

_HEADER: Final = struct.Struct("!9s8sQ12s")
_NONCE_SIZE: Final = 12
_LEVEL: Final = 3


class SealError(Exception):
    """It cannot be opened: damaged, cut off, sealed with another key, or not what belongs in this place."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed file belongs; it opens nowhere else."""

    clinic: str
    channel: str
    version: int

    def bound(self) -> bytes:
        # Identifiers hold no NUL, so no two places are written the same.
        return b"\0".join((self.clinic.encode(), self.channel.encode(), str(self.version).encode()))


def seal(plain: bytes, place: Place, key: bytes, key_id: bytes) -> bytes:
    """``plain``, sealed for ``place`` with ``key`` (32 bytes), which is derived from the data key ``key_id``.

    Raises:
        SealError: it is too large.
    """
    if len(plain) > LARGEST:
        raise SealError(f"{len(plain)} bytes are more than can be sealed ({LARGEST})")
    nonce = secrets.token_bytes(_NONCE_SIZE)
    header = _HEADER.pack(MAGIC, key_id, len(plain), nonce)
    return header + AESGCM(key).encrypt(nonce, zlib.compress(plain, _LEVEL), header + place.bound())


def key_id_of(sealed: bytes) -> bytes:
    """Which data key it was sealed with.

    Raises:
        SealError: it is no sealed file.
    """
    return _header(sealed)[0]


def unseal(sealed: bytes, place: Place, key: bytes) -> bytes:
    """What was sealed for ``place`` with ``key``.

    Raises:
        SealError: it was not, or is not what it was.
    """
    _, size, nonce = _header(sealed)
    if size > LARGEST:
        raise SealError(f"it says that it holds {size} bytes, more than can be sealed")
    try:
        packed = AESGCM(key).decrypt(nonce, sealed[_HEADER.size :], sealed[: _HEADER.size] + place.bound())
    except InvalidTag as error:
        raise SealError("it is damaged, or was sealed for another place or with another key") from error
    unpacking = zlib.decompressobj()
    try:
        plain = unpacking.decompress(packed, size + 1)  # one more than there may be: 0 would mean no limit
    except zlib.error as error:
        raise SealError("what it holds cannot be unpacked") from error
    if len(plain) != size or not unpacking.eof or unpacking.unused_data:
        raise SealError("it holds something else than it says")
    return plain


def _header(sealed: bytes) -> tuple[bytes, int, bytes]:
    if len(sealed) < _HEADER.size:
        raise SealError("it is cut off")
    magic, key_id, size, nonce = _HEADER.unpack_from(sealed)
    if magic != MAGIC:
        raise SealError("it is no sealed file, or one of a newer format")
    return key_id, size, nonce
