"""A sealed stream: a file of any size, encrypted chunk by chunk, that opens only if all of it is what was written.

::

    magic, format version   9 bytes
    header length           4 bytes
    header                              JSON: what the file holds, and with what its key can be had (``stream_key``)
    salt                   16 bytes     random
    chunks                              each CHUNK bytes, the last 0 to CHUNK, and each with its tag of 16 bytes

A chunk is sealed with AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: *Online
Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance*, 2015, as in age and Tink): its nonce is 7 zero bytes,
its number (4 bytes) and whether it is the last. The key of the chunks is derived from the stream's key, the header and
the salt, so none of them fits another stream, or this one under another header, and no nonce is used twice. What is cut
off, exchanged, repeated, mixed or added to is found out at the first chunk concerned; nothing that was not verified is
given out. That *all* was there is known only at the end: whoever acts on what was read reads all of it before.

Everything here blocks, holds a chunk or two in memory, and raises OSError as its file does. One caller at a time.
"""

import secrets
import struct
from collections.abc import Iterator
from hashlib import sha256
from typing import Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.vault.sealing import SealError
from gateway.vault.stream_key import Header

MAGIC: Final = b"PLANTAOS\x01"
KEY_SIZE: Final = 32
CHUNK: Final = 256 << 10
"""Bytes of plain text: sealed in 0.1 ms, so that a change of threads for each costs as much again and not more."""

_HEADER_LIMIT: Final = 16 << 10
_LENGTH: Final = struct.Struct("!I")
_NONCE: Final = struct.Struct("!7xI?")
_SALT_SIZE: Final = 16
_TAG_SIZE: Final = 16
_MOST_CHUNKS: Final = 1 << 32
_PURPOSE: Final = b"plantao/v1/stream"


class Source(Protocol):
    """What is read; may give less than it is asked for."""

    def read(self, size: int, /) -> bytes:
        """Nothing at its end."""


class Sink(Protocol):
    """What is written to: takes all."""

    def write(self, data: bytes, /) -> object: ...


class StreamWriter:
    """Seals what is written. Only what was closed is a stream: what is not cannot be read to its end."""

    def __init__(self, sink: Sink, header: Header, key: bytes) -> None:
        """Write the header. ``key``: 32 random bytes."""
        self._sink = sink
        prelude = _prelude(header)
        self._sealing = _cipher(key, prelude)
        self._waiting = bytearray()
        self._number = 0
        sink.write(prelude)

    def write(self, data: bytes) -> None:
        """Add ``data``, of any size."""
        rest = memoryview(data)
        while rest:
            # A chunk that is full is not sealed before there is more: it may be the last.
            if len(self._waiting) == CHUNK:
                self._seal(last=False)
            room = CHUNK - len(self._waiting)
            self._waiting += rest[:room]
            rest = rest[room:]

    def close(self) -> None:
        """Write the last chunk. To be called once; the sink is left open, and to sync it is the caller's business."""
        self._seal(last=True)

    def _seal(self, *, last: bool) -> None:
        nonce = _nonce(self._number, last=last)
        self._sink.write(self._sealing.encrypt(nonce, bytes(self._waiting), None))
        self._waiting.clear()
        self._number += 1


class StreamReader:
    """Opens what was sealed. ``header`` can be read before the key is known; it is verified with the first chunk."""

    def __init__(self, source: Source, holds: str) -> None:
        """Read the header.

        Raises:
            SealError: it is no stream, or holds something else.
        """
        self._source = source
        prelude = _exactly(source, len(MAGIC) + _LENGTH.size)
        if not prelude.startswith(MAGIC):
            raise SealError("it is no sealed stream, or one of a newer format")
        (length,) = _LENGTH.unpack_from(prelude, len(MAGIC))
        if length > _HEADER_LIMIT:
            raise SealError("its header is damaged")
        self._prelude = prelude + _exactly(source, length + _SALT_SIZE)
        try:
            self.header: Final = msgspec.json.decode(self._prelude[len(prelude) : -_SALT_SIZE], type=Header)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise SealError("its header is damaged") from error
        if self.header.holds != holds:
            raise SealError(f"it holds {self.header.holds!r:.40}, not {holds!r}")

    def chunks(self, key: bytes) -> Iterator[bytes]:
        """What was written, in pieces, each verified. Ends only if all of it was there. To be called once.

        Raises:
            SealError: it is damaged, cut off, goes on after its end, or was sealed with another key.
        """
        opening = _cipher(key, self._prelude)
        sealed, number = _upto(self._source, CHUNK + _TAG_SIZE), 0
        while True:
            after = _upto(self._source, CHUNK + _TAG_SIZE)
            nonce = _nonce(number, last=not after)
            try:
                chunk = opening.decrypt(nonce, sealed, None)
            except InvalidTag as error:
                raise SealError("it is damaged or cut off, or was sealed with another key") from error
            if not chunk and number:
                raise SealError("it ends with an empty chunk, which nobody writes")
            if chunk:
                yield chunk
            if not after:
                return
            sealed, number = after, number + 1


class Opened:
    """What a stream holds, to be read in pieces of any size; verified, as far as it was read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, none only at the end. Raises SealError."""
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes(piece)


def new_stream_key() -> bytes:
    """One that nobody has had before."""
    return secrets.token_bytes(KEY_SIZE)


def _prelude(header: Header) -> bytes:
    encoded = msgspec.json.encode(header)
    if len(encoded) > _HEADER_LIMIT:
        raise SealError(f"a header of {len(encoded)} bytes is more than can be read again ({_HEADER_LIMIT})")
    return MAGIC + _LENGTH.pack(len(encoded)) + encoded + secrets.token_bytes(_SALT_SIZE)


def _cipher(key: bytes, prelude: bytes) -> AESGCM:
    salt = sha256(prelude).digest()
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=salt, info=_PURPOSE).derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    if number >= _MOST_CHUNKS:
        raise SealError(f"more than {_MOST_CHUNKS} chunks cannot be told apart")
    return _NONCE.pack(number, last)


def _upto(source: Source, size: int) -> bytes:
    """``size`` bytes, or what is left."""
    pieces, missing = [], size
    while missing and (piece := source.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _exactly(source: Source, size: int) -> bytes:
    """Raises SealError if there is less."""
    found = _upto(source, size)
    if len(found) != size:
        raise SealError("it is cut off")
    return found
