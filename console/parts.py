"""What the console is given by whoever starts it: an open store, its calendar, and its own settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from console.access.accounts import Account
from console.settings import ConsoleSettings
from detectors.keywords.layers import Layers
from retention.audits.monitoring import Monitoring
from retention.catalogue.engine import Catalogue
from retention.crypto.bodies import BodyCipher
from retention.intake.intake import Intake
from retention.keys.periods import PeriodKeys
from retention.keys.provider import UNCERTIFIED, ProviderDescription
from retention.objects.base import ObjectStore
from retention.policies.settings import RetentionSettings
from retention.search.settings import SearchSettings
from retention.segments import Archive
from retention.transparency.keeping import LogKeeper
from tickets.actors import Actor, Right
from tickets.calendar.working_days import WorkingCalendar
from tickets.duties import DutyBook
from tickets.reports.filing import ReportBook
from tickets.reports.templates import templates_of
from tickets.service import Desk
from tickets.settings import CompanySettings, ReviewSettings, TicketSettings


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
    review: ReviewSettings = field(default_factory=ReviewSettings)
    company: CompanySettings = field(default_factory=CompanySettings)
    layers: Layers | None = None
    """Where the rules come from that jobs run."""
    intake: Intake | None = None
    """Takes lines over from programs (``POST /v1/logs``)."""
    log: LogKeeper | None = None
    """The transparency log; audits bring it up to date and verify it."""
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    monitoring: Callable[[], Monitoring] = Monitoring
    """What detects and what is declared now, for the coverage audit."""
    search: SearchSettings = field(default_factory=SearchSettings)
    """The index that may find records before the archive is read."""
    suite: str = ""
    certification: str = UNCERTIFIED
    """What is certified of the store's cryptography, in words."""

    @property
    def secure(self) -> bool:
        """Whether browsers come by https."""
        return (self.settings.base_url or "").startswith("https://")

    def desk(self, account: Account, within: frozenset[Right] | None = None) -> Desk:
        """The disposal queue with somebody at work; ``within`` is what the token was made for by which they come."""
        actor = actor_of(account, within)
        return Desk(self.catalogue, self.bodies, self.calendar(), actor, self.tickets, archive=self.archive)

    def reports(self, account: Account, within: frozenset[Right] | None = None) -> ReportBook:
        """The reports with somebody at work, likewise."""
        return ReportBook(
            self.catalogue,
            self.bodies,
            self.calendar(),
            actor_of(account, within),
            self.tickets,
            company=self.company,
            archive=self.archive,
            templates=templates_of(self.root, self.company.report_templates),
        )

    def duties(self, account: Account, within: frozenset[Right] | None = None) -> DutyBook:
        """The register of duties with somebody at work, likewise."""
        return DutyBook(self.catalogue, self.bodies, self.calendar(), actor_of(account, within), self.tickets)


def actor_of(account: Account, within: frozenset[Right] | None = None) -> Actor:
    """An account as the disposal queue knows it, with the roles and the token's rights that its own checks go by."""
    return Actor(account.actor, account.roles, within)
