"""Retention: nothing went before its floor or without a certificate, and nothing stays past its ceiling unexplained.

What was destroyed is judged anew here, from its manifest and the floors of the law, not from what the plan said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

import sqlalchemy as sa

from errors import LiucunError
from retention.audits.beside import audit_beside
from retention.audits.decided import holds_table, purges_table
from retention.audits.ends import Gone, audit_ends
from retention.audits.figures import show_forecast, show_trails
from retention.audits.report import AuditReport, Severity, Span
from retention.audits.subject import Progress, Subject, no_progress
from retention.catalogue.tables import log_leaves, retired_segments, segments, timestamp
from retention.keys.signing import load_verifiers
from retention.manifest import SegmentManifest
from retention.persons.tables import person_requests
from retention.policies.book import in_force
from retention.policies.decisions import count_silent
from retention.policies.judge import UnitState, Verdict
from retention.policies.model import shipped_matrix
from retention.policies.periods import first_day_of, last_day_of, may_go_on, shanghai_date, stored_date
from retention.policies.settings import RetentionSettings
from retention.policies.simulate import simulate
from retention.purge.beside import destroyed_beside
from retention.purge.certificate import verify_certificate
from retention.purge.plan import APPROVED, CERTIFIED, FINAL, RUNNING, list_purges
from retention.purge.tables import purge_segments, purge_units, purges
from retention.second_person import nobody_second

PREFIX = "segments/"


def audit_retention(
    subject: Subject,
    *,
    settings: RetentionSettings | None = None,
    now: datetime | None = None,
    progress: Progress = no_progress,
) -> AuditReport:
    """Judge everything that is kept and everything that went, class by class, as of now."""
    settings = settings or RetentionSettings()
    moment = now or datetime.now(UTC)
    today = shanghai_date(moment)
    report = AuditReport("retention", moment, Span())
    living = {record.key_id for record in subject.archive.period_keys.list() if record.destroyed_at is None}
    with subject.catalogue.read() as connection:
        _policies(connection, report, today)
        found = simulate(connection, today, settings=settings)
        report.checked["units"] = len(found.units)
        _kept(report, found.units, today)
        show_forecast(report, found)
        show_trails(report, found)
        report.tables += (purges_table(connection), holds_table(connection))
        listings = found.listings.as_json()
        report.checked |= {f"listings: {name}": count for name, count in listings.items() if any(listings.values())}
        _destroyed(connection, report, progress)
        audit_beside(connection, report, living)
        _vanished(connection, report)
        _waiting(connection, report, moment, settings)
        known = connection.execute(sa.select(segments.c.object_name, segments.c.segment_id)).all()
    _objects(subject, {row[0]: row[1] for row in known}, living, report)
    _certificates(subject, report)
    return report


def _policies(connection: sa.Connection, report: AuditReport, today: date) -> None:
    """No policy in force goes under a floor, whatever wrote it."""
    for name, policy in sorted(in_force(connection, today).items()):
        try:
            shipped_matrix().check(policy)
        except LiucunError as error:
            report.add("policy_under_floor", f"policy:{policy.label}", error.what)
        report.checked[f"{name}: policy"] = f"{policy.floor} from {policy.counted_from.value}, v{policy.version}"


def _kept(report: AuditReport, states: Sequence[UnitState], today: date) -> None:
    for name in sorted({state.record_class for state in states}):
        mine = [state for state in states if state.record_class == name]
        for verdict in Verdict:
            amount = sum(state.rows for state in mine if state.verdict is verdict)
            if amount:
                report.checked[f"{name}: {verdict.value}"] = amount
    for state in states:
        if state.ceiling_on is None or state.ceiling_on > today:
            continue
        where = f"unit:{state.key_id}"
        why = "; ".join(f"{reason.code}: {reason.detail}" for reason in state.reasons)
        if state.verdict is Verdict.DUE:
            report.add(
                "late",
                where,
                f"{state.rows} records of {state.record_class} {' '.join(state.periods)} should have been gone by "
                f"{state.ceiling_on}; plan a purge.",
            )
        elif not any(reason.code == "floor" for reason in state.reasons):
            report.add(
                "kept_past_ceiling", where, f"Past {state.ceiling_on}, kept for a reason: {why}.", Severity.NOTICE
            )


def _destroyed(connection: sa.Connection, report: AuditReport, progress: Progress) -> None:
    """Every destroyed segment has its purge, and its last record's floor was over on the day it went."""
    r, s = retired_segments.c, purge_segments.c
    u, p = purge_units.c, purges.c
    unit = purge_units.join(purges, p.purge_id == u.purge_id)
    joined = retired_segments.outerjoin(purge_segments, s.segment_id == r.segment_id).outerjoin(
        unit, sa.and_(u.purge_id == s.purge_id, u.unit_id == s.unit_id)
    )
    rows = connection.execute(
        sa.select(
            r.segment_id, r.record_class, r.manifest, r.retired_at, s.purge_id, u.expired_on, u.kept_rows,
            p.approved_by, p.planned_by,
            # Of a divided unit's segment the rows that were sealed anew are still there.
            sa.func.coalesce(s.rows, r.rows).label("rows"),
        )
        .select_from(joined)
        .where(r.state == "destroyed")
        .order_by(r.segment_id)
    ).all()  # fmt: skip
    floors, gone = shipped_matrix(), list[Gone]()
    for number, row in enumerate(rows, 1):
        where = f"segment:{row.segment_id}"
        went = stored_date(row.retired_at)
        if row.purge_id is None:
            report.add(
                "destroyed_without_purge", where, "It was taken out without a plan, an approval or a certificate."
            )
        else:
            if nobody_second(row.approved_by, row.planned_by):
                report.add("one_person", where, f"The purge {row.purge_id} had no second person with an account.")
            if went.isoformat() < row.expired_on:
                report.add("early", where, f"It went on {went}; its plan says {row.expired_on}.")
        manifest = SegmentManifest.from_bytes(row.manifest)
        gone.append(Gone(row.record_class, manifest.period, manifest.key_id, row.retired_at))
        # Of a divided unit the younger rows were sealed anew: of those that went, the month's first day is certain.
        counts_from = first_day_of(manifest.period) if row.kept_rows else _latest(manifest)
        for floor in floors.floors_of(row.record_class):
            may = may_go_on(counts_from, floor.period)
            if went < may:
                report.add("early", where, f"It went on {went}; {floor.name} kept it to {may} at least.")
        progress("destroyed segments", number, len(rows))
    report.checked["destroyed_segments"] = len(rows)
    report.checked["destroyed_records"] = sum(row.rows for row in rows)
    audit_ends(connection, report, gone)


def _latest(manifest: SegmentManifest) -> date:
    """The latest day that a record of a destroyed segment counts from for certain, as its manifest tells."""
    first, last = first_day_of(manifest.period), last_day_of(manifest.period)
    told = [stored_date(moment) for moment in (manifest.event_time_min, manifest.event_time_max) if moment]
    # Times outside of the month were not plausible: those records count from their ingest, within the month. A unit
    # that is judged by its month goes after the month's last day; one that is judged by its orders may go before.
    by_month = not shipped_matrix().policies[manifest.record_class].counted_from.later_record
    return max((day for day in told if first <= day <= last), default=last if by_month else first)


def _vanished(connection: sa.Connection, report: AuditReport) -> None:
    """What the log knows as a segment is in the archive, was merged, or was destroyed on record."""
    leaf, g, r = log_leaves.c, segments.c, retired_segments.c
    joined = log_leaves.outerjoin(segments, g.segment_id == leaf.ref).outerjoin(
        retired_segments, r.segment_id == leaf.ref
    )
    rows = connection.execute(
        sa.select(leaf.ref)
        .select_from(joined)
        .where(leaf.type == "segment", g.segment_id.is_(None), r.segment_id.is_(None))
        .order_by(leaf.index)
    )
    for name in rows.scalars():
        report.add("vanished", f"segment:{name}", "The log has it; the catalogue neither keeps nor destroyed it.")


def _objects(subject: Subject, known: dict[str, str], living: set[str], report: AuditReport) -> None:
    found = set(subject.objects.list(PREFIX))
    for name in sorted(known.keys() - found):
        report.add("early", f"segment:{known[name]}", f"Its object {name} is gone without a certificate.")
    with subject.catalogue.read() as connection:
        for name, segment_id in _deleted(connection):
            if name in found:
                report.add(
                    "object_returned",
                    f"segment:{segment_id}",
                    f"It was destroyed, and its object {name} is there again. Nobody can read it without the key: "
                    "delete it, and find out who put it back.",
                )
        for name, key_id in _keys(connection):
            if key_id not in living:
                report.add("early", f"segment:{name}", f"Its key {key_id} is destroyed or missing: it cannot be read.")


def _deleted(connection: sa.Connection) -> list[tuple[str, str]]:
    """Objects that a purge deleted, each with its segment."""
    s, r = purge_segments.c, retired_segments.c
    rows = connection.execute(
        sa.select(s.object_name, s.segment_id)
        .select_from(purge_segments.join(retired_segments, r.segment_id == s.segment_id))
        .where(r.object_deleted_at.is_not(None))
        .order_by(s.object_name)
    )
    return [(row.object_name, row.segment_id) for row in rows]


def _keys(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    rows = connection.execution_options(yield_per=500).execute(
        sa.select(segments.c.segment_id, segments.c.manifest).order_by(segments.c.segment_id)
    )
    for row in rows:
        yield row.segment_id, SegmentManifest.from_bytes(row.manifest).key_id


def _waiting(connection: sa.Connection, report: AuditReport, now: datetime, settings: RetentionSettings) -> None:
    """What waits for people: silent orders, purges that do not go on, requests past their day."""
    today = shanghai_date(now)
    quiet, since = count_silent(connection, today, settings.silent_order_days)
    report.checked["silent_orders"] = quiet
    if quiet:
        report.add(
            "silent_orders",
            "retention",
            f"{quiet} open orders without news for {settings.silent_order_days} days, since {since} at "
            "the earliest: `liucun retention silent`.",
            Severity.NOTICE,
        )
    c = purges.c
    stuck = sa.or_(c.state == RUNNING, sa.and_(c.state == APPROVED, c.waits_until <= timestamp(now)))
    for row in connection.execute(sa.select(c.purge_id, c.state).where(stuck).order_by(c.purge_id)):
        report.add(
            "purge_waits",
            f"purge:{row.purge_id}",
            f"It is {row.state}: `liucun purge` goes on with it.",
            Severity.NOTICE,
        )
    q = person_requests.c
    late = sa.and_(q.state == "open", q.due_on < today.isoformat())
    for asked in connection.execute(sa.select(q.request_id, q.kind, q.due_on).where(late).order_by(q.due_on)):
        where = f"request:{asked.request_id}"
        report.add("request_overdue", where, f"{asked.kind}, due on {asked.due_on}, is not answered.")


def _certificates(subject: Subject, report: AuditReport) -> None:
    """Each certificate is signed and says what the tables say."""
    verifiers = load_verifiers(subject.archive.period_keys)
    made = 0
    for purge in list_purges(subject.catalogue):
        if purge.state not in (CERTIFIED, FINAL):
            continue
        made += 1
        where = f"purge:{purge.purge_id}"
        try:
            content = verify_certificate(subject.archive.suite, purge, verifiers)
        except LiucunError as error:
            report.add("certificate_refused", where, error.what)
            continue
        with subject.catalogue.read() as connection:
            rows = connection.execute(
                sa.select(sa.func.coalesce(sa.func.sum(purge_segments.c.rows), 0)).where(
                    purge_segments.c.purge_id == purge.purge_id
                )
            ).scalar_one()
            rows = int(rows) + destroyed_beside(connection, purge.purge_id)
            u = purge_units.c
            planned = connection.execute(sa.select(u.key_id, u.expired_on).where(u.purge_id == purge.purge_id))
            days = {row.key_id: row.expired_on for row in planned}
        if content["records"] != rows:
            report.add("certificate_differs", where, f"It names {content['records']} records; {rows} were destroyed.")
        for unit in content["destroyed"]:
            if unit["expired_on"] != days.get(unit["key"]):
                detail = f"It says that {unit['key']} had run out on {unit['expired_on']}; the plan says otherwise now."
                report.add("certificate_differs", where, detail)
    report.checked["certificates"] = made
