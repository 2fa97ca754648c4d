"""Makes an audit by its name: what must be up to date first, then the audit, then what the log says of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, Protocol

from errors import IntegrityError, LiucunError
from retention.audits.access import audit_access
from retention.audits.coverage import audit_coverage
from retention.audits.days import count_days
from retention.audits.history import add_history
from retention.audits.integrity import audit_integrity
from retention.audits.keys import audit_keys
from retention.audits.monitoring import Monitoring
from retention.audits.report import AuditReport, Severity, Span
from retention.audits.retention import audit_retention
from retention.audits.subject import Progress, no_progress
from retention.catalogue.engine import Catalogue
from retention.crypto.bodies import BodyCipher
from retention.keys.periods import PeriodKeys
from retention.objects.base import ObjectStore
from retention.policies.settings import RetentionSettings
from retention.purge.upkeep import bring_up_to_date
from retention.segments import Archive
from retention.transparency.keeping import LogKeeper
from retention.transparency.verdict import LogVerdict
from retention.transparency.verify import verify_log

ARCHIVE: Final = ("coverage", "integrity", "retention", "keys", "access")
"""The audits of the archive itself."""


class Opened(Protocol):
    """An open store, as far as all audits need it."""

    @property
    def catalogue(self) -> Catalogue:
        """What should be there."""
        ...

    @property
    def archive(self) -> Archive:
        """What is there, and the keys to read it."""
        ...

    @property
    def objects(self) -> ObjectStore:
        """Where it lies."""
        ...

    @property
    def bodies(self) -> BodyCipher:
        """Opens what people wrote."""
        ...

    @property
    def period_keys(self) -> PeriodKeys:
        """The keys by class and month."""
        ...


def verified_log(log: LogKeeper, *, progress: Progress = no_progress) -> LogVerdict:
    """Bring the log and its custodian up to date, then verify it."""
    # A log that cannot go on is what the verification names, in full.
    with contextlib.suppress(IntegrityError):
        log.keep()
    return verify_log(log, progress=progress)


def make_audit(
    name: str,
    opened: Opened,
    *,
    verdict: LogVerdict | None,
    span: Span | None = None,
    settings: RetentionSettings | None = None,
    monitoring: Monitoring | None = None,
    sample: int | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> AuditReport:
    """Make one of the audits ``ARCHIVE``.

    Args:
        verdict: what was found of the transparency log; None where there is none to verify.
        sample: verify so many segments instead of all (integrity).
        threads: how many segments to verify at a time (integrity).
    """
    settings = settings or RetentionSettings()
    if name == "coverage":
        uncounted = _try(lambda: count_days(opened, most=None, progress=progress))
        report = audit_coverage(opened, span=span, monitoring=monitoring, progress=progress)
        if uncounted is not None:
            report.add("unread", "archive", f"{uncounted.what} {uncounted.cure}", Severity.NOTICE)
    elif name == "integrity":
        report = audit_integrity(opened, span=span, sample=sample, threads=threads, progress=progress)
    elif name == "access":
        report = audit_access(opened, span=span, progress=progress)
    else:
        # What cannot be read is a finding, and keeps its class.
        unread = _try(lambda: bring_up_to_date(opened, settings))
        made = audit_retention if name == "retention" else audit_keys
        report = made(opened, settings=settings, progress=progress)
        if unread is not None:
            report.add("unread", "archive", f"{unread.what} {unread.cure}")
    if verdict is not None:
        add_history(report, verdict, whole=name == "integrity")
    return report


def _try(step: Callable[[], object]) -> LiucunError | None:
    try:
        step()
    except LiucunError as error:
        return error
    return None
