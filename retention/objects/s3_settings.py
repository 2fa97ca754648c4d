"""``[archive.s3]``: how to reach S3-compatible storage. No secrets: they come from where AWS's tools look."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from errors import SettingsError

SCHEME: Final = "s3://"


class S3Settings(BaseModel):
    """``[archive.s3]``; what is not given is taken from the AWS environment and its configuration files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str | None = Field(default=None, pattern=r"^https?://[^\s/]+")
    region: str | None = Field(default=None, min_length=1)
    profile: str | None = Field(default=None, min_length=1)
    ca_file: str | None = Field(default=None, min_length=1)
    addressing: Literal["auto", "path", "virtual"] = "auto"
    checksums: Literal["when_supported", "when_required"] = "when_supported"
    lock_mode: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE"
    connect_seconds: int = Field(default=5, ge=1, le=60)
    read_seconds: int = Field(default=30, ge=1, le=600)
    retry_seconds: int = Field(default=20, ge=0, le=3600)
    multipart_megabytes: int = Field(default=64, ge=5, le=4096)


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """Bucket and prefix (empty or ending in ``/``) of ``s3://bucket/prefix``.

    Raises:
        SettingsError: it is not of that form.
    """
    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            "[archive] objects is not of the form s3://bucket/prefix.",
            cure="Write the bucket's name and a prefix; endpoint and region belong into [archive.s3].",
        )
    return parts.netloc, f"{prefix}/" if prefix else ""
