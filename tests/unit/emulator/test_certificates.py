"""The certificate chains."""

import time
from pathlib import Path

import pytest
from cryptography import x509

from tests.emulator.certificates import HOSTS, NoiseAuthority, tls_context, write_tls_certificate
from tests.emulator.curve import verify
from tests.emulator.schemas import CertChain


def signatures(authority: NoiseAuthority, serialised: bytes) -> tuple[bool, bool]:
    """Whether the intermediate's and the leaf's signatures hold, as the client checks them."""
    chain = CertChain.FromString(serialised)
    details = CertChain.NoiseCertificate.Details.FromString(chain.intermediate.details)
    return (
        verify(authority.root.public, chain.intermediate.details, chain.intermediate.signature),
        verify(details.key, chain.leaf.details, chain.leaf.signature),
    )


def test_an_honest_chain_leads_from_the_root_to_the_static_key() -> None:
    authority, now = NoiseAuthority(), time.time()
    serialised = authority.chain(now)
    chain = CertChain.FromString(serialised)
    intermediate = CertChain.NoiseCertificate.Details.FromString(chain.intermediate.details)
    leaf = CertChain.NoiseCertificate.Details.FromString(chain.leaf.details)
    assert signatures(authority, serialised) == (True, True)
    assert (intermediate.issuerSerial, leaf.issuerSerial) == (0, intermediate.serial)
    assert leaf.key == authority.static.public
    assert leaf.notBefore < now < leaf.notAfter


@pytest.mark.parametrize(
    ("lie", "held"),
    [(NoiseAuthority.chain_of_another_root, (False, True)), (NoiseAuthority.chain_with_bad_leaf, (True, False))],
)
def test_a_lie_breaks_exactly_one_signature(lie: object, held: tuple[bool, bool]) -> None:
    authority = NoiseAuthority()
    assert callable(lie)
    assert signatures(authority, lie(authority, time.time())) == held


def test_the_tls_certificate_names_every_host_and_loads(tmp_path: Path) -> None:
    certificate, key = write_tls_certificate(tmp_path)
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(names.get_values_for_type(x509.DNSName)) == HOSTS
    assert key.stat().st_mode & 0o077 == 0
    tls_context(certificate, key)
