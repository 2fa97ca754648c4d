"""Opens the provider that the settings name. Each provider's library is loaded only when it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from errors import SettingsError
from retention.keys.certificates import key_protection
from retention.keys.keyring import KeyRing
from retention.keys.provider import UNCERTIFIED, Certifiable, KeyProvider
from retention.keys.settings import KeySettings, ProviderKind, Sm2Settings

Secret = Callable[[], str]
"""Asks for the passphrase (of the key ring or the private key's file) or PIN; called only where one is needed."""


def open_provider(
    root: Path, settings: KeySettings, secret: Secret, *, kind: ProviderKind | None = None
) -> KeyProvider:
    """The provider of a store, or another ``kind`` whose section is in the settings.

    Raises:
        SettingsError: the provider's section is missing.
        KeyAccessError: the provider's key, device, service or secret is missing or wrong.
    """
    return _certified(_open(root, settings, secret, kind or settings.provider), settings)


def _open(root: Path, settings: KeySettings, secret: Secret, chosen: ProviderKind) -> KeyProvider:
    if chosen == "keyring":
        return KeyRing.open(root / settings.keyring, secret())
    if chosen == "sm2":
        from retention.keys.sm2_envelope import Sm2Envelope

        return Sm2Envelope.open(root, settings.sm2 or Sm2Settings(), secret)
    if chosen == "pkcs11" and settings.pkcs11:
        from retention.keys.pkcs11_token import Pkcs11Token

        return Pkcs11Token.open(settings.pkcs11, secret())
    if chosen == "sdf" and settings.sdf:
        from retention.keys.sdf import SdfDevice

        return SdfDevice.open(settings.sdf, secret)
    if chosen == "tencent_kms" and settings.tencent_kms:
        from retention.keys.tencent_kms import TencentKms

        return TencentKms.open(settings.tencent_kms)
    if chosen == "vault" and settings.vault:
        from retention.keys.vault import VaultTransit

        return VaultTransit.open(settings.vault)
    raise SettingsError(
        f"The settings have no section [keys.{chosen}].",
        cure=f"Add it to liucun.toml; docs/keys.md describes {chosen}.",
    )


def create_provider(
    root: Path, settings: KeySettings, secret: Secret, *, kind: ProviderKind | None = None
) -> KeyProvider:
    """Like ``open_provider``, after making what the provider needs and does not have yet.

    A key ring and an SM2 key pair are new files, a token's key is generated on the token; a
    device's or a service's key is made with their own tools.

    Raises:
        UsageError: there is a key ring or a key pair already.
        KeyAccessError: the provider refuses.
    """
    chosen = kind or settings.provider
    if chosen == "keyring":
        path = root / settings.keyring
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return KeyRing.create(path, secret())
    if chosen == "sm2":
        from retention.keys.sm2_envelope import Sm2Envelope

        return Sm2Envelope.create(root, settings.sm2 or Sm2Settings(), secret())
    if chosen == "pkcs11" and settings.pkcs11:
        from retention.keys.pkcs11_token import Pkcs11Token

        return _certified(Pkcs11Token.open(settings.pkcs11, secret(), create=True), settings)
    return open_provider(root, settings, secret, kind=chosen)


def _certified(provider: KeyProvider, settings: KeySettings) -> KeyProvider:
    """Let a provider say what the settings state of its product, if that counts today."""
    if isinstance(provider, Certifiable):
        today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
        found = key_protection(settings.certificates, provider.description, today=today)
        provider.certification = found.certificate if found.certified else UNCERTIFIED
    return provider
