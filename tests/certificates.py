"""Authorities and certificates of tests, as PEM files."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY: Final = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, each in a file; ``both`` holds them together."""

    certificate: Path
    key: Path
    both: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs certificates for 127.0.0.1 and ``localhost``; its own lies in ``file``."""

    folder: Path
    file: Path
    certificate: x509.Certificate
    key: Key

    @classmethod
    def made(cls, folder: Path, name: str = "authority", *, valid: timedelta = 30 * DAY) -> Authority:
        """A new one, which ends ``valid`` from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            _builder(subject, subject, key, valid)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        file = folder / f"{name}.pem"
        file.write_bytes(made.public_bytes(Encoding.PEM))
        return cls(folder, file, made, key)

    @classmethod
    def of(cls, folder: Path, certificate: Path, key: Path) -> Authority:
        """One whose files are there; what it signs goes to ``folder``."""
        loaded = load_pem_private_key(key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        return cls(folder, certificate, x509.load_pem_x509_certificate(certificate.read_bytes()), loaded)

    def issue(self, name: str, *, valid: timedelta = 30 * DAY, host: str = "127.0.0.1", password: str = "") -> Identity:
        """A certificate that ends ``valid`` from now (before it, if negative); ``password`` seals its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        made = (
            _builder(subject, self.certificate.subject, key, valid)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(host))]), critical=False)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        sealing: KeySerializationEncryption = NoEncryption()
        if password:
            sealing = BestAvailableEncryption(password.encode())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing)
        found = Identity(*(self.folder / f"{name}-{part}.pem" for part in ("certificate", "key", "both")))
        found.certificate.write_bytes(made.public_bytes(Encoding.PEM))
        found.key.write_bytes(private)
        found.both.write_bytes(private + made.public_bytes(Encoding.PEM))
        return found


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, valid: timedelta) -> x509.CertificateBuilder:
    end = datetime.now(UTC) + valid
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(datetime.now(UTC), end) - DAY)
        .not_valid_after(end)
    )


def speaks(identity: Identity) -> ssl.SSLContext:
    """TLS of a server that shows this certificate; ``load_cert_chain`` makes it show another from then on."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(identity.both)
    return tls
