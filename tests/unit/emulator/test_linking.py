"""What phone and companion sign for each other, and the code typed on the phone."""

import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.emulator.adv import Invitation, accepted, vouch
from tests.emulator.curve import KeyPair, hkdf, hmac_sha256, verify
from tests.emulator.pair_code import CodeExchange, WrongCodeError, unwrap, wrap
from tests.emulator.schemas import ADVSignedDeviceIdentity, ADVSignedDeviceIdentityHMAC

PHONE, COMPANION = KeyPair.generate(), KeyPair.generate()
INVITATION = Invitation(COMPANION.public, os.urandom(32))


def check(word: bytes) -> tuple[bool, bool]:
    """Whether HMAC and account signature hold, as the companion checks them."""
    outer = ADVSignedDeviceIdentityHMAC.FromString(word)
    inner = ADVSignedDeviceIdentity.FromString(outer.details)
    text = b"\x06\x00" + inner.details + COMPANION.public
    return (
        hmac_sha256(INVITATION.adv_secret, outer.details) == outer.HMAC,
        verify(inner.accountSignatureKey, text, inner.accountSignature),
    )


def test_an_honest_phones_word_holds() -> None:
    assert check(vouch(INVITATION, PHONE, key_index=1, raw_id=7, now=0)) == (True, True)


def test_a_lie_breaks_what_it_is_about() -> None:
    forged = vouch(INVITATION, PHONE, key_index=1, raw_id=7, now=0, signer=KeyPair.generate())
    unsealed = vouch(INVITATION, PHONE, key_index=1, raw_id=7, now=0, secret=bytes(32))
    assert (check(forged), check(unsealed)) == ((True, False), (False, True))


@pytest.mark.parametrize(("signer", "holds"), [(COMPANION, True), (KeyPair.generate(), False)])
def test_the_companions_answer_must_be_signed_by_itself(signer: KeyPair, holds: bool) -> None:
    details = b"details"
    signature = signer.sign(b"\x06\x01" + details + COMPANION.public + PHONE.public)
    answer = ADVSignedDeviceIdentity(details=details, deviceSignature=signature).SerializeToString()
    assert accepted(answer, COMPANION.public, PHONE.public) is holds


def finish(code: str, wrapped_answer: bytes, ephemeral: KeyPair, secret: bytes) -> bytes:
    """The key bundle a companion finishes with."""
    shared = ephemeral.agree(unwrap(code, wrapped_answer))
    salt, nonce = os.urandom(32), os.urandom(12)
    key = hkdf(shared, salt=salt, info=b"link_code_pairing_key_bundle_encryption_key", length=32)
    return salt + nonce + AESGCM(key).encrypt(nonce, COMPANION.public + PHONE.public + secret, None)


def test_both_sides_of_a_code_pairing_get_the_same_secret() -> None:
    ephemeral, secret = KeyPair.generate(), os.urandom(32)
    exchange = CodeExchange("ABCD-EFGH", wrap("ABCDEFGH", ephemeral.public))
    answer = exchange.answer()
    bundle = finish("ABCDEFGH", answer, ephemeral, secret)
    invitation = exchange.open_bundle(bundle, COMPANION.public, PHONE)

    shared = ephemeral.agree(exchange.ephemeral.public) + COMPANION.agree(PHONE.public) + secret
    assert invitation == Invitation(COMPANION.public, hkdf(shared, info=b"adv_secret", length=32))
    with pytest.raises(WrongCodeError, match="other identities"):
        exchange.open_bundle(bundle, KeyPair.generate().public, PHONE)


def test_another_code_opens_nothing() -> None:
    ephemeral = KeyPair.generate()
    exchange = CodeExchange("AAAA-AAAA", wrap("ABCDEFGH", ephemeral.public))
    bundle = finish("ABCDEFGH", exchange.answer(), ephemeral, bytes(32))
    with pytest.raises(WrongCodeError):
        exchange.open_bundle(bundle, COMPANION.public, PHONE)
