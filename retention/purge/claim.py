"""The claim of a unit: the point of no return of its destruction, and one transaction.

The unit is judged once more. Its segments leave what can be read, its key is retired (no commit may name it any
more), and what must outlive it stands in its place under other keys. Before the claim a unit can be dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from errors import BusyError
from retention.catalogue import events
from retention.catalogue.commit import add_segments
from retention.catalogue.events import DESTROYED
from retention.catalogue.key_use import retire
from retention.catalogue.tables import retired_segments, segment_places, segments, timestamp
from retention.crypto.bodies import BESIDE
from retention.errors import KeyDestroyedError
from retention.manifest import SegmentManifest
from retention.policies.follow import follow
from retention.policies.judge import UnitState, Verdict, judge
from retention.policies.partly import PartState
from retention.policies.periods import shanghai_date, stored_date
from retention.policies.settings import RetentionSettings
from retention.policies.tables import units
from retention.purge.beside import claim_beside
from retention.purge.carry import Carried, carry, grounds_of
from retention.purge.plan import DROPPED, PLANNED, Parts
from retention.purge.tables import destroyed_places, purge_segments, purge_units, purges
from retention.rebuilding.restore import COMPACTED

CLAIMED: Final = "claimed"
_CHUNK: Final = 500


def claim(
    parts: Parts,
    purge_id: str,
    unit_id: int,
    *,
    actor: str,
    now: datetime,
    settings: RetentionSettings,
    step: Callable[[str], None],
) -> str:
    """Claim a planned unit, or drop it with the reason; returns its state.

    Raises:
        BusyError: what stays changed while it was sealed anew; nothing was changed, run it again.
    """
    with parts.catalogue.read() as connection:
        planned = _planned(connection, purge_id, unit_id)
    # Outside of any transaction: it may ask a device, and segments are written.
    fingerprint = _fingerprint(parts, planned.key_id)
    if planned.record_class in BESIDE:
        return _claim_beside(parts, purge_id, planned, fingerprint, actor, now, step)
    with parts.catalogue.read() as connection:
        day = stored_date(
            connection.execute(sa.select(purges.c.planned_at).where(purges.c.purge_id == purge_id)).scalar_one()
        )
        grounds = None
        if planned.kept_rows:
            number = _number(connection, planned.key_id)
            grounds = grounds_of(connection, number, day, settings, shanghai_date(now))
    carried = None if grounds is None else carry(parts, *grounds, now=now, step=step)
    step(f"enter {unit_id}")
    with parts.catalogue.write() as connection:
        planned = _planned(connection, purge_id, unit_id)
        if planned.state != PLANNED:
            return str(planned.state)
        number = _number(connection, planned.key_id)
        state: UnitState | None
        if planned.kept_rows:
            again = grounds_of(connection, number, day, settings, shanghai_date(now))
            state = None if again is None else again[0].state
            why_not = _why_no_part(carried, again, planned)
        else:
            judged = judge(connection, shanghai_date(now), settings=settings, only=number)
            state = judged[0] if judged else None
            why_not = _why_not(state, planned.rows)
        if why_not is not None or state is None:
            _drop(connection, purge_id, planned, why_not or "it is not in the archive any more", actor, now)
            return DROPPED
        _take_out(connection, purge_id, unit_id, state, carried, now)
        _record(connection, purge_id, unit_id, state, carried, fingerprint, actor, now)
    if carried is not None:
        # The index knows the new segments before the next unit is judged.
        follow(parts, ending_words=settings.ending_words, delisting_words=settings.delisting_words)
    return CLAIMED


def _claim_beside(
    parts: Parts,
    purge_id: str,
    planned: Any,
    fingerprint: str | None,
    actor: str,
    now: datetime,
    step: Callable[[str], None],
) -> str:
    step(f"enter {planned.unit_id}")
    why = claim_beside(parts, purge_id, planned.unit_id, actor=actor, now=now, fingerprint=fingerprint)
    with parts.catalogue.write() as connection:
        found = _planned(connection, purge_id, planned.unit_id)
        if found.state == PLANNED and why is not None:
            _drop(connection, purge_id, found, why, actor, now)
            return DROPPED
    return str(found.state)


def key_of(connection: sa.Connection, purge_id: str, unit_id: int) -> str:
    """The key of a purge's unit. Units are known by it: their numbers change when the index is rebuilt."""
    return str(_planned(connection, purge_id, unit_id).key_id)


def class_of(connection: sa.Connection, purge_id: str, unit_id: int) -> str:
    """The record class of a purge's unit."""
    return str(_planned(connection, purge_id, unit_id).record_class)


def set_unit(connection: sa.Connection, purge_id: str, unit_id: int, **values: object) -> None:
    """Change a purge's unit; the caller appends the event that says so."""
    c = purge_units.c
    connection.execute(purge_units.update().where(c.purge_id == purge_id, c.unit_id == unit_id).values(**values))


def _planned(connection: sa.Connection, purge_id: str, unit_id: int) -> Any:
    c = purge_units.c
    return connection.execute(sa.select(purge_units).where(c.purge_id == purge_id, c.unit_id == unit_id)).one()


def _number(connection: sa.Connection, key_id: str) -> int:
    found = connection.execute(sa.select(units.c.unit_id).where(units.c.key_id == key_id)).scalar_one_or_none()
    return -1 if found is None else int(found)


def _fingerprint(parts: Parts, key_id: str) -> str | None:
    """A digest by which a key can be named on a certificate; it tells nothing about the key."""
    suite = parts.archive.suite
    try:
        key = parts.period_keys.get(key_id).key
    except KeyDestroyedError:
        # Somebody shredded it by hand; what it sealed is gone, the rest follows here, on record.
        return None
    return suite.hkdf_expand(key, b"liucun/key-fingerprint/v1\x00" + key_id.encode(), 16).hex()


def _why_not(state: UnitState | None, planned_rows: int) -> str | None:
    if state is None:
        return "it is not in the archive any more"
    if state.verdict is not Verdict.DUE:
        return "; ".join(f"{reason.code}: {reason.detail}" for reason in state.reasons)
    if state.rows != planned_rows:
        return f"it holds {state.rows} records, {planned_rows} were planned"
    return None


def _why_no_part(
    carried: Carried | None, again: tuple[PartState, dict[bytes, str | None]] | None, planned: Any
) -> str | None:
    if carried is None or again is None:
        return "no part of it may go any more, or all of it may: plan again"
    if again[0].state.rows != planned.rows:
        return f"it holds {again[0].state.rows} records, {planned.rows} were planned"
    if again != carried.grounds:
        raise BusyError(
            f"What stays of {planned.key_id} changed while it was sealed anew.",
            cure="Nothing was changed; run it again.",
        )
    if planned.rows - carried.rows > planned.rows - planned.kept_rows:
        return f"{planned.rows - carried.rows} records would go, {planned.rows - planned.kept_rows} were planned"
    if sum(sum(places.values()) for places in carried.taken.values()) != carried.rows:
        raise BusyError(
            "Rows were lost while they were sealed anew.", cure="This is a fault of the program: report it."
        )
    if carried.rows >= planned.rows:
        return "no record of it may go any more"
    if any(manifest.key_id == planned.key_id for manifest in carried.manifests):
        raise BusyError(
            "What stays was sealed under the key that goes.", cure="This is a fault of the program: report it."
        )
    return None


def _drop(connection: sa.Connection, purge_id: str, planned: Any, why: str, actor: str, now: datetime) -> None:
    set_unit(connection, purge_id, planned.unit_id, state=DROPPED, why_not=why)
    body = {"key": planned.key_id, "why": why}
    events.append(connection, kind="purge.unit_dropped", actor=actor, subject=f"purge:{purge_id}", body=body, at=now)


def _take_out(
    connection: sa.Connection, purge_id: str, unit_id: int, state: UnitState, carried: Carried | None, now: datetime
) -> None:
    """Move the segments from what can be read to what is gone; of each place only the rows that went."""
    g, p = segments.c, segment_places.c
    taken = {} if carried is None else carried.taken
    for begin in range(0, len(state.segments), _CHUNK):
        names = state.segments[begin : begin + _CHUNK]
        rows = connection.execute(sa.select(segments).where(g.segment_id.in_(names))).mappings().all()
        places = connection.execute(sa.select(segment_places).where(p.segment_id.in_(names))).mappings().all()
        connection.execute(retired_segments.insert(), [_retired(row, now) for row in rows])
        connection.execute(
            purge_segments.insert(),
            [
                {
                    "purge_id": purge_id,
                    "segment_id": row["segment_id"],
                    "unit_id": unit_id,
                    "object_name": row["object_name"],
                    "rows": row["rows"] - sum(taken.get(row["segment_id"], {}).values()),
                    "bytes_stored": row["bytes_stored"],
                    "key_id": state.key_id,
                    "ciphertext_digest": SegmentManifest.from_bytes(row["manifest"]).ciphertext_digest,
                }
                for row in rows
            ],
        )
        gone = [{**place, "key_id": state.key_id, "rows": place["rows"] - _taken(taken, place)} for place in places]
        if any(place["rows"] for place in gone):
            connection.execute(destroyed_places.insert(), [place for place in gone if place["rows"]])
        connection.execute(segment_places.delete().where(p.segment_id.in_(names)))
        connection.execute(segments.delete().where(g.segment_id.in_(names)))


def _taken(taken: dict[str, dict[tuple[str, str, int, int], int]], place: Any) -> int:
    mine = taken.get(place["segment_id"], {})
    return mine.get((place["source"], place["partition"], place["start"], place["end"]), 0)


def _retired(row: Any, now: datetime) -> dict[str, Any]:
    names = ("segment_id", "object_name", "record_class", "period", "rows", "bytes_stored", "manifest", "committed_at")
    return {**{name: row[name] for name in names}, "state": "destroyed", "retired_at": timestamp(now)}


def _record(
    connection: sa.Connection,
    purge_id: str,
    unit_id: int,
    state: UnitState,
    carried: Carried | None,
    fingerprint: str | None,
    actor: str,
    now: datetime,
) -> None:
    new: Sequence[SegmentManifest] = () if carried is None else carried.manifests
    add_segments(connection, tuple(new), timestamp(now))
    for manifest in new:
        body = {
            "class": manifest.record_class,
            "period": manifest.period,
            "rows": manifest.rows,
            "replaces": list(manifest.replaces),
            "purge": purge_id,
            "commitment": "kept" if manifest.rows_digest is None else "new",
        }
        subject = f"segment:{manifest.segment_id}"
        events.append(connection, kind=COMPACTED, actor=actor, subject=subject, body=body, at=now)
    sealed = [(f"segment:{name}", {"purge": purge_id, "key": state.key_id}) for name in state.segments]
    events.append_many(connection, sealed, kind=DESTROYED, actor=actor, at=now)
    retire(connection, state.key_id, purge_id)
    set_unit(connection, purge_id, unit_id, state=CLAIMED, key_fingerprint=fingerprint)
    kept = sum(manifest.rows for manifest in new)
    claimed: dict[str, object] = {
        "key": state.key_id,
        "fingerprint": fingerprint,
        "segments": len(state.segments),
        "records": state.rows - kept,
        "carried": {"records": kept, "segments": [manifest.segment_id for manifest in new]},
    }
    for subject in (f"shredding:{state.key_id}", f"purge:{purge_id}"):
        events.append(connection, kind="purge.unit_claimed", actor=actor, subject=subject, body=claimed, at=now)
