"""The coverage calendar: how many records each day of each class and source has in the archive.

The catalogue knows segments by month; the days inside come from reading a few columns of each segment once. What was
counted stands in ``segment_days`` and goes with its segment when that is merged into another; a destroyed segment's
counts stay, so that a calendar shows where records lawfully were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from retention.audits.kinds import kind_of
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import retired_segments, segment_content_types, segment_days, segments
from retention.manifest import SegmentManifest
from retention.policies.periods import shanghai_date, stored_date
from retention.schema import RecordClass
from retention.segments import Archive, open_segment

SHOWN: Final = 400
"""Days that the calendar shows."""
OCCASIONAL: Final = frozenset({RecordClass.UNPARSED, RecordClass.EVIDENCE, RecordClass.SELLER_IDENTITY})
"""Classes of which a day may well bring nothing."""
_DESTROYED: Final = "destroyed"


class Parts(Protocol):
    """What counting needs of an open store."""

    @property
    def catalogue(self) -> Catalogue:
        """Segments, and what was counted of them."""
        ...

    @property
    def archive(self) -> Archive:
        """The segments themselves."""
        ...


def count_days(
    parts: Parts, *, most: int | None = 50, progress: Callable[[str, int, int], None] = lambda *_: None
) -> int:
    """Count the days of segments that nobody counted yet, at most so many; returns how many were counted.

    Raises:
        LiucunError: a segment cannot be read (damaged, its key destroyed).
    """
    s, d = segments.c, segment_days.c
    with parts.catalogue.read() as connection:
        known = sa.select(d.segment_id).where(d.segment_id == s.segment_id).exists()
        waiting = connection.execute(
            sa.select(s.segment_id, s.record_class, s.manifest)
            .where(~known, s.rows > 0)
            .order_by(s.committed_at.desc())
            .limit(most)
        ).all()
    for number, row in enumerate(waiting, 1):
        days, kinds = _counted(parts.archive, SegmentManifest.from_bytes(row.manifest))
        with parts.catalogue.write() as connection:
            for table in (segment_days, segment_content_types):
                connection.execute(table.delete().where(table.c.segment_id == row.segment_id))
            connection.execute(
                segment_days.insert(),
                [{"segment_id": row.segment_id, **line} for line in days],
            )
            if kinds:
                connection.execute(
                    segment_content_types.insert(),
                    [
                        {"segment_id": row.segment_id, "content_type": kind, "rows": rows}
                        for kind, rows in kinds.items()
                    ],
                )
        progress("days", number, len(waiting))
    if waiting:
        _forget_merged(parts.catalogue)
    return len(waiting)


def _counted(archive: Archive, manifest: SegmentManifest) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Rows by source and day with the hours that have any; rows by type where the class is published content."""
    published = manifest.record_class == RecordClass.CONTENT.value
    columns = ["event_time", "event_ingested", "log_source", *(["content_type"] if published else [])]
    table = open_segment(archive, manifest).parquet().read(columns=columns)
    times = pc.coalesce(table["event_time"], table["event_ingested"])
    hours = pc.floor_temporal(pc.local_timestamp(pc.cast(times, pa.timestamp("us", tz="Asia/Shanghai"))), unit="hour")
    grouped = pa.table({"source": table["log_source"].cast(pa.string()), "hour": hours})
    counted = grouped.group_by(["source", "hour"]).aggregate([([], "count_all")])
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in counted.to_pylist():
        key = (row["source"], row["hour"].date().isoformat())
        line = lines.setdefault(key, {"source": key[0], "day": key[1], "rows": 0, "hours": 0})
        line["rows"] += row["count_all"]
        line["hours"] |= 1 << row["hour"].hour
    kinds: Counter[str] = Counter()
    if published:
        for item in pc.value_counts(table["content_type"].cast(pa.string())).to_pylist():
            kinds[kind_of(item["values"])] += item["counts"]
    return list(lines.values()), kinds


def _forget_merged(catalogue: Catalogue) -> None:
    """The rows of merged segments are counted where they went."""
    r = retired_segments.c
    merged = sa.select(r.segment_id).where(r.state != _DESTROYED)
    with catalogue.write() as connection:
        for table in (segment_days, segment_content_types):
            connection.execute(table.delete().where(table.c.segment_id.in_(merged)))


def uncounted(connection: sa.Connection) -> int:
    """Segments whose days are not counted yet."""
    s, d = segments.c, segment_days.c
    known = sa.select(d.segment_id).where(d.segment_id == s.segment_id).exists()
    return int(
        connection.execute(sa.select(sa.func.count()).select_from(segments).where(~known, s.rows > 0)).scalar_one()
    )


@dataclass(frozen=True, slots=True)
class Coverage:
    """A class's calendar: ``rows`` a day from ``first`` on; ``gaps`` are days without a record between two with.

    ``destroyed`` are days of which records were lawfully destroyed.
    """

    record_class: str
    first: date
    rows: tuple[int, ...]
    destroyed: frozenset[date] = frozenset()

    @property
    def total(self) -> int:
        """Records of the days shown."""
        return sum(self.rows)

    @property
    def daily(self) -> bool:
        """Whether a day without a record of the class is a gap: nobody expects faults, evidence or sellers daily."""
        return self.record_class not in OCCASIONAL

    @property
    def gaps(self) -> list[date]:
        """Days without a record after the first one that has any, yesterday at the latest; none of a class that is
        not ``daily``."""
        if not self.daily:
            return []
        begun = next((n for n, rows in enumerate(self.rows) if rows), len(self.rows))
        found = (self.first + timedelta(days=n) for n in range(begun, len(self.rows) - 1) if not self.rows[n])
        return [day for day in found if day not in self.destroyed]

    def months(self) -> list[tuple[str, int, int, int]]:
        """(month, days with records, days without since the first, records), newest first."""
        gaps = set(self.gaps)
        found: dict[str, list[int]] = {}
        for n, rows in enumerate(self.rows):
            day = self.first + timedelta(days=n)
            line = found.setdefault(f"{day:%Y-%m}", [0, 0, 0])
            line[0] += bool(rows)
            line[1] += day in gaps
            line[2] += rows
        return [
            (month, line[0], line[1], line[2])
            for month, line in sorted(found.items(), reverse=True)
            if line[2] or line[1]
        ]


def coverage(connection: sa.Connection, *, now: datetime | None = None) -> list[Coverage]:
    """The calendar of every class that has records, over the days that end with ``now``."""
    today = shanghai_date(now or datetime.now(UTC))
    first = today - timedelta(days=SHOWN - 1)
    s, d = segments.c, segment_days.c
    rows = connection.execute(
        sa.select(s.record_class, d.day, sa.func.sum(d.rows).label("rows"))
        .join(segment_days, d.segment_id == s.segment_id)
        .where(d.day >= first.isoformat(), d.day <= today.isoformat())
        .group_by(s.record_class, d.day)
    )
    found: dict[str, list[int]] = {
        name: [0] * SHOWN for name in connection.execute(sa.select(s.record_class).distinct()).scalars()
    }
    for row in rows:
        found[row.record_class][(date.fromisoformat(row.day) - first).days] = int(row.rows)
    gone: dict[str, set[date]] = {}
    for record_class, day in _destroyed_days(connection, first, today):
        gone.setdefault(record_class, set()).add(day)
        found.setdefault(record_class, [0] * SHOWN)
    return [
        Coverage(name, first, tuple(counts), frozenset(gone.get(name, ()))) for name, counts in sorted(found.items())
    ]


def _destroyed_days(connection: sa.Connection, first: date, last: date) -> Iterator[tuple[str, date]]:
    """Days of which destroyed segments held records; of one that was never counted, all days that it spans."""
    r, d = retired_segments.c, segment_days.c
    gone = connection.execute(
        sa.select(r.record_class, r.manifest, d.day)
        .select_from(retired_segments.outerjoin(segment_days, d.segment_id == r.segment_id))
        .where(r.state == _DESTROYED)
    )
    for row in gone:
        if row.day is not None:
            day = date.fromisoformat(row.day)
            if first <= day <= last:
                yield row.record_class, day
            continue
        manifest = SegmentManifest.from_bytes(row.manifest)
        if manifest.event_time_min is None or manifest.event_time_max is None:
            continue
        day, end = max(stored_date(manifest.event_time_min), first), min(stored_date(manifest.event_time_max), last)
        while day <= end:
            yield row.record_class, day
            day += timedelta(days=1)
