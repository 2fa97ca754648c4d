"""The sequencer: numbers what was committed, integrates it into the Merkle tree, signs the new state.

Order of steps, so that a crash between any two leaves a log that goes on: the entries are stored as an object;
one transaction numbers them (compare-and-swap on the log's size, so two sequencers cannot both win); the signed
checkpoint is stored as an object; the custodian gets it. No crypto and no file I/O happens inside the transaction.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import orjson
import sqlalchemy as sa

from retention.catalogue import images
from retention.catalogue.engine import Catalogue, serialise
from retention.catalogue.events import SEGMENT
from retention.catalogue.manifests import read_manifests
from retention.catalogue.naming import take_names
from retention.catalogue.tables import (
    checkpoints,
    events,
    image_shapes,
    log_entries,
    log_leaves,
    log_nodes,
    log_pending,
    timestamp,
)
from retention.crypto.suites import Suite
from retention.errors import ObjectMissingError
from retention.keys.periods import PeriodKeys
from retention.objects.base import ObjectStore
from retention.transparency import merkle
from retention.transparency.entries import SALT_BYTES, Entry, event_content, object_name, seal_entries
from retention.transparency.log import State, state_of
from retention.transparency.note import Checkpoint, Signer, sign_note

CHECKPOINT_PREFIX: Final = "log/checkpoints/"
_LOOK_UP: Final = 500


class Parts(Protocol):
    """What the sequencer needs of an open store."""

    @property
    def catalogue(self) -> Catalogue:
        """Where committed things wait, and where the log lies."""
        ...

    @property
    def objects(self) -> ObjectStore:
        """Where entries and checkpoints are kept."""
        ...

    @property
    def period_keys(self) -> PeriodKeys:
        """Seals the entries."""
        ...

    @property
    def suite(self) -> Suite:
        """The log's hash, and the cipher of its objects."""
        ...

    @property
    def signers(self) -> Sequence[Signer]:
        """Who signs checkpoints."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    pending: list[int]
    entries: list[Entry]
    shapes: dict[str, str]
    events: list[dict[str, Any]]


def sequence(parts: Parts) -> Checkpoint | None:
    """Number everything that waits now, and return the newest checkpoint; None when the log is empty.

    A step that another sequencer was quicker at is done over from the log's new state. What is committed
    meanwhile is for the next call: writers without a pause must not keep this one going for ever.
    """
    done = False
    while not done:
        with parts.catalogue.read() as connection:
            state = state_of(connection)
            waiting = _gather(parts.suite, connection)
        done = not waiting.entries or _step(parts, state, waiting)
    _store_checkpoints(parts)
    with parts.catalogue.read() as connection:
        return state_of(connection).checkpoint


def unsequenced(connection: sa.Connection) -> int:
    """How many committed segments and events wait for their number."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(log_pending)).scalar_one())


def _step(parts: Parts, state: State, waiting: _Waiting) -> bool:
    hash_, now, signers = parts.suite.hash, datetime.now(UTC), parts.signers
    origin = signers[0].verifier.name
    leaves = [merkle.leaf_hash(hash_, entry.data(parts.suite)) for entry in waiting.entries]
    made = merkle.extend(hash_, state.size, state.frontier, leaves)
    size = state.size + len(leaves)
    known = dict(zip(merkle.subtrees(0, state.size), state.frontier, strict=True)) | made
    root = merkle.root(hash_, [known[node] for node in merkle.subtrees(0, size)])
    checkpoint = Checkpoint(origin, size, root, (f"hash {parts.suite.hash_name}", f"time {timestamp(now)}"))
    note = sign_note(checkpoint.text(), *signers)
    name = object_name(state.size, size)
    sealed = seal_entries(parts.suite, parts.period_keys, origin, state.size, waiting.entries, month=f"{now:%Y-%m}")
    parts.objects.put(name, sealed)
    # READ COMMITTED on PostgreSQL: what is read after the wait must be what another sequencer left.
    with parts.catalogue.write(row_locks=True) as connection:
        if _size_locked(connection) != state.size:
            won = False
        else:
            won = True
            take_names(connection, [name])
            _enter(connection, state.size, waiting, leaves, made)
            connection.execute(log_entries.insert().values(start=state.size, end=size, object_name=name))
            connection.execute(
                checkpoints.insert().values(size=size, root=root, note=note, at=timestamp(now), object_name=None)
            )
    if not won:
        # Another sequencer numbered them: our object holds nothing that theirs does not.
        try:
            parts.objects.delete(name)
        except ObjectMissingError:
            return False
    return won


def _size_locked(connection: sa.Connection) -> int:
    serialise(connection, "log")
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(checkpoints.c.size), 0))).scalar_one())


def _enter(
    connection: sa.Connection,
    start: int,
    waiting: _Waiting,
    leaves: Sequence[bytes],
    made: dict[merkle.NodeId, bytes],
) -> None:
    connection.execute(
        log_leaves.insert(),
        [
            {"index": start + n, "type": entry.type, "ref": entry.ref, "hash": leaf}
            for n, (entry, leaf) in enumerate(zip(waiting.entries, leaves, strict=True))
        ],
    )
    nodes = [{"level": level, "index": index, "hash": value} for (level, index), value in made.items() if level]
    if nodes:
        connection.execute(log_nodes.insert(), nodes)
    known = set(connection.execute(sa.select(image_shapes.c.shape)).scalars()) if waiting.shapes else set()
    fresh = [{"shape": s, "columns": c} for s, c in waiting.shapes.items() if s not in known]
    if fresh:
        connection.execute(image_shapes.insert(), fresh)
    if waiting.events:
        connection.execute(
            events.update()
            .where(events.c.id == sa.bindparam("b_id"))
            .values(salt=sa.bindparam("b_salt"), images=sa.bindparam("b_images"), payload=None),
            waiting.events,
        )
    connection.execute(
        log_pending.delete().where(log_pending.c.id == sa.bindparam("b_id")), [{"b_id": n} for n in waiting.pending]
    )


def _gather(suite: Suite, connection: sa.Connection) -> _Waiting:
    """All that waits, oldest first, made into entries.

    All of it: a transaction's segments and its event must stand in one object, or a catalogue rebuilt from the
    objects of a log that was cut off in between would know the one without the other.
    """
    p = log_pending.c
    rows = connection.execute(sa.select(p.id, p.type, p.ref).order_by(p.id)).all()
    manifests = read_manifests(connection, [row.ref for row in rows if row.type == SEGMENT])
    found = _events(connection, [int(row.ref) for row in rows if row.type != SEGMENT])
    entries: list[Entry] = []
    shapes: dict[str, str] = {}
    changed: list[dict[str, Any]] = []
    for row in rows:
        if row.type == SEGMENT:
            entries.append(Entry(SEGMENT, row.ref, manifests[row.ref]))
            continue
        event = found[int(row.ref)]
        salt = secrets.token_bytes(SALT_BYTES)
        digests = _digests(suite, salt, event.payload, shapes)
        content = event_content(
            number=event.id,
            at=event.at,
            kind=event.kind,
            actor=event.actor,
            subject=event.subject,
            body=event.body,
            images=digests,
        )
        entries.append(Entry(row.type, row.ref, content, salt, event.payload))
        stored = None if digests is None else json.dumps(digests, separators=(",", ":"))
        changed.append({"b_id": event.id, "b_salt": salt, "b_images": stored})
    return _Waiting([row.id for row in rows], entries, shapes, changed)


def _digests(suite: Suite, salt: bytes, payload: bytes | None, shapes: dict[str, str]) -> list[list[str]] | None:
    if payload is None:
        return None
    digests = []
    for image in orjson.loads(payload):
        shape = shape_of(image["columns"])
        shapes[shape] = json.dumps(image["columns"])
        digests.append([image["table"], shape, suite.hash(salt, images.canonical(image["rows"])).hex()])
    return digests


def shape_of(columns: Sequence[str]) -> str:
    """Short name of a list of columns."""
    return hashlib.sha256(json.dumps(list(columns)).encode()).hexdigest()[:16]


def _events(connection: sa.Connection, numbers: Sequence[int]) -> dict[int, sa.Row[Any]]:
    e = events.c
    found: dict[int, sa.Row[Any]] = {}
    for begin in range(0, len(numbers), _LOOK_UP):
        part = numbers[begin : begin + _LOOK_UP]
        columns = (e.id, e.at, e.kind, e.actor, e.subject, e.body, e.payload)
        found.update({row.id: row for row in connection.execute(sa.select(*columns).where(e.id.in_(part)))})
    return found


def _store_checkpoints(parts: Parts) -> None:
    """Keep the newest checkpoint as an object; those that a crash left without one are covered by it."""
    c = checkpoints.c
    with parts.catalogue.read() as connection:
        row = connection.execute(
            sa.select(c.size, c.note, c.object_name).order_by(c.size.desc()).limit(1)
        ).one_or_none()
    if row is None or row.object_name is not None:
        return
    name = f"{CHECKPOINT_PREFIX}{row.size:012d}-{secrets.token_hex(8)}"
    parts.objects.put(name, row.note.encode("utf-8"))
    with parts.catalogue.write(row_locks=True) as connection:
        take_names(connection, [name])
        connection.execute(
            checkpoints.update().where(c.size == row.size, c.object_name.is_(None)).values(object_name=name)
        )
