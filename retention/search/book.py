"""The follower's book: its position in the log, the segments in the index, the labels of their documents."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from errors import BusyError
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import retired_segments, segments, timestamp
from retention.manifest import SegmentManifest
from retention.search import mapping
from retention.search.errors import SearchRebuildError
from retention.search.settings import SearchSettings
from retention.search.tables import search_labels, search_segments, search_state

WRITING: Final = "writing"
DONE: Final = "done"
FORGETTING: Final = "forgetting"
_LOOK_UP: Final = 500


@dataclass(frozen=True, slots=True)
class State:
    """Where the follower stands."""

    generation: str
    position: int
    events_position: int


@dataclass(frozen=True, slots=True)
class Label:
    """Documents written under one label."""

    label: str
    segment_id: str
    index_name: str
    key_id: str
    rows: int


def state_of(catalogue: Catalogue, settings: SearchSettings) -> State:
    """The follower's state, begun where there is none.

    Raises:
        SearchRebuildError: the index was made under other settings.
    """
    shape = json.dumps(settings.shape(), sort_keys=True)
    with catalogue.write() as connection:
        row = connection.execute(sa.select(search_state)).one_or_none()
        if row is None:
            return begin(connection, settings)
        if row.shape != shape:
            raise SearchRebuildError(
                "The index was made under other settings of [search].",
                cure="Run `liucun index rebuild`, or put the settings back as they were.",
            )
        return State(row.generation, row.position, row.events_position)


def begin(connection: sa.Connection, settings: SearchSettings) -> State:
    """Forget everything and begin a new generation at the log's beginning."""
    for table in (search_labels, search_segments, search_state):
        connection.execute(table.delete())
    made = State(secrets.token_hex(8), 0, 0)
    connection.execute(
        search_state.insert().values(
            generation=made.generation,
            position=0,
            events_position=0,
            shape=json.dumps(settings.shape(), sort_keys=True),
            begun_at=timestamp(),
        )
    )
    return made


def move(connection: sa.Connection, state: State, *, position: int | None = None, events: int | None = None) -> State:
    """Move a position on, unless another follower did.

    Raises:
        BusyError: it did, or the index is being rebuilt.
    """
    made = State(
        state.generation,
        state.position if position is None else position,
        state.events_position if events is None else events,
    )
    c = search_state.c
    moved = connection.execute(
        search_state.update()
        .where(
            c.generation == state.generation,
            c.position == state.position,
            c.events_position == state.events_position,
        )
        .values(position=made.position, events_position=made.events_position)
    ).rowcount
    if moved != 1:
        raise BusyError("Another follower moved on in the same moment.", cure="Nothing is lost; this one ends.")
    return made


def live(connection: sa.Connection, ids: Iterable[str]) -> dict[str, SegmentManifest]:
    """The manifests of those segments that are in the archive now."""
    wanted, found = list(ids), {}
    for start in range(0, len(wanted), _LOOK_UP):
        part = wanted[start : start + _LOOK_UP]
        rows = connection.execute(
            sa.select(segments.c.segment_id, segments.c.manifest).where(segments.c.segment_id.in_(part))
        )
        found.update({row.segment_id: SegmentManifest.from_bytes(row.manifest) for row in rows})
    return found


def labels_of(connection: sa.Connection, ids: Sequence[str]) -> list[Label]:
    """The labels whose documents stand for these segments."""
    found: list[Label] = []
    for start in range(0, len(ids), _LOOK_UP):
        part = ids[start : start + _LOOK_UP]
        rows = connection.execute(
            sa.select(search_labels).where(search_labels.c.segment_id.in_(part)).order_by(search_labels.c.label)
        )
        found += [Label(*row) for row in rows]
    return found


def known(connection: sa.Connection, ids: Sequence[str]) -> dict[str, Any]:
    """Rows of the book for segments, by id."""
    s, found = search_segments.c, {}
    for start in range(0, len(ids), _LOOK_UP):
        rows = connection.execute(sa.select(search_segments).where(s.segment_id.in_(ids[start : start + _LOOK_UP])))
        found.update({row.segment_id: row for row in rows})
    return found


def ancestors(connection: sa.Connection, ids: Iterable[str]) -> list[str]:
    """Segments and all whose rows they took over: the follower may not have come to the merging yet."""
    r, found, fresh = retired_segments.c, set(ids), set(ids)
    while fresh:
        wanted, fresh = sorted(fresh), set()
        for start in range(0, len(wanted), _LOOK_UP):
            part = wanted[start : start + _LOOK_UP]
            rows = connection.execute(sa.select(r.segment_id).where(r.successor.in_(part))).scalars()
            fresh |= set(rows) - found
        found |= fresh
    return sorted(found)


def heir(connection: sa.Connection, segment_id: str) -> str | None:
    """The last segment that took over a merged one's rows; None when it was destroyed or never merged."""
    r, found = retired_segments.c, segment_id
    while True:
        row = connection.execute(sa.select(r.state, r.successor).where(r.segment_id == found)).one_or_none()
        if row is None:
            return None if found == segment_id else found
        if row.successor is None:
            return None
        found = row.successor


def enter(connection: sa.Connection, settings: SearchSettings, manifest: SegmentManifest) -> Label:
    """Enter a segment that is about to be written: in which index, decided once and kept whatever happens."""
    s, m = search_segments.c, manifest
    row = connection.execute(sa.select(search_segments).where(s.segment_id == m.segment_id)).one_or_none()
    if row is None:
        connection.execute(
            search_segments.insert().values(
                segment_id=m.segment_id,
                record_class=m.record_class,
                period=m.period,
                rows=m.rows,
                withheld=0,
                refused=0,
                state=WRITING,
                recount=False,
            )
        )
    else:
        connection.execute(search_segments.update().where(s.segment_id == m.segment_id).values(state=WRITING))
    found = connection.execute(sa.select(search_labels).where(search_labels.c.label == m.segment_id)).one_or_none()
    if found is not None:
        return Label(*found)
    own = labels_of(connection, [m.segment_id]) or labels_of(connection, list(m.replaces))
    index = own[0].index_name if own else _index(connection, settings, m)
    made = Label(m.segment_id, m.segment_id, index, m.key_id, m.rows)
    connection.execute(
        search_labels.insert().values(
            label=made.label, segment_id=made.segment_id, index_name=index, key_id=made.key_id, rows=made.rows
        )
    )
    return made


def finish(connection: sa.Connection, segment_id: str, *, withheld: int, refused: int) -> None:
    """The segment's documents are written."""
    connection.execute(
        search_segments.update()
        .where(search_segments.c.segment_id == segment_id)
        .values(state=DONE, withheld=withheld, refused=refused, recount=False)
    )


def adopt(connection: sa.Connection, manifest: SegmentManifest) -> bool:
    """Let the documents of merged segments stand for the new one; whether they can.

    They can where all of them are written and hashed under the new segment's key.
    """
    old = list(manifest.replaces)
    rows, labels = known(connection, old), labels_of(connection, old)
    whole = len(rows) == len(old) and all(row.state == DONE and not row.recount for row in rows.values())
    if not old or not whole or any(label.key_id != manifest.key_id for label in labels):
        return False
    if sum(row.rows for row in rows.values()) != manifest.rows:
        return False
    connection.execute(
        search_labels.update().where(search_labels.c.segment_id.in_(old)).values(segment_id=manifest.segment_id)
    )
    connection.execute(search_segments.delete().where(search_segments.c.segment_id.in_(old)))
    connection.execute(
        search_segments.insert().values(
            segment_id=manifest.segment_id,
            record_class=manifest.record_class,
            period=manifest.period,
            rows=manifest.rows,
            withheld=sum(row.withheld for row in rows.values()),
            refused=sum(row.refused for row in rows.values()),
            state=DONE,
            recount=False,
        )
    )
    return True


def _index(connection: sa.Connection, settings: SearchSettings, manifest: SegmentManifest) -> str:
    """The newest index of a class and month, or the next when that one is full."""
    first = mapping.index_name(settings, manifest.record_class, manifest.period, 0)[:-6]
    c = search_labels.c
    row = connection.execute(
        sa.select(c.index_name, sa.func.sum(c.rows).label("held"))
        .where(c.index_name.startswith(first, autoescape=True))
        .group_by(c.index_name)
        .order_by(c.index_name.desc())
        .limit(1)
    ).one_or_none()
    number = 1 if row is None else int(row.index_name[-6:])
    if row is not None and int(row.held) + manifest.rows > settings.documents_per_index:
        number += 1
    return mapping.index_name(settings, manifest.record_class, manifest.period, number)
