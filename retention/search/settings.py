"""``[search]``: the cluster, and what of the records its index may hold."""

from __future__ import annotations

import base64
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from errors import SettingsError
from retention.given_secrets import given_secret
from retention.schema import RecordClass

_SECTION: Final = "[search]"

DEFAULT_CLASSES: Final = (
    RecordClass.USER_LOG,
    RecordClass.TRANSACTION,
    RecordClass.CONTENT,
    RecordClass.LIVE_INDEX,
)


class SearchSettings(BaseModel):
    """``[search]``. Without ``urls`` there is no index, and searches read the archive.

    ``personal``: columns that name or locate a person stand in the index as keyed hashes, to be found by their exact
    value, or not at all. ``extra``: fields without a column of their own. ``texts``: which texts can be searched by
    their words. ``data_streams``: documents stand in data streams instead of indices. Passwords and API keys come
    from environment variables or files, never from a URL.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    urls: tuple[str, ...] = ()
    user: str = Field(default="", max_length=200)
    password_variable: str = Field(default="LIUCUN_SEARCH_PASSWORD", pattern=r"^[A-Z_][A-Z0-9_]*$")
    password_file: str = ""
    api_key_variable: str = Field(default="", pattern=r"^([A-Z_][A-Z0-9_]*)?$")
    api_key_file: str = ""
    ca_file: str = ""
    prefix: str = Field(default="liucun", pattern=r"^[a-z][a-z0-9]{0,31}$")
    classes: tuple[RecordClass, ...] = Field(default=DEFAULT_CLASSES, min_length=1)
    personal: Literal["blind", "left_out"] = "blind"
    extra: Literal["left_out", "blind", "plain"] = "left_out"
    texts: tuple[Literal["text", "message"], ...] = ("text",)
    analyzer: Literal["cjk", "smartcn", "ik_max_word", "standard"] = "cjk"
    data_streams: bool = False
    shards: int = Field(default=1, ge=1, le=128)
    replicas: int = Field(default=1, ge=0, le=8)
    documents_per_index: int = Field(default=50_000_000, ge=1_000, le=1_000_000_000)
    bulk_megabytes: int = Field(default=5, ge=1, le=64)
    timeout_seconds: float = Field(default=30.0, gt=0, le=600)

    @property
    def on(self) -> bool:
        """Whether there is an index at all."""
        return bool(self.urls)

    @field_validator("urls")
    @classmethod
    def _are_http(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not url.startswith(("https://", "http://")) or len(url) > 2000:
                raise ValueError("each must begin with https:// or http://")
            if "@" in url.split("/", 3)[2]:
                raise ValueError("an account stands in user, and its password where password_variable or _file say")
        return urls

    @model_validator(mode="after")
    def _one_login(self) -> SearchSettings:
        if self.api_key_variable and self.api_key_file:
            raise ValueError("of api_key_variable and api_key_file only one")
        if self.user and (self.api_key_variable or self.api_key_file):
            raise ValueError("either a user or an API key logs in")
        if self.password_file and not self.user:
            raise ValueError("password_file needs a user")
        if self.password_file and "password_variable" in self.model_fields_set:
            raise ValueError("of password_variable and password_file only one")
        if self.ca_file and self.urls and not any(url.startswith("https://") for url in self.urls):
            raise ValueError("ca_file needs urls that begin with https://")
        return self

    def shape(self) -> dict[str, object]:
        """What decides how a document looks: an index made under another shape has to be rebuilt."""
        return {
            "format": 1,
            "prefix": self.prefix,
            "classes": sorted(item.value for item in self.classes),
            "personal": self.personal,
            "extra": self.extra,
            "texts": sorted(self.texts),
            "analyzer": self.analyzer,
            # Named only where it is set: an index from before there was a choice is one without.
            **({"data_streams": True} if self.data_streams else {}),
        }

    def login(self) -> dict[str, object]:
        """Who logs in, as the client takes it; secrets are read anew each time.

        Raises:
            SettingsError: a secret is not where the settings say, or cannot be one.
        """
        if self.api_key_variable or self.api_key_file:
            key = given_secret("API key", variable=self.api_key_variable, file=self.api_key_file, section=_SECTION)
            if not key.isascii() or not key.isprintable() or " " in key:
                raise SettingsError(
                    f"{_SECTION}: what is given as API key cannot be one.",
                    cure="Give the answer's `encoded` of the request that made it, one line.",
                )
            return {"api_key": key}
        if self.user:
            variable = "" if self.password_file else self.password_variable
            password = given_secret("password", variable=variable, file=self.password_file, section=_SECTION)
            # Encoded here (RFC 7617, UTF-8): the client's own encoding knows ASCII only.
            pair = f"{self.user}:{password}".encode("utf-8", "surrogateescape")
            return {"basic_auth": base64.b64encode(pair).decode()}
        return {}
