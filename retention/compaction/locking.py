"""Locks merged segments in the object store, until the earliest day on which their policy could let any row go.

Small segments are not locked: they are still to be merged, and a lock would keep them beside their successor.
Locks are only ever extended; completions that arrive later are the upkeep's to follow.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import sqlalchemy as sa

from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import segments
from retention.compaction.merge import TARGET_BYTES, TARGET_ROWS
from retention.manifest import SegmentManifest
from retention.objects.base import ObjectStore
from retention.objects.locking import can_lock
from retention.policies.book import in_force
from retention.policies.model import Policy
from retention.policies.periods import LAST_DAY, SHANGHAI, last_day_of, may_go_on

CLOSED: Final = timedelta(days=60)
"""How long after its month's end a segment is not expected to be merged again, however small."""


def earliest_release(manifest: SegmentManifest, policy: Policy) -> datetime:
    """The moment before which no row of a segment may go: the floor counted from the first day of its month."""
    year, month = int(manifest.period[:4]), int(manifest.period[5:7])
    day = may_go_on(date(year, month, 1), policy.floor)
    # Stores refuse dates that their clocks cannot hold.
    return datetime.combine(min(day, date(LAST_DAY.year - 1, 1, 1)), time(), SHANGHAI).astimezone(UTC)


def lock_merged(catalogue: Catalogue, objects: ObjectStore, *, now: datetime) -> int:
    """Lock every merged segment that is not locked long enough yet; returns how many were.

    Raises:
        StorageError, UnreachableError: the store refused; the next run goes on.
    """
    if not can_lock(objects) or not getattr(objects, "locking", lambda: True)():
        return 0
    with catalogue.read() as connection:
        policies = in_force(connection, now.astimezone(SHANGHAI).date())
        stored = connection.execute(sa.select(segments.c.manifest)).scalars().all()
    found = [SegmentManifest.from_bytes(data) for data in stored]
    locked = 0
    for manifest in found:
        policy = policies.get(manifest.record_class)
        if not manifest.replaces or policy is None or not _settled(manifest, now):
            continue
        until = earliest_release(manifest, policy)
        held = objects.locked_until(manifest.object_name)
        if until > now and (held is None or held < until):
            objects.lock(manifest.object_name, until)
            locked += 1
    return locked


def _settled(manifest: SegmentManifest, now: datetime) -> bool:
    """Whether a merged segment will not be merged again."""
    large = manifest.rows * 2 >= TARGET_ROWS or manifest.bytes_stored * 2 >= TARGET_BYTES
    return large or last_day_of(manifest.period) + CLOSED < now.astimezone(SHANGHAI).date()
