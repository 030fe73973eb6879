"""Linking a companion device: the signatures by which phone and companion vouch for each other."""

from dataclasses import dataclass

from tests.emulator.curve import KeyPair, hmac_sha256, verify
from tests.emulator.schemas import ADVDeviceIdentity, ADVSignedDeviceIdentity, ADVSignedDeviceIdentityHMAC

_BY_ACCOUNT, _BY_DEVICE = b"\x06\x00", b"\x06\x01"


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a QR code (or the pair code exchange) tells the phone about the companion."""

    companion_identity: bytes
    adv_secret: bytes


def vouch(
    invitation: Invitation,
    phone: KeyPair,
    *,
    key_index: int,
    raw_id: int,
    now: float,
    signer: KeyPair | None = None,
    secret: bytes | None = None,
) -> bytes:
    """The phone's word for the companion: a serialised ADVSignedDeviceIdentityHMAC.

    ``signer`` and ``secret`` replace the phone's key and the invitation's secret where a lie is wanted.
    """
    details = bytes(ADVDeviceIdentity(rawID=raw_id, timestamp=int(now), keyIndex=key_index).SerializeToString())
    signature = (signer or phone).sign(_BY_ACCOUNT + details + invitation.companion_identity)
    signed = bytes(
        ADVSignedDeviceIdentity(
            details=details, accountSignatureKey=phone.public, accountSignature=signature
        ).SerializeToString()
    )
    seal = hmac_sha256(secret or invitation.adv_secret, signed)
    return bytes(ADVSignedDeviceIdentityHMAC(details=signed, HMAC=seal).SerializeToString())


def accepted(answer: bytes, companion_identity: bytes, phone_identity: bytes) -> bool:
    """Whether the companion's answer (ADVSignedDeviceIdentity) carries its own valid signature."""
    signed = ADVSignedDeviceIdentity.FromString(answer)
    text = _BY_DEVICE + signed.details + companion_identity + phone_identity
    return verify(companion_identity, text, signed.deviceSignature)
