"""One phone's side of its conversations: identity, prekeys, and what it has ever been sent.

A party is stricter than a phone: it remembers every (ratchet key, counter) and refuses a second message under the
same one.  A client that does this has lost track of its ratchet, which breaks the encryption's promise.
"""

import random
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tests.emulator.curve import KEY_TYPE, KeyPair, verify
from tests.emulator.signal.ratchet import Conversation, DecryptError, agree
from tests.emulator.signal.wire import MAC_LENGTH, FirstMessage, RatchetMessage

FIRST, LATER = "pkmsg", "msg"
"""How stanzas name the two kinds of ciphertext."""

_LONGEST_PADDING = 15
_KEPT_CONVERSATIONS = 10
_SIGNED_ID = 1

Address = TypeVar("Address")


class RedeliveryError(DecryptError):
    """The very same bytes came again: harmless, a phone shows nothing."""


class KeyReusedError(DecryptError):
    """Two different messages were encrypted with the same key: the sender's ratchet state is broken."""


@dataclass(frozen=True, slots=True)
class SignedPrekey:
    id: int
    public: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class OneTimePrekey:
    id: int
    public: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a stranger needs to write to a device for the first time."""

    registration: int
    identity: bytes
    signed: SignedPrekey
    one_time: OneTimePrekey | None


@dataclass(slots=True)
class Party(Generic[Address]):
    """A phone; ``Address`` is whatever it calls those it talks with."""

    identity: KeyPair = field(default_factory=KeyPair.generate)
    registration: int = field(default_factory=lambda: random.getrandbits(31))
    _signed: KeyPair = field(default_factory=KeyPair.generate)
    _signature: bytes = b""
    _one_time: dict[int, KeyPair] = field(default_factory=dict)
    _next_one_time: int = 1
    _conversations: dict[Address, list[Conversation]] = field(default_factory=dict)
    _pending: dict[Address, FirstMessage] = field(default_factory=dict)
    _seen: dict[tuple[bytes, int], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._signature = self.identity.sign(KEY_TYPE + self._signed.public)

    def bundle(self) -> Bundle:
        """A bundle with a fresh one-time prekey."""
        number, self._next_one_time = self._next_one_time, self._next_one_time + 1
        key = self._one_time[number] = KeyPair.generate()
        signed = SignedPrekey(_SIGNED_ID, self._signed.public, self._signature)
        return Bundle(self.registration, self.identity.public, signed, OneTimePrekey(number, key.public))

    def knows(self, address: Address) -> bool:
        return bool(self._conversations.get(address))

    def forget(self, address: Address) -> None:
        """Drop the conversations with ``address``."""
        self._conversations.pop(address, None)
        self._pending.pop(address, None)

    def begin(self, address: Address, bundle: Bundle) -> None:
        """Start a conversation from the other's bundle; ValueError if its signed prekey is not signed by it."""
        if not verify(bundle.identity, KEY_TYPE + bundle.signed.public, bundle.signed.signature):
            raise ValueError("the signed prekey's signature is wrong")
        base = KeyPair.generate()
        secrets = [
            self.identity.agree(bundle.signed.public),
            base.agree(bundle.identity),
            base.agree(bundle.signed.public),
        ]
        if bundle.one_time is not None:
            secrets.append(base.agree(bundle.one_time.public))
        conversation = Conversation.begun(
            agree(secrets), self.identity.public, bundle.identity, base.public, bundle.signed.public
        )
        self._promote(address, conversation)
        self._pending[address] = FirstMessage(
            bundle.one_time.id if bundle.one_time else None,
            bundle.signed.id,
            base.public,
            self.identity.public,
            self.registration,
            b"",
        )

    def encrypt(self, address: Address, plain: bytes) -> tuple[str, bytes]:
        """(kind, ciphertext); KeyError if there is no conversation with ``address`` yet."""
        conversation = self._conversations[address][0]
        filler = random.randint(1, _LONGEST_PADDING)
        message = conversation.encrypt(plain + bytes([filler]) * filler)
        first = self._pending.get(address)
        if conversation.confirmed or first is None or first.base_key != conversation.base_key:
            return LATER, message
        return FIRST, FirstMessage(
            first.one_time_id, first.signed_id, first.base_key, first.identity, first.registration, message
        ).encode()

    def decrypt(self, address: Address, kind: str, data: bytes) -> bytes:
        """The unpadded plain text; DecryptError (or one of its kinds above) and no change if there is none."""
        try:
            plain = self._decrypt(address, kind, data)
        except ValueError as error:  # a malformed message, or a public key that is none
            raise DecryptError(str(error)) from error
        if not plain or not 0 < plain[-1] <= len(plain):
            raise DecryptError("the padding is wrong")
        return plain[: -plain[-1]]

    def _decrypt(self, address: Address, kind: str, data: bytes) -> bytes:
        first = FirstMessage.decode(data) if kind == FIRST else None
        inner = first.message if first else data
        message = RatchetMessage.decode(inner)
        self._refuse_repetition(message, inner)
        if first:
            conversation, plain = self._decrypt_first(address, first, message)
        else:
            conversation, plain = self._decrypt_later(address, message, inner)
        self._promote(address, conversation)
        self._seen[message.ratchet_key, message.counter] = inner[-MAC_LENGTH:]
        return plain

    def _refuse_repetition(self, message: RatchetMessage, data: bytes) -> None:
        seen = self._seen.get((message.ratchet_key, message.counter))
        if seen is None:
            return
        if seen == data[-MAC_LENGTH:]:
            raise RedeliveryError(f"message {message.counter} again")
        raise KeyReusedError(f"two messages under {message.ratchet_key.hex()} number {message.counter}")

    def _decrypt_first(
        self, address: Address, first: FirstMessage, message: RatchetMessage
    ) -> tuple[Conversation, bytes]:
        for known in self._conversations.get(address, ()):
            if known.base_key == first.base_key:
                return known, known.decrypt(message, first.message)
        if first.signed_id != _SIGNED_ID:
            raise DecryptError(f"no signed prekey {first.signed_id}")
        secrets = [
            self._signed.agree(first.identity),
            self.identity.agree(first.base_key),
            self._signed.agree(first.base_key),
        ]
        if first.one_time_id is not None:
            one_time = self._one_time.get(first.one_time_id)
            if one_time is None:
                raise DecryptError(f"no one-time prekey {first.one_time_id}, or it was used before")
            secrets.append(one_time.agree(first.base_key))
        conversation = Conversation.accepted(
            agree(secrets), self.identity.public, first.identity, first.base_key, self._signed
        )
        plain = conversation.decrypt(message, first.message)
        if first.one_time_id is not None:
            del self._one_time[first.one_time_id]
        return conversation, plain

    def _decrypt_later(self, address: Address, message: RatchetMessage, data: bytes) -> tuple[Conversation, bytes]:
        refusal = DecryptError("no conversation")
        for conversation in self._conversations.get(address, ()):
            try:
                return conversation, conversation.decrypt(message, data)
            except DecryptError as error:
                refusal = error
        raise refusal

    def _promote(self, address: Address, conversation: Conversation) -> None:
        """What was used last is used next; the older ones stay readable for a while."""
        known = self._conversations.setdefault(address, [])
        if known and known[0] is conversation:
            return
        rest = [other for other in known if other is not conversation]
        self._conversations[address] = [conversation, *rest][:_KEPT_CONVERSATIONS]
