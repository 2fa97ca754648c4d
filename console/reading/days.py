"""The coverage calendar: how many records each day of each class has in the archive.

The catalogue knows segments by month; the days inside come from reading one column of each segment once. What was
counted stands in ``console_segment_days`` and goes with its segment: compacted and purged ones no longer count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from console.parts import Parts
from console.tables import segment_days
from retention.catalogue.tables import segments
from retention.manifest import SegmentManifest
from retention.segments import open_segment
from tickets.clocks import SHANGHAI

SHOWN: Final = 400
"""Days that the calendar shows."""


def count_days(parts: Parts, *, most: int = 50) -> int:
    """Count the days of segments that nobody counted yet, at most so many; returns how many were counted.

    Raises:
        LiucunError: a segment cannot be read (damaged, its key destroyed).
    """
    s, d = segments.c, segment_days.c
    with parts.catalogue.read() as connection:
        known = sa.select(d.segment_id).where(d.segment_id == s.segment_id).exists()
        waiting = connection.execute(
            sa.select(s.segment_id, s.manifest).where(~known, s.rows > 0).order_by(s.committed_at.desc()).limit(most)
        ).all()
    for row in waiting:
        found = _days(parts, SegmentManifest.from_bytes(row.manifest))
        with parts.catalogue.write() as connection:
            connection.execute(segment_days.delete().where(d.segment_id == row.segment_id))
            connection.execute(
                segment_days.insert(),
                [{"segment_id": row.segment_id, "day": day, "rows": rows} for day, rows in found.items()],
            )
    return len(waiting)


def _days(parts: Parts, manifest: SegmentManifest) -> dict[str, int]:
    table = open_segment(parts.archive, manifest).parquet().read(columns=["event_time", "event_ingested"])
    times = pc.coalesce(table["event_time"], table["event_ingested"])
    local = pc.local_timestamp(pc.cast(times, pa.timestamp("us", tz="Asia/Shanghai")))
    counted = pc.value_counts(pc.strftime(local, "%Y-%m-%d")).to_pylist()
    return {item["values"][:10]: item["counts"] for item in counted}


def uncounted(connection: sa.Connection) -> int:
    """Segments whose days are not counted yet."""
    s, d = segments.c, segment_days.c
    known = sa.select(d.segment_id).where(d.segment_id == s.segment_id).exists()
    return int(connection.execute(sa.select(sa.func.count()).select_from(segments).where(~known)).scalar_one())


@dataclass(frozen=True, slots=True)
class Coverage:
    """A class's calendar: ``rows`` a day from ``first`` on; ``gaps`` are days without a record between two with."""

    record_class: str
    first: date
    rows: tuple[int, ...]

    @property
    def total(self) -> int:
        """Records of the days shown."""
        return sum(self.rows)

    @property
    def gaps(self) -> list[date]:
        """Days without a record after the first one that has any, yesterday at the latest."""
        begun = next((n for n, rows in enumerate(self.rows) if rows), len(self.rows))
        return [self.first + timedelta(days=n) for n in range(begun, len(self.rows) - 1) if not self.rows[n]]

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
    """The calendar of every class that has records."""
    today = (now or datetime.now(UTC)).astimezone(SHANGHAI).date()
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
    return [Coverage(name, first, tuple(counts)) for name, counts in sorted(found.items())]
