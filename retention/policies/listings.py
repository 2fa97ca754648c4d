"""Listings 商品信息: records about an article that belong to no order. One that never sold counts from its delisting.

电子商务法 art. 31 keeps information about goods as it keeps transactions: three years from the completion of the
transaction. Of a listing that sold that is the last of its orders. Which orders those are is not kept (it would be a
row for every line of every order): it waits for all orders that ran while the article sold, month by month, which
may be too long and never too short. Where no order ever named the article, no law counts; by design the day of its
delisting does. One that was never taken down, or was put up again, is open. Where no delisting ever came two people
may decide on its day: that takes the place of a delisting and of nothing else.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from retention.catalogue.engine import Catalogue
from retention.policies.extract import LISTING, NEVER, days_of, retention_anchor, texts_of, unnamed_subject, words_in
from retention.policies.subject_ends import counting_day, end_of, still_open
from retention.policies.tables import articles, decisions, subjects, unit_segments, units
from retention.policies.words import EndRule
from retention.schema import RecordClass

_CLASS: Final = RecordClass.TRANSACTION.value
_PART: Final = 5000
Blinder = Callable[[str, str], bytes]


@dataclass(frozen=True, slots=True)
class ArticleNews:
    """What one segment tells of one article: of its listing, and the days on which orders named it."""

    blind: bytes
    listed_on: str | None
    ended_at: str | None
    ended_on: str | None
    open_at: str | None
    sold_from: str | None
    sold_until: str | None


@dataclass(frozen=True, slots=True)
class ListingCount:
    """Listings by how they stand: up, down and never sold, down with every order ended, down and waiting for orders."""

    on_sale: int = 0
    never_sold: int = 0
    sold: int = 0
    waiting: int = 0

    def as_json(self) -> dict[str, int]:
        """The figures by name."""
        return {"on_sale": self.on_sale, "never_sold": self.never_sold, "sold": self.sold, "waiting": self.waiting}


def listing_name(article: str) -> str:
    """The name of an article's listing among the subjects of transactions."""
    return f"{LISTING}{article}"


def article_news(table: pa.Table, rule: EndRule, blind: Callable[[str], bytes]) -> list[ArticleNews]:
    """One entry for each article that the records name.

    Args:
        table: the columns of ``columns_of``.
        rule: a rule; without ``listed`` there are none.
        blind: keyed hash of a listing's name, 16 bytes.
    """
    if rule.listed is None or not table.num_rows:
        return []
    article = pc.fill_null(table.column(rule.listed.key).cast(pa.string()), "")
    named = pc.not_equal(article, "")
    if not pc.any(named).as_py():
        return []
    table, article = table.filter(named), article.filter(named)
    anchor = retention_anchor(table)
    sold = pc.not_equal(pc.fill_null(table.column(rule.key).cast(pa.string()), ""), "")
    down, up = (
        _any([words_in(table.column(status), words) for status in rule.listed.status])
        for words in (rule.listed.ending, rule.listed.running)
    )
    listing = pc.invert(sold)
    up = pc.and_(up, listing)
    # A record that says both leaves it up.
    down = pc.and_(pc.and_(down, listing), pc.invert(up))
    columns = {
        "article": article,
        "listed": pc.if_else(listing, anchor, NEVER),
        "ended": pc.if_else(down, anchor, NEVER),
        "opened": pc.if_else(up, anchor, NEVER),
        "sold": pc.if_else(sold, anchor, NEVER),
    }
    wanted = [("listed", "min"), ("ended", "max"), ("opened", "max"), ("sold", "min"), ("sold", "max")]
    found = pa.table(columns).group_by("article", use_threads=False).aggregate(wanted)
    values = zip(
        found.column("article").to_pylist(),
        days_of(found.column("listed_min")),
        texts_of(found.column("ended_max")),
        days_of(found.column("ended_max")),
        texts_of(found.column("opened_max")),
        days_of(found.column("sold_min")),
        days_of(found.column("sold_max")),
        strict=True,
    )
    return sorted((ArticleNews(blind(listing_name(name)), *rest) for name, *rest in values), key=lambda n: n.blind)


def settle(catalogue: Catalogue, blind: Blinder) -> None:
    """Give every listing that ended its end; one that waits for an order has none."""
    with catalogue.read() as connection:
        if not _ends(connection, blind):
            return
    with catalogue.write() as connection:
        settle_in(connection, blind)


def settle_in(connection: sa.Connection, blind: Blinder) -> None:
    """``settle`` inside the transaction that tells the news, so that nobody sees an order that is opened again beside
    the old end of what it sold."""
    changed = _ends(connection, blind)
    if changed:
        c = subjects.c
        connection.execute(
            subjects.update()
            .where(c.record_class == _CLASS, c.blind == sa.bindparam("b_blind"))
            .values({name: sa.bindparam(f"b_{name}") for name in ("ended_at", "ended_on", "open_at")}),
            changed,
        )


def count_listings(connection: sa.Connection) -> ListingCount:
    """How the listings stand whose records are in the archive."""
    a, c = articles.c, subjects.c
    up = sa.or_(sa.and_(a.ended_at.is_(None), c.decision.is_(None)), c.open_at > c.ended_at)
    how = sa.case(
        (up, "on_sale"), (c.ended_at.is_(None), "waiting"), (a.sold_from.is_(None), "never_sold"), else_="sold"
    )
    rows = connection.execute(
        sa.select(how.label("how"), sa.func.count())
        .select_from(articles.join(subjects, sa.and_(c.record_class == _CLASS, c.blind == a.blind)))
        .where(a.listed_on.is_not(None))
        .group_by("how")
    )
    return ListingCount(**{row[0]: int(row[1]) for row in rows})


def is_listing() -> sa.ColumnElement[bool]:
    """Whether a subject's row is a listing's."""
    a, c = articles.c, subjects.c
    listed = sa.select(a.blind).where(a.blind == c.blind, a.listed_on.is_not(None)).exists()
    return sa.and_(c.record_class == _CLASS, listed)


def forget_articles(connection: sa.Connection) -> None:
    """Listings whose records are all gone leave the index, and so do articles without
    one when no order is there that ran in the months in which they sold."""
    a, c = articles.c, subjects.c
    there = sa.select(c.blind).where(c.record_class == _CLASS, c.blind == a.blind).exists()
    connection.execute(articles.delete().where(a.listed_on.is_not(None), sa.not_(there)))
    sold = (sa.func.substr(a.sold_from, 1, 7), sa.func.substr(a.sold_until, 1, 7))
    only_sold = connection.execute(sa.select(*sold).where(a.listed_on.is_(None)).distinct()).all()
    if not only_sold:
        return
    ran = connection.execute(sa.select(*_months()).where(c.record_class == _CLASS).distinct()).all()
    for begun, ended in only_sold:
        if not any(first <= ended and last >= begun for first, last in ran):
            gone = sa.and_(a.listed_on.is_(None), sold[0] == begun, sold[1] == ended)
            connection.execute(articles.delete().where(gone))


def _ends(connection: sa.Connection, blind: Blinder) -> list[dict[str, Any]]:
    """The listings whose ends have changed, as parameters of an update."""
    a, c, d = articles.c, subjects.c, decisions.c
    told = ((a.ended_at, c.ended_at), (a.ended_on, c.ended_on), (a.open_at, c.open_at))
    now = (c.ended_at.label("now_at"), c.ended_on.label("now_on"), c.open_at.label("now_open"))
    statement = (
        sa.select(articles, *now, d.ended_on.label("decided_on"))
        .select_from(
            articles.join(subjects, sa.and_(c.record_class == _CLASS, c.blind == a.blind)).outerjoin(
                decisions, d.decision_id == c.decision
            )
        )
        .where(
            sa.or_(a.ended_at.is_not(None), c.decision.is_not(None)),
            # Of one that never sold and that nobody decided about the columns say all.
            sa.or_(a.sold_from.is_not(None), c.decision.is_not(None), *(x.is_distinct_from(y) for x, y in told)),
        )
        .execution_options(yield_per=_PART)
    )
    orders: _Orders | None = None
    found = []
    for part in connection.execute(statement).partitions():
        if orders is None and any(row.sold_from for row in part):
            orders = _Orders(connection, blind)
        for row in part:
            ended_at, ended_on = _end(row, orders)
            if (ended_at, ended_on, row.open_at) != (row.now_at, row.now_on, row.now_open):
                found.append(
                    {"b_blind": row.blind, "b_ended_at": ended_at, "b_ended_on": ended_on, "b_open_at": row.open_at}
                )
    return found


def _end(row: Any, orders: _Orders | None) -> tuple[str | None, str | None]:
    """When a listing ended, and on which day; neither while an order runs that may be its own."""
    ended_at, ended_on = row.ended_at, row.ended_on
    if row.decided_on:
        decided_at = end_of(row.decided_on)
        if ended_at is None or ended_at < decided_at:
            ended_at, ended_on = decided_at, row.decided_on
    if ended_at is None or (row.open_at is not None and row.open_at > ended_at):
        return ended_at, ended_on  # nothing ended it, or it was put up again since
    if orders is None or not row.sold_from:
        return ended_at, ended_on
    # Also of what two people decided: they said that the listing ended, not its orders (电子商务法 art. 31).
    running, latest = orders.between(row.sold_from, row.sold_until)
    return (None, None) if running else (ended_at, max(ended_on, latest))


class _Orders:
    """All orders by the months of their first and last record: whether one is open, and the last day of the others."""

    def __init__(self, connection: sa.Connection, blind: Blinder) -> None:
        c, m, u = subjects.c, unit_segments.c, units.c
        periods = connection.execute(
            sa.select(m.period)
            .distinct()
            .select_from(unit_segments.join(units, u.unit_id == m.unit_id))
            .where(u.record_class == _CLASS)
        ).scalars()
        unnamed = [blind(_CLASS, unnamed_subject(_CLASS, period)) for period in periods]
        first, last = _months()
        rows = connection.execute(
            sa.select(
                first.label("first"),
                last.label("last"),
                sa.func.max(sa.case((still_open(), 1), else_=0)).label("open"),
                sa.func.max(sa.case((still_open(), None), else_=counting_day())).label("latest"),
            )
            .where(c.record_class == _CLASS, c.blind.not_in(unnamed), sa.not_(is_listing()))
            .group_by(first, last)
        ).all()
        self._months = sorted({month for row in rows for month in (row.first, row.last)})
        own: Mapping[tuple[str, str], Any] = {(row.first, row.last): row for row in rows}
        count = len(self._months)
        # [i][j]: of those that began by month i and had news in month j or later.
        self._found = [[(False, "")] * (count + 1) for _ in range(count + 1)]
        for i, began in enumerate(self._months):
            for j in reversed(range(count)):
                row = own.get((began, self._months[j]))
                cells = [self._found[i][j], self._found[i + 1][j + 1]]
                if row is not None:
                    cells.append((bool(row.open), row.latest or ""))
                self._found[i + 1][j] = (any(cell[0] for cell in cells), max(cell[1] for cell in cells))

    def between(self, first: str, last: str) -> tuple[bool, str]:
        """Of the orders that ran at some time in a span of days: whether one is open, the latest day of the others."""
        i = bisect_right(self._months, last[:7])
        return self._found[i][bisect_left(self._months, first[:7])]


def _months() -> tuple[sa.ColumnElement[str], sa.ColumnElement[str]]:
    """The months of a subject's first and last record."""
    return sa.func.substr(subjects.c.first_on, 1, 7), sa.func.substr(subjects.c.news_on, 1, 7)


def _any(columns: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    found, *more = columns
    for column in more:
        found = pc.or_(found, column)
    return found
