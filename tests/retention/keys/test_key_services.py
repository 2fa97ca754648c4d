"""Tencent Cloud KMS (its own SDK) and Vault's transit engine against stand-ins on loopback; nothing else was tried."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from retention.errors import KeyProviderError, KeyRefusedError
from retention.keys.settings import TencentKmsSettings, VaultSettings
from retention.keys.tencent_kms import TencentKms
from retention.keys.vault import VaultTransit
from tests.retention.keys.standin import services
from tests.retention.keys.standin.services import Service

KEY, CONTEXT = bytes(range(32)), b"\x00context\xff"


@pytest.fixture
def tencent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", services.SECRET_ID)
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", services.SECRET_KEY)
    with services.running(services.TencentHandler) as service:
        yield service


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("VAULT_TOKEN", "a token of the tests")
    with services.running(services.VaultHandler) as service:
        yield service


def kms_settings(service: Service, **changes: object) -> TencentKmsSettings:
    values = {"key_id": services.KEY_ID, "region": services.REGION, "endpoint": service.address, "timeout_seconds": 2}
    return TencentKmsSettings.model_validate({**values, **changes})


def vault_settings(service: Service, **changes: object) -> VaultSettings:
    return VaultSettings.model_validate({"address": service.address, "key": "liucun", "timeout_seconds": 2, **changes})


def test_tencent_wraps_and_unwraps_with_signed_requests(tencent: Service) -> None:
    blob = TencentKms.open(kms_settings(tencent)).wrap(KEY, CONTEXT)
    again = TencentKms.open(kms_settings(tencent))
    assert again.unwrap(blob, CONTEXT) == KEY
    assert again.description.key_id == services.KEY_ID
    assert again.description.certification == "uncertified"
    assert services.SECRET_KEY not in repr(again) + str(again.description)


def test_the_stand_in_refuses_a_wrong_signature(tencent: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_SECRET_ID"):
        monkeypatch.setenv(name, "another")
        with pytest.raises(KeyProviderError, match=r"refuses the credentials \(AuthFailure") as caught:
            TencentKms.open(kms_settings(tencent))
        assert caught.value.exit_code == 4
        monkeypatch.undo()
        monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", services.SECRET_ID)
        monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", services.SECRET_KEY)


def test_tencent_without_credentials(tencent: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENCENTCLOUD_SECRET_KEY")
    with pytest.raises(KeyProviderError, match="no credentials"):
        TencentKms.open(kms_settings(tencent))
    assert tencent.requests == []


def test_tencent_refuses_what_was_changed_or_belongs_elsewhere(tencent: Service) -> None:
    provider = TencentKms.open(kms_settings(tencent))
    blob = provider.wrap(KEY, CONTEXT)
    with pytest.raises(KeyRefusedError):
        provider.unwrap(blob, b"elsewhere")
    for index in range(len(blob)):
        with pytest.raises(KeyRefusedError):
            provider.unwrap(blob[:index] + bytes([blob[index] ^ 1]) + blob[index + 1 :], CONTEXT)


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("ResourceUnavailable.CmkDisabled", "disabled"),
        ("ResourceUnavailable.CmkNotFound", "gone"),
        ("UnauthorizedOperation", "permit"),
        ("FailedOperation.EncryptionError", "answers with an error"),
        ("UnsupportedOperation.ServiceTemporaryUnavailable", "answers with an error"),
    ],
)
def test_tencent_s_errors_are_typed(tencent: Service, code: str, word: str) -> None:
    tencent.failures = [code]
    with pytest.raises(KeyProviderError, match=word) as caught:
        TencentKms.open(kms_settings(tencent))
    assert code in caught.value.what
    assert caught.value.exit_code == 4


def test_passing_errors_are_tried_again(tencent: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retention.keys.tencent_kms._PAUSE_SECONDS", 0.0)
    tencent.failures = ["InternalError", "RequestLimitExceeded"]
    TencentKms.open(kms_settings(tencent))
    tencent.failures = ["InternalError"] * 3
    with pytest.raises(KeyProviderError, match="InternalError"):
        TencentKms.open(kms_settings(tencent))


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"no json"),
        (200, b"{}"),
        (200, b'{"Response": {"RequestId": "x"}}'),
        (200, json.dumps({"Response": {"CiphertextBlob": "x" * 5000, "KeyId": services.KEY_ID}}).encode()),
        (500, b""),
        (302, b""),
    ],
)
def test_tencent_answers_that_make_no_sense(tencent: Service, answer: tuple[int, bytes]) -> None:
    tencent.answer = answer
    with pytest.raises(KeyProviderError) as caught:
        TencentKms.open(kms_settings(tencent))
    assert caught.value.exit_code == 4


def test_tencent_out_of_reach(tencent: Service) -> None:
    with pytest.raises(KeyProviderError, match="cannot be reached"):
        TencentKms.open(kms_settings(tencent, endpoint="http://127.0.0.1:9"))


def test_vault_wraps_and_unwraps(vault: Service) -> None:
    blob = VaultTransit.open(vault_settings(vault)).wrap(KEY, CONTEXT)
    again = VaultTransit.open(vault_settings(vault))
    assert again.unwrap(blob, CONTEXT) == KEY
    assert again.rotate() == "liucun"
    assert again.unwrap(blob, CONTEXT) == KEY
    again.close()


def test_vault_refuses_what_was_changed_or_belongs_elsewhere(vault: Service) -> None:
    provider = VaultTransit.open(vault_settings(vault))
    blob = provider.wrap(KEY, CONTEXT)
    with pytest.raises(KeyRefusedError, match="message authentication failed"):
        provider.unwrap(blob, b"elsewhere")
    for index in range(len(blob)):
        with pytest.raises(KeyRefusedError):
            provider.unwrap(blob[:index] + bytes([blob[index] ^ 0x81]) + blob[index + 1 :], CONTEXT)


def test_vault_with_a_wrong_token_key_or_server(vault: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyProviderError, match="does not know the key"):
        VaultTransit.open(vault_settings(vault, key="other"))
    with pytest.raises(KeyProviderError, match="cannot be reached"):
        VaultTransit.open(vault_settings(vault, address="http://127.0.0.1:9"))
    with pytest.raises(KeyProviderError, match="certificate file"):
        VaultTransit.open(vault_settings(vault, ca_file="none.pem"))
    monkeypatch.setenv("VAULT_TOKEN", "another")
    with pytest.raises(KeyProviderError, match="refuses the token") as caught:
        VaultTransit.open(vault_settings(vault))
    assert caught.value.exit_code == 4
    monkeypatch.setenv("VAULT_TOKEN", "line\nbreak")
    with pytest.raises(KeyProviderError, match="no token"):
        VaultTransit.open(vault_settings(vault))
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("VAULT_TOKEN_FILE", "none")
    with pytest.raises(KeyProviderError, match="cannot be read"):
        VaultTransit.open(vault_settings(vault))


@pytest.mark.parametrize(
    "answer",
    [(200, b"no json"), (200, b"[]"), (200, b'{"data": {}}'), (200, b"x" * 100_000), (503, b"{}"), (302, b"")],
)
def test_vault_answers_that_make_no_sense(vault: Service, answer: tuple[int, bytes]) -> None:
    vault.answer = answer
    with pytest.raises(KeyProviderError) as caught:
        VaultTransit.open(vault_settings(vault))
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("address", ["http://kms.example.com", "ftp://x", "kms", "https://user:pw@x", "https://x?y=1"])
def test_keys_do_not_travel_in_the_clear(address: str) -> None:
    with pytest.raises(ValidationError):
        VaultSettings(address=address, key="k")
    with pytest.raises(ValidationError):
        TencentKmsSettings(key_id="k", region="r", endpoint=address)
