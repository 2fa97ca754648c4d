"""Dividing a unit: what must outlive its key is sealed anew under another one, with its place and its lineage.

Records that stay are grouped by the month in which they will have run out, so that each group goes whole then; open
ones share the key of the present month; segments under hold or with an open ticket stay whole under a key of their
own. The new objects are durable before one transaction puts them in the old ones' place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from retention.catalogue.tables import segments
from retention.keys.periods import HELD, KEPT, OPEN
from retention.lineage import anew, check_rows, descent, inherit, stored_manifests, taken_over
from retention.manifest import SegmentManifest, SegmentPlace
from retention.placing import Apart, place_of_rows
from retention.policies.extract import subject_names, unnamed_subject
from retention.policies.follow import blinder
from retention.policies.partly import PartState, partly_due, survivors
from retention.policies.periods import shanghai_date
from retention.policies.settings import RetentionSettings
from retention.policies.words import RULES
from retention.purge.plan import Parts
from retention.schema import as_current
from retention.segment_check import check_stored
from retention.segments import open_segment, write_segment

Place = tuple[str, str, int, int]
Member = tuple[SegmentManifest, pa.Table]
"""A segment, and those of its rows that stay."""


@dataclass(slots=True)
class Carried:
    """What a division wrote: new segments, how many rows of each place of each old one they took, and on what grounds.

    ``grounds`` is compared at the commit: whatever changed meanwhile makes the division void.
    """

    grounds: object
    manifests: list[SegmentManifest] = field(default_factory=list)
    taken: dict[str, dict[Place, int]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows that stay."""
        return sum(manifest.rows for manifest in self.manifests)


def grounds_of(
    connection: sa.Connection, unit_id: int, at: date, settings: RetentionSettings, judged_on: date
) -> tuple[PartState, dict[bytes, str | None]] | None:
    """What a division rests on: the unit as it stands, and the subjects that stay; None when nothing may go.

    Args:
        at: the day of the plan: what ran out later was not approved and stays.
        judged_on: today, for holds, tickets and the age of what was taken in.
    """
    found = partly_due(connection, judged_on, settings, only=unit_id)
    if not found:
        return None
    return found[0], survivors(connection, found[0].state, at)


def carry(
    parts: Parts,
    part: PartState,
    staying: dict[bytes, str | None],
    *,
    now: datetime,
    step: Callable[[str], None],
) -> Carried:
    """Write the segments of what stays; nothing is entered into the catalogue.

    Raises:
        IntegrityError, KeyAccessError, StorageError: a segment cannot be read whole, or not be written.
    """
    done = Carried(grounds=(part, staying))
    record_class = part.state.record_class
    month = shanghai_date(now).isoformat()[:7]
    groups: dict[tuple[str, str, str], list[Member]] = defaultdict(list)
    for manifest in _manifests(parts, part.state.segments):
        segment = open_segment(parts.archive, manifest)
        segment.verify()
        table = as_current(segment.parquet().read(use_threads=False))
        if manifest.segment_id in part.whole:
            groups[manifest.period, f"{record_class}{HELD}", month].append((manifest, table))
            continue
        for due, rows in _divided(parts, manifest, table, staying).items():
            key = (f"{record_class}{OPEN}", month) if due is None else (f"{record_class}{KEPT}", due)
            groups[manifest.period, *key].append((manifest, rows))
    for (period, key_class, key_month), members in sorted(groups.items(), key=lambda item: item[0]):
        # What is under hold stays apart from what is not: a release frees exactly what was held.
        lots = [[member] for member in members] if key_class.endswith(HELD) else _apart(members)
        for lot in lots:
            step(f"carry {key_class} {key_month}")
            key = _other_key(parts, key_class, key_month, part.state.key_id)
            done.manifests.append(_write(parts, lot, period, key, done))
    return done


def _other_key(parts: Parts, key_class: str, month: str, avoid: str) -> tuple[str, str]:
    """Class and month of a key that is not the one about to go: a unit may be divided in the month it was made."""
    name = key_class
    while parts.period_keys.current(name, month).key_id == avoid:
        name += ".next"
    return name, month


def _divided(
    parts: Parts, manifest: SegmentManifest, table: pa.Table, staying: dict[bytes, str | None]
) -> dict[str | None, pa.Table]:
    """The rows of subjects that stay, by the month in which they will have run out."""
    rule = RULES.get(manifest.record_class)
    if rule is None:
        return {}
    blind = blinder(parts)
    unnamed = unnamed_subject(manifest.record_class, manifest.period)
    named = subject_names(table, rule, unnamed).combine_chunks()
    by_due: dict[str | None, list[str]] = defaultdict(list)
    for name in pc.unique(named).to_pylist():
        digest = blind(manifest.record_class, name)
        if digest in staying:
            by_due[staying[digest]].append(name)
    return {due: table.filter(pc.is_in(named, value_set=pa.array(names))) for due, names in by_due.items()}


def _write(
    parts: Parts, members: Sequence[Member], period: str, key: tuple[str, str], done: Carried
) -> SegmentManifest:
    totals: dict[Place, int] = defaultdict(int)
    for manifest, rows in members:
        taken = done.taken.setdefault(manifest.segment_id, {})
        for place, count in _places(manifest, rows).items():
            taken[place] = taken.get(place, 0) + count
            totals[place] += count
    manifests = stored_manifests(parts.catalogue)
    before = list({manifest.segment_id: manifest for manifest, _ in members}.values())
    whole = sum(totals.values()) == sum(manifest.rows for manifest in before)
    table = pa.concat_tables([rows for _, rows in members]).unify_dictionaries().combine_chunks()
    new = write_segment(
        parts.archive,
        table,
        record_class=members[0][0].record_class,
        period=period,
        places=tuple(SegmentPlace(*place, rows) for place, rows in sorted(totals.items())),
        replaces=tuple(manifest.segment_id for manifest in before),
        look_ups=True,
        sealed_under=key,
        inherited=inherit([open_segment(parts.archive, one) for one in before], manifests) if whole else None,
    )
    found = taken_over(new, [descent(one, manifests) for one in before]) if whole else anew(new)
    check_rows(check_stored(parts.archive, new), found)
    return new


def _apart(members: Sequence[Member]) -> list[list[Member]]:
    """In lots whose places do not overlap."""
    lots: list[tuple[Apart, list[Member]]] = []
    for member in members:
        for apart, lot in lots:
            if apart.take(member[0].places):
                lot.append(member)
                break
        else:
            lots.append((Apart(), [member]))
            lots[-1][0].take(member[0].places)
    return [lot for _, lot in lots]


def _places(manifest: SegmentManifest, rows: pa.Table) -> dict[Place, int]:
    """How many of the rows lie in each of the segment's places."""
    places = place_of_rows(rows, manifest.places)
    numbers, counts = np.unique(places[places >= 0], return_counts=True)
    found = [manifest.places[number] for number in numbers]
    return {
        (place.source, place.partition, place.start, place.end): int(count)
        for place, count in zip(found, counts, strict=True)
    }


def _manifests(parts: Parts, names: tuple[str, ...]) -> list[SegmentManifest]:
    g = segments.c
    with parts.catalogue.read() as connection:
        rows = connection.execute(
            sa.select(g.manifest).where(g.segment_id.in_(names)).order_by(g.event_time_min, g.segment_id)
        ).scalars()
        return [SegmentManifest.from_bytes(data) for data in rows]
