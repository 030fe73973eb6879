"""Conversations between two parties: order, loss, repetition, forgery."""

import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.emulator.curve import KeyPair
from tests.emulator.signal.party import FIRST, LATER, Bundle, KeyReusedError, Party, RedeliveryError, SignedPrekey
from tests.emulator.signal.ratchet import DecryptError
from tests.emulator.signal.wire import FirstMessage, RatchetMessage, WireError

Sealed = tuple[str, bytes]


def acquainted() -> tuple[Party[str], Party[str]]:
    """Alice has begun a conversation with Bob, who does not know yet."""
    alice, bob = Party[str](), Party[str]()
    alice.begin("bob", bob.bundle())
    return alice, bob


def talking() -> tuple[Party[str], Party[str]]:
    """Both have heard from each other."""
    alice, bob = acquainted()
    bob.decrypt("alice", *alice.encrypt("bob", b"oi"))
    alice.decrypt("bob", *bob.encrypt("alice", b"oi"))
    return alice, bob


def test_first_messages_are_sent_until_the_other_answers() -> None:
    alice, bob = acquainted()
    kinds = []
    for text in (b"one", b"two"):
        kind, data = alice.encrypt("bob", text)
        kinds.append(kind)
        assert bob.decrypt("alice", kind, data) == text
    kind, data = bob.encrypt("alice", b"answer")
    assert alice.decrypt("bob", kind, data) == b"answer"
    assert (kinds, kind, alice.encrypt("bob", b"three")[0]) == ([FIRST, FIRST], LATER, LATER)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40), st.randoms(use_true_random=False))
def test_messages_are_read_in_any_order_and_whatever_is_lost(
    script: list[tuple[bool, bool]], shuffled: random.Random
) -> None:
    """The script: who writes next, and whether what is under way is delivered then (shuffled)."""
    alice, bob = talking()
    to_alice: list[tuple[bytes, Sealed]] = []
    to_bob: list[tuple[bytes, Sealed]] = []
    for number, (alice_writes, deliver) in enumerate(script):
        text = b"%d" % number
        if alice_writes:
            to_bob.append((text, alice.encrypt("bob", text)))
        else:
            to_alice.append((text, bob.encrypt("alice", text)))
        if deliver:
            for party, name, under_way in ((alice, "bob", to_alice), (bob, "alice", to_bob)):
                shuffled.shuffle(under_way)
                while len(under_way) > 1:
                    expected, sealed = under_way.pop()
                    assert party.decrypt(name, *sealed) == expected


def test_two_strangers_who_write_at_the_same_time_understand_each_other() -> None:
    alice, bob = acquainted()
    bob.begin("alice", alice.bundle())
    from_alice, from_bob = alice.encrypt("bob", b"a"), bob.encrypt("alice", b"b")
    assert bob.decrypt("alice", *from_alice) == b"a"
    assert alice.decrypt("bob", *from_bob) == b"b"
    for _ in range(3):
        assert bob.decrypt("alice", *alice.encrypt("bob", b"more")) == b"more"
        assert alice.decrypt("bob", *bob.encrypt("alice", b"more")) == b"more"


def test_the_same_bytes_again_are_a_redelivery() -> None:
    alice, bob = talking()
    sealed = alice.encrypt("bob", b"once")
    bob.decrypt("alice", *sealed)
    with pytest.raises(RedeliveryError):
        bob.decrypt("alice", *sealed)


def test_another_message_under_a_used_key_fails_loudly() -> None:
    alice, bob = talking()
    kind, data = alice.encrypt("bob", b"once")
    bob.decrypt("alice", kind, data)
    with pytest.raises(KeyReusedError):
        bob.decrypt("alice", kind, data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("first", [True, False])
def test_a_forged_message_is_refused_and_the_true_one_is_still_read(first: bool) -> None:
    alice, bob = acquainted() if first else talking()
    kind, data = alice.encrypt("bob", b"true")
    inner = FirstMessage.decode(data).message if first else data
    position = data.find(inner) + len(inner) - 1
    forged = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
    with pytest.raises(DecryptError, match="MAC"):
        bob.decrypt("alice", kind, forged)
    assert bob.decrypt("alice", kind, data) == b"true"


def test_a_later_message_from_a_stranger_is_refused() -> None:
    alice, bob = talking()
    with pytest.raises(DecryptError, match="no conversation"):
        bob.decrypt("carol", *alice.encrypt("bob", b"x"))


def test_too_large_a_gap_is_refused() -> None:
    alice, bob = talking()
    for _ in range(2001):
        alice.encrypt("bob", b"lost")
    with pytest.raises(DecryptError, match="missing"):
        bob.decrypt("alice", *alice.encrypt("bob", b"x"))


def test_a_one_time_prekey_serves_once() -> None:
    bob = Party[str]()
    bundle = bob.bundle()
    for name, reaction in (("alice", None), ("carol", "no one-time prekey")):
        stranger = Party[str]()
        stranger.begin("bob", bundle)
        sealed = stranger.encrypt("bob", b"x")
        if reaction is None:
            bob.decrypt(name, *sealed)
        else:
            with pytest.raises(DecryptError, match=reaction):
                bob.decrypt(name, *sealed)


def test_a_bundle_whose_prekey_is_not_signed_by_its_identity_is_refused() -> None:
    bundle = Party[str]().bundle()
    forged = Bundle(
        bundle.registration,
        KeyPair.generate().public,
        SignedPrekey(1, bundle.signed.public, bundle.signed.signature),
        None,
    )
    with pytest.raises(ValueError, match="signature"):
        Party[str]().begin("bob", forged)


def test_conversations_begin_without_a_one_time_prekey_too() -> None:
    alice, bob = Party[str](), Party[str]()
    bundle = bob.bundle()
    alice.begin("bob", Bundle(bundle.registration, bundle.identity, bundle.signed, None))
    assert bob.decrypt("alice", *alice.encrypt("bob", b"x")) == b"x"


def test_forgotten_conversations_begin_anew() -> None:
    alice, bob = talking()
    alice.forget("bob")
    assert not alice.knows("bob")
    alice.begin("bob", bob.bundle())
    kind, data = alice.encrypt("bob", b"again")
    assert kind == FIRST
    assert bob.decrypt("alice", kind, data) == b"again"


@given(st.binary(max_size=120), st.sampled_from([FIRST, LATER]))
def test_any_bytes_are_refused(data: bytes, kind: str) -> None:
    with pytest.raises(DecryptError):
        Party[str](identity=KEY, _signed=KEY).decrypt("alice", kind, data)


KEY = KeyPair.generate()
keys = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, (1 << 32) - 1)


@given(st.builds(RatchetMessage, keys, numbers, numbers, st.binary(max_size=300)))
def test_ratchet_messages_are_read_as_written(message: RatchetMessage) -> None:
    assert RatchetMessage.decode(message.encode() + bytes(8)) == message


@given(st.builds(FirstMessage, st.none() | numbers, numbers, keys, keys, numbers, st.binary(max_size=300)))
def test_first_messages_are_read_as_written(message: FirstMessage) -> None:
    assert FirstMessage.decode(message.encode()) == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    for decode in (RatchetMessage.decode, FirstMessage.decode):
        for candidate in (data, b"\x33" + data):
            with suppress(WireError):
                decode(candidate)
