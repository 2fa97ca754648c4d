"""Which approved product does each of three jobs: protecting keys, encrypting records, signing the log.

A certificate stands in the settings, but it counts only where the certified product does the work:
libgcrypt, ``cryptography``, gmssl-pyx and the embedded key ring are uncertified whatever is written
there (a device that signs the log counts for its SM2 signatures), and an expired certificate is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from retention.crypto.suites import Suite
from retention.keys.provider import UNCERTIFIED, ProviderDescription
from retention.keys.settings import CertificateSettings, CertificatesSettings

IN_PRODUCTS: Final = frozenset({"pkcs11", "sdf", "tencent_kms", "vault"})
"""Kinds of provider whose keys lie in somebody else's product, which may be an approved one."""
JOBS: Final[Mapping[str, str]] = {
    "key_protection": "key protection 密钥保护",
    "bulk_encryption": "bulk encryption 数据加密",
    "signing": "signing 签名",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """Who does a job, and its certificate. ``why_not`` says why one that the settings name does not count."""

    job: str
    done_by: str
    certified: bool
    certificate: str
    why_not: str = ""

    @property
    def words(self) -> str:
        """One line for a person."""
        state = self.certificate if self.certified else f"{UNCERTIFIED} 未取得产品认证"
        return f"{JOBS[self.job]}: {self.done_by}: {state}" + (f" ({self.why_not})" if self.why_not else "")


def statements(
    settings: CertificatesSettings,
    provider: ProviderDescription,
    suite: Suite,
    signing: str,
    *,
    today: date,
    device_signs: bool = False,
) -> tuple[Statement, ...]:
    """The three statements; ``signing`` names the implementation of SM2, ``today`` is a day in Shanghai.

    ``device_signs``: the log's SM2 signatures come from the provider's product (Ed25519 stands beside them).
    """
    signer = f"SM2 by {provider.kind}, {provider.detail}" if device_signs else f"SM2 by {signing}"
    return (
        key_protection(settings, provider, today=today),
        _statement(
            "bulk_encryption",
            f"{suite.name} by {suite.implementation}",
            settings.bulk_encryption,
            suite.certification != UNCERTIFIED,
            today,
        ),
        _statement("signing", f"{signer}; Ed25519 by cryptography", settings.signing, device_signs, today),
    )


def key_protection(settings: CertificatesSettings, provider: ProviderDescription, *, today: date) -> Statement:
    """The statement about who keeps the top key."""
    keeper = f"{provider.kind}, {provider.detail}" if provider.detail else provider.kind
    return _statement("key_protection", keeper, settings.key_protection, provider.kind in IN_PRODUCTS, today)


def uncertified(found: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """Those without a certificate that counts."""
    return tuple(statement for statement in found if not statement.certified)


def summary(found: tuple[Statement, ...]) -> str:
    """One line for the start of a run."""
    missing = uncertified(found)
    if not missing:
        return "All cryptography is done by certified products 密码产品均已取得认证."
    jobs = ", ".join(JOBS[statement.job] for statement in missing)
    return f"UNCERTIFIED 未取得商用密码产品认证: {jobs}."


def _statement(
    job: str, done_by: str, certificate: CertificateSettings | None, may_count: bool, today: date
) -> Statement:
    if certificate is None:
        return Statement(job, done_by, False, "")
    words = f"{certificate.product}, {certificate.number}, valid until {certificate.valid_until}"
    if certificate.holder:
        words += f", {certificate.holder}"
    if not may_count:
        return Statement(job, done_by, False, words, "the certificate in the settings is not this software's")
    if certificate.valid_until < today:
        return Statement(job, done_by, False, words, f"the certificate expired on {certificate.valid_until}")
    return Statement(job, done_by, True, words)
