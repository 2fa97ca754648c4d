"""What went of the texts kept with tickets, judged anew: by a purge, by two people, after the floor, and no other."""

from __future__ import annotations

import sqlalchemy as sa

from retention.audits.report import AuditReport
from retention.crypto.bodies import TEXTS
from retention.policies.model import shipped_matrix
from retention.policies.periods import may_go_on, stored_date
from retention.policies.texts import has_texts
from retention.policies.ticket_ends import standing_tickets
from retention.purge.tables import purge_units, purges
from retention.second_person import nobody_second


def audit_texts(connection: sa.Connection, report: AuditReport, living: set[str]) -> None:
    """Add findings: ``early``, ``destroyed_without_purge``, ``one_person``.

    Args:
        living: ids of the period keys that are not destroyed.
    """
    if not has_texts(connection):
        return
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
    ).all()
    u, p = purge_units.c, purges.c
    for row in rows:
        where = f"purge:{row.texts_gone}"
        found = connection.execute(
            sa.select(p.planned_by, p.approved_by, p.started_at, sa.func.max(u.expired_on).label("expired_on"))
            .select_from(purge_units.join(purges, p.purge_id == u.purge_id))
            .where(p.purge_id == row.texts_gone, u.record_class == TEXTS)
            .group_by(p.purge_id)
        ).one_or_none()
        if found is None or found.started_at is None:
            report.add("destroyed_without_purge", where, f"The texts of {row.tickets} tickets went by no such purge.")
            continue
        if nobody_second(found.approved_by, found.planned_by):
            report.add("one_person", where, "The purge of tickets' texts had no second person with an account.")
        went = stored_date(found.started_at)
        if went.isoformat() < found.expired_on:
            report.add("early", where, f"Tickets' texts went on {went}; the plan says {found.expired_on}.")
        for floor in shipped_matrix().floors_of(TEXTS) if row.last else ():
            may = may_go_on(stored_date(row.last), floor.period)
            # A ticket that was opened again since has new texts; its old ones had run out.
            if went < may and not row.running:
                report.add("early", where, f"Tickets' texts went on {went}; {floor.name} kept them to {may} at least.")
    keys = sa.select(t.c.text_key, sa.func.count().label("tickets")).where(
        t.c.text_key.is_not(None), t.c.texts_gone.is_(None)
    )
    for key in connection.execute(keys.group_by(t.c.text_key).order_by(t.c.text_key)):
        if key.text_key not in living:
            detail = f"The key {key.text_key} of the texts of {key.tickets} tickets is destroyed or missing."
            report.add("early", f"key:{key.text_key}", detail)
    report.checked["tickets_without_texts"] = sum(row.tickets for row in rows)
