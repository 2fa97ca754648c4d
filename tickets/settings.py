"""Settings of the queue: targets, the platform's webhook, notifications, the company's details for reports."""

from __future__ import annotations

import os
import re
from datetime import date, time
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from errors import SettingsError
from tickets.states import Decision


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CompanySettings(_Section):
    """``[company]``: who reports. Empty fields are named when a report is made, never filled with guesses."""

    name: str = Field(default="", max_length=200)
    licence_number: str = Field(default="", max_length=100)
    licence_expires_on: date | None = None
    domains: tuple[str, ...] = ()
    access_provider: str = Field(default="", max_length=200)
    reporter: str = Field(default="", max_length=100)
    phone: str = Field(default="", max_length=50)
    email: str = Field(default="", max_length=200)
    address: str = Field(default="", max_length=300)
    fonts: tuple[str, ...] = ()
    """Folders searched for a Chinese font when a PDF is set, before the system's."""
    report_templates: str = ""
    """A file of report templates, relative to the store's folder; empty for the shipped ones."""


class PlatformTopic(_Section):
    """``[tickets.platform.kafka]``, ``[tickets.platform.findings.kafka]``: a topic that the platform reads.

    ``certificate_file`` and ``key_file`` are this client's own, where the brokers ask for one (mutual TLS); the
    password of a sealed key comes from ``key_password_variable``.
    """

    brokers: tuple[str, ...] = Field(min_length=1)
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    security: Literal["plaintext", "tls", "sasl_plaintext", "sasl_tls"] = "plaintext"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password_variable: str = Field(default="LIUCUN_ORDERS_PASSWORD", pattern=r"^[A-Z_][A-Z0-9_]*$")
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    key_password_variable: str = Field(default="", pattern=r"^([A-Z_][A-Z0-9_]*)?$")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.topic in (".", ".."):
            raise ValueError(f"topic: {self.topic} is none")
        if any(not re.fullmatch(r"[^\s,]+:[0-9]{1,5}", broker) for broker in self.brokers):
            raise ValueError("brokers are HOST:PORT")
        if self.security.startswith("sasl_") != bool(self.username):
            raise ValueError("a username goes with security sasl_tls or sasl_plaintext, and they need one")
        if (self.ca_file or self.certificate_file or self.key_file) and not self.security.endswith("tls"):
            raise ValueError("certificates need security tls or sasl_tls")
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificate_file and key_file go together")
        if self.key_password_variable and not self.key_file:
            raise ValueError("the password of a key needs key_file")
        return self


def _http(url: str) -> str:
    if url and not url.startswith(("https://", "http://")):
        raise ValueError("must begin with https:// or http://")
    return url


class FindingsSettings(_Section):
    """``[tickets.platform.findings]``: where findings are told as they are made, signed as orders are."""

    url: str = Field(default="", max_length=2000)
    kafka: PlatformTopic | None = None

    _is_http = field_validator("url")(_http)


class PlatformSettings(_Section):
    """``[tickets.platform]``: where disposal orders go. The secret is read from an environment variable."""

    url: str = Field(default="", max_length=2000)
    secret_variable: str = Field(default="LIUCUN_PLATFORM_SECRET", pattern=r"^[A-Z_][A-Z0-9_]*$")
    algorithm: Literal["hmac-sm3", "hmac-sha256"] = "hmac-sm3"
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    kafka: PlatformTopic | None = None
    """A topic for orders; the platform then says by the HTTP API what it carried out."""
    findings: FindingsSettings = FindingsSettings()

    _is_http = field_validator("url")(_http)

    @property
    def takes_orders(self) -> bool:
        """Whether there is a way to the platform at all."""
        return bool(self.url) or self.kafka is not None


class MailSettings(_Section):
    """``[tickets.mail]``: warnings by SMTP."""

    host: str = Field(default="", max_length=253)
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password_variable: str = Field(default="LIUCUN_SMTP_PASSWORD", pattern=r"^[A-Z_][A-Z0-9_]*$")
    sender: str = "liucun@localhost"
    recipients: tuple[str, ...] = ()
    escalation: tuple[str, ...] = ()
    timeout_seconds: float = Field(default=20.0, gt=0, le=120)


class RobotSettings(_Section):
    """``[[tickets.robot]]``: a group robot. Its address holds a key, so it comes from an environment variable."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")
    kind: Literal["wecom", "dingtalk", "feishu"]
    url_variable: str = Field(pattern=r"^[A-Z_][A-Z0-9_]*$")
    secret_variable: str | None = Field(default=None, pattern=r"^[A-Z_][A-Z0-9_]*$")
    only_escalations: bool = False


class ReviewSettings(_Section):
    """``[review]``: the random sample of what the detectors passed, drawn every day for people to look at 人工抽检."""

    size: int = Field(default=50, ge=0, le=10_000)
    """Texts a day; 0 turns it off."""
    lag_hours: int = Field(default=6, ge=0, le=72)
    """Hours after a day's end at which it is drawn: what comes later is not in the sample."""
    catch_up_days: int = Field(default=14, ge=1, le=400)
    """How many past days are drawn when the worker did not run."""


class TicketSettings(_Section):
    """``[tickets]``: targets in minutes, how long things are remembered, where orders and warnings go."""

    disposal_minutes: int = Field(default=30, ge=1, le=1440)
    acknowledgement_minutes: int = Field(default=15, ge=1, le=1440)
    undo_minutes: int = Field(default=10, ge=1, le=120)
    dismissal_days: int = Field(default=90, ge=0, le=730)
    close_of_business: time = time(17, 0)
    police_hours: int = Field(default=24, ge=1, le=24)
    police: bool = True
    defaults: dict[str, Decision] = {}
    platform: PlatformSettings = PlatformSettings()
    mail: MailSettings = MailSettings()
    robot: tuple[RobotSettings, ...] = ()


def secret(variable: str, what: str) -> str:
    """A secret from the environment.

    Raises:
        SettingsError: the variable is empty or not set.
    """
    found = os.environ.get(variable, "")
    if not found:
        raise SettingsError(f"{what} needs {variable}, which is not set.", cure=f"Set {variable} in the environment.")
    return found
