"""What a list of audits shows stands beside the reports, which hold pictures and are large."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the headings, those of the reports that are kept already included."""
    op.add_column("console_audit_reports", sa.Column("heading", sa.Text))
    table = sa.table("console_audit_reports", *(sa.column(name, sa.Text) for name in ("report_id", "body", "heading")))
    connection = op.get_bind()
    for number in connection.execute(sa.select(table.c.report_id)).scalars().all():
        body = json.loads(connection.execute(sa.select(table.c.body).where(table.c.report_id == number)).scalar_one())
        if "checked" not in body:
            continue
        heading = {
            "checked": body["checked"],
            "anchored": bool(body.get("anchored")),
            "findings": len(body.get("findings", [])),
        }
        connection.execute(table.update().where(table.c.report_id == number).values(heading=json.dumps(heading)))
