"""The two certificate chains the client checks: WhatsApp's own inside the handshake, and TLS around it."""

import datetime
import ssl
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.emulator.curve import KeyPair
from tests.emulator.schemas import CertChain

MEDIA_HOSTS = ("mmg.whatsapp.net", "media-emu.cdn.whatsapp.net")
HOSTS = ("web.whatsapp.com", *MEDIA_HOSTS, "static.whatsapp.net")

_DAY = 86_400
_INTERMEDIATE_SERIAL, _LEAF_SERIAL = 1, 2


@dataclass(frozen=True, slots=True)
class NoiseAuthority:
    """The keys behind the handshake: root signs intermediate, intermediate signs the server's static key."""

    root: KeyPair = field(default_factory=KeyPair.generate)
    intermediate: KeyPair = field(default_factory=KeyPair.generate)
    static: KeyPair = field(default_factory=KeyPair.generate)

    def chain(self, now: float) -> bytes:
        """A serialised CertChain that is valid around ``now`` (unix seconds)."""
        return self._chain(now, root=self.root, intermediate=self.intermediate)

    def chain_of_another_root(self, now: float) -> bytes:
        return self._chain(now, root=KeyPair.generate(), intermediate=self.intermediate)

    def chain_with_bad_leaf(self, now: float) -> bytes:
        """The root's signature holds, the leaf's is by a key the chain does not name."""
        return self._chain(now, root=self.root, intermediate=KeyPair.generate())

    def _chain(self, now: float, *, root: KeyPair, intermediate: KeyPair) -> bytes:
        middle = _details(_INTERMEDIATE_SERIAL, 0, self.intermediate.public, now)
        leaf = _details(_LEAF_SERIAL, _INTERMEDIATE_SERIAL, self.static.public, now)
        signed = CertChain.NoiseCertificate
        return bytes(
            CertChain(
                intermediate=signed(details=middle, signature=root.sign(middle)),
                leaf=signed(details=leaf, signature=intermediate.sign(leaf)),
            ).SerializeToString()
        )


def _details(serial: int, issuer: int, key: bytes, now: float) -> bytes:
    details = CertChain.NoiseCertificate.Details(
        serial=serial, issuerSerial=issuer, key=key, notBefore=int(now) - _DAY, notAfter=int(now) + 30 * _DAY
    )
    return bytes(details.SerializeToString())


def write_tls_certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate for every host the client asks for, and its key: (certificate, key) as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "WhatsApp emulator")])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in HOSTS]
    names.append(x509.IPAddress(IPv4Address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = directory / "ca.pem", directory / "tls.key"
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_path.touch(mode=0o600)
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate_path, key_path


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server context without ALPN: the client must not be offered HTTP/2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
