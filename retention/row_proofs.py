"""Row proofs 逐行证明: single rows of a segment, and single fields of a row, proved offline by the segment's manifest.

A segment with row proofs has a Merkle root over its rows in its manifest, and the manifest lies in the log. A row's
leaf commits to each of its fields by a salted hash of its own: who is shown a row learns the fields that they may
see, and nothing of the others but their names. The salts come from the segment's key and go with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
import pyarrow as pa

from errors import IntegrityError
from retention.crypto.suites import Suite
from retention.schema import RecordClass
from retention.transparency import merkle

PROVED: Final = frozenset({RecordClass.EVIDENCE.value})
"""Classes whose segments carry row proofs."""


@dataclass(frozen=True, slots=True)
class RowProof:
    """That a row stands in a segment.

    ``shown`` has of each field that is shown its value as bytes (see ``field_bytes``) and its salt, ``hidden`` of each
    other field the row has its hash. ``path`` are sibling hashes, leaf upwards, in a tree of ``rows`` leaves.
    """

    row: int
    rows: int
    shown: Mapping[str, tuple[bytes, bytes]]
    hidden: Mapping[str, bytes]
    path: tuple[bytes, ...]


def field_bytes(column: pa.ChunkedArray | pa.Array) -> list[bytes | None]:
    """The one spelling of a column's values that hashes are taken over; None where there is no value.

    Text as UTF-8, whole numbers in decimal, decimals with their six places, times as microseconds since 1970, bytes
    as they are, maps as a JSON list of pairs without white space.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return field_bytes(column.cast(kind.value_type))
    if pa.types.is_binary(kind):
        return list(column.to_pylist())
    if pa.types.is_map(kind):
        pairs = column.to_pylist()
        return [None if value is None else orjson.dumps([list(pair) for pair in value]) for value in pairs]
    plain = column.cast(pa.int64()) if pa.types.is_timestamp(kind) else column
    values: list[bytes | None] = plain.cast(pa.string()).cast(pa.binary()).to_pylist()
    return values


def rows_root(suite: Suite, row_key: bytes, table: pa.Table) -> bytes:
    """The root over all rows of a segment, in the order in which they stand in it."""
    leaves = _leaves(suite, _hashes(suite, row_key, table))
    return merkle.roots_at(suite.hash, leaves, [table.num_rows])[table.num_rows]


def prove_rows(
    suite: Suite, row_key: bytes, table: pa.Table, rows: Sequence[int], fields: Iterable[str]
) -> list[RowProof]:
    """Proofs for some rows of a segment (``table``: all of it, in its order) that show ``fields`` and hide the rest."""
    hashed = _hashes(suite, row_key, table)
    leaves = _leaves(suite, hashed)
    nodes = merkle.extend(suite.hash, 0, [], leaves)
    wanted = set(fields)
    salt = suite.hmac_under(row_key)
    values = {name: field_bytes(table.column(name).take(pa.array(rows, pa.int64()))) for name in sorted(wanted)}

    def look_up(ids: Sequence[merkle.NodeId]) -> list[bytes]:
        return [nodes[node] for node in ids]

    proofs = []
    for position, row in enumerate(rows):
        present = hashed[row]
        shown = {}
        for name in sorted(wanted & present.keys()):
            value = values[name][position]
            assert value is not None
            shown[name] = (value, salt(_salted(row, name)))
        hidden = {name: digest for name, digest in present.items() if name not in shown}
        path = merkle.inclusion_proof(suite.hash, look_up, row, len(leaves))
        proofs.append(RowProof(row, len(leaves), shown, hidden, tuple(path)))
    return proofs


def verify_row(suite: Suite, proof: RowProof, root: bytes) -> None:
    """Check that a row with the shown fields stands in the segment whose manifest has this root over its rows.

    Raises:
        IntegrityError: it does not, or a field is shown and hidden at once.
    """
    if proof.shown.keys() & proof.hidden.keys():
        raise IntegrityError("A row's proof shows and hides the same field.", cure="Ask for the proof again.")
    shown = {name: _field(suite, salt, value) for name, (value, salt) in proof.shown.items()}
    leaf = merkle.leaf_hash(suite.hash, _entry({**shown, **proof.hidden}))
    merkle.verify_inclusion(
        suite.hash, leaf=leaf, index=proof.row, size=proof.rows, proof=list(proof.path), expected_root=root
    )


def _hashes(suite: Suite, row_key: bytes, table: pa.Table) -> list[dict[str, bytes]]:
    """Of each row the salted hashes of the fields that it has."""
    found: list[dict[str, bytes]] = [{} for _ in range(table.num_rows)]
    for name in table.schema.names:
        column = table.column(name)
        if column.null_count == table.num_rows:
            continue
        values = field_bytes(column)
        there = [row for row, value in enumerate(values) if value is not None]
        salts = suite.hmac_each(row_key, [_salted(row, name) for row in there])
        # As _field, of all of them at once.
        present = (value for value in values if value is not None)
        salted = [salt + value for salt, value in zip(salts, present, strict=True)]
        for row, digest in zip(there, suite.hash_each(salted), strict=True):
            found[row][name] = digest
    return found


def _leaves(suite: Suite, rows: Sequence[Mapping[str, bytes]]) -> list[bytes]:
    return suite.hash_each([merkle.LEAF_PREFIX + _entry(row) for row in rows])


def _salted(row: int, name: str) -> bytes:
    """What a field's salt is the keyed hash of."""
    return row.to_bytes(8) + name.encode("ascii")


def _field(suite: Suite, salt: bytes, value: bytes) -> bytes:
    return suite.hash(salt, value)


def _entry(fields: Mapping[str, bytes]) -> bytes:
    return orjson.dumps({name: digest.hex() for name, digest in fields.items()}, option=orjson.OPT_SORT_KEYS)
