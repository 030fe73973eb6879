"""Curve25519 keys, XEdDSA signatures and HKDF-SHA256: the primitives every other layer is made of."""

import hmac
from dataclasses import dataclass, field
from typing import Self

import xeddsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

KEY_TYPE = b"\x05"
"""The prefix WhatsApp puts before a Curve25519 public key inside messages and signed texts."""

_SIGN_BIT = 0x80


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An X25519 key pair; ``private`` and ``public`` are 32 raw bytes each."""

    private: bytes = field(repr=False)
    public: bytes
    _key: X25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def generate(cls) -> Self:
        return cls._of(X25519PrivateKey.generate())

    @classmethod
    def from_private(cls, private: bytes) -> Self:
        return cls._of(X25519PrivateKey.from_private_bytes(private))

    @classmethod
    def _of(cls, key: X25519PrivateKey) -> Self:
        return cls(key.private_bytes_raw(), key.public_key().public_bytes_raw(), key)

    def agree(self, public: bytes) -> bytes:
        """The 32-byte Diffie-Hellman secret; ValueError for a public key of the wrong size or of low order."""
        return self._key.exchange(X25519PublicKey.from_public_bytes(public))

    def sign(self, message: bytes) -> bytes:
        """A 64-byte XEdDSA signature."""
        signature: bytes = xeddsa.ed25519_priv_sign(xeddsa.priv_force_sign(self.private, False), message)
        return signature


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (64 bytes, the key's sign in bit 7 of the last) is ``public``'s over ``message``."""
    if len(signature) != 64:
        return False
    last = signature[63]
    edwards = xeddsa.curve25519_pub_to_ed25519_pub(public, bool(last & _SIGN_BIT))
    plain = signature[:63] + bytes([last & ~_SIGN_BIT])
    return bool(xeddsa.ed25519_verify(plain, edwards, message))


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def hkdf(secret: bytes, *, salt: bytes = b"", info: bytes = b"", length: int) -> bytes:
    """HKDF-SHA256 (RFC 5869).  Written out because it runs several times per message and hmac.digest is fast."""
    pseudorandom = hmac_sha256(salt or bytes(32), secret)
    output = block = b""
    counter = 0
    while len(output) < length:
        counter += 1
        block = hmac_sha256(pseudorandom, block + info + bytes([counter]))
        output += block
    return output[:length]
