"""How a Kafka source is declared, and the client's configuration that follows from it.

Secrets are named, never written: a password's file or environment variable is read where the client is made.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from retention.given_secrets import given_secret
from retention.tls_files import check_authorities, check_identity

Security = Literal["plaintext", "tls", "sasl_plaintext", "sasl_tls"]
_PROTOCOLS: Final[dict[Security, str]] = {
    "plaintext": "PLAINTEXT",
    "tls": "SSL",
    "sasl_plaintext": "SASL_PLAINTEXT",
    "sasl_tls": "SASL_SSL",
}

_SECTION: Final = "[source.kafka]"


class KafkaSettings(BaseModel):
    """``[source.kafka]``: brokers and topics, and how to speak to them.

    ``brokers`` are ``HOST:PORT``. ``ca_file`` is the authority that signed the brokers' certificates, in PEM (default:
    the system's); ``certificate_file`` and ``key_file`` are this client's own, which brokers may ask for (mutual TLS).
    The account's password, and that of a sealed key, come from a file or an environment variable named here.
    ``gapless`` says that the topics are neither compacted nor written in transactions: then an offset without a
    message is a loss, and audits call it a fault.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    brokers: tuple[str, ...] = Field(min_length=1)
    topics: tuple[str, ...] = Field(min_length=1)
    security: Security = "plaintext"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password_file: str = ""
    password_env: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    key_password_file: str = ""
    key_password_env: str = ""
    gapless: bool = False

    @model_validator(mode="after")
    def _fits(self) -> KafkaSettings:
        bad = [topic for topic in self.topics if not _is_topic(topic)]
        if bad or len(set(self.topics)) != len(self.topics):
            raise ValueError(f"topics: {', '.join(bad) or 'one is named twice'}")
        if any(not re.fullmatch(r"[^\s,]+:[0-9]{1,5}", broker) for broker in self.brokers):
            raise ValueError("brokers are HOST:PORT")
        if self.security.startswith("sasl_"):
            if not self.username or bool(self.password_file) == bool(self.password_env):
                raise ValueError("SASL takes a username and one of password_file and password_env")
        elif self.username or self.password_file or self.password_env:
            raise ValueError("a username or password needs security sasl_tls or sasl_plaintext")
        if (self.certificate_file or self.key_file or self.ca_file) and not self.security.endswith("tls"):
            raise ValueError("certificates need security tls or sasl_tls")
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificate_file and key_file go together")
        if (self.key_password_file or self.key_password_env) and not self.key_file:
            raise ValueError("the password of a key needs key_file")
        if self.key_password_file and self.key_password_env:
            raise ValueError("of key_password_file and key_password_env only one")
        return self


def client_config(settings: KafkaSettings) -> dict[str, Any]:
    """Configuration of every client of a source; the files that it names are looked at on this machine.

    Raises:
        SettingsError: a password cannot be read, or a certificate or key cannot be used (``retention.tls_files``).
    """
    config: dict[str, Any] = {
        "bootstrap.servers": ",".join(settings.brokers),
        "client.id": "liucun",
        "security.protocol": _PROTOCOLS[settings.security],
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 2_000,
    }
    if settings.security.startswith("sasl_"):
        config |= {
            "sasl.mechanism": settings.mechanism,
            "sasl.username": settings.username,
            "sasl.password": given_secret(
                "password", variable=settings.password_env, file=settings.password_file, section=_SECTION
            ),
        }
    if settings.ca_file:
        check_authorities(settings.ca_file, f"{_SECTION} ca_file")
        config["ssl.ca.location"] = settings.ca_file
    if settings.key_file:
        config |= _identity(settings)
    return config


def consumer_config(settings: KafkaSettings, *, queued_bytes: int) -> dict[str, Any]:
    """Configuration of a reader: no group (the catalogue keeps the cursor), committed messages only, checked CRCs.

    An offset that the broker no longer has is an error, never a reason to go on elsewhere.
    """
    return client_config(settings) | {
        "group.id": "liucun",  # a name that the client asks for; nothing is ever stored under it
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "check.crcs": True,
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": max(queued_bytes >> 10, 1 << 10),
        "queued.min.messages": 100_000,
        "fetch.max.bytes": 32 << 20,
        "fetch.message.max.bytes": 8 << 20,
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 100,
        "topic.metadata.refresh.interval.ms": 30_000,
    }


def _is_topic(name: str) -> bool:
    return (
        0 < len(name) <= 249
        and name not in (".", "..")
        and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)
    )


def _identity(settings: KafkaSettings) -> dict[str, str]:
    """The client's own certificate and key."""
    password = None
    if settings.key_password_env or settings.key_password_file:
        password = given_secret(
            "password of the client's key",
            variable=settings.key_password_env,
            file=settings.key_password_file,
            section=_SECTION,
        )
    check_identity(settings.certificate_file, settings.key_file, password, _SECTION)
    return {
        "ssl.certificate.location": settings.certificate_file,
        "ssl.key.location": settings.key_file,
        **({} if password is None else {"ssl.key.password": password}),
    }
