"""Item by item what stands sealed in tables of its own: when it was made, whether it has ended, whom it concerns.

The tables belong to other rooms and are read by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import sqlalchemy as sa

from retention.crypto.bodies import DISCLOSURES, DUTIES, MESSAGES, REPORTS
from retention.policies.periods import stored_date
from retention.policies.ticket_ends import standing_tickets

_RUNNING_REPORT: Final = ("draft", "approved")
_WAITING: Final = "waiting"
_SENT: Final = "sent"
_OPEN: Final = "open"


@dataclass(frozen=True, slots=True)
class Item:
    """One of them: ``made`` and ``last`` are times as the catalogue writes them, ``open`` is what has not ended.

    ``count`` is how many it stands for (what was delivered is not told apart), ``gone`` the
    purge that destroyed it; ``accounts`` are those that it concerns, under their keyed hash.
    """

    item_id: str
    key_id: str | None
    made: str
    last: str
    open: bool
    bytes_stored: int
    gone: str | None = None
    tickets: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    count: int = 1
    empty: bool = False

    @property
    def ended(self) -> date | None:
        """The day that it counts from; None while it is open."""
        return None if self.open else stored_date(self.last)


def filed_items(
    connection: sa.Connection, record_class: str, key_id: str | None = None, *, each: bool = True
) -> list[Item]:
    """What there is of a class, what was destroyed included; or what lies under one key: each by itself, or, unless
    ``each``, what was delivered by the hour."""
    source = _SOURCES[record_class]
    if not _has(connection, source.table):
        return []
    found = source.read(connection, key_id, each and key_id is not None)
    return [item for item in found if key_id is None or item.key_id == key_id]


def filed_keys(connection: sa.Connection, record_class: str) -> list[str]:
    """The keys under which something of a class lies."""
    table = _SOURCES[record_class].table
    if not _has(connection, table):
        return []
    t = sa.table(table, sa.column("text_key"), sa.column("texts_gone")).c
    there = sa.select(t.text_key).distinct().where(t.text_key.is_not(None), t.texts_gone.is_(None))
    return list(connection.execute(there.order_by(t.text_key)).scalars())


@dataclass(frozen=True, slots=True)
class _Source:
    table: str
    read: Callable[[sa.Connection, str | None, bool], list[Item]]


def _has(connection: sa.Connection, table: str) -> bool:
    inspector = sa.inspect(connection)
    return inspector.has_table(table) and "text_key" in {column["name"] for column in inspector.get_columns(table)}


def _reports(connection: sa.Connection, key_id: str | None, _each: bool) -> list[Item]:
    names = ("report_id", "corrects", "state", "created_at", "submitted_at", "settled_at", "text_key", "texts_gone")
    table = sa.table("reports", *map(sa.column, (*names, "body")))
    r = table.c
    chosen = sa.select(*(r[name] for name in names), sa.func.length(r.body).label("bytes"))
    link = sa.table("report_tickets", sa.column("report_id"), sa.column("ticket_id"))
    which: sa.ColumnElement[bool] = sa.true()
    if key_id is not None:
        # And those that correct them, whatever their key: how long one stays depends on them.
        own, later_one = table.alias("own"), table.alias("later_one")
        chain = sa.select(own.c.report_id).where(own.c.text_key == key_id).cte("corrected", recursive=True)
        chain = chain.union(sa.select(later_one.c.report_id).join(chain, later_one.c.corrects == chain.c.report_id))
        chosen = chosen.where(r.report_id.in_(sa.select(chain.c.report_id)))
        which = link.c.report_id.in_(sa.select(chain.c.report_id))
    rows = connection.execute(chosen.order_by(r.created_at.desc(), r.report_id.desc())).all()
    tickets = _named(connection, link, "report_id", which)
    later: dict[str, tuple[str, bool]] = {}
    found = []
    for row in rows:
        mine = tickets.get(row.report_id, _Named())
        last, open_ = later.get(row.report_id, ("", False))
        last = max(last, row.created_at, row.submitted_at or "", row.settled_at or "", mine.last)
        open_ = open_ or mine.open or row.state in _RUNNING_REPORT
        if row.corrects is not None:
            above = later.get(row.corrects, ("", False))
            later[row.corrects] = (max(above[0], last), above[1] or open_)
        found.append(
            Item(
                row.report_id, row.text_key, row.created_at, last, open_, int(row.bytes or 0), row.texts_gone,
                tuple(mine.ids),
            )
        )  # fmt: skip
    return found


def _messages(connection: sa.Connection, key_id: str | None, each: bool) -> list[Item]:
    names = ("id", "state", "created_at", "sent_at", "text_key", "texts_gone")
    m = sa.table("outbox", *map(sa.column, (*names, "body")))
    c = m.c
    here = c.text_key.is_not(None) if key_id is None else c.text_key == key_id
    there = sa.or_(here, c.texts_gone.is_not(None)) if key_id is None else here
    # What was delivered is empty, and there is much of it: by the hour, where nobody asks for each.
    sent = sa.and_(there, c.state == _SENT)
    if not each:
        hour = sa.func.substr(c.sent_at, 1, 13)
        counted = sa.select(
            c.text_key,
            c.texts_gone,
            hour.label("hour"),
            sa.func.min(c.created_at).label("first"),
            sa.func.count().label("rows"),
        ).where(sent)
        found = [
            Item(
                "", row.text_key, row.first, f"{row.hour}:00:00.000000Z", False, 0, row.texts_gone,
                count=int(row.rows), empty=True,
            )
            for row in connection.execute(counted.group_by(c.text_key, c.texts_gone, hour))
        ]  # fmt: skip
    else:
        delivered = sa.select(c.id, c.text_key, c.created_at, c.sent_at, c.texts_gone).where(sent)
        found = [
            Item(str(row.id), row.text_key, row.created_at, row.sent_at, False, 0, row.texts_gone, empty=True)
            for row in connection.execute(delivered)
        ]
    waiting = sa.and_(there, c.state != _SENT)
    link = sa.table("outbox_tickets", sa.column("message"), sa.column("ticket_id"))
    tickets = _named(connection, link, "message", link.c.message.in_(sa.select(c.id).where(waiting)))
    chosen = sa.select(*(c[name] for name in names), sa.func.length(c.body).label("bytes")).where(waiting)
    for row in connection.execute(chosen):
        mine = tickets.get(str(row.id), _Named())
        found.append(
            Item(
                str(row.id), row.text_key, row.created_at, max(row.created_at, mine.last),
                row.state == _WAITING or mine.open, int(row.bytes or 0), row.texts_gone, tuple(mine.ids),
            )
        )  # fmt: skip
    return found


def _duties(connection: sa.Connection, key_id: str | None, _each: bool) -> list[Item]:
    names = ("duty_id", "state", "started_at", "created_at", "completed_at", "text_key", "texts_gone")
    d = sa.table("duties", *map(sa.column, (*names, "title"))).c
    chosen = sa.select(*(d[name] for name in names), sa.func.length(d.title).label("bytes"))
    rows = connection.execute(chosen if key_id is None else chosen.where(d.text_key == key_id)).all()
    f = sa.table("ticket_files", *map(sa.column, ("subject", "at", "body"))).c
    theirs = f.subject.startswith("duty:")
    if key_id is not None:
        theirs = f.subject.in_(sa.select(sa.literal("duty:", sa.String) + d.duty_id).where(d.text_key == key_id))
    files = connection.execute(
        sa.select(f.subject, sa.func.max(f.at).label("last"), sa.func.sum(sa.func.length(f.body)).label("bytes"))
        .where(theirs)
        .group_by(f.subject)
    )
    added = {row.subject.removeprefix("duty:"): (row.last, int(row.bytes or 0)) for row in files}
    found = []
    for row in rows:
        last, size = added.get(row.duty_id, ("", 0))
        # The event itself may lie after its entry: a day of expiry, a quarter.
        last = max(row.started_at, row.created_at, row.completed_at or "", last)
        found.append(
            Item(
                row.duty_id, row.text_key, row.created_at, last, row.state == _OPEN, int(row.bytes or 0) + size,
                row.texts_gone,
            )
        )  # fmt: skip
    return found


def _disclosures(connection: sa.Connection, key_id: str | None, _each: bool) -> list[Item]:
    names = ("disclosure_id", "requested_at", "expires_at", "text_key", "texts_gone")
    d = sa.table("disclosures", *map(sa.column, (*names, "document", "sealed"))).c
    size = sa.func.length(d.document) + sa.func.length(d.sealed)
    chosen = sa.select(*(d[name] for name in names), size.label("bytes"))
    rows = connection.execute(chosen if key_id is None else chosen.where(d.text_key == key_id)).all()
    a = sa.table("disclosure_accounts", sa.column("disclosure_id"), sa.column("account_blind")).c
    accounts: dict[str, list[str]] = defaultdict(list)
    whose = sa.select(a.disclosure_id, a.account_blind)
    if key_id is not None:
        whose = whose.where(a.disclosure_id.in_(sa.select(d.disclosure_id).where(d.text_key == key_id)))
    for row in connection.execute(whose):
        accounts[row.disclosure_id].append(row.account_blind)
    # Until it expires it may be handed out: that is the last moment at which data can have been provided under it.
    return [
        Item(
            row.disclosure_id, row.text_key, row.requested_at, max(row.requested_at, row.expires_at), False,
            int(row.bytes or 0), row.texts_gone, accounts=tuple(accounts[row.disclosure_id]),
        )
        for row in rows
    ]  # fmt: skip


class _Named:
    """The tickets that something names: whether one is open, and when the last of them ended."""

    __slots__ = ("ids", "last", "open")

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.last = ""
        self.open = False


def _named(
    connection: sa.Connection, link: sa.TableClause, column: str, which: sa.ColumnElement[bool]
) -> Mapping[str, _Named]:
    s = standing_tickets().alias("standing").c
    rows: Iterable[Any] = connection.execute(
        sa.select(link.c[column], s.ticket_id, s.ended, s.ended_at)
        .select_from(link.join(s.ticket_id.table, s.ticket_id == link.c.ticket_id))
        .where(which)
        .order_by(link.c[column], s.ticket_id)
    )
    found: dict[str, _Named] = defaultdict(_Named)
    for name, ticket_id, ended, ended_at in rows:
        mine = found[str(name)]
        mine.ids.append(ticket_id)
        mine.open = mine.open or not ended
        mine.last = max(mine.last, ended_at or "")
    return found


_SOURCES: Final = {
    REPORTS: _Source("reports", _reports),
    MESSAGES: _Source("outbox", _messages),
    DUTIES: _Source("duties", _duties),
    DISCLOSURES: _Source("disclosures", _disclosures),
}
FILED: Final = tuple(_SOURCES)
"""The classes."""
