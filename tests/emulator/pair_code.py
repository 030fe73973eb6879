"""The cryptography of pairing by phone code: what the phone does with the code a human types."""

import hashlib
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.emulator.adv import Invitation
from tests.emulator.curve import KeyPair, hkdf

_ROUNDS = 131_072
_KEY = 32
_SALT, _IV, _NONCE = 32, 16, 12


class WrongCodeError(ValueError):
    """The companion's keys do not open: the code that was typed is not the one it showed."""


@dataclass(slots=True)
class CodeExchange:
    """One attempt: ``wrapped`` is the companion's ephemeral key as it came (80 bytes)."""

    code: str
    wrapped: bytes
    ephemeral: KeyPair = field(default_factory=KeyPair.generate)

    def answer(self) -> bytes:
        """The phone's ephemeral public key, wrapped with the same code (80 bytes).  Takes about 0.1 s."""
        return wrap(self.code, self.ephemeral.public)

    def open_bundle(self, bundle: bytes, companion_identity: bytes, phone: KeyPair) -> Invitation:
        """What the companion finishes with, opened; WrongCodeError if it was not made for this exchange."""
        shared = self.ephemeral.agree(unwrap(self.code, self.wrapped))
        salt, nonce, sealed = (
            bundle[:_SALT], bundle[_SALT : _SALT + _NONCE], bundle[_SALT + _NONCE :],
        )  # fmt: skip
        key = hkdf(shared, salt=salt, info=b"link_code_pairing_key_bundle_encryption_key", length=_KEY)
        try:
            opened = AESGCM(key).decrypt(nonce, sealed, None)
        except (InvalidTag, ValueError) as error:
            raise WrongCodeError("the key bundle does not open") from error
        if opened[: 2 * _KEY] != companion_identity + phone.public:
            raise WrongCodeError("the key bundle names other identities")
        identities = phone.agree(companion_identity)
        secret = hkdf(shared + identities + opened[2 * _KEY : 3 * _KEY], info=b"adv_secret", length=_KEY)
        return Invitation(companion_identity, secret)


def wrap(code: str, key: bytes) -> bytes:
    salt, iv = os.urandom(_SALT), os.urandom(_IV)
    return salt + iv + _counter_mode(code, salt, iv, key)


def unwrap(code: str, wrapped: bytes) -> bytes:
    """The key; with a wrong code another one comes out, unnoticed."""
    salt, iv, sealed = wrapped[:_SALT], wrapped[_SALT : _SALT + _IV], wrapped[_SALT + _IV :]
    return _counter_mode(code, salt, iv, sealed)


def _counter_mode(code: str, salt: bytes, iv: bytes, data: bytes) -> bytes:
    key = hashlib.pbkdf2_hmac("sha256", code.replace("-", "").encode(), salt, _ROUNDS, _KEY)
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return cipher.update(data) + cipher.finalize()
