"""The index of subjects follows the archive: which unit each segment is in, and what its records end or leave open.

A completion arrives later than the order it completes, in a segment that cannot change the first one. So each new
segment is read once, a few columns of it, and what it tells of an order is merged into the order's one row. Units
(what one period key seals) are judged by those rows. A segment that has not been read yet keeps its whole class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import retired_segments, segments
from retention.crypto.bodies import BodyCipher
from retention.manifest import SegmentManifest
from retention.policies.extract import SubjectNews, columns_of, subject_news, unnamed_subject
from retention.policies.listings import ArticleNews, article_news, settle, settle_in
from retention.policies.periods import stored_date
from retention.policies.subject_ends import end_of
from retention.policies.tables import (
    articles,
    decisions,
    segment_lineage,
    segment_subjects,
    subjects,
    unit_segments,
    units,
)
from retention.policies.ticket_ends import has_tickets, standing_tickets
from retention.policies.words import EndRule, rules
from retention.schema import RecordClass
from retention.segments import Archive, open_segment

_GROUP: Final = 32
"""Segments in one write transaction."""
_CHUNK: Final = 4000
"""Rows in one statement."""


class Parts(Protocol):
    """What following needs of an open store."""

    @property
    def catalogue(self) -> Catalogue:
        """Segments, units, subjects."""
        ...

    @property
    def archive(self) -> Archive:
        """Sealed segments and their keys."""
        ...

    @property
    def bodies(self) -> BodyCipher:
        """The key of the blinded names."""
        ...


@dataclass(frozen=True, slots=True)
class Followed:
    """How many segments were taken in, and how many of their records name subjects."""

    segments: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Told:
    manifest: SegmentManifest
    committed_at: str
    news: list[SubjectNews]
    articles: list[ArticleNews] = field(default_factory=list)


def blinder(parts: Parts) -> Callable[[str, str], bytes]:
    """The keyed hash of a subject's name within its class, 16 bytes; equal names hash alike in this store only."""
    key = bytes.fromhex(parts.bodies.blind("subjects", "retention subjects"))
    suite = parts.archive.suite

    def blind(record_class: str, name: str) -> bytes:
        return suite.hmac(key, f"{record_class}\x00{name}".encode("utf-8", "surrogatepass"))[:16]

    return blind


def follow(
    parts: Parts,
    *,
    ending_words: Iterable[str] = (),
    delisting_words: Iterable[str] = (),
    stop: Callable[[], bool] = lambda: False,
) -> Followed:
    """Take in every committed segment that is not known yet. Run twice, it changes nothing.

    Raises:
        IntegrityError, KeyAccessError, StorageError: a segment cannot be read; those before it are taken in.
    """
    known_rules = rules(ending_words, delisting_words)
    blind = blinder(parts)
    taken = rows = 0
    while not stop():
        waiting = _waiting(parts.catalogue)
        if not waiting:
            break
        told = [_told(parts, known_rules, blind, data, committed) for data, committed in waiting]
        with parts.catalogue.write() as connection:
            for item in told:
                rows += _enter(connection, item)
            # Whoever judges waits for what is unread, so the last group tells the news and what follows from them.
            if RecordClass.TRANSACTION.value not in unread(connection):
                settle_in(connection, blind)
        taken += len(told)
    _close_with_tickets(parts.catalogue, blind)
    apply_decisions(parts.catalogue, blind)
    settle(parts.catalogue, blind)
    return Followed(taken, rows)


def unread(connection: sa.Connection) -> dict[str, int]:
    """How many committed segments of each class are not taken in yet."""
    g = segments.c
    rows = connection.execute(
        sa.select(g.record_class, sa.func.count())
        .select_from(segments.outerjoin(unit_segments, unit_segments.c.segment_id == g.segment_id))
        .where(unit_segments.c.number.is_(None))
        .group_by(g.record_class)
    )
    return {row[0]: int(row[1]) for row in rows}


def _waiting(catalogue: Catalogue) -> Sequence[Any]:
    g = segments.c
    with catalogue.read() as connection:
        return connection.execute(
            sa.select(g.manifest, g.committed_at)
            .select_from(segments.outerjoin(unit_segments, unit_segments.c.segment_id == g.segment_id))
            .where(unit_segments.c.number.is_(None))
            .order_by(g.committed_at, g.segment_id)
            .limit(_GROUP)
        ).all()


def _told(
    parts: Parts, known: dict[str, EndRule], blind: Callable[[str, str], bytes], data: bytes, committed_at: str
) -> _Told:
    manifest = SegmentManifest.from_bytes(data)
    rule = known.get(manifest.record_class)
    if rule is None:
        return _Told(manifest, committed_at, [])
    table = open_segment(parts.archive, manifest).parquet().read(columns=columns_of(rule), use_threads=False)
    news = subject_news(
        table,
        rule,
        lambda name: blind(manifest.record_class, name),
        unnamed=unnamed_subject(manifest.record_class, manifest.period),
    )
    found = article_news(table, rule, lambda name: blind(manifest.record_class, name))
    return _Told(manifest, committed_at, news, found)


def _enter(connection: sa.Connection, told: _Told) -> int:
    m = told.manifest
    there = sa.select(unit_segments.c.number).where(unit_segments.c.segment_id == m.segment_id)
    if connection.execute(there).first():
        return 0
    _upsert(connection, units, [{"key_id": m.key_id, "record_class": m.record_class}], ["key_id"], {})
    unit_id = connection.execute(sa.select(units.c.unit_id).where(units.c.key_id == m.key_id)).scalar_one()
    inserted = connection.execute(
        unit_segments.insert().values(
            segment_id=m.segment_id,
            unit_id=unit_id,
            period=m.period,
            rows=m.rows,
            bytes_stored=m.bytes_stored,
            committed_at=_ingested(connection, told),
        )
    )
    assert inserted.inserted_primary_key is not None
    number = int(inserted.inserted_primary_key[0])
    if m.replaces:
        pairs = [{"segment_id": m.segment_id, "replaced": old} for old in m.replaces]
        _upsert(connection, segment_lineage, pairs, ["segment_id", "replaced"], {})
        _leave(connection, m.replaces)
    for begin in range(0, len(told.news), _CHUNK):
        _merge(connection, m.record_class, number, told.news[begin : begin + _CHUNK])
    for begin in range(0, len(told.articles), _CHUNK):
        latest = {name: _later(articles, name) for name in ("ended_at", "ended_on", "open_at", "sold_until")}
        first = {name: _earlier(articles, name) for name in ("listed_on", "sold_from")}
        rows = [asdict(item) for item in told.articles[begin : begin + _CHUNK]]
        _upsert(connection, articles, rows, ["blind"], latest | first)
    return sum(news.rows for news in told.news)


def _leave(connection: sa.Connection, replaced: Sequence[str]) -> None:
    """What a segment's successor tells need not be known twice."""
    m = unit_segments.c
    numbers = sa.select(m.number).where(m.segment_id.in_(replaced))
    connection.execute(segment_subjects.delete().where(segment_subjects.c.number.in_(numbers.scalar_subquery())))
    connection.execute(unit_segments.delete().where(m.segment_id.in_(replaced)))


def _ingested(connection: sa.Connection, told: _Told) -> str:
    """When the rows were taken in: a segment that took over others' rows is as old as the youngest of those."""
    r = retired_segments.c
    replaced = told.manifest.replaces
    if not replaced:
        return told.committed_at
    found = connection.execute(sa.select(r.committed_at).where(r.segment_id.in_(replaced))).scalars().all()
    return max(found) if len(found) == len(replaced) else told.committed_at


def _merge(connection: sa.Connection, record_class: str, number: int, news: Sequence[SubjectNews]) -> None:
    connection.execute(
        segment_subjects.insert(), [{"number": number, "blind": item.blind, "rows": item.rows} for item in news]
    )
    latest = {name: _later(subjects, name) for name in ("news_on", "ended_at", "ended_on", "open_at")}
    latest["first_on"] = _earlier(subjects, "first_on")
    _upsert(
        connection,
        subjects,
        [
            {
                "record_class": record_class,
                "blind": item.blind,
                "first_on": item.first_on,
                "news_on": item.news_on,
                "ended_at": item.ended_at,
                "ended_on": item.ended_on,
                "open_at": item.open_at,
            }
            for item in news
        ],
        ["record_class", "blind"],
        latest,
    )


def _close_with_tickets(catalogue: Catalogue, blind: Callable[[str, str], bytes]) -> None:
    """Evidence counts from the closure of its ticket, which the queue's table tells."""
    with catalogue.read() as connection:
        if not has_tickets(connection):
            return
        t = standing_tickets()
        rows = connection.execute(sa.select(t.c.ticket_id, t.c.ended_at).where(t.c.ended)).all()
        running = connection.execute(sa.select(t.c.ticket_id).where(sa.not_(t.c.ended))).scalars().all()
        c = subjects.c
        mine = connection.execute(sa.select(c.blind, c.ended_at).where(c.record_class == RecordClass.EVIDENCE.value))
        known = {bytes(row.blind): row.ended_at or "" for row in mine}
    closed = []
    for row in rows:
        ended = row.ended_at
        found = blind(RecordClass.EVIDENCE.value, row.ticket_id)
        # A ticket that was opened again and closed later keeps its evidence from then.
        if ended and found in known and known[found] < ended:
            closed.append({"b_blind": found, "b_at": ended, "b_on": stored_date(ended).isoformat()})
    # One that was opened again has not ended: its evidence stays with it.
    for ticket_id in running if any(known.values()) else ():
        found = blind(RecordClass.EVIDENCE.value, ticket_id)
        if known.get(found):
            closed.append({"b_blind": found, "b_at": None, "b_on": None})
    if closed:
        with catalogue.write() as connection:
            connection.execute(
                subjects.update()
                .where(
                    subjects.c.record_class == RecordClass.EVIDENCE.value,
                    subjects.c.blind == sa.bindparam("b_blind"),
                )
                .values(ended_at=sa.bindparam("b_at"), ended_on=sa.bindparam("b_on")),
                closed,
            )


def apply_decisions(catalogue: Catalogue, blind: Callable[[str, str], bytes]) -> None:
    """What two people decided counts, also after the index was built anew; a later end of its own prevails."""
    d, c = decisions.c, subjects.c
    same = sa.and_(c.record_class == d.record_class, c.blind == d.blind)
    with catalogue.read() as connection:
        found = connection.execute(
            sa.select(d.decision_id, d.record_class, d.blind, d.ended_on, c.ended_at, c.decision)
            .select_from(decisions.join(subjects, same))
            .where(d.state == "approved")
            .order_by(d.approved_at, d.decision_id)
        ).all()
    latest = {(row.record_class, bytes(row.blind)): row for row in found}
    rows = [row for row in latest.values() if row.decision != row.decision_id]
    if not rows:
        return
    with catalogue.write() as connection:
        for row in rows:
            ended_at = end_of(row.ended_on)
            values = {"decision": row.decision_id}
            if row.ended_at is None or row.ended_at < ended_at:
                values |= {"ended_at": ended_at, "ended_on": row.ended_on}
            connection.execute(
                subjects.update().where(c.record_class == row.record_class, c.blind == row.blind).values(**values)
            )
        settle_in(connection, blind)


def _upsert(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[dict[str, Any]],
    key: Sequence[str],
    changes: dict[str, Callable[[Any], Any]],
) -> None:
    insert: Any = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
    if changes:
        changed = {name: make(insert) for name, make in changes.items()}
        insert = insert.on_conflict_do_update(index_elements=list(key), set_=changed)
    else:
        insert = insert.on_conflict_do_nothing(index_elements=list(key))
    connection.execute(insert, list(rows))


def _later(table: sa.Table, name: str) -> Callable[[Any], Any]:
    """The later of the stored value and the new one; times and days sort as text, and null is earliest."""
    return lambda insert: _chosen(table.c[name], insert.excluded[name], latest=True)


def _earlier(table: sa.Table, name: str) -> Callable[[Any], Any]:
    return lambda insert: _chosen(table.c[name], insert.excluded[name], latest=False)


def _chosen(stored: Any, new: Any, *, latest: bool) -> Any:
    better = new > stored if latest else new < stored
    return sa.case((stored.is_(None), new), (new.is_(None), stored), (better, new), else_=stored)
