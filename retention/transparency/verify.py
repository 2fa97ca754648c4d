"""Verifies the transparency log against what the catalogue says now and against what the custodian has seen.

Every leaf is computed anew from the segment's manifest or the event that it stands for, every signed state from
the leaves, and every imaged row (tickets and the like) is compared with what its last event said of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import sqlalchemy as sa

from errors import IntegrityError, LiucunError, StorageError, UnreachableError
from retention.catalogue import images
from retention.catalogue.events import DESTROYED, EVENT, SEGMENT
from retention.catalogue.tables import (
    checkpoints,
    events,
    image_shapes,
    log_entries,
    log_leaves,
    log_pending,
    retired_segments,
    segments,
)
from retention.crypto.suites import Suite
from retention.manifest import SegmentManifest
from retention.transparency import merkle
from retention.transparency.custodian import Custodian
from retention.transparency.entries import entry_data, event_content, open_entries
from retention.transparency.keeping import LogKeeper
from retention.transparency.note import Checkpoint, open_note
from retention.transparency.sequencer import shape_of

Progress = Callable[[str, int, int], None]

_PAGE: Final = 2_000
_WITNESSED: Final = 10_000
"""Custodian's checkpoints that one audit compares, the newest and evenly spread older ones."""


@dataclass(frozen=True, slots=True)
class LogFault:
    """One thing that does not hold: a word for machines, where, and what in words."""

    kind: str
    where: str
    detail: str


@dataclass(slots=True)
class LogVerdict:
    """What the verification found. ``witnessed`` is how many entries the custodian's newest checkpoint covers."""

    size: int = 0
    unsequenced: int = 0
    checkpoints: int = 0
    witnessed: int = 0
    rows: int = 0
    custodian: str | None = None
    faults: list[LogFault] = field(default_factory=list)
    notices: list[LogFault] = field(default_factory=list)

    @property
    def anchored(self) -> bool:
        """Whether the custodian has seen everything that was verified, and nothing contradicts it."""
        return bool(self.size) and self.witnessed == self.size and not self.unsequenced and not self.faults

    def add(self, kind: str, where: str, detail: str) -> None:
        """Add a fault."""
        self.faults.append(LogFault(kind, where, detail))


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
        _check_states(connection, log, custodian, verdict)
        check_images(connection, log.suite, verdict, show)
        _check_retired(connection, verdict)
        kept = connection.execute(sa.select(log_entries).order_by(log_entries.c.start)).all()
    _check_entry_objects(log, kept, verdict, show if objects else None)
    return verdict


def _check_leaves(connection: sa.Connection, suite: Suite, verdict: LogVerdict, show: Progress) -> None:
    """Each leaf is the hash of what its segment or event is now."""
    last = -1
    for number, leaf in enumerate(_leaves(connection), 1):
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


def _leaves(connection: sa.Connection) -> Iterator[_Leaf]:
    """Leaves in order, each with what makes its entry out of today's catalogue."""
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
        manifests = _manifests(connection, [row[2] for row in page if row[1] == SEGMENT])
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
    def made(suite: Suite) -> bytes:
        content = event_content(
            number=row.id,
            at=row.at,
            kind=row.kind,
            actor=row.actor,
            subject=row.subject,
            body=row.body,
            images=None if row.images is None else json.loads(row.images),
        )
        return entry_data(suite, EVENT, ref, content, bytes(row.salt or b""))

    return made


def _manifests(connection: sa.Connection, refs: list[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for table in (segments, retired_segments):
        rows = sa.select(table.c.segment_id, table.c.manifest).where(table.c.segment_id.in_(refs))
        found.update({row.segment_id: bytes(row.manifest) for row in connection.execute(rows)})
    return found


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


def _check_states(connection: sa.Connection, log: LogKeeper, custodian: Custodian | None, verdict: LogVerdict) -> None:
    """The leaves add up to every state that was signed, here and at the custodian."""
    signed = {
        row.size: row
        for row in connection.execute(sa.select(checkpoints.c.size, checkpoints.c.root, checkpoints.c.note))
    }
    verdict.checkpoints = len(signed)
    verifiers = log.verifiers
    seen = _witnessed(custodian, verdict) if custodian else {}
    leaf = log_leaves.c
    hashes = connection.execution_options(yield_per=_PAGE).execute(sa.select(leaf.hash).order_by(leaf.index))
    roots = merkle.roots_at(log.suite.hash, (bytes(row[0]) for row in hashes), {*signed, *seen})
    origin = verifiers[0].name if verifiers else ""
    for size, row in signed.items():
        try:
            stated = Checkpoint.read(open_note(row.note, verifiers))
        except IntegrityError as error:
            verdict.add("checkpoint_refused", f"log:{size}", error.what)
            continue
        if (stated.origin, stated.size, stated.root) != (origin, size, roots.get(size)):
            verdict.add("checkpoint_contradicted", f"log:{size}", "The log's entries do not add up to its checkpoint.")
    if signed and max(signed) != verdict.size:
        verdict.add("log_length", "log", f"It has {verdict.size} leaves, its newest checkpoint {max(signed)}.")
    for size, witnessed in seen.items():
        if size > verdict.size:
            verdict.add(
                "log_rolled_back",
                f"custodian:{size}",
                f"The custodian has seen {size} entries, the archive's log holds {verdict.size}.",
            )
        elif witnessed.root != roots.get(size):
            verdict.add(
                "log_forked", f"custodian:{size}", "The custodian holds another history: the log was rewritten."
            )


def _witnessed(custodian: Custodian, verdict: LogVerdict) -> dict[int, Checkpoint]:
    verdict.custodian = custodian.name
    found: dict[int, Checkpoint] = {}
    try:
        sizes, keys = custodian.sizes(), custodian.verifiers()
        step = max(len(sizes) // _WITNESSED, 1)
        for size in [*sizes[:-1:step], *sizes[-1:]]:
            try:
                found[size] = custodian.read(size, keys).checkpoint
            except IntegrityError as error:
                verdict.add("witness_refused", f"custodian:{size}", error.what)
        strangers = custodian.others()
    except (UnreachableError, StorageError) as error:
        verdict.notices.append(LogFault("custodian_unreachable", custodian.name, error.what))
        return found
    except IntegrityError as error:
        verdict.add("witness_refused", custodian.name, error.what)
        return found
    if strangers:
        verdict.notices.append(
            LogFault(
                "custodian_stranger",
                custodian.name,
                f"The custodian {'also holds' if found else 'has never seen this log; it holds'} "
                f"{', '.join(strangers[:5])}. If one of these was this archive's, its keys and history were replaced.",
            )
        )
    verdict.witnessed = max(found, default=0)
    return found


def check_images(connection: sa.Connection, suite: Suite, verdict: LogVerdict, show: Progress) -> None:
    """Every imaged row is what the last event about its subject says, and has such an event."""
    shapes = _shapes(connection, verdict)
    _check_payloads(connection, verdict)
    there = set(sa.inspect(connection).get_table_names())
    for prefix in _imaged_prefixes(connection) - {item.prefix for item in images.registered()}:
        verdict.add("image_unknown", f"{prefix}:", "Events speak of rows of a kind that this program does not know.")
    for item in images.registered():
        expected = _last_images(connection, item)
        if item.table.name not in there:
            if expected:
                verdict.add("table_missing", item.table.name, f"Events speak of {len(expected)} subjects in it.")
            continue
        values = sorted(expected)
        for begin in range(0, len(values), _PAGE):
            part = values[begin : begin + _PAGE]
            _compare(connection, suite, item, {value: expected[value] for value in part}, shapes, verdict)
            show(item.table.name, min(begin + _PAGE, len(values)), len(values))
        key = item.table.c[item.column]
        for value in connection.execute(sa.select(sa.cast(key, sa.String)).distinct()).scalars():
            if value not in expected:
                verdict.add(
                    "row_unlogged", f"{item.prefix}:{value}", f"No event speaks of its rows in {item.table.name}."
                )


def _shapes(connection: sa.Connection, verdict: LogVerdict) -> dict[str, list[str]]:
    """Lists of columns by their short names, which are their digests: a list under another's name is none."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(sa.select(image_shapes)):
        try:
            columns = [str(name) for name in json.loads(row.columns)]
        except (ValueError, TypeError):
            columns = []
        if shape_of(columns) == row.shape:
            found[row.shape] = columns
        else:
            verdict.add("shape_changed", f"shape:{row.shape}", "Its columns are not those that its name is made of.")
    return found


def _numbered() -> sa.ColumnElement[bool]:
    """Whether the log has an event: its digests count then, and rows that stand beside them are nobody's word."""
    ref = sa.cast(events.c.id, sa.String(64))
    return sa.exists().where(log_leaves.c.type == EVENT, log_leaves.c.ref == ref).correlate(events)


def _check_payloads(connection: sa.Connection, verdict: LogVerdict) -> None:
    """Rows beside a numbered event were put there later: numbering takes them away in the same transaction."""
    left = sa.select(events.c.id).where(events.c.payload.is_not(None), _numbered()).order_by(events.c.id)
    for number in connection.execute(left).scalars():
        verdict.add("payload_unlogged", f"event:{number}", "Rows stand beside it that the log was never told of.")


def _imaged_prefixes(connection: sa.Connection) -> set[str]:
    e = events.c
    position = sa.func.strpos if connection.dialect.name == "postgresql" else sa.func.instr
    prefix = sa.func.substr(e.subject, 1, position(e.subject, ":") - 1)
    imaged = sa.or_(e.images.is_not(None), e.payload.is_not(None))
    return set(connection.execute(sa.select(prefix).where(imaged).distinct()).scalars())


_Image = tuple[int, bytes, str | None, bytes | None]
"""An event's number, salt, digests and payload."""


def _last_images(connection: sa.Connection, item: images.Imaged) -> dict[str, _Image]:
    e = events.c
    numbered = _numbered()
    imaged = sa.or_(e.images.is_not(None), sa.and_(e.payload.is_not(None), ~numbered))
    newest = (
        sa.select(sa.func.max(e.id).label("id"))
        .where(e.subject.startswith(f"{item.prefix}:", autoescape=True), imaged)
        .group_by(e.subject)
        .subquery()
    )
    payload = sa.case((numbered, None), else_=e.payload).label("payload")
    rows = connection.execute(sa.select(e.id, e.subject, e.salt, e.images, payload).join(newest, newest.c.id == e.id))
    return {row.subject.partition(":")[2]: (row.id, bytes(row.salt or b""), row.images, row.payload) for row in rows}


def _compare(
    connection: sa.Connection,
    suite: Suite,
    item: images.Imaged,
    expected: dict[str, _Image],
    shapes: dict[str, list[str]],
    verdict: LogVerdict,
) -> None:
    by_columns: dict[tuple[str, ...], list[tuple[str, int, bytes, bytes | str]]] = {}
    for value, (number, salt, digests, payload) in expected.items():
        where = f"event:{number}"
        try:
            known, columns = _known(item, digests, payload)
        except (ValueError, TypeError, KeyError, IndexError):
            verdict.add("entry_changed", where, "What it says of rows cannot be read.")
            continue
        if isinstance(columns, str):
            if columns not in shapes:
                verdict.add("shape_missing", where, f"It speaks of rows in {item.table.name} by columns nobody knows.")
                continue
            columns = shapes[columns]
        if known is None or not set(columns) <= {column.name for column in item.table.columns}:
            continue  # the table joined its subject, or lost a column, after this event
        by_columns.setdefault(tuple(columns), []).append((value, number, salt, known))
    for columns_, subjects in by_columns.items():
        rows = images.read_rows(connection, item, columns_, [value for value, *_ in subjects])
        for value, number, salt, known in subjects:
            verdict.rows += 1
            now = images.canonical(rows.get(value, []))
            if (suite.hash(salt, now).hex() if isinstance(known, str) else now) != known:
                verdict.add(
                    "row_changed",
                    f"{item.prefix}:{value}",
                    f"Its rows in {item.table.name} are not what event {number}, the last about it, says.",
                )


def _known(
    item: images.Imaged, digests: str | None, payload: bytes | None
) -> tuple[bytes | str | None, list[str] | str]:
    """What an event says of a table's rows: themselves and their columns, or a digest and the name of its columns."""
    if payload is not None:
        image = next((i for i in orjson.loads(payload) if i["table"] == item.table.name), None)
        return (None, []) if image is None else (images.canonical(image["rows"]), list(image["columns"]))
    held = next((d for d in json.loads(digests or "[]") if d[0] == item.table.name), None)
    return (None, []) if held is None else (str(held[2]), str(held[1]))


def _check_retired(connection: sa.Connection, verdict: LogVerdict) -> None:
    """A segment that was replaced has a successor that names it; one that was destroyed has an event that says so."""
    r = retired_segments.c
    told = sa.exists().where(events.c.kind == DESTROYED, events.c.subject == sa.literal("segment:") + r.segment_id)
    unsaid = sa.select(r.segment_id).where(r.state == "destroyed", ~told.correlate(retired_segments))
    for segment_id in connection.execute(unsaid.order_by(r.segment_id)).scalars():
        verdict.add("destruction_unlogged", f"segment:{segment_id}", "It is called destroyed, and no event says so.")
    rows = connection.execute(sa.select(r.segment_id, r.successor).where(r.state == "replaced")).all()
    named: dict[str, set[str]] = {}
    for row in rows:
        if row.successor not in named:
            manifest = _manifests(connection, [row.successor]).get(row.successor)
            try:
                named[row.successor] = set() if manifest is None else {*SegmentManifest.from_bytes(manifest).replaces}
            except IntegrityError:
                named[row.successor] = set()
        if row.segment_id not in named[row.successor]:
            verdict.add(
                "successor_missing", f"segment:{row.segment_id}", "No segment names it as one that it replaces."
            )


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
