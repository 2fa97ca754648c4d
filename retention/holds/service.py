"""Looking through the archive for held accounts, listing holds, releasing them, and the object store's own holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.tables import segments, timestamp
from retention.holds.effect import ACCOUNT, ACTIVE, TICKET, held_segments, unexamined
from retention.holds.errors import HoldReleaseError, HoldStateError, HoldUnknownError
from retention.holds.place import Parts, account_target, hold_context
from retention.holds.tables import hold_segments, holds, object_holds
from retention.manifest import SegmentManifest
from retention.objects.locking import can_lock
from retention.segments import open_segment

PERSON_COLUMNS: Final = ("user_id", "counterparty_id")
"""Columns that name the person whom a record is about."""
_RELEASE: Final = b":release"
_GROUP: Final = 64
"""Segments in one write transaction."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold with its words opened. ``segments`` and ``rows``: what it keeps now, as far as examined.

    ``proof``: digest (the archive's hash, hex) of the document that allowed its release.
    """

    hold_id: str
    kind: str
    state: str
    matter: str
    reason: str
    target: dict[str, Any]
    placed_by: str
    placed_at: str
    released_by: str | None
    released_at: str | None
    release_reason: str | None
    proof: str | None
    segments: int
    rows: int
    waiting: int

    def as_json(self) -> dict[str, object]:
        """The hold for programs."""
        return {name: getattr(self, name) for name in self.__slots__}


def examine(parts: Parts, *, now: datetime | None = None, stop: Callable[[], bool] = lambda: False) -> int:
    """Look for the accounts under hold in every segment not examined yet; returns how many segments were read.

    Raises:
        IntegrityError, KeyAccessError, StorageError: a segment cannot be read; it stays held.
    """
    _note_targets(parts, now)
    accounts = _accounts(parts)
    wanted: dict[str, list[str]] = {}
    with parts.catalogue.read() as connection:
        for hold_id in accounts:
            for segment_id in unexamined(connection, hold_id):
                wanted.setdefault(segment_id, []).append(hold_id)
    names = list(wanted)
    done = 0
    for begin in range(0, len(names), _GROUP):
        if stop():
            break
        found = [
            {"hold_id": hold_id, "segment_id": segment_id, "rows": rows}
            for segment_id in names[begin : begin + _GROUP]
            for hold_id, rows in _count(parts, segment_id, {h: accounts[h] for h in wanted[segment_id]}).items()
        ]
        done += len(names[begin : begin + _GROUP])
        _enter(parts, found, now)
    return done


def _enter(parts: Parts, found: list[dict[str, Any]], now: datetime | None) -> None:
    s = hold_segments.c
    with parts.catalogue.write() as connection:
        known = connection.execute(
            sa.select(s.hold_id, s.segment_id).where(s.segment_id.in_({item["segment_id"] for item in found}))
        )
        there = {tuple(row) for row in known}
        fresh = [item for item in found if (item["hold_id"], item["segment_id"]) not in there]
        if not fresh:
            return
        connection.execute(hold_segments.insert(), fresh)
        counts: dict[str, list[int]] = {}
        for item in fresh:
            counts.setdefault(item["hold_id"], []).append(item["rows"])
        for hold_id, rows in sorted(counts.items()):
            events.append(
                connection,
                kind="hold.examined",
                actor="system:holds",
                subject=f"hold:{hold_id}",
                body={"segments": len(rows), "with_records": sum(1 for n in rows if n), "records": sum(rows)},
                at=now,
            )


def _note_targets(parts: Parts, now: datetime | None) -> None:
    """Of holds from before it was noted, whom or which ticket they mean: until then they keep every ticket's texts."""
    h = holds.c
    lacking = sa.select(holds).where(h.state == ACTIVE, h.kind.in_((ACCOUNT, TICKET)), h.target.is_(None))
    with parts.catalogue.read() as connection:
        rows = connection.execute(lacking).all()
    for row in rows:
        target = _words(parts, row)["target"]
        means = account_target(parts, target["account"]) if row.kind == ACCOUNT else target["ticket"]
        with parts.catalogue.write() as connection:
            connection.execute(holds.update().where(h.hold_id == row.hold_id).values(target=means))
            subject = f"hold:{row.hold_id}"
            events.append(connection, kind="hold.target_noted", actor="system:holds", subject=subject, body={}, at=now)


def _accounts(parts: Parts) -> dict[str, str]:
    with parts.catalogue.read() as connection:
        rows = connection.execute(sa.select(holds).where(holds.c.state == ACTIVE, holds.c.kind == ACCOUNT)).all()
    return {row.hold_id: _words(parts, row)["target"]["account"] for row in rows}


def _count(parts: Parts, segment_id: str, accounts: dict[str, str]) -> dict[str, int]:
    with parts.catalogue.read() as connection:
        data = connection.execute(
            sa.select(segments.c.manifest).where(segments.c.segment_id == segment_id)
        ).scalar_one_or_none()
    if data is None:
        return {}
    opened = open_segment(parts.archive, SegmentManifest.from_bytes(data)).parquet()
    table = opened.read(columns=list(PERSON_COLUMNS), use_threads=False)
    names = pa.array(sorted(set(accounts.values())), pa.string())
    hits = pa.concat_arrays([chunk for name in PERSON_COLUMNS for chunk in table.column(name).chunks])
    found = pc.value_counts(hits.filter(pc.is_in(hits, value_set=names))).to_pylist()
    counts = {item["values"]: item["counts"] for item in found}
    return {hold_id: counts.get(account, 0) for hold_id, account in accounts.items()}


def list_holds(parts: Parts, *, released: bool = False, matter: str | None = None) -> list[Hold]:
    """Active holds, with ``released`` all of them, oldest first; ``matter`` picks one case."""
    h = holds.c
    query = sa.select(holds).order_by(h.placed_at, h.hold_id)
    if not released:
        query = query.where(h.state == ACTIVE)
    if matter is not None:
        query = query.where(h.matter_blind == parts.bodies.blind(matter, "hold matter"))
    found = []
    with parts.catalogue.read() as connection:
        rows = connection.execute(query).all()
        kept: dict[str, list[str]] = {}
        for segment_id, hold_ids in held_segments(connection).items():
            for hold_id in hold_ids:
                kept.setdefault(hold_id, []).append(segment_id)
        sums = _sums(connection)
        for row in rows:
            waiting = len(unexamined(connection, row.hold_id)) if (row.kind, row.state) == (ACCOUNT, ACTIVE) else 0
            words = _words(parts, row)
            found.append(
                Hold(
                    hold_id=row.hold_id,
                    kind=row.kind,
                    state=row.state,
                    matter=words["matter"],
                    reason=words["reason"],
                    target=words["target"],
                    placed_by=row.placed_by,
                    placed_at=row.placed_at,
                    released_by=row.released_by,
                    released_at=row.released_at,
                    release_reason=_release_reason(parts, row),
                    proof=row.proof_digest,
                    segments=len(kept.get(row.hold_id, ())),
                    rows=sums.get(row.hold_id, 0),
                    waiting=waiting,
                )
            )
    return found


def _sums(connection: sa.Connection) -> dict[str, int]:
    s = hold_segments.c
    rows = connection.execute(sa.select(s.hold_id, sa.func.sum(s.rows)).group_by(s.hold_id))
    return {row[0]: int(row[1]) for row in rows}


def release(parts: Parts, hold_id: str, *, reason: str, proof: bytes, actor: str, now: datetime) -> str:
    """Release a hold with a reason and the document that allows it; returns the digest that the trail keeps of it.

    What it kept does not go by that: a purge is planned, approved and waited for as ever.

    Raises:
        HoldUnknownError, HoldStateError: there is no such hold, or it is released already.
        HoldReleaseError: the reason or the document is empty.
    """
    if not reason.strip() or not proof:
        raise HoldReleaseError(
            "A hold is not released without a reason and a document.", cure="Give --reason TEXT and --proof FILE."
        )
    digest = parts.archive.suite.hash(proof).hex()
    sealed = parts.bodies.seal(reason.encode("utf-8", "surrogatepass"), hold_context(hold_id) + _RELEASE)
    h = holds.c
    with parts.catalogue.write() as connection:
        state = connection.execute(sa.select(h.state).where(h.hold_id == hold_id)).scalar_one_or_none()
        if state is None:
            raise HoldUnknownError(f"There is no hold {hold_id[:40]!r}.", cure="`liucun hold list` shows them.")
        if state != ACTIVE:
            raise HoldStateError(f"The hold {hold_id} is released already.", cure="Nothing is to be done.")
        connection.execute(
            holds.update()
            .where(h.hold_id == hold_id)
            .values(
                state="released",
                released_by=actor,
                released_at=timestamp(now),
                release_sealed=sealed,
                proof_digest=digest,
            )
        )
        events.append(
            connection,
            kind="hold.released",
            actor=actor,
            subject=f"hold:{hold_id}",
            body={"proof": digest, "hash": parts.archive.suite.name},
            at=now,
        )
    return digest


def enforce(parts: Parts) -> tuple[int, int]:
    """Bring the object store's own legal holds in line with ours; returns how many were put on and taken off.

    Stores without object lock keep holds in the catalogue only.
    """
    objects = parts.objects
    if not can_lock(objects):
        return 0, 0
    examine(parts)
    g, o = segments.c, object_holds.c
    with parts.catalogue.read() as connection:
        held = held_segments(connection)
        names = {row[0]: row[1] for row in connection.execute(sa.select(g.segment_id, g.object_name))}
        locked = {row[0]: row[1] for row in connection.execute(sa.select(o.segment_id, o.object_name))}
    on = [segment_id for segment_id in sorted(held) if segment_id not in locked]
    off = [segment_id for segment_id in sorted(locked) if segment_id not in held]
    for segment_id in on:
        objects.hold(names[segment_id], True)
        with parts.catalogue.write() as connection:
            connection.execute(object_holds.insert().values(segment_id=segment_id, object_name=names[segment_id]))
    for segment_id in off:
        if objects.exists(locked[segment_id]):
            objects.hold(locked[segment_id], False)
        with parts.catalogue.write() as connection:
            connection.execute(object_holds.delete().where(o.segment_id == segment_id))
    return len(on), len(off)


def _words(parts: Parts, row: sa.Row[Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(parts.bodies.open(row.sealed, hold_context(row.hold_id)))
    return found


def _release_reason(parts: Parts, row: sa.Row[Any]) -> str | None:
    if row.release_sealed is None:
        return None
    return parts.bodies.open(row.release_sealed, hold_context(row.hold_id) + _RELEASE).decode("utf-8", "replace")
