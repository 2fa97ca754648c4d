"""Opening what the settings name: sections, secrets asked for only where needed, certificates in the description."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from errors import SettingsError
from retention.keys.keyring import KeyRing
from retention.keys.opening import create_provider, open_provider
from retention.keys.settings import KeySettings
from tests.retention.keys.standin import services
from tests.retention.samples import CHEAP

CERTIFICATE = {"number": "GM1", "product": "KMS", "valid_until": "2099-12-31"}


def never() -> str:
    raise AssertionError("a secret was asked for where none is needed")


def settings(**values: object) -> KeySettings:
    return KeySettings.model_validate(values)


@pytest.mark.parametrize(
    "wrong",
    [
        {"provider": "pkcs11"},
        {"provider": "sdf"},
        {"provider": "none"},
        {"provider": "pkcs11", "pkcs11": {"library": "x", "token": "t", "pin": "123456"}},
        {"provider": "pkcs11", "pkcs11": {"library": "x", "token": "t", "key": "a b"}},
        {"provider": "sdf", "sdf": {"library": "x", "kek_index": 0}},
        {"provider": "tencent_kms", "tencent_kms": {"key_id": "../x", "region": "ap-shanghai"}},
        {"provider": "vault", "vault": {"address": "https://v", "key": "k", "mount": "a/../b?"}},
        {"provider": "vault", "vault": {"address": "https://v", "key": "k", "token": "s.secret"}},
        {"certificates": {"key_protection": {"number": "1", "product": "p"}}},
        {"certificates": {"printing": CERTIFICATE}},
    ],
)
def test_settings_are_strict(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


@pytest.mark.parametrize("kind", ["pkcs11", "sdf", "tencent_kms", "vault"])
def test_another_provider_needs_its_section(tmp_path: Path, kind: str) -> None:
    for opened in (open_provider, create_provider):
        with pytest.raises(SettingsError, match=rf"\[keys\.{kind}\]"):
            opened(tmp_path, KeySettings(), never, kind=kind)  # type: ignore[arg-type]


def test_a_key_ring_is_never_certified_by_the_settings(tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "ring.json", "p", cost=CHEAP)
    stated = settings(keyring="ring.json", certificates={"key_protection": CERTIFICATE})
    assert open_provider(tmp_path, stated, lambda: "p").description.certification == "uncertified"


@pytest.mark.parametrize(("until", "says"), [("2099-12-31", "GM1"), ("2020-01-01", "uncertified")])
def test_a_product_says_its_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: str, says: str) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "a token of the tests")
    with services.running(services.VaultHandler) as service:
        stated = settings(
            provider="vault",
            vault={"address": service.address, "key": "liucun"},
            certificates={"key_protection": CERTIFICATE | {"valid_until": until}},
        )
        assert says in open_provider(tmp_path, stated, never).description.certification
