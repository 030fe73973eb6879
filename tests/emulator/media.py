"""Encryption of media files, as both sides do it: the server only ever holds the sealed form."""

import hashlib
import hmac
import os
from dataclasses import dataclass
from enum import Enum

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from tests.emulator.curve import hkdf, hmac_sha256

_MAC = 10


class MediaKind(Enum):
    """The text that binds a media key to its kind."""

    IMAGE = b"WhatsApp Image Keys"
    AUDIO = b"WhatsApp Audio Keys"
    VIDEO = b"WhatsApp Video Keys"
    DOCUMENT = b"WhatsApp Document Keys"


class MediaError(ValueError):
    """The file is not what its key says."""


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file as the media server stores it, and what a message tells about it."""

    blob: bytes
    key: bytes
    plain_sha256: bytes
    sealed_sha256: bytes
    plain_length: int


def seal(plain: bytes, kind: MediaKind, key: bytes | None = None) -> SealedFile:
    """Encrypt with ``key`` (32 bytes, random if not given)."""
    key = key or os.urandom(32)
    iv, cipher_key, mac_key = _derive(key, kind)
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(cipher_key), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    blob = sealed + hmac_sha256(mac_key, iv + sealed)[:_MAC]
    return SealedFile(blob, key, hashlib.sha256(plain).digest(), hashlib.sha256(blob).digest(), len(plain))


def unseal(blob: bytes, key: bytes, kind: MediaKind) -> bytes:
    """The plain file; MediaError if it was not sealed with this key."""
    iv, cipher_key, mac_key = _derive(key, kind)
    sealed, mac = blob[:-_MAC], blob[-_MAC:]
    if not hmac.compare_digest(hmac_sha256(mac_key, iv + sealed)[:_MAC], mac):
        raise MediaError("the file's MAC does not match its key")
    decryptor = Cipher(algorithms.AES(cipher_key), modes.CBC(iv)).decryptor()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(sealed) + decryptor.finalize()) + unpadder.finalize()


def _derive(key: bytes, kind: MediaKind) -> tuple[bytes, bytes, bytes]:
    """(iv, cipher key, MAC key); the last 32 of the 112 bytes are not used."""
    expanded = hkdf(key, info=kind.value, length=112)
    return expanded[:16], expanded[16:48], expanded[48:80]
