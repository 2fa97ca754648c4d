"""Keys: each lives as long as what it seals must be read, and no longer; each destruction has its certificate."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime

import sqlalchemy as sa

from retention.audits.figures import in_use, show_keys
from retention.audits.report import AuditReport, Severity, Span
from retention.audits.subject import Progress, Subject, no_progress
from retention.catalogue.tables import segments
from retention.keys.administration import shredded_unused
from retention.keys.periods import ALWAYS, PeriodKeyRecord
from retention.manifest import SegmentManifest
from retention.policies.beside import beside_units
from retention.policies.book import in_force
from retention.policies.judge import UnitState, Verdict, judge
from retention.policies.model import Policy
from retention.policies.periods import last_day_of, may_go_on, shanghai_date, stored_date
from retention.policies.settings import RetentionSettings
from retention.purge.plan import CERTIFIED
from retention.purge.run import DELETED, SHREDDED
from retention.purge.tables import purge_units, purges


def audit_keys(
    subject: Subject,
    *,
    settings: RetentionSettings | None = None,
    now: datetime | None = None,
    progress: Progress = no_progress,
) -> AuditReport:
    """Compare the store of period keys with what is sealed, what is due, and what was destroyed."""
    moment = now or datetime.now(UTC)
    today = shanghai_date(moment)
    report = AuditReport("keys", moment, Span())
    records = list(subject.archive.period_keys.list())
    shredded = shredded_unused(subject.catalogue)
    with subject.catalogue.read() as connection:
        needed = _needed(connection, progress)
        beside = beside_units(connection)
        needed.update({unit.key_id: unit.rows for unit in beside})
        judged = {state.key_id: state for state in judge(connection, today, settings=settings, beside=beside)}
        policies = in_force(connection, today)
        u = purge_units.c
        certified = {
            row.key_id: row.state
            for row in connection.execute(sa.select(u.key_id, u.state).where(u.state != "dropped"))
        }
        c = purges.c
        backups = connection.execute(
            sa.select(c.purge_id, c.final_after).where(c.state == CERTIFIED).order_by(c.final_after)
        ).all()
    report.checked.update(
        keys=len(records),
        living=sum(1 for record in records if record.destroyed_at is None),
        destroyed=sum(1 for record in records if record.destroyed_at is not None),
        needed=sum(1 for record in records if record.destroyed_at is None and in_use(record, needed)),
    )
    show_keys(report, records, needed)
    for record in records:
        if record.destroyed_at is None:
            _living(report, record, needed, judged, policies, certified, moment)
        else:
            _gone(report, record, needed, certified, shredded)
    known = {record.key_id for record in records}
    for key_id in sorted(needed.keys() - known):
        report.add(
            "key_unknown", f"key:{key_id}", f"{needed[key_id]} segments are sealed with it; the store has no such key."
        )
    _generations(report, records)
    for row in backups:
        report.add(
            "backup_may_hold_key",
            f"purge:{row.purge_id}",
            f"Backups of the store of keys made before may hold its keys until {row.final_after}.",
            Severity.NOTICE,
        )
    return report


def _needed(connection: sa.Connection, progress: Progress) -> Counter[str]:
    """Keys by the number of segments that they seal."""
    total = connection.execute(sa.select(sa.func.count()).select_from(segments)).scalar_one()
    rows = connection.execution_options(yield_per=500).execute(sa.select(segments.c.manifest)).scalars()
    found: Counter[str] = Counter()
    for number, data in enumerate(rows, 1):
        found[SegmentManifest.from_bytes(data).key_id] += 1
        progress("segments", number, total)
    return found


def _living(
    report: AuditReport,
    record: PeriodKeyRecord,
    needed: Counter[str],
    judged: dict[str, UnitState],
    policies: dict[str, Policy],
    certified: dict[str, str],
    now: datetime,
) -> None:
    where = f"key:{record.key_id}"
    today = shanghai_date(now)
    if certified.get(record.key_id) == SHREDDED:
        report.add(
            "key_returned", where, "It was destroyed with a certificate and lives again: `liucun purge --reshred`."
        )
        return
    state = judged.get(record.key_id)
    if state is not None:
        if state.verdict is Verdict.DUE and state.ceiling_on is not None and state.ceiling_on <= today:
            report.add(
                "key_past_period",
                where,
                f"All that it seals should have been gone by {state.ceiling_on}; plan a purge.",
            )
        return
    policy = policies.get(record.record_class)
    if needed[record.key_id] or policy is None or record.period == ALWAYS:
        return
    # It seals nothing (any more): a month that never came to use, or one that was destroyed half.
    start = max(last_day_of(record.period), stored_date(record.created_at))
    if may_go_on(start, policy.ceiling) <= today:
        report.add("key_past_period", where, f"It seals nothing, and {policy.ceiling} of {record.period} are over.")


def _gone(
    report: AuditReport,
    record: PeriodKeyRecord,
    needed: Counter[str],
    certified: dict[str, str],
    shredded: set[str],
) -> None:
    where = f"key:{record.key_id}"
    if needed[record.key_id]:
        report.add("key_lost", where, f"{needed[record.key_id]} segments in the archive cannot be read without it.")
    if certified.get(record.key_id) not in (SHREDDED, DELETED) and record.key_id not in shredded:
        report.add("key_destroyed_unrecorded", where, f"It was destroyed at {record.destroyed_at} by no purge.")


def _generations(report: AuditReport, records: list[PeriodKeyRecord]) -> None:
    living: dict[tuple[str, str], list[str]] = defaultdict(list)
    for record in records:
        # Each process of a collector that cannot read makes keys of its own; a lasting key may have been renewed.
        if record.destroyed_at is None and not record.collector and record.period != ALWAYS:
            living[record.record_class, record.period].append(record.key_id)
    for (record_class, period), names in sorted(living.items()):
        if len(names) > 1:
            report.add(
                "key_twice",
                f"key:{names[0]}",
                f"{record_class} {period} has {len(names)} living keys.",
                Severity.NOTICE,
            )
