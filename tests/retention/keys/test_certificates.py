"""Certificates count only where the certified product does the work, and until they expire."""

from __future__ import annotations

from datetime import date

from retention.crypto.sm2 import implementation
from retention.crypto.suites import NAMES, suite
from retention.keys.certificates import statements, summary, uncertified
from retention.keys.provider import ProviderDescription
from retention.keys.settings import CertificatesSettings

STATED = {
    "number": "GM001119920260001",
    "product": "服务器密码机 HSM-9",
    "valid_until": "2028-01-31",
    "holder": "某公司",
}
ALL = CertificatesSettings.model_validate(dict.fromkeys(("key_protection", "bulk_encryption", "signing"), STATED))
TODAY = date(2026, 11, 24)
DEVICE, RING = ProviderDescription("sdf", "kek-1", detail="a device"), ProviderDescription("keyring", "ring-1")


def test_without_certificates_all_three_jobs_say_uncertified() -> None:
    for name in NAMES:
        found = statements(CertificatesSettings(), RING, suite(name), implementation(), today=TODAY)
        assert [s.job for s in found] == ["key_protection", "bulk_encryption", "signing"]
        assert uncertified(found) == found
        assert all("uncertified 未取得产品认证" in s.words for s in found)
        assert "key protection 密钥保护, bulk encryption 数据加密, signing 签名" in summary(found)


def test_a_device_may_be_certified_and_software_never_is() -> None:
    keeping, bulk, signing = statements(ALL, DEVICE, suite(), implementation(), today=TODAY)
    assert keeping.certified
    assert "GM001119920260001" in keeping.words
    assert "某公司" in keeping.words
    for software in (bulk, signing):
        assert not software.certified
        assert "not this software's" in software.words
    ring = statements(ALL, RING, suite(), implementation(), today=TODAY)[0]
    assert not ring.certified
    assert "key protection" not in summary((keeping, bulk, signing))
    assert "bulk encryption" in summary((keeping, bulk, signing))
    assert "均已取得" in summary((keeping,))


def test_a_device_that_signs_the_log_may_be_certified_for_it() -> None:
    signing = statements(ALL, DEVICE, suite(), implementation(), today=TODAY, device_signs=True)[2]
    assert signing.certified
    assert "SM2 by sdf" in signing.words
    without = statements(CertificatesSettings(), DEVICE, suite(), implementation(), today=TODAY, device_signs=True)[2]
    assert not without.certified


def test_an_expired_certificate_is_none() -> None:
    last_day = statements(ALL, DEVICE, suite(), implementation(), today=date(2028, 1, 31))[0]
    day_after = statements(ALL, DEVICE, suite(), implementation(), today=date(2028, 2, 1))[0]
    assert last_day.certified
    assert not day_after.certified
    assert "expired on 2028-01-31" in day_after.words
