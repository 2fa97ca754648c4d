"""What went of what is sealed in the database (texts kept with tickets, reports, messages …), judged anew: by a purge,
by two people, after the floor, and no other way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from retention.audits.report import AuditReport
from retention.crypto.bodies import TEXTS
from retention.policies.beside import beside_units
from retention.policies.filed_items import FILED, filed_items
from retention.policies.model import shipped_matrix
from retention.policies.periods import may_go_on, stored_date
from retention.policies.texts import has_texts
from retention.policies.ticket_ends import standing_tickets
from retention.purge.tables import purge_units, purges
from retention.second_person import nobody_second


@dataclass(slots=True)
class _Gone:
    """What one purge emptied of a class: how many, the latest end of what has ended, whether something runs again."""

    rows: int = 0
    last: str = ""
    running: bool = False


def audit_beside(connection: sa.Connection, report: AuditReport, living: set[str]) -> None:
    """Add findings: ``early``, ``destroyed_without_purge``, ``one_person``.

    Args:
        living: ids of the period keys that are not destroyed.
    """
    if has_texts(connection):
        gone = _gone_texts(connection)
        _judge(connection, report, TEXTS, gone)
        report.checked["tickets_without_texts"] = sum(one.rows for one in gone.values())
    for record_class in FILED:
        found: dict[str, _Gone] = defaultdict(_Gone)
        for item in filed_items(connection, record_class):
            if item.gone is not None:
                one = found[item.gone]
                one.rows += item.count
                # One that joined an open ticket since was judged as it stood then.
                one.running = one.running or item.open
                one.last = one.last if item.open else max(one.last, item.last)
        _judge(connection, report, record_class, found)
        if found:
            report.checked[f"{record_class}: emptied"] = sum(one.rows for one in found.values())
    for unit in beside_units(connection):
        if unit.key_id not in living:
            detail = f"The key {unit.key_id} of {unit.rows} of {unit.record_class} is destroyed or missing."
            report.add("early", f"key:{unit.key_id}", detail)


def _gone_texts(connection: sa.Connection) -> dict[str, _Gone]:
    t = sa.table("tickets", *map(sa.column, ("ticket_id", "text_key", "texts_gone"))).alias("kept")
    s = standing_tickets().alias("standing")
    last = sa.func.max(sa.case((s.c.ended, s.c.ended_at))).label("last")
    running = sa.func.sum(sa.case((s.c.ended, 0), else_=1)).label("running")
    rows = connection.execute(
        sa.select(t.c.texts_gone, last, running, sa.func.count().label("tickets"))
        .select_from(t.join(s, s.c.ticket_id == t.c.ticket_id))
        .where(t.c.texts_gone.is_not(None))
        .group_by(t.c.texts_gone)
        .order_by(t.c.texts_gone)
    )
    return {row.texts_gone: _Gone(int(row.tickets), row.last or "", bool(row.running)) for row in rows}


def _judge(connection: sa.Connection, report: AuditReport, record_class: str, gone: Mapping[str, _Gone]) -> None:
    u, p = purge_units.c, purges.c
    for purge_id, one in sorted(gone.items()):
        where = f"purge:{purge_id}"
        found = connection.execute(
            sa.select(p.planned_by, p.approved_by, p.started_at, sa.func.max(u.expired_on).label("expired_on"))
            .select_from(purge_units.join(purges, p.purge_id == u.purge_id))
            .where(p.purge_id == purge_id, u.record_class == record_class)
            .group_by(p.purge_id)
        ).one_or_none()
        if found is None or found.started_at is None:
            report.add("destroyed_without_purge", where, f"{one.rows} of {record_class} went by no such purge.")
            continue
        if nobody_second(found.approved_by, found.planned_by):
            report.add("one_person", where, f"The purge of {record_class} had no second person with an account.")
        went = stored_date(found.started_at)
        if went.isoformat() < found.expired_on:
            report.add("early", where, f"{record_class} went on {went}; the plan says {found.expired_on}.")
        for floor in shipped_matrix().floors_of(record_class) if one.last else ():
            may = may_go_on(stored_date(one.last), floor.period)
            # What was opened again since has new texts; its old ones had run out.
            if went < may and not one.running:
                report.add("early", where, f"{record_class} went on {went}; {floor.name} kept it to {may} at least.")
