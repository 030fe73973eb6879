"""How a stream's key is wrapped in its header: by the master key, by a passphrase, or by both.

===============  ======================================================================================
``by``           fields, bytes in base64
===============  ======================================================================================
``master``       ``id`` (hex) of the master key, ``nonce``, ``key``
``passphrase``   ``salt``, ``n``, ``r``, ``p`` (scrypt, RFC 7914), ``nonce``, ``key``
===============  ======================================================================================

``key`` is wrapped with AES-256-GCM, bound to what the stream holds. Everything here blocks;
a passphrase takes 0.3 s and 128 MiB.
"""

import binascii
import hashlib
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta, Struct

from gateway.vault.master import KEY_SIZE, NONCE_SIZE, MasterKey
from gateway.vault.sealing import SealError
from protocol.errors import InvalidInputError, WrongKeyError

SHORTEST_PASSPHRASE: Final = 12
LONGEST_PASSPHRASE: Final = 1024

Word = Annotated[str, Meta(max_length=128)]

_COST: Final = 1 << 17
_BLOCK: Final = 8
_MOST_MEMORY: Final = 256 << 20
"""Bytes that the header of a strange archive can have us take."""
_PURPOSE: Final = b"plantao/v1/stream key"


class ByMaster(Struct, frozen=True, kw_only=True, tag_field="by", tag="master"):
    """By the master key ``id``."""

    id: Word
    nonce: Word
    key: Word


class ByPassphrase(Struct, frozen=True, kw_only=True, tag_field="by", tag="passphrase"):
    """By a passphrase, stretched as RFC 7914 says."""

    salt: Word
    n: Annotated[int, Meta(ge=2, le=1 << 20)]
    r: Annotated[int, Meta(ge=1, le=32)]
    p: Annotated[int, Meta(ge=1, le=4)]
    nonce: Word
    key: Word


class Header(Struct, frozen=True, kw_only=True):
    """What anybody can read of a stream. ``holds``: ``backup``, ``export``; it opens as nothing else. ``keys``: how its
    key was wrapped; none if it is kept elsewhere."""

    holds: Word
    keys: Annotated[list[ByMaster | ByPassphrase], Meta(max_length=8)] = []


def check_passphrase(passphrase: str) -> str:
    """``passphrase`` if it may be one.

    Raises:
        InvalidInputError: it is too short to keep anybody out, or longer than anybody's.
    """
    if not SHORTEST_PASSPHRASE <= len(passphrase) <= LONGEST_PASSPHRASE:
        expected = f"{SHORTEST_PASSPHRASE} to {LONGEST_PASSPHRASE} characters, got {len(passphrase)}"
        raise InvalidInputError("passphrase", expected)
    return passphrase


def header_for(holds: str, key: bytes, *, master: MasterKey | None = None, passphrase: str | None = None) -> Header:
    """The header of a stream whose ``key`` can be had with either of them.

    Raises:
        InvalidInputError: the passphrase cannot be one.
    """
    keys = list[ByMaster | ByPassphrase]()
    if master is not None:
        nonce, wrapped = _wrap(_master_key(master), key, holds)
        keys.append(ByMaster(id=master.id.hex(), nonce=nonce, key=wrapped))
    if passphrase is not None:
        salt = secrets.token_bytes(16)
        stretched = _stretch(check_passphrase(passphrase), salt, _COST, _BLOCK, 1)
        nonce, wrapped = _wrap(stretched, key, holds)
        keys.append(ByPassphrase(salt=_text(salt), n=_COST, r=_BLOCK, p=1, nonce=nonce, key=wrapped))
    return Header(holds=holds, keys=keys)


def key_from(header: Header, *, masters: Sequence[MasterKey] = (), passphrase: str | None = None) -> bytes:
    """The stream's key, by the passphrase if there is one, else by one of the master keys.

    Raises:
        WrongKeyError: it takes another master key, a passphrase, or another passphrase.
        SealError: the header is damaged.
    """
    if passphrase is not None:
        return _by_passphrase(header, passphrase)
    ways = []
    for found in header.keys:
        if isinstance(found, ByPassphrase):
            ways.append("its passphrase")
            continue
        ways.append(f"the master key with the id {found.id:.16}")
        for master in masters:
            if master.id.hex() == found.id:
                return _unwrap(_master_key(master), found, header.holds)
    raise WrongKeyError(f"it opens with {' or '.join(ways) or 'a key that is kept elsewhere'}, which was not given")


def _by_passphrase(header: Header, passphrase: str) -> bytes:
    for found in header.keys:
        if isinstance(found, ByPassphrase):
            stretched = _stretch(passphrase, _bytes(found.salt), found.n, found.r, found.p)
            try:
                return _unwrap(stretched, found, header.holds)
            except SealError as error:
                raise WrongKeyError("it was sealed with another passphrase, or is damaged") from error
    raise WrongKeyError("it was sealed without a passphrase: it opens with the master key alone")


def _stretch(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    if 128 * n * r * p > _MOST_MEMORY:
        raise SealError("its header wants more memory for the passphrase than anything that is written here")
    try:
        return hashlib.scrypt(passphrase.encode(), salt=salt, n=n, r=r, p=p, maxmem=2 * _MOST_MEMORY, dklen=KEY_SIZE)
    except ValueError as error:
        raise SealError("its header is damaged") from error


def _master_key(master: MasterKey) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=None, info=_PURPOSE).derive(master.key)


def _wrap(wrapping: bytes, key: bytes, holds: str) -> tuple[str, str]:
    nonce = secrets.token_bytes(NONCE_SIZE)
    return _text(nonce), _text(AESGCM(wrapping).encrypt(nonce, key, _bound(holds)))


def _unwrap(wrapping: bytes, found: ByMaster | ByPassphrase, holds: str) -> bytes:
    try:
        return AESGCM(wrapping).decrypt(_bytes(found.nonce), _bytes(found.key), _bound(holds))
    except (InvalidTag, ValueError) as error:
        raise SealError("its header is damaged") from error


def _bound(holds: str) -> bytes:
    return _PURPOSE + b"\0" + holds.encode()


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise SealError("its header is damaged") from error
