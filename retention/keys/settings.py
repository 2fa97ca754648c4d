"""``[keys]`` of the settings: who keeps the top key, each provider's options, what certificates say. No secrets."""

from __future__ import annotations

from datetime import date
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ProviderKind = Literal["keyring", "pkcs11", "sm2", "sdf", "tencent_kms", "vault"]
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://kms.example.com")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("must be https: keys do not travel in the clear")
    return value.rstrip("/")


class Pkcs11Settings(_Strict):
    """``[keys.pkcs11]``: a token; its PIN is the passphrase."""

    library: str = Field(min_length=1)
    token: str = Field(min_length=1)
    key: str = Field(default="liucun", pattern=r"^[A-Za-z0-9_.-]{1,48}$")


class Sm2Settings(_Strict):
    """``[keys.sm2]``: an SM2 key pair; without the private key's file the store can be written and not read."""

    public_key: str = Field(default="keys/sm2-public.pem", min_length=1)
    private_key: str = Field(default="keys/sm2-private.json", min_length=1)


class SdfSettings(_Strict):
    """``[keys.sdf]``: a device behind the interface of GM/T 0018; with ``sign_index`` its key signs the log."""

    library: str = Field(min_length=1)
    kek_index: int = Field(ge=1, le=0xFFFF)
    sign_index: int | None = Field(default=None, ge=1, le=0xFFFF)


class TencentKmsSettings(_Strict):
    """``[keys.tencent_kms]``: a key in Tencent Cloud KMS; its credentials come from the environment."""

    key_id: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$")
    region: str = Field(pattern=r"^[a-z0-9-]{1,32}$")
    endpoint: str = "https://kms.tencentcloudapi.com"
    timeout_seconds: int = Field(default=10, ge=1, le=120)

    @field_validator("endpoint")
    @classmethod
    def _checked(cls, value: str) -> str:
        return _address(value)


class VaultSettings(_Strict):
    """``[keys.vault]``: a key in Vault's (or OpenBao's) transit engine; the token comes from the environment."""

    address: str
    key: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    mount: str = Field(default="transit", pattern=r"^[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*$")
    namespace: str = Field(default="", pattern=r"^[A-Za-z0-9_./-]*$")
    ca_file: str = ""
    timeout_seconds: int = Field(default=10, ge=1, le=120)

    @field_validator("address")
    @classmethod
    def _checked(cls, value: str) -> str:
        return _address(value)


class CertificateSettings(_Strict):
    """One certificate of an approved commercial-cryptography product, as it reads."""

    number: str = Field(min_length=1, max_length=64)
    product: str = Field(min_length=1, max_length=200)
    holder: str = Field(default="", max_length=200)
    valid_until: date


class CertificatesSettings(_Strict):
    """``[keys.certificates.*]``: what does each of the three jobs, where an approved product does it."""

    key_protection: CertificateSettings | None = None
    bulk_encryption: CertificateSettings | None = None
    signing: CertificateSettings | None = None


class KeySettings(_Strict):
    """``[keys]``: who keeps the top key, and where the period keys lie. Paths are relative to the store's folder."""

    provider: ProviderKind = "keyring"
    keyring: str = Field(default="keys/keyring.json", min_length=1)
    periods: str = Field(default="keys/periods.db", min_length=1)
    index: str = Field(default="keys/index.json", min_length=1)
    pkcs11: Pkcs11Settings | None = None
    sm2: Sm2Settings | None = None
    sdf: SdfSettings | None = None
    tencent_kms: TencentKmsSettings | None = None
    vault: VaultSettings | None = None
    certificates: CertificatesSettings = CertificatesSettings()

    @model_validator(mode="after")
    def _has_its_section(self) -> KeySettings:
        if self.provider not in {"keyring", "sm2"} and getattr(self, self.provider) is None:
            raise ValueError(f'provider = "{self.provider}" needs a section [keys.{self.provider}]')
        return self
