"""Verifies the transparency log against what the catalogue says now and against what the custodian has seen.

Every leaf is computed anew from the segment's manifest or the event that it stands for, every signed state from
the leaves, and every imaged row (tickets and the like) is compared with what its last event said of it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import sqlalchemy as sa

from errors import IntegrityError, LiucunError
from retention.catalogue.events import DESTROYED, EVENT, SEGMENT
from retention.catalogue.manifests import AT_ONCE, read_manifests
from retention.catalogue.tables import events, log_entries, log_leaves, log_pending, retired_segments, segments
from retention.crypto.suites import Suite
from retention.manifest import SegmentManifest
from retention.transparency import merkle
from retention.transparency.entries import entry_data, event_content, open_entries
from retention.transparency.keeping import LogKeeper
from retention.transparency.verdict import LogVerdict, Progress
from retention.transparency.verify_images import check_images
from retention.transparency.verify_states import check_states

_PAGE: Final = 2_000


def verify_log(log: LogKeeper, *, progress: Progress | None = None, objects: bool = True) -> LogVerdict:
    """Verify the whole log; ``objects`` also opens the sealed objects that keep its entries.

    Faults are collected, not raised: an audit names every one of them.
    """
    verdict = LogVerdict()
    show = progress or (lambda _what, _done, _total: None)
    custodian = log.custodian()
    with log.catalogue.read() as connection:
        verdict.unsequenced = connection.execute(sa.select(sa.func.count()).select_from(log_pending)).scalar_one()
        verdict.size = connection.execute(sa.select(sa.func.count()).select_from(log_leaves)).scalar_one()
        _check_leaves(connection, log.suite, verdict, show)
        _check_uncovered(connection, verdict)
        check_states(connection, log, custodian, verdict)
        check_images(connection, log.suite, verdict, show)
        _check_retired(connection, verdict)
        kept = connection.execute(sa.select(log_entries).order_by(log_entries.c.start)).all()
    _check_entry_objects(log, kept, verdict, show if objects else None)
    return verdict


def _check_leaves(connection: sa.Connection, suite: Suite, verdict: LogVerdict, show: Progress) -> None:
    """Each leaf is the hash of what its segment or event is now."""
    last = -1
    for number, leaf in enumerate(entries_now(connection), 1):
        index, kind, ref, stored, data = leaf
        if index != last + 1:
            verdict.add("leaf_missing", f"log:{last + 1}", f"The log's leaves {last + 1} to {index - 1} are gone.")
        last = index
        if data is None:
            verdict.add("entry_missing", f"{kind}:{ref}", f"The log has it at {index}, the catalogue no longer.")
        elif _hashed(suite, data) != stored:
            verdict.add("entry_changed", f"{kind}:{ref}", f"It is not what the log committed to at {index}.")
        if not number % _PAGE:
            show("log", number, verdict.size)
    show("log", verdict.size, verdict.size)


def _hashed(suite: Suite, data: Callable[[Suite], bytes]) -> bytes | None:
    """The leaf of an entry; None of one that cannot be read any more."""
    try:
        return merkle.leaf_hash(suite.hash, data(suite))
    except ValueError:
        return None


_Leaf = tuple[int, str, str, bytes, Callable[[Suite], bytes] | None]


def entries_now(connection: sa.Connection) -> Iterator[_Leaf]:
    """The log's leaves in order: number, type, id, leaf hash, and what makes the entry out of today's catalogue."""
    leaf = log_leaves.c
    start = 0
    while True:
        page = connection.execute(
            sa.select(leaf.index, leaf.type, leaf.ref, leaf.hash)
            .where(leaf.index >= start)
            .order_by(leaf.index)
            .limit(_PAGE)
        ).all()
        if not page:
            return
        start = page[-1][0] + 1
        manifests = read_manifests(connection, [row[2] for row in page if row[1] == SEGMENT])
        found = _events(connection, [int(row[2]) for row in page if row[1] != SEGMENT and row[2].isdecimal()])
        for index, kind, ref, stored in page:
            if kind == SEGMENT:
                manifest = manifests.get(ref)
                made = None if manifest is None else _manifest_entry(ref, manifest)
            else:
                event = found.get(int(ref)) if ref.isdecimal() else None
                made = None if event is None else _event_entry(ref, event)
            yield index, kind, ref, bytes(stored), made


def _manifest_entry(ref: str, manifest: bytes) -> Callable[[Suite], bytes]:
    return lambda suite: entry_data(suite, SEGMENT, ref, manifest)


def _event_entry(ref: str, row: sa.Row[Any]) -> Callable[[Suite], bytes]:
    return lambda suite: entry_data(suite, EVENT, ref, event_bytes(row), bytes(row.salt or b""))


def event_bytes(row: sa.Row[Any]) -> bytes:
    """An event's canonical bytes, as its row has it now.

    Raises:
        ValueError: its list of images is no JSON.
    """
    return event_content(
        number=row.id,
        at=row.at,
        kind=row.kind,
        actor=row.actor,
        subject=row.subject,
        body=row.body,
        images=None if row.images is None else json.loads(row.images),
    )


def _events(connection: sa.Connection, numbers: list[int]) -> dict[int, Any]:
    return {row.id: row for row in connection.execute(sa.select(events).where(events.c.id.in_(numbers)))}


def _check_uncovered(connection: sa.Connection, verdict: LogVerdict) -> None:
    """What is in the catalogue is in the log, or waits for its number."""
    covered = sa.union_all(
        sa.select(log_leaves.c.type, log_leaves.c.ref), sa.select(log_pending.c.type, log_pending.c.ref)
    ).subquery()
    for kind, column in (
        (SEGMENT, segments.c.segment_id),
        (SEGMENT, retired_segments.c.segment_id),
        (EVENT, events.c.id),
    ):
        ref = sa.cast(column, sa.String(64))
        missing = sa.select(ref).where(
            ~sa.exists().where(covered.c.type == kind, covered.c.ref == ref).correlate(column.table)
        )
        for found in connection.execute(missing.order_by(column)).scalars():
            verdict.add("entry_unlogged", f"{kind}:{found}", "The catalogue has it, the log was never told of it.")


def _check_retired(connection: sa.Connection, verdict: LogVerdict) -> None:
    """A destroyed segment has an event that says so; a replaced one a successor that names it and has all of its rows.

    Manifests of both are in the log: their counts cannot be lowered to fit. Only a destruction gives rows up, and
    what it left says so by naming destroyed segments alone.
    """
    r = retired_segments.c
    told = sa.exists().where(events.c.kind == DESTROYED, events.c.subject == sa.literal("segment:") + r.segment_id)
    rows = connection.execute(
        sa.select(r.segment_id, r.state, r.successor, told.correlate(retired_segments).label("told")).order_by(
            r.segment_id
        )
    ).all()
    destroyed = {row.segment_id for row in rows if row.told}
    replaced: dict[str, set[str]] = {}
    for row in rows:
        if row.state == "replaced":
            replaced.setdefault(row.successor or "", set()).add(row.segment_id)
        elif row.segment_id not in destroyed:
            detail = f"It is called {row.state}, and no event says so."
            verdict.add("destruction_unlogged", f"segment:{row.segment_id}", detail)
    for successor, before in sorted(replaced.items()):
        named = {name for manifest in _readable(connection, [successor]) for name in manifest.replaces}
        for segment_id in sorted(before - named):
            verdict.add("successor_missing", f"segment:{segment_id}", "No segment names it as one that it replaces.")
    _check_merges(connection, destroyed, verdict)


def _check_merges(connection: sa.Connection, destroyed: set[str], verdict: LogVerdict) -> None:
    """What took over others has all of their rows, or they were destroyed; nothing is taken over twice."""
    taken: dict[str, str] = {}
    for names in _pages(connection):
        for manifest in _readable(connection, names):
            if not manifest.replaces:
                continue
            before = _readable(connection, manifest.replaces)
            had, where = sum(one.rows for one in before), f"segment:{manifest.segment_id}"
            if manifest.rows > had or (manifest.rows < had and not destroyed.issuperset(manifest.replaces)):
                detail = f"It has {manifest.rows} rows; the segments that it replaces had {had}."
                verdict.add("merge_lost_rows", where, detail)
            for name in manifest.replaces:
                if name not in destroyed and taken.setdefault(name, where) != where:
                    verdict.add("replaced_twice", where, f"It replaces {name}, as {taken[name]} does.")


def _pages(connection: sa.Connection) -> Iterator[list[str]]:
    """Ids of all segments, those that are gone too, some at a time."""
    for table in (segments, retired_segments):
        column = table.c.segment_id
        last = ""
        while page := list(
            connection.execute(sa.select(column).where(column > last).order_by(column).limit(AT_ONCE)).scalars()
        ):
            yield page
            last = page[-1]


def _readable(connection: sa.Connection, names: Iterable[str]) -> list[SegmentManifest]:
    """The manifests of segments, as far as they can be read: one that was changed is a finding of its leaf."""
    found = []
    for data in read_manifests(connection, sorted(names)).values():
        with contextlib.suppress(IntegrityError):
            found.append(SegmentManifest.from_bytes(data))
    return found


def _check_entry_objects(log: LogKeeper, kept: Any, verdict: LogVerdict, show: Progress | None) -> None:
    """The objects cover the log without a gap and hold its entries, so that the catalogue can be rebuilt."""
    end = 0
    for number, row in enumerate(kept, 1):
        if row.start != end:
            verdict.add("entries_gap", f"log:{end}", f"No object holds the entries {end} to {row.start}.")
        end = row.end
        if show is None:
            continue
        try:
            _check_object(log, row)
        except LiucunError as error:
            verdict.add("entries_refused", row.object_name, error.what)
        show("log objects", number, len(kept))
    if end != verdict.size:
        verdict.add("entries_gap", f"log:{end}", f"No object holds the entries {end} to {verdict.size}.")


def _check_object(log: LogKeeper, row: sa.Row[Any]) -> None:
    data = log.objects.read(row.object_name)
    found = open_entries(log.period_keys, log.signers[0].verifier.name, row.object_name, data)
    leaf = log_leaves.c
    with log.catalogue.read() as connection:
        stored = connection.execute(
            sa.select(leaf.hash).where(leaf.index >= row.start, leaf.index < row.end).order_by(leaf.index)
        ).scalars()
        hashes = [bytes(value) for value in stored]
    if hashes != [merkle.leaf_hash(log.suite.hash, entry.data(log.suite)) for entry in found]:
        raise IntegrityError(
            f"The log's object {row.object_name!r} holds other entries than the log.",
            cure="Restore the object, or the catalogue, from a backup.",
        )
