"""The console's section of the settings file."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class SingleSignOn(BaseModel):
    """``[console.oidc]``: an OpenID provider. The client's secret comes from the environment, never from the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(min_length=8)
    client_id: str = Field(min_length=1)
    secret_variable: str = Field(default="LIUCUN_OIDC_SECRET", pattern=r"^[A-Z][A-Z0-9_]*$")
    title: str = Field(default="单点登录", min_length=1, max_length=32)

    @field_validator("issuer")
    @classmethod
    def _https(cls, issuer: str) -> str:
        parts = urlsplit(issuer)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("must be an https address")
        return issuer.rstrip("/")


class ConsoleSettings(BaseModel):
    """``[console]``: how people and programs reach the console."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str | None = None
    """The address that browsers use, where it is not ``http://127.0.0.1:PORT``."""
    require_totp: bool = False
    """Whether everybody must have a second factor."""
    oidc: SingleSignOn | None = None

    @field_validator("base_url")
    @classmethod
    def _plain(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("must be an address like https://liucun.example.cn, without a path")
        return url.rstrip("/")
