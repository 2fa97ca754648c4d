"""Collects objects that nothing names: orphans of commits that did not happen, and segments that were replaced.

An orphan is first only seen. Seen again after the grace period it is condemned in the catalogue, where from then on
no commit may name it, and only then deleted: a slow commit and a collection cannot both win.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from errors import StorageError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.retrying import retried
from retention.catalogue.tables import (
    checkpoints,
    log_entries,
    retired_segments,
    segments,
    timestamp,
    tombstones,
)
from retention.errors import ObjectMissingError
from retention.objects.base import ObjectStore
from retention.objects.local import LocalObjects

GRACE: Final = timedelta(hours=24)
"""How long an object is left alone after it was seen without a name, or after its segment was replaced."""
LEAST_GRACE: Final = timedelta(hours=1)
PREFIXES: Final = ("segments/", "log/entries/", "log/checkpoints/")
_PAGE: Final = 500
ACTOR: Final = "system:compact"


@dataclass(slots=True)
class Collected:
    """What a collection saw and did. ``waiting`` are within their grace period; ``kept`` a lock protects."""

    orphans: int = 0
    replaced: int = 0
    leftovers: int = 0
    waiting: int = 0
    kept: int = 0


def collect(
    catalogue: Catalogue, objects: ObjectStore, *, grace: timedelta = GRACE, now: datetime | None = None
) -> Collected:
    """Collect what is past its grace period.

    Raises:
        StorageError: objects or catalogue cannot be read. What was condemned is collected by the next call.
    """
    moment = now or datetime.now(UTC)
    limit = timestamp(moment - grace)
    done = Collected()
    there = {name for prefix in PREFIXES for name in objects.list(prefix)}
    # On PostgreSQL a commit that names one of them at this moment refuses it: what has a name is looked up anew.
    condemned = retried(catalogue, lambda: _condemn(catalogue, there, done, moment=timestamp(moment), limit=limit))
    deleted = [name for name in condemned if _delete(objects, name, done)]
    done.orphans = len(deleted)
    replaced = [row for row in _replaced(catalogue, limit, done) if _delete(objects, row[1], done)]
    done.replaced = len(replaced)
    if isinstance(objects, LocalObjects):
        done.leftovers = objects.collect_leftovers(older_than=grace.total_seconds())
    if deleted or replaced:
        _record(catalogue, deleted, replaced, timestamp(moment))
    return done


def _condemn(catalogue: Catalogue, there: set[str], done: Collected, *, moment: str, limit: str) -> list[str]:
    """Names that are condemned now or were before and are not deleted yet."""
    t = tombstones.c
    with catalogue.write() as connection:
        unnamed = there - _named(connection)
        # An object that is there again after it was deleted (a replica, a folder put back) stays condemned.
        names = sorted(unnamed)
        for begin in range(0, len(names), _PAGE):
            part = t.object_name.in_(names[begin : begin + _PAGE])
            connection.execute(tombstones.update().where(part, t.deleted_at.is_not(None)).values(deleted_at=None))
        known = {
            row.object_name: row for row in connection.execute(sa.select(tombstones).where(t.deleted_at.is_(None)))
        }
        found_again = [name for name, row in known.items() if name not in unnamed and row.condemned_at is None]
        for name in found_again:
            connection.execute(tombstones.delete().where(t.object_name == name))
        fresh = sorted(unnamed - known.keys())
        if fresh:
            connection.execute(tombstones.insert(), [{"object_name": name, "seen_at": moment} for name in fresh])
        ripe = [
            name for name, row in known.items() if name in unnamed and not row.condemned_at and row.seen_at <= limit
        ]
        for name in ripe:
            connection.execute(tombstones.update().where(t.object_name == name).values(condemned_at=moment))
        if ripe:
            # Said before anything is deleted: a rebuilt catalogue must refuse these names too.
            body = {"orphans": sorted(ripe)}
            events.append(connection, kind=events.CONDEMNED, actor=ACTOR, subject="objects", body=body)
        # Not what has a name: a rebuilt catalogue may use an object again that its predecessor had condemned.
        before = [name for name, row in known.items() if row.condemned_at and name in unnamed]
    done.waiting += len(unnamed) - len(ripe) - len(before)
    return sorted([*ripe, *before])


def _named(connection: sa.Connection) -> set[str]:
    """Every object that the catalogue names; replaced segments' objects are dealt with by themselves."""
    r = retired_segments.c
    wanted = (
        sa.select(segments.c.object_name),
        sa.select(r.object_name).where(r.object_deleted_at.is_(None)),
        sa.select(log_entries.c.object_name),
        sa.select(checkpoints.c.object_name).where(checkpoints.c.object_name.is_not(None)),
    )
    return {name for query in wanted for name in connection.execute(query).scalars()}


def _replaced(catalogue: Catalogue, limit: str, done: Collected) -> Iterator[tuple[str, str]]:
    """Segments whose successor has stood for the grace period."""
    r = retired_segments.c
    open_ = sa.and_(r.state == "replaced", r.object_deleted_at.is_(None))
    with catalogue.read() as connection:
        ripe = connection.execute(
            sa.select(r.segment_id, r.object_name).where(open_, r.retired_at <= limit).order_by(r.segment_id)
        ).all()
        waiting = sa.select(sa.func.count()).where(open_, r.retired_at > limit)
        done.waiting += connection.execute(waiting).scalar_one()
    return ((row.segment_id, row.object_name) for row in ripe)


def _delete(objects: ObjectStore, name: str, done: Collected) -> bool:
    try:
        objects.delete(name)
    except ObjectMissingError:
        return True  # deleted before a crash could write that down
    except StorageError:
        if not objects.exists(name):
            raise
        done.kept += 1  # under an object lock: tried again when that ends
        return False
    return True


def _record(catalogue: Catalogue, orphans: list[str], replaced: list[tuple[str, str]], now: str) -> None:
    t, r = tombstones.c, retired_segments.c
    with catalogue.write() as connection:
        for begin in range(0, len(orphans), _PAGE):
            part = orphans[begin : begin + _PAGE]
            connection.execute(tombstones.update().where(t.object_name.in_(part)).values(deleted_at=now))
        for begin in range(0, len(replaced), _PAGE):
            ids = [segment_id for segment_id, _ in replaced[begin : begin + _PAGE]]
            connection.execute(retired_segments.update().where(r.segment_id.in_(ids)).values(object_deleted_at=now))
        events.append(
            connection,
            kind=events.COLLECTED,
            actor=ACTOR,
            subject="objects",
            body={"orphans": orphans, "replaced": [segment_id for segment_id, _ in replaced]},
        )
