"""Noise_XX_25519_AESGCM_SHA256 as WhatsApp uses it: the server's half of the handshake, and the ciphers after it."""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError as ProtobufDecodeError

from tests.emulator.curve import KeyPair, hkdf
from tests.emulator.schemas import ClientPayload, HandshakeMessage

PATTERN = b"Noise_XX_25519_AESGCM_SHA256\0\0\0\0"
"""32 bytes, used as they are as first hash, chaining key and cipher key."""

PROLOGUE = b"WA\x06\x03"
"""The four bytes before the first frame: magic 6, dictionary version 3."""


class HandshakeError(Exception):
    """The client's part of the handshake is not what the protocol says."""


class Cipher:
    """One direction after the handshake: AES-256-GCM with a counter as nonce and no associated data."""

    __slots__ = ("_cipher", "_count")

    def __init__(self, key: bytes) -> None:
        self._cipher, self._count = AESGCM(key), 0

    def encrypt(self, plain: bytes, associated: bytes | None = None) -> bytes:
        return self._cipher.encrypt(self._nonce(), plain, associated)

    def decrypt(self, sealed: bytes, associated: bytes | None = None) -> bytes:
        """InvalidTag if the bytes are not the next the other side sent."""
        return self._cipher.decrypt(self._nonce(), sealed, associated)

    def _nonce(self) -> bytes:
        nonce = self._count.to_bytes(12)
        self._count += 1
        return nonce


class SymmetricState:
    """The running hash and chaining key both sides keep during the handshake."""

    def __init__(self, prologue: bytes) -> None:
        self._hash = self._chaining_key = PATTERN
        self._cipher = Cipher(PATTERN)
        self.mix_hash(prologue)

    def mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def mix_key(self, secret: bytes) -> None:
        mixed = hkdf(secret, salt=self._chaining_key, length=64)
        self._chaining_key, self._cipher = mixed[:32], Cipher(mixed[32:])

    def encrypt(self, plain: bytes) -> bytes:
        sealed = self._cipher.encrypt(plain, self._hash)
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed: bytes) -> bytes:
        plain = self._cipher.decrypt(sealed, self._hash)
        self.mix_hash(sealed)
        return plain

    def split(self) -> tuple[Cipher, Cipher]:
        """(client to server, server to client)."""
        keys = hkdf(b"", salt=self._chaining_key, length=64)
        return Cipher(keys[:32]), Cipher(keys[32:])


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a client said in the handshake, and the ciphers agreed with it."""

    payload: ClientPayload
    receiving: Cipher
    sending: Cipher


class Responder:
    """The server's side.  Call :meth:`answer`, send its result, then :meth:`finish`; both may raise HandshakeError."""

    def __init__(self, prologue: bytes, static: KeyPair, certificate: bytes) -> None:
        self._state = SymmetricState(prologue)
        self._static, self._certificate = static, certificate
        self._ephemeral = KeyPair.generate()

    def answer(self, client_hello: bytes) -> bytes:
        """The ServerHello to a ClientHello (both serialised HandshakeMessage)."""
        theirs = _parse(client_hello).clientHello.ephemeral
        state = self._state
        state.mix_hash(theirs)
        state.mix_hash(self._ephemeral.public)
        _mix_agreement(state, self._ephemeral, theirs)
        static = state.encrypt(self._static.public)
        _mix_agreement(state, self._static, theirs)
        hello = HandshakeMessage()
        hello.serverHello.ephemeral = self._ephemeral.public
        hello.serverHello.static = static
        hello.serverHello.payload = state.encrypt(self._certificate)
        return bytes(hello.SerializeToString())

    def finish(self, client_finish: bytes) -> Greeting:
        final = _parse(client_finish).clientFinish
        try:
            client_static = self._state.decrypt(final.static)
            _mix_agreement(self._state, self._ephemeral, client_static)
            payload = ClientPayload.FromString(self._state.decrypt(final.payload))
        except (InvalidTag, ProtobufDecodeError) as error:
            raise HandshakeError(f"unreadable ClientFinish: {error!r}") from error
        return Greeting(payload, *self._state.split())


def _parse(message: bytes) -> HandshakeMessage:
    try:
        return HandshakeMessage.FromString(message)
    except ProtobufDecodeError as error:
        raise HandshakeError("not a HandshakeMessage") from error


def _mix_agreement(state: SymmetricState, ours: KeyPair, theirs: bytes) -> None:
    try:
        state.mix_key(ours.agree(theirs))
    except ValueError as error:
        raise HandshakeError("not a Curve25519 public key") from error
