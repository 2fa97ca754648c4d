"""Which tickets have ended, and when: what was merged into another stands and ends as that one does.

The tables belong to the queue; read here by name, so that the archive needs nothing of the queue.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import sqlalchemy as sa

ENDED: Final = ("closed", "dismissed", "reversed")
"""States in which nothing more is done about a ticket; all others keep its records."""
_COLUMNS: Final = (
    "ticket_id", "state", "source", "partition", "offset", "closed_at", "triaged_at", "detected_at", "merged_into",
)  # fmt: skip


def has_tickets(connection: sa.Connection) -> bool:
    """Whether the store has a queue."""
    return sa.inspect(connection).has_table("tickets")


@cache
def standing_tickets() -> sa.Subquery:
    """Every ticket with its place, and as ``ended`` and ``ended_at`` how the ticket that it is part of stands.

    One that was opened again takes along what was merged into it; where the ticket that took it in is not known,
    a merged one has not ended.
    """
    own = sa.table("tickets", *map(sa.column, _COLUMNS))
    above, root = own.alias("above"), own.alias("root")
    steps = sa.select(own.c.ticket_id, own.c.merged_into.label("into")).where(own.c.merged_into.is_not(None))
    chain = steps.cte("merged", recursive=True)
    further = sa.select(chain.c.ticket_id, above.c.merged_into).join(above, above.c.ticket_id == chain.c.into)
    chain = chain.union(further.where(above.c.merged_into.is_not(None)))
    top = own.alias("top")
    final = (
        sa.select(chain.c.ticket_id, chain.c.into)
        .join(top, top.c.ticket_id == chain.c.into)
        .where(top.c.merged_into.is_(None))
        .subquery()
    )
    ended = root.c.state.in_(ENDED)
    return (
        sa.select(
            own.c.ticket_id,
            own.c.source,
            own.c.partition,
            own.c.offset,
            ended.label("ended"),
            # What was dismissed at once, because a person had dismissed the same text before, ended when it was found.
            sa.case((ended, sa.func.coalesce(root.c.closed_at, root.c.triaged_at, root.c.detected_at))).label(
                "ended_at"
            ),
        )
        .select_from(own)
        .outerjoin(final, final.c.ticket_id == own.c.ticket_id)
        .join(root, root.c.ticket_id == sa.func.coalesce(final.c.into, own.c.ticket_id))
        .subquery()
    )
