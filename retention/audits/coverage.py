"""Coverage: every offset of every source is in the archive exactly once, and the archive holds nothing else.

The rule: a partition's batches are contiguous from 0 to its cursor; a batch has as many records as the places that
segments hold of it; a segment has as many rows as its places; its object is there, with its length.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from errors import IntegrityError
from retention.audits import figures
from retention.audits.losses import Loss, covers, known_losses, report_losses
from retention.audits.monitoring import Monitoring, audit_monitoring
from retention.audits.offsets import audit_offsets
from retention.audits.report import AuditReport, Severity, Span
from retention.audits.subject import Progress, Subject, no_progress, within
from retention.catalogue.tables import batches, partitions, ranges, retired_segments, segment_places, segments
from retention.manifest import SegmentManifest
from retention.objects.base import ObjectStore
from retention.purge.tables import destroyed_places

SEGMENT_PREFIX = "segments/"


def audit_coverage(
    subject: Subject,
    *,
    span: Span | None = None,
    monitoring: Monitoring | None = None,
    now: datetime | None = None,
    progress: Progress = no_progress,
) -> AuditReport:
    """Prove that nothing is missing, double or unaccounted for, and name what is silent or not monitored.

    Reads the catalogue and the objects' lengths only; the calendar shows the days that were counted so far.
    ``monitoring`` says what detects and what is declared; without it only the archive is judged.
    """
    moment = now or datetime.now(UTC)
    report = AuditReport("coverage", moment, span or Span())
    with subject.catalogue.read() as connection:
        _count(connection, report)
        losses = known_losses(connection)
        report_losses(losses, report)
        _contiguity(connection, report, losses)
        _cursors(connection, report, losses)
        _batch_counts(connection, report)
        _segment_counts(connection, report)
        _open_ranges(connection, report)
        audit_offsets(connection, report, gapless=monitoring.gapless if monitoring is not None else ())
        known = _segments(connection, report, progress)
        replaced = _replaced(connection)
        figures.show_calendars(connection, report, now=report.span.until or moment)
        figures.show_sources(connection, report)
        if monitoring is not None:
            audit_monitoring(connection, monitoring, report, now=moment)
    _objects(subject.objects, known, replaced, report, progress)
    return report


def _where(source: str, partition: str, start: int | None = None, end: int | None = None) -> str:
    place = "" if start is None else f" [{start}, {end})"
    return f"{source}:{partition}{place}"


def _count(connection: sa.Connection, report: AuditReport) -> None:
    """How much is looked at."""
    seen = within(report.span, batches.c.committed_at)
    row = connection.execute(
        sa.select(
            sa.func.count().label("batches"),
            sa.func.coalesce(sa.func.sum(batches.c.records), 0).label("records"),
            sa.func.coalesce(sa.func.sum(batches.c.headers + batches.c.blanks), 0).label("skipped"),
            sa.func.coalesce(sa.func.sum(batches.c.end - batches.c.start), 0).label("bytes"),
        ).where(seen)
    ).one()
    sources = sa.select(sa.func.count(sa.distinct(partitions.c.source)), sa.func.count()).select_from(partitions)
    named, parts = connection.execute(sources).one()
    report.checked.update(
        sources=named,
        partitions=parts,
        batches=row.batches,
        records=int(row.records),
        skipped_lines=int(row.skipped),
        source_bytes=int(row.bytes),
    )


def _contiguity(connection: sa.Connection, report: AuditReport, losses: list[Loss]) -> None:
    """Each batch begins where the one before it ended; the first at 0."""
    b = batches.c
    before = sa.func.lag(b.end).over(partition_by=(b.source, b.partition), order_by=b.start)
    follows = sa.select(
        b.source, b.partition, b.start, b.end, b.committed_at, sa.func.coalesce(before, 0).label("expected")
    ).subquery()
    f = follows.c
    broken = sa.select(follows).where(
        sa.or_(f.start != f.expected, f.end <= f.start), within(report.span, f.committed_at)
    )
    for row in connection.execute(broken.order_by(f.source, f.partition, f.start)):
        if row.start > row.expected and covers(losses, row.source, row.partition, row.expected, row.start):
            continue
        if row.start > row.expected:
            where = _where(row.source, row.partition, row.expected, row.start)
            report.add("gap", where, f"{row.start - row.expected} offsets were never committed.")
        elif row.start < row.expected:
            where = _where(row.source, row.partition, row.start, row.expected)
            report.add("overlap", where, "These offsets were committed twice.")
        if row.end <= row.start:
            report.add("batch_empty", _where(row.source, row.partition, row.start, row.end), "The range is empty.")


def _cursors(connection: sa.Connection, report: AuditReport, losses: list[Loss]) -> None:
    """A partition's cursor stands where its last batch ended, and every batch has its partition."""
    p, b = partitions.c, batches.c
    last = sa.select(b.source, b.partition, sa.func.max(b.end).label("end")).group_by(b.source, b.partition).subquery()
    same = sa.and_(last.c.source == p.source, last.c.partition == p.partition)
    reached = sa.func.coalesce(last.c.end, 0)
    astray = (
        sa.select(p.source, p.partition, p.cursor, reached.label("end"))
        .select_from(partitions.outerjoin(last, same))
        .where(p.cursor != reached)
    )
    for row in connection.execute(astray.order_by(p.source, p.partition)):
        if row.cursor > row.end and covers(losses, row.source, row.partition, row.end, row.cursor):
            continue
        report.add(
            "cursor_astray",
            _where(row.source, row.partition),
            f"The cursor stands at {row.cursor}, the committed batches end at {row.end}.",
        )
    strangers = (
        sa.select(last.c.source, last.c.partition)
        .select_from(last.outerjoin(partitions, same))
        .where(p.source.is_(None))
    )
    for stray in connection.execute(strangers.order_by(last.c.source, last.c.partition)):
        where = _where(stray.source, stray.partition)
        report.add("partition_unknown", where, "Batches name a partition that is not known.")


def _batch_counts(connection: sa.Connection, report: AuditReport) -> None:
    """A batch's records are the rows that segments hold of it, and every place belongs to a batch."""
    b, s = batches.c, _places(connection)
    held = (
        sa.select(s.source, s.partition, s.start, s.end, sa.func.sum(s.rows).label("rows"))
        .group_by(s.source, s.partition, s.start, s.end)
        .subquery()
    )
    same = sa.and_(
        held.c.source == b.source,
        held.c.partition == b.partition,
        held.c.start == b.start,
        held.c.end == b.end,
    )
    rows = sa.func.coalesce(held.c.rows, 0)
    wrong = (
        sa.select(b.source, b.partition, b.start, b.end, b.records, rows.label("rows"))
        .select_from(batches.outerjoin(held, same))
        .where(b.records != rows, within(report.span, b.committed_at))
    )
    for row in connection.execute(wrong.order_by(b.source, b.partition, b.start)):
        kind = "rows_missing" if row.rows < row.records else "rows_surplus"
        report.add(
            kind,
            _where(row.source, row.partition, row.start, row.end),
            f"The batch had {row.records} records, the segments hold {int(row.rows)} rows of it.",
        )
    strangers = (
        sa.select(held.c.source, held.c.partition, held.c.start, held.c.end, held.c.rows)
        .select_from(held.outerjoin(batches, same))
        .where(b.source.is_(None))
    )
    for stray in connection.execute(strangers.order_by(held.c.source, held.c.partition, held.c.start)):
        report.add(
            "place_without_batch",
            _where(stray.source, stray.partition, stray.start, stray.end),
            f"Segments hold {int(stray.rows)} rows of a range that was never committed.",
        )


def _places(connection: sa.Connection) -> Any:
    """Columns of the places of all segments: those in the archive, and those that were destroyed with a certificate."""
    columns = ("source", "partition", "start", "end", "rows")
    living = sa.select(*(segment_places.c[name] for name in columns))
    if not sa.inspect(connection).has_table(destroyed_places.name):
        return living.subquery().c
    return sa.union_all(living, sa.select(*(destroyed_places.c[name] for name in columns))).subquery().c


def _segment_counts(connection: sa.Connection, report: AuditReport) -> None:
    """A segment's rows are those of its places."""
    g, s = segments.c, segment_places.c
    held = sa.select(s.segment_id, sa.func.sum(s.rows).label("rows")).group_by(s.segment_id).subquery()
    wrong = (
        sa.select(g.segment_id, g.object_name, g.rows, held.c.rows.label("held"))
        .select_from(segments.outerjoin(held, held.c.segment_id == g.segment_id))
        .where(sa.or_(held.c.rows.is_(None), held.c.rows != g.rows), within(report.span, g.committed_at))
    )
    for row in connection.execute(wrong.order_by(g.segment_id)):
        if row.held is None:
            report.add(
                "segment_without_places", row.object_name, f"Its {row.rows} rows belong to no range of a source."
            )
        else:
            report.add("segment_rows", row.object_name, f"It has {row.rows} rows, its places {int(row.held)}.")


def _open_ranges(connection: sa.Connection, report: AuditReport) -> None:
    """What was planned and is not committed: work under way, or a run that was cut off."""
    r, p = ranges.c, partitions.c
    waiting = (
        sa.select(
            r.source,
            r.partition,
            sa.func.min(r.start).label("start"),
            sa.func.max(r.end).label("end"),
            sa.func.min(r.planned_at).label("since"),
        )
        .select_from(ranges.join(partitions, sa.and_(p.source == r.source, p.partition == r.partition)))
        .where(r.end > p.cursor)
        .group_by(r.source, r.partition)
    )
    for row in connection.execute(waiting.order_by(r.source, r.partition)):
        report.add(
            "range_open",
            _where(row.source, row.partition, row.start, row.end),
            f"Planned since {row.since} and not committed yet; the next `liucun run` of the source goes on here.",
            Severity.NOTICE,
        )


def _segments(connection: sa.Connection, report: AuditReport, progress: Progress) -> dict[str, int]:
    """Compare each segment's manifest with its catalogue rows; return object names and lengths of all segments."""
    g = segments.c
    known: dict[str, int] = {}
    total = connection.execute(sa.select(sa.func.count()).select_from(segments)).scalar_one()
    seen = within(report.span, g.committed_at)
    rows = connection.execution_options(yield_per=500).execute(
        sa.select(segments, seen.label("seen")).order_by(g.segment_id)
    )
    checked = 0
    for number, row in enumerate(rows, 1):
        known[row.object_name] = row.bytes_stored
        if row.seen:
            checked += 1
            for what in manifest_faults(connection, row):
                report.add("manifest_mismatch", row.object_name, what)
        progress("segments", number, total)
    report.checked["segments"] = checked
    return known


def manifest_faults(connection: sa.Connection, row: sa.Row[Any]) -> Iterable[str]:
    """In what a row of ``segments``, and its places, differ from the manifest in it."""
    try:
        manifest = SegmentManifest.from_bytes(row.manifest)
    except IntegrityError as error:
        yield error.what
        return
    names = (
        "segment_id",
        "object_name",
        "record_class",
        "period",
        "rows",
        "bytes_stored",
        "event_time_min",
        "event_time_max",
    )
    for name in names:
        if getattr(manifest, name) != getattr(row, name):
            yield f"The catalogue's {name} is {getattr(row, name)!r}, the manifest's {getattr(manifest, name)!r}."
    s = segment_places.c
    stored = connection.execute(
        sa.select(s.source, s.partition, s.start, s.end, s.rows).where(s.segment_id == row.segment_id)
    )
    entered = {(place.source, place.partition, place.start, place.end, place.rows) for place in manifest.places}
    if {tuple(place) for place in stored} != entered:
        yield "The catalogue's places are not the manifest's."


def _replaced(connection: sa.Connection) -> set[str]:
    """Objects of segments that were merged into others or destroyed; they go after a grace period."""
    r = retired_segments.c
    return set(connection.execute(sa.select(r.object_name).where(r.object_deleted_at.is_(None))).scalars())


def _objects(
    objects: ObjectStore, known: dict[str, int], replaced: set[str], report: AuditReport, progress: Progress
) -> None:
    """Every segment's object is there with its length; what no segment names is an orphan."""
    found = set()
    for number, name in enumerate(objects.list(SEGMENT_PREFIX), 1):
        found.add(name)
        if name in known:
            size = objects.size(name)
            if size != known[name]:
                report.add("object_size", name, f"It has {size} bytes; {known[name]} were stored.")
        elif name not in replaced:
            report.add(
                "orphan",
                name,
                "No segment names this object: left by a batch that was not committed. `liucun compact` collects it.",
                Severity.NOTICE,
            )
        progress("objects", number, max(len(known), number))
    for name in sorted(known.keys() - found):
        report.add("object_missing", name, "The segment's object is not in the store. Restore it from a backup.")
    report.checked["objects"] = len(found)
