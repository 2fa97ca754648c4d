"""The transparency log as the catalogue holds it: its state, its nodes, its proofs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from errors import IntegrityError, UsageError
from retention.catalogue.engine import Catalogue
from retention.catalogue.sets import among
from retention.catalogue.tables import checkpoints, log_leaves, log_nodes
from retention.crypto.suites import Suite
from retention.transparency import merkle
from retention.transparency.note import Checkpoint

_LOOK_UP: Final = 300


@dataclass(frozen=True, slots=True)
class State:
    """How far the log has come: its size, the hashes of ``merkle.subtrees(0, size)``, its newest signed state."""

    size: int
    frontier: list[bytes]
    checkpoint: Checkpoint | None
    note: str | None


def state_of(connection: sa.Connection) -> State:
    """The log's present state."""
    c = checkpoints.c
    row = connection.execute(sa.select(c.size, c.note).order_by(c.size.desc()).limit(1)).one_or_none()
    if row is None:
        return State(0, [], None, None)
    nodes = nodes_of(connection)
    text = row.note.rpartition("\n\n")[0] + "\n"
    return State(row.size, list(nodes(merkle.subtrees(0, row.size))), Checkpoint.read(text), row.note)


def nodes_of(connection: sa.Connection) -> merkle.Nodes:
    """Looks complete subtrees up in the catalogue."""

    def look_up(wanted: Sequence[merkle.NodeId]) -> list[bytes]:
        leaves = [index for level, index in wanted if level == 0]
        found: dict[merkle.NodeId, bytes] = {}
        for begin in range(0, len(leaves), _LOOK_UP):
            part = leaves[begin : begin + _LOOK_UP]
            rows = sa.select(log_leaves.c.index, log_leaves.c.hash).where(log_leaves.c.index.in_(part))
            found.update({(0, row[0]): bytes(row[1]) for row in connection.execute(rows)})
        n = log_nodes.c
        for level in sorted({level for level, _ in wanted if level}):
            indexes = [index for other, index in wanted if other == level]
            for begin in range(0, len(indexes), _LOOK_UP):
                part = indexes[begin : begin + _LOOK_UP]
                above = sa.select(n.index, n.hash).where(n.level == level, n.index.in_(part))
                found.update({(level, row[0]): bytes(row[1]) for row in connection.execute(above)})
        lacking = [node for node in wanted if node not in found]
        if lacking:
            raise IntegrityError(
                f"The transparency log lacks {len(lacking)} of its nodes, the first at level {lacking[0][0]}.",
                cure="Run `liucun audit integrity`, and restore the catalogue or rebuild it from the objects.",
            )
        return [found[node] for node in wanted]

    return look_up


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That an entry stands at ``index`` of the log that ``note`` signs; ``path`` are sibling hashes, leaf upwards."""

    index: int
    size: int
    path: tuple[bytes, ...]
    note: str


def prove_inclusion(catalogue: Catalogue, suite: Suite, kind: str, ref: str) -> InclusionProof:
    """The proof for a segment (``segment``, its id) or an event (``event``, its number) under the newest checkpoint.

    Raises:
        UsageError: the log has not numbered it.
        IntegrityError: the log lacks some of its nodes.
    """
    found = prove_inclusions(catalogue, suite, kind, [ref])
    if ref not in found:
        raise unnumbered(kind, ref)
    return found[ref]


def prove_inclusions(catalogue: Catalogue, suite: Suite, kind: str, refs: Sequence[str]) -> dict[str, InclusionProof]:
    """Proofs of several entries under one checkpoint, the newest; those that it does not number yet are left out.

    Raises:
        IntegrityError: the log lacks some of its nodes.
    """
    with catalogue.read() as connection:
        state = state_of(connection)
        if state.note is None:
            return {}
        chosen = sa.select(log_leaves.c.ref, log_leaves.c.index).where(
            log_leaves.c.type == kind, log_leaves.c.index < state.size, among(connection, log_leaves.c.ref, refs)
        )
        leaves: dict[str, int] = {ref: int(index) for ref, index in connection.execute(chosen)}
        # What all the paths need is read at once.
        wanted: dict[merkle.NodeId, None] = {}

        def ask(ids: Sequence[merkle.NodeId]) -> list[bytes]:
            wanted.update(dict.fromkeys(ids))
            return [b""] * len(ids)

        for leaf in leaves.values():
            merkle.inclusion_proof(suite.hash, ask, leaf, state.size)
        nodes = dict(zip(wanted, nodes_of(connection)(list(wanted)), strict=True))

    def look_up(ids: Sequence[merkle.NodeId]) -> list[bytes]:
        return [nodes[node] for node in ids]

    return {
        ref: InclusionProof(
            leaf, state.size, tuple(merkle.inclusion_proof(suite.hash, look_up, leaf, state.size)), state.note
        )
        for ref, leaf in leaves.items()
    }


def unnumbered(kind: str, ref: str) -> UsageError:
    """Says that the log does not number an entry."""
    return UsageError(
        f"The log has no {kind} {ref!r}.", cure="It is numbered within a second of its commit: try again."
    )
