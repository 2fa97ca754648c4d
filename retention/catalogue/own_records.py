"""Records that the system writes itself, evidence above all: no source's, but under the same commit rule.

Their segment is written and durable first; then the transaction that they belong to takes them in, with batches,
cursors and events as a collector's have, so that coverage, rebuilding and purging know no difference. Each subject
has a partition of its own, in which offsets count its records from 0: nobody waits for anybody else's cursor.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from errors import BusyError
from retention.catalogue import events
from retention.catalogue.commit import add_segments
from retention.catalogue.sets import among, insert_rows
from retention.catalogue.tables import batches, partitions, timestamp
from retention.manifest import SegmentManifest

ACTOR = "system:seal"
_CHUNK = 500


def next_offsets(connection: sa.Connection, source: str, names: Sequence[str]) -> dict[str, int]:
    """Where the next record of each partition will stand; 0 where there is none yet."""
    p = partitions.c
    found = dict.fromkeys(names, 0)
    for begin in range(0, len(names), _CHUNK):
        chosen = sa.select(p.partition, p.cursor).where(
            p.source == source, p.partition.in_(names[begin : begin + _CHUNK])
        )
        found.update({row.partition: int(row.cursor) for row in connection.execute(chosen)})
    return found


def take_in(connection: sa.Connection, manifest: SegmentManifest) -> None:
    """Enter a segment of such records in the transaction that is open.

    Raises:
        BusyError: somebody else wrote records of the same partition meanwhile: nothing is to be committed.
        naming.TombstoneError, KeyRetiredError: see ``commit.add_segments``.
    """
    moment = datetime.now(UTC)
    now = timestamp(moment)
    p = partitions.c
    fresh = [place for place in manifest.places if place.start == 0]
    if fresh:
        names = [place.partition for place in fresh]
        there = sa.select(p.partition).where(p.source == fresh[0].source, among(connection, p.partition, names))
        if (known := connection.execute(there.limit(1)).scalar()) is not None:
            raise _overtaken(str(known))
        insert_rows(
            connection,
            partitions,
            [
                {
                    "source": place.source,
                    "partition": place.partition,
                    "path": place.partition,
                    "generation": 1,
                    "cursor": place.end,
                    "finished": False,
                    "opened_at": now,
                }
                for place in fresh
            ],
        )
    for place in manifest.places:
        if place.start == 0:
            continue
        moved = connection.execute(
            partitions.update()
            .where(p.source == place.source, p.partition == place.partition, p.cursor == place.start)
            .values(cursor=place.end)
        )
        if moved.rowcount != 1:
            raise _overtaken(place.partition)
    counted = {"headers": 0, "blanks": 0}
    insert_rows(
        connection,
        batches,
        [
            {
                "source": place.source,
                "partition": place.partition,
                "start": place.start,
                "end": place.end,
                "records": place.rows,
                **counted,
                "committed_at": now,
            }
            for place in manifest.places
        ],
    )
    add_segments(connection, (manifest,), now)
    said = [
        (
            f"partition:{place.partition}",
            {
                "source": place.source,
                "path": place.partition,
                "generation": 1,
                "start": place.start,
                "end": place.end,
                "records": place.rows,
                **counted,
                "range": None,
                "segments": [manifest.segment_id],
            },
        )
        for place in manifest.places
    ]
    events.append_many(connection, said, kind="batch.committed", actor=ACTOR, at=moment)


def _overtaken(partition: str) -> BusyError:
    return BusyError(
        f"Somebody else wrote a record of {partition} in the same moment.", cure="Nothing was committed; do it again."
    )
