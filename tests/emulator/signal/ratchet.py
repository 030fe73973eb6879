"""One conversation: the X3DH agreement that begins it and the double ratchet that carries it.

A message that does not authenticate leaves the conversation as it was.
"""

import hmac
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.emulator.curve import KEY_TYPE, KeyPair, hkdf, hmac_sha256
from tests.emulator.signal.wire import MAC_LENGTH, RatchetMessage

_LARGEST_GAP = 2000
_KEPT_CHAINS = 5
_BLOCK = 16


class DecryptError(Exception):
    """The message does not belong to this conversation, or not any more."""


class MessageKeys(NamedTuple):
    """Used for exactly one message."""

    cipher: bytes
    mac: bytes
    iv: bytes


@dataclass(slots=True)
class Chain:
    """A symmetric chain and the number of the message its key is for."""

    key: bytes
    counter: int = 0

    def next(self) -> MessageKeys:
        seed = hmac_sha256(self.key, b"\x01")
        derived = hkdf(seed, salt=bytes(32), info=b"WhisperMessageKeys", length=80)
        self.key = hmac_sha256(self.key, b"\x02")
        self.counter += 1
        return MessageKeys(derived[:32], derived[32:64], derived[64:])


class Agreement(NamedTuple):
    """What both sides know after X3DH."""

    root: bytes
    chain: bytes


def agree(secrets: list[bytes]) -> Agreement:
    """From the three or four Diffie-Hellman secrets, in the order of the protocol."""
    derived = hkdf(bytes([0xFF]) * 32 + b"".join(secrets), salt=bytes(32), info=b"WhisperText", length=64)
    return Agreement(derived[:32], derived[32:])


def _step(root: bytes, ours: KeyPair, theirs: bytes) -> Agreement:
    derived = hkdf(ours.agree(theirs), salt=root, info=b"WhisperRatchet", length=64)
    return Agreement(derived[:32], derived[32:])


@dataclass(slots=True)
class Conversation:
    """The ratchet between two identities (32 raw bytes each); made by :meth:`begun` or :meth:`accepted`."""

    our_identity: bytes
    their_identity: bytes
    base_key: bytes
    _root: bytes
    _ratchet: KeyPair
    _sending: Chain
    _receiving: dict[bytes, Chain] = field(default_factory=dict)
    _skipped: dict[tuple[bytes, int], MessageKeys] = field(default_factory=dict)
    _previous_counter: int = 0
    confirmed: bool = False
    """Whether the other side has answered; until then every message we send must be a first message."""

    @classmethod
    def begun(
        cls, agreement: Agreement, ours: bytes, theirs: bytes, base_key: bytes, their_ratchet: bytes
    ) -> "Conversation":
        """Our side wrote first: the other's signed prekey is its first ratchet key."""
        ratchet = KeyPair.generate()
        root, sending = _step(agreement.root, ratchet, their_ratchet)
        return cls(ours, theirs, base_key, root, ratchet, Chain(sending), {their_ratchet: Chain(agreement.chain)})

    @classmethod
    def accepted(
        cls, agreement: Agreement, ours: bytes, theirs: bytes, base_key: bytes, our_signed_prekey: KeyPair
    ) -> "Conversation":
        """The other side wrote first, to our signed prekey."""
        return cls(ours, theirs, base_key, agreement.root, our_signed_prekey, Chain(agreement.chain))

    def encrypt(self, plain: bytes) -> bytes:
        counter = self._sending.counter
        keys = self._sending.next()
        body = RatchetMessage(self._ratchet.public, counter, self._previous_counter, _seal(keys, plain)).encode()
        return body + _mac(keys, self.our_identity, self.their_identity, body)

    def decrypt(self, message: RatchetMessage, data: bytes) -> bytes:
        """The plain text of ``message``, which was decoded from ``data``; DecryptError changes nothing."""
        name = (message.ratchet_key, message.counter)
        keys = self._skipped.get(name)
        if keys is not None:
            plain = self._open(keys, message, data)
            del self._skipped[name]
        else:
            plain = self._advance(message, data)
        self.confirmed = True
        return plain

    def _advance(self, message: RatchetMessage, data: bytes) -> bytes:
        known = self._receiving.get(message.ratchet_key)
        root = b""
        if known is not None:
            chain = Chain(known.key, known.counter)
        else:
            root, chain_key = _step(self._root, self._ratchet, message.ratchet_key)
            chain = Chain(chain_key)
        gap = message.counter - chain.counter
        if gap < 0:
            raise DecryptError(f"old counter: {message.counter} was read or skipped before")
        if gap > _LARGEST_GAP:
            raise DecryptError(f"{gap} messages are missing before this one")
        skipped: dict[tuple[bytes, int], MessageKeys] = {}
        for number in range(chain.counter, message.counter):
            skipped[message.ratchet_key, number] = chain.next()
        plain = self._open(chain.next(), message, data)
        if known is None:
            self._turn(root, message.ratchet_key)
        self._receiving[message.ratchet_key] = chain
        self._skipped |= skipped
        self._forget()
        return plain

    def _turn(self, root: bytes, theirs: bytes) -> None:
        """The other side has a new ratchet key, so we take one as well."""
        self._previous_counter = max(self._sending.counter - 1, 0)
        self._ratchet = KeyPair.generate()
        self._root, sending = _step(root, self._ratchet, theirs)
        self._sending = Chain(sending)

    def _forget(self) -> None:
        while len(self._receiving) > _KEPT_CHAINS:
            del self._receiving[next(iter(self._receiving))]
        while len(self._skipped) > _LARGEST_GAP:
            del self._skipped[next(iter(self._skipped))]

    def _open(self, keys: MessageKeys, message: RatchetMessage, data: bytes) -> bytes:
        body, mac = data[:-MAC_LENGTH], data[-MAC_LENGTH:]
        if not hmac.compare_digest(_mac(keys, self.their_identity, self.our_identity, body), mac):
            raise DecryptError("the MAC is wrong")
        return _unseal(keys, message.ciphertext)


def _mac(keys: MessageKeys, sender: bytes, receiver: bytes, body: bytes) -> bytes:
    return hmac_sha256(keys.mac, KEY_TYPE + sender + KEY_TYPE + receiver + body)[:MAC_LENGTH]


def _seal(keys: MessageKeys, plain: bytes) -> bytes:
    filler = _BLOCK - len(plain) % _BLOCK
    encryptor = Cipher(algorithms.AES(keys.cipher), modes.CBC(keys.iv)).encryptor()
    return encryptor.update(plain + bytes([filler]) * filler) + encryptor.finalize()


def _unseal(keys: MessageKeys, sealed: bytes) -> bytes:
    if not sealed or len(sealed) % _BLOCK:
        raise DecryptError("the ciphertext is not whole blocks")
    decryptor = Cipher(algorithms.AES(keys.cipher), modes.CBC(keys.iv)).decryptor()
    padded = decryptor.update(sealed) + decryptor.finalize()
    return padded[: -padded[-1]]
