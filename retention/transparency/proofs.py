"""Proofs that whoever asks takes away and checks without the store: of one entry, of a continued log, of all of it.

Each is one JSON document (docs/archive-format.md, section 12). An entry's says that a segment or an event stands in the
log that the archive signed; a consistency proof that today's log begins with the one of an older checkpoint; a
completeness proof names every entry and shows every manifest, so that no segment can be left out of an account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
import sqlalchemy as sa

from errors import IntegrityError, UsageError
from retention.catalogue.events import DESTROYED, EVENT, SEGMENT
from retention.catalogue.manifests import read_manifests
from retention.catalogue.tables import checkpoints, events
from retention.transparency import merkle
from retention.transparency.entries import Entry
from retention.transparency.keeping import LogKeeper
from retention.transparency.log import State, nodes_of, prove_inclusion, state_of
from retention.transparency.note import Checkpoint
from retention.transparency.verify import entries_now, event_bytes

FORMAT: Final = "liucun-proof/1"
ENTRY: Final = "entry"
CONSISTENCY: Final = "consistency"
COMPLETENESS: Final = "completeness"

Proof = dict[str, Any]


def proof_bytes(proof: Mapping[str, Any]) -> bytes:
    """A proof as a file."""
    return orjson.dumps(proof, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def prove_entry(log: LogKeeper, kind: str, ref: str) -> Proof:
    """That a segment (``segment``, its id) or an event (``event``, its number) stands in the log, with its content.

    Raises:
        UsageError: the log has not numbered it.
        IntegrityError: the catalogue has it no longer, or not as it was.
    """
    inclusion = prove_inclusion(log.catalogue, log.suite, kind, ref)
    with log.catalogue.read() as connection:
        entry = _entry(connection, kind, ref)
    leaf = merkle.leaf_hash(log.suite.hash, entry.data(log.suite))
    root = Checkpoint.read(inclusion.note.rpartition("\n\n")[0] + "\n").root
    merkle.verify_inclusion(
        log.suite.hash,
        leaf=leaf,
        index=inclusion.index,
        size=inclusion.size,
        proof=inclusion.path,
        expected_root=root,
    )
    return {
        **_common(log, ENTRY, inclusion.note),
        "entry": _shown(entry),
        "index": inclusion.index,
        "path": [node.hex() for node in inclusion.path],
    }


def prove_consistency(log: LogKeeper, old: str | int) -> Proof:
    """That the log begins with the one of an older checkpoint.

    Args:
        old: the signed checkpoint, as an inspector or the custodian kept it, or the size of one that the archive has.

    Raises:
        UsageError: the archive has no checkpoint of that size, or has itself not come so far.
        ProofError: it does not begin so: the log was forked or rolled back.
    """
    with log.catalogue.read() as connection:
        state, note = _signed(connection)
        note_of_old = old if isinstance(old, str) else _note_of(connection, old)
        before = Checkpoint.read(note_of_old.rpartition("\n\n")[0] + "\n")
        now = Checkpoint.read(note.rpartition("\n\n")[0] + "\n")
        path = (
            merkle.consistency_proof(log.suite.hash, nodes_of(connection), before.size, state.size)
            if 0 < before.size <= state.size
            else []
        )
    merkle.verify_consistency(
        log.suite.hash, old=before.size, old_root=before.root, new=now.size, new_root=now.root, proof=path
    )
    return {**_common(log, CONSISTENCY, note), "old_note": note_of_old, "path": [node.hex() for node in path]}


def prove_completeness(log: LogKeeper) -> Proof:
    """Every entry of the log, every manifest, and every event by which a segment was destroyed.

    Raises:
        UsageError: the log has not begun.
        IntegrityError: the catalogue has an entry no longer, or not as it was.
    """
    with log.catalogue.read() as connection:
        state, note = _signed(connection)
        entries: list[list[str]] = []
        for index, kind, ref, stored, data in entries_now(connection):
            if index >= state.size:
                break
            made = None if data is None else data(log.suite)
            if index != len(entries) or made is None or merkle.leaf_hash(log.suite.hash, made) != stored:
                raise IntegrityError(
                    f"The log's entry {len(entries)} is not in the catalogue as it was logged ({kind} {ref}).",
                    cure="Run `liucun audit integrity`, and restore the catalogue or rebuild it from the objects.",
                )
            entries.append([kind, ref, orjson.loads(made)["digest"]])
        manifests = read_manifests(connection, [ref for kind, ref, _ in entries if kind == SEGMENT])
        logged = {ref for kind, ref, _ in entries if kind == EVENT}
        rows = connection.execute(sa.select(events).where(events.c.kind == DESTROYED).order_by(events.c.id)).all()
        destroyed = [_event(row) for row in rows if str(row.id) in logged]
    return {
        **_common(log, COMPLETENESS, note),
        "entries": entries,
        "manifests": [manifests[ref].decode() for kind, ref, _ in entries if kind == SEGMENT],
        "destroyed": [_shown(entry) for entry in destroyed],
    }


def _common(log: LogKeeper, kind: str, note: str) -> Proof:
    return {
        "format": FORMAT,
        "proof": kind,
        "hash": log.suite.hash_name,
        "keys": [verifier.encode() for verifier in log.verifiers],
        "note": note,
    }


def _signed(connection: sa.Connection) -> tuple[State, str]:
    state = state_of(connection)
    if state.note is None:
        raise UsageError("The log has not begun.", cure="Take records in first.")
    return state, state.note


def _note_of(connection: sa.Connection, size: int) -> str:
    note = connection.execute(sa.select(checkpoints.c.note).where(checkpoints.c.size == size)).scalar_one_or_none()
    if note is None:
        raise UsageError(
            f"The archive has no checkpoint of {size} entries.",
            cure="Give the file of a checkpoint that you or the custodian kept.",
        )
    return str(note)


def _entry(connection: sa.Connection, kind: str, ref: str) -> Entry:
    if kind == SEGMENT:
        found = read_manifests(connection, [ref]).get(ref)
        if found is not None:
            return Entry(SEGMENT, ref, found)
    else:
        row = connection.execute(sa.select(events).where(events.c.id == int(ref))).one_or_none()
        if row is not None:
            return _event(row)
    raise IntegrityError(
        f"The log has the {kind} {ref!r}, the catalogue no longer.", cure="Run `liucun audit integrity`."
    )


def _event(row: sa.Row[Any]) -> Entry:
    return Entry(EVENT, str(row.id), event_bytes(row), bytes(row.salt or b""))


def _shown(entry: Entry) -> dict[str, str]:
    return {"type": entry.type, "id": entry.ref, "content": entry.content.decode(), "salt": entry.salt.hex()}
