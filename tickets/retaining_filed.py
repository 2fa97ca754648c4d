"""How long what reports say, and messages that never went out, live: sealed under a key a month, emptied with it.

What decides is the archive's retention (classes ``report`` and ``message``); here it is carried out on the tables of
the queue. An emptied report keeps its number, state, times, persons, digests and receipt; an emptied message keeps that
it was written, of what, and that it failed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.engine import Catalogue
from retention.crypto.bodies import MESSAGES, REPORTS
from retention.purge.beside import Kept, register
from retention.purge.filed_rows import FiledRows, RowKeeper, seal_lacking_rows
from tickets.bodies import Bodies
from tickets.messages import message_context, name_tickets, tickets_in
from tickets.reports.register import report_context
from tickets.tables_sending import outbox, outbox_tickets, reports

REPORT: Final = FiledRows(
    REPORTS,
    reports,
    "report_id",
    made="created_at",
    bodies=("body",),
    context=lambda row, _: report_context(row.report_id),
    seen=("version",),
)
MESSAGE: Final = FiledRows(
    MESSAGES,
    outbox,
    "id",
    made="created_at",
    bodies=("body",),
    context=lambda row, _: message_context(row.key),
    seen=("state", "attempts"),
    cleared=("error",),
    linked=(outbox_tickets,),
)
_REPORT_KEPT: Final = "report.texts_kept"
_MESSAGE_KEPT: Final = "outbox.texts_kept"
register(
    REPORTS, Kept(RowKeeper(REPORT), "report", _REPORT_KEPT, "report.texts_destroyed", reports.name, (reports.c.body,))
)
register(
    MESSAGES, Kept(RowKeeper(MESSAGE), "outbox", _MESSAGE_KEPT, "outbox.texts_destroyed", outbox.name, (outbox.c.body,))
)


def seal_filed_lacking(catalogue: Catalogue, bodies: Bodies) -> tuple[int, list[str]]:
    """Put what was written before there were such keys under that of its month; messages then name their tickets.

    Returns:
        How many, and the subjects (``report:…``, ``outbox:…``) of which something is damaged: they stay as they are.
    """

    def name(connection: sa.Connection, row: Any) -> None:
        said = json.loads(bodies.open(row.body, message_context(row.key)))
        prefix, _, ticket_id = row.subject.partition(":")
        named = [*tickets_in(said), *([ticket_id] if prefix == "ticket" else ())]
        name_tickets(connection, {row.id: _known(connection, named)})

    done, damaged = seal_lacking_rows(catalogue, bodies, REPORT, RowKeeper(REPORT), subject="report", kind=_REPORT_KEPT)
    more, wrong = seal_lacking_rows(
        catalogue, bodies, MESSAGE, RowKeeper(MESSAGE), subject="outbox", kind=_MESSAGE_KEPT, also=name
    )
    return done + more, damaged + wrong


def _known(connection: sa.Connection, ids: Sequence[str]) -> list[str]:
    t = sa.table("tickets", sa.column("ticket_id")).c
    wanted = list(dict.fromkeys(ids))
    there = set(connection.execute(sa.select(t.ticket_id).where(t.ticket_id.in_(wanted))).scalars()) if wanted else ()
    return [name for name in wanted if name in there]
