"""What the console is given by whoever starts it: an open store, its calendar, and its own settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from console.access.accounts import Account
from retention.catalogue.engine import Catalogue
from retention.crypto.bodies import BodyCipher
from retention.keys.periods import PeriodKeys
from retention.keys.provider import ProviderDescription
from retention.objects.base import ObjectStore
from retention.segments import Archive
from tickets.actors import Actor
from tickets.calendar.working_days import WorkingCalendar
from tickets.duties import DutyBook
from tickets.reports.filing import ReportBook
from tickets.service import Desk
from tickets.settings import CompanySettings, TicketSettings


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


LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Parts:
    """An open store as the console uses it (a ``Subject`` of audits and the ``Parts`` of queries too)."""

    catalogue: Catalogue
    archive: Archive
    objects: ObjectStore
    period_keys: PeriodKeys
    bodies: BodyCipher
    root: Path
    provider: ProviderDescription
    calendar: Callable[[], WorkingCalendar]
    settings: ConsoleSettings = field(default_factory=ConsoleSettings)
    sources: tuple[str, ...] = ()
    tickets: TicketSettings = field(default_factory=TicketSettings)
    company: CompanySettings = field(default_factory=CompanySettings)
    packs: tuple[Path, ...] = ()
    """The operator's own rule packs, besides those that ship."""

    @property
    def secure(self) -> bool:
        """Whether browsers come by https."""
        return (self.settings.base_url or "").startswith("https://")

    def desk(self, account: Account) -> Desk:
        """The disposal queue with somebody at work."""
        return Desk(self.catalogue, self.bodies, self.calendar(), actor_of(account), self.tickets)

    def reports(self, account: Account) -> ReportBook:
        """The reports with somebody at work."""
        return ReportBook(
            self.catalogue, self.bodies, self.calendar(), actor_of(account), self.tickets, company=self.company
        )

    def duties(self, account: Account) -> DutyBook:
        """The register of duties with somebody at work."""
        return DutyBook(self.catalogue, self.bodies, self.calendar(), actor_of(account), self.tickets)


def actor_of(account: Account) -> Actor:
    """An account as the disposal queue knows it, with the roles that its own checks go by."""
    return Actor(account.actor, account.roles)
