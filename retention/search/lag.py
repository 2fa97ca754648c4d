"""How far the index is behind the archive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from retention.catalogue.tables import segments
from retention.search.book import DONE
from retention.search.settings import SearchSettings
from retention.search.tables import search_segments


@dataclass(frozen=True, slots=True)
class Lag:
    """Segments of the archive that are not in the index: how many, their records, and when the oldest was committed."""

    segments: int
    records: int
    oldest: datetime | None

    def seconds(self, now: datetime) -> float:
        """Age of the oldest unindexed segment, 0 when there is none."""
        return 0.0 if self.oldest is None else max((now - self.oldest).total_seconds(), 0.0)


def unindexed(connection: sa.Connection, settings: SearchSettings) -> Lag:
    """What the index lacks, by the catalogue alone: the cluster is not asked."""
    g, s = segments.c, search_segments.c
    chosen = [item.value for item in settings.classes]
    if not sa.inspect(connection).has_table(search_segments.name):
        query = sa.select(sa.func.count(), sa.func.sum(g.rows), sa.func.min(g.committed_at))
        row = connection.execute(query.where(g.record_class.in_(chosen))).one()
    else:
        joined = segments.outerjoin(search_segments, s.segment_id == g.segment_id)
        query = sa.select(sa.func.count(), sa.func.sum(g.rows), sa.func.min(g.committed_at)).select_from(joined)
        absent = sa.or_(s.state.is_(None), s.state != DONE)
        row = connection.execute(query.where(g.record_class.in_(chosen), absent)).one()
    oldest = None if row[2] is None else datetime.fromisoformat(row[2])
    return Lag(int(row[0]), int(row[1] or 0), oldest)
