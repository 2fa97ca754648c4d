"""Merges small segments of one class, month and kind of key, by account and time, under the archive's commit rule.

The new segment is written and durable before one transaction puts it in the old ones' place. Every row is
accounted for: the old segments are read whole and authenticated; the new object is read back, each range of a source
has as many rows in it as in the old ones together, and the rows are those that the old manifests commit to. The log
keeps those manifests; the new one names them, and the new segment keeps the salts by which any audit compares again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from errors import BusyError, IntegrityError
from retention.catalogue import events
from retention.catalogue.commit import add_segments
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import retired_segments, segment_places, segments, timestamp
from retention.keys.periods import HELD, place_of
from retention.lineage import Manifests, check_rows, descent, inherit, stored_manifests, taken_over
from retention.manifest import MANIFEST_LIMIT, SegmentManifest, SegmentPlace
from retention.placing import Apart
from retention.rebuilding.restore import COMPACTED
from retention.schema import as_current
from retention.segment_check import check_stored
from retention.segments import Archive, open_segment, write_segment

TARGET_ROWS: Final = 1_000_000
"""Rows of a merged segment, about; one that has half of them is not merged again."""
TARGET_BYTES: Final = 192 << 20
"""Stored bytes of a merged segment, about: what is merged lies in memory several times over."""
TARGET_MANIFEST: Final = MANIFEST_LIMIT // 4
"""Bytes that the manifests of what is merged may have together: the new one names all of their places."""
ACTOR: Final = "system:compact"
_SORT: Final = [("user_id", "ascending"), ("event_time", "ascending"), ("log_offset", "ascending")]


@dataclass(frozen=True, slots=True)
class Group:
    """Segments of one class and month to be merged into one.

    ``sealed_under``: class and month of their keys, where a destruction carried them over: they go when those keys do.
    """

    record_class: str
    period: str
    manifests: tuple[SegmentManifest, ...]
    sealed_under: tuple[str, str] | None = None

    @property
    def rows(self) -> int:
        """Rows of all of them."""
        return sum(manifest.rows for manifest in self.manifests)

    @property
    def bytes_stored(self) -> int:
        """Stored bytes of all of them."""
        return sum(manifest.bytes_stored for manifest in self.manifests)


@dataclass(slots=True)
class Merged:
    """What a compaction did."""

    groups: int = 0
    replaced: int = 0
    rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    overtaken: int = 0
    segments: list[str] = field(default_factory=list)


def plan(catalogue: Catalogue, *, target_rows: int = TARGET_ROWS, target_bytes: int = TARGET_BYTES) -> list[Group]:
    """The groups that are worth merging, by class, month and kind of key, oldest segments first.

    What a hold kept from a destruction stays as it is: a release frees exactly what was held.
    """
    g = segments.c
    with catalogue.read() as connection:
        rows = connection.execute(
            sa.select(g.manifest)
            .where(
                g.rows * 2 < target_rows,
                g.bytes_stored * 2 < target_bytes,
                sa.func.length(g.manifest) * 2 < TARGET_MANIFEST,
            )
            .order_by(g.record_class, g.period, g.committed_at, g.segment_id)
        ).scalars()
        small = [(SegmentManifest.from_bytes(manifest), len(manifest)) for manifest in rows]
    small = [item for item in small if HELD not in place_of(item[0].key_id)[0]]
    small.sort(key=lambda item: (item[0].record_class, item[0].period, place_of(item[0].key_id)))
    groups: list[Group] = []
    open_: list[SegmentManifest] = []
    apart, described = Apart(), 0
    for manifest, length in small:
        if open_ and (
            _kind(manifest) != _kind(open_[0])
            or sum(m.rows for m in open_) + manifest.rows > target_rows
            or sum(m.bytes_stored for m in open_) + manifest.bytes_stored > target_bytes
            or described + length > TARGET_MANIFEST
            or not apart.take(manifest.places)
        ):
            groups.append(_group(open_))
            open_, apart, described = [], Apart(), 0
        if not open_:
            apart.take(manifest.places)
        open_.append(manifest)
        described += length
    if open_:
        groups.append(_group(open_))
    return [group for group in groups if len(group.manifests) > 1]


def compact(
    catalogue: Catalogue,
    archive: Archive,
    groups: Sequence[Group],
    *,
    progress: Callable[[str, int, int], None],
    written: Callable[[SegmentManifest], None] = lambda _manifest: None,
) -> Merged:
    """Merge groups, one transaction each; ``written`` is told of each new object before it is committed.

    A group whose segments were merged or destroyed meanwhile is passed over and counted.

    Raises:
        IntegrityError: a segment is not what was sealed: nothing of its group was changed.
        KeyAccessError, StorageError: a segment cannot be read or written.
    """
    done = Merged()
    for number, group in enumerate(groups, 1):
        manifest = _merge(archive, group, stored_manifests(catalogue))
        written(manifest)
        try:
            _commit(catalogue, group, manifest)
        except BusyError:
            done.overtaken += 1
        else:
            done.groups += 1
            done.replaced += len(group.manifests)
            done.rows += group.rows
            done.bytes_before += group.bytes_stored
            done.bytes_after += manifest.bytes_stored
            done.segments.append(manifest.segment_id)
        progress("segments", number, len(groups))
    return done


def _group(manifests: Sequence[SegmentManifest]) -> Group:
    record_class, period, *under = _kind(manifests[0])
    own = tuple(under) == (record_class.replace(":", "."), period)
    return Group(record_class, period, tuple(manifests), None if own else (under[0], under[1]))


def _kind(manifest: SegmentManifest) -> tuple[str, str, str, str]:
    """What merged segments share: class, month, and class and month of their keys, of whatever generation."""
    return (manifest.record_class, manifest.period, *place_of(manifest.key_id))


def _merge(archive: Archive, group: Group, manifests: Manifests) -> SegmentManifest:
    """Write the new segment, and read it back: its sources are given up on its word."""
    sources, parts = [], []
    for manifest in group.manifests:
        segment = open_segment(archive, manifest)
        segment.verify()
        sources.append(segment)
        parts.append(as_current(segment.parquet().read()))
    inherited = inherit(sources, manifests)
    table = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    del parts, sources
    merged = write_segment(
        archive,
        table.take(pa.compute.sort_indices(table, sort_keys=_SORT)),
        record_class=group.record_class,
        period=group.period,
        places=_places(group.manifests),
        replaces=tuple(manifest.segment_id for manifest in group.manifests),
        by_account=True,
        look_ups=True,
        sealed_under=group.sealed_under,
        inherited=inherited,
    )
    del table
    try:
        found = taken_over(merged, [descent(manifest, manifests) for manifest in group.manifests])
        check_rows(check_stored(archive, merged), found)
    except IntegrityError as error:
        raise IntegrityError(
            f"Merging {len(group.manifests)} segments of {group.record_class} {group.period} failed: {error.what}",
            cure="Nothing was changed. Run `liucun audit integrity`; if it finds nothing, report it.",
        ) from error
    return merged


def _places(manifests: Sequence[SegmentManifest]) -> tuple[SegmentPlace, ...]:
    """Every range once; the rows of a range that stood in several segments added up."""
    found: dict[tuple[str, str, int, int], int] = {}
    for manifest in manifests:
        for place in manifest.places:
            key = (place.source, place.partition, place.start, place.end)
            found[key] = found.get(key, 0) + place.rows
    return tuple(SegmentPlace(*key, rows) for key, rows in sorted(found.items()))


def _commit(catalogue: Catalogue, group: Group, manifest: SegmentManifest) -> None:
    ids = [old.segment_id for old in group.manifests]
    g = segments.c
    with catalogue.write() as connection:
        there = connection.execute(sa.select(segments).where(g.segment_id.in_(ids)).with_for_update()).all()
        if len(there) != len(ids):
            raise BusyError(
                "A segment that was being merged is no longer there.", cure="Nothing was changed; run it again."
            )
        moment = datetime.now(UTC)
        now = timestamp(moment)
        connection.execute(retired_segments.insert(), [_retired(row, manifest.segment_id, now) for row in there])
        connection.execute(segment_places.delete().where(segment_places.c.segment_id.in_(ids)))
        connection.execute(segments.delete().where(g.segment_id.in_(ids)))
        add_segments(connection, (manifest,), now)
        events.append(
            connection,
            kind=COMPACTED,
            actor=ACTOR,
            subject=f"segment:{manifest.segment_id}",
            body={
                "class": manifest.record_class,
                "period": manifest.period,
                "rows": manifest.rows,
                "replaces": ids,
                "commitment": "kept" if manifest.rows_digest is None else "new",
            },
            at=moment,
        )


def _retired(row: sa.Row[Any], successor: str, now: str) -> dict[str, Any]:
    names = (
        "segment_id",
        "object_name",
        "record_class",
        "period",
        "rows",
        "bytes_stored",
        "manifest",
        "committed_at",
    )
    # By position: a row's own methods hide columns of their names.
    values = dict(zip(segments.columns.keys(), row, strict=True))
    return {
        **{name: values[name] for name in names},
        "state": "replaced",
        "successor": successor,
        "retired_at": now,
    }
