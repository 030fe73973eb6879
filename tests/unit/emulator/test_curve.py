"""The primitives."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from tests.emulator.curve import KeyPair, hkdf, verify

KEY = KeyPair.from_private(bytes(range(32)))


@given(st.binary(max_size=80), st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 200))
def test_hkdf_is_the_one_of_the_rfc(secret: bytes, salt: bytes, info: bytes, length: int) -> None:
    expected = HKDF(hashes.SHA256(), length, salt or None, info).derive(secret)
    assert hkdf(secret, salt=salt, info=info, length=length) == expected


@given(st.binary(max_size=200))
def test_a_signature_holds_for_its_message_only(message: bytes) -> None:
    signature = KEY.sign(message)
    assert verify(KEY.public, message, signature)
    assert not verify(KEY.public, message + b"x", signature)
    assert not verify(KEY.public, message, signature[:-1])


def test_two_keys_agree() -> None:
    other = KeyPair.generate()
    assert KEY.agree(other.public) == other.agree(KEY.public)
    assert KeyPair.from_private(other.private) == other
