import os
import struct
import zlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from gateway.vault.sealing import LARGEST, Place, SealError, key_id_of, seal, unseal

KEY = bytes(range(32))
KEY_ID = b"data-key"
PLACE = Place("north", "front-desk", 7)

contents = st.binary(max_size=2000) | st.integers(0, 5000).map(bytes)


@given(contents)
def test_what_was_sealed_opens_again(plain: bytes) -> None:
    sealed = seal(plain, PLACE, KEY, KEY_ID)
    assert unseal(sealed, PLACE, KEY) == plain
    assert key_id_of(sealed) == KEY_ID


@given(contents, st.data())
def test_a_flipped_bit_is_noticed(plain: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(plain, PLACE, KEY, KEY_ID))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealError):
        unseal(bytes(sealed), PLACE, KEY)


@given(contents, st.data())
def test_what_is_cut_off_or_grew_does_not_open(plain: bytes, data: st.DataObject) -> None:
    sealed = seal(plain, PLACE, KEY, KEY_ID)
    with pytest.raises(SealError):
        unseal(sealed[: data.draw(st.integers(0, len(sealed) - 1))], PLACE, KEY)
    with pytest.raises(SealError):
        unseal(sealed + data.draw(st.binary(min_size=1, max_size=40)), PLACE, KEY)


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, clinic="south"),
        replace(PLACE, channel="back-desk"),
        replace(PLACE, version=8),
        replace(PLACE, clinic="north-front", channel="desk"),
    ],
)
def test_it_opens_in_no_other_place(elsewhere: Place) -> None:
    with pytest.raises(SealError):
        unseal(seal(b"secret", PLACE, KEY, KEY_ID), elsewhere, KEY)


def test_it_opens_with_no_other_key() -> None:
    with pytest.raises(SealError):
        unseal(seal(b"secret", PLACE, KEY, KEY_ID), PLACE, os.urandom(32))


@given(st.binary(max_size=200))
def test_what_is_no_sealed_file_is_refused(words: bytes) -> None:
    with pytest.raises(SealError):
        unseal(words, PLACE, KEY)


def test_the_same_content_never_looks_the_same() -> None:
    assert seal(b"secret", PLACE, KEY, KEY_ID) != seal(b"secret", PLACE, KEY, KEY_ID)


def test_the_plain_text_does_not_show() -> None:
    assert b"5521900000001" not in seal(b"5521900000001" * 3, PLACE, KEY, KEY_ID)


@pytest.mark.parametrize("said", [0, 1, 999, 1001])
def test_it_holds_as_much_as_it_says_and_no_more(said: int) -> None:
    with pytest.raises(SealError, match="something else"):
        unseal(_forged(zlib.compress(bytes(1000)), said), PLACE, KEY)


def test_what_would_unpack_to_more_than_can_be_sealed_is_not_unpacked() -> None:
    with pytest.raises(SealError, match="more than can be sealed"):
        unseal(_forged(zlib.compress(bytes(1000)), LARGEST + 1), PLACE, KEY)


@pytest.mark.parametrize("packed", [b"", b"no zlib", zlib.compress(b"x" * 9) + b"more", zlib.compress(b"x" * 9)[:-1]])
def test_what_cannot_be_unpacked_is_refused(packed: bytes) -> None:
    with pytest.raises(SealError):
        unseal(_forged(packed, 9), PLACE, KEY)


def _forged(packed: bytes, size: int) -> bytes:
    """By somebody who has the key, and says something else than is true."""
    nonce = os.urandom(12)
    header = struct.pack("!9s8sQ12s", b"PLANTAOV\x01", KEY_ID, size, nonce)
    return header + AESGCM(KEY).encrypt(nonce, packed, header + PLACE.bound())
