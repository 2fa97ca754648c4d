"""Row commitments 行承诺: one digest over a segment's rows as such, whatever file and order they later stand in.

The digest of a Parquet file says nothing any more once its rows have been merged into another one. This one is over
the rows in the order of their places and in a spelling of their own, so that it can be made again from any segment
that holds all of them. Its salt comes from the segment's key; a merged segment keeps it, sealed, with the rows.
``docs/archive-format.md`` (section 5b) specifies every byte.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from retention.crypto.suites import Suite

SALT_BYTES: Final = 32
SALTS_NAME: Final = b"liucun.rows"
"""Name, in the Parquet footer, of the salts of the digests that a merged segment's rows are under."""
PLACE: Final = ("log_source", "log_partition", "log_offset")

_LABEL: Final = b"liucun/rows/v1\x00"
_ABSENT: Final = 0xFFFFFFFF
"""Length of a value that is null."""
_TEXT, _NUMBER, _DECIMAL, _MAP = b"\x01", b"\x02", b"\x03", b"\x04"

Column = Callable[[str], pa.ChunkedArray]
"""Gives a column of the rows by its name."""
Feed = Callable[[Any], None]


def salt_of(suite: Suite, row_key: bytes) -> bytes:
    """The salt of a segment's own digest, from the key of its rows' salts."""
    return suite.hkdf_expand(row_key, b"liucun/rows-digest/v1", SALT_BYTES)


def salted(suite: Suite, salt: bytes, digest: bytes) -> str:
    """What stands in a manifest, in hex: a digest of rows under its salt, by which nobody can test guesses."""
    return suite.hash(salt, digest).hex()


def rows_digest(table: pa.Table) -> bytes:
    """The digest over all rows of a table."""
    return rows_digests(table.column_names, table.column, np.zeros(table.num_rows, np.int64), 1)[0]


def rows_digests(names: Sequence[str], column: Column, groups: np.ndarray, count: int) -> list[bytes]:
    """Digests over groups of rows; of the columns one is held at a time.

    Args:
        names: the rows' columns.
        column: gives one of them.
        groups: of each row the number of its group, negative of rows that are in none.
        count: how many groups there are.
    """
    order, borders = _order(column, groups, count)
    spans = list(pairwise(borders))
    states = [hashlib.sha256(_LABEL + (end - begin).to_bytes(8)) for begin, end in spans]
    for name in sorted(names):
        values = column(name)
        if values.null_count == len(values):
            continue
        named = pa.types.is_dictionary(values.type)
        if order is not None:
            values = (values.unify_dictionaries() if named else values).take(order)
        if named:
            values = values.cast(values.type.value_type)
        for state, (begin, end) in zip(states, spans, strict=True):
            part = values.slice(begin, end - begin)
            if part.null_count < len(part):
                state.update(len(name).to_bytes(1) + name.encode("ascii"))
                _feed(state.update, part)
    return [state.digest() for state in states]


def write_salts(salts: Mapping[str, bytes]) -> bytes:
    """Salts by segment as they stand in the footer."""
    return orjson.dumps(
        {"salts": {name: base64.b64encode(salt).decode() for name, salt in sorted(salts.items())}, "version": 1}
    )


def read_salts(data: bytes) -> dict[str, bytes]:
    """Take apart what ``write_salts`` made.

    Raises:
        ValueError: it is anything else.
    """
    try:
        body = orjson.loads(data)
        if body["version"] != 1:
            raise ValueError("a later version wrote its salts")
        salts = {str(name): base64.b64decode(salt, validate=True) for name, salt in body["salts"].items()}
    except (TypeError, KeyError, AttributeError, binascii.Error) as error:
        raise ValueError("its salts are malformed") from error
    if any(len(salt) != SALT_BYTES for salt in salts.values()):
        raise ValueError("a salt in it has a wrong length")
    return salts


def _order(column: Column, groups: np.ndarray, count: int) -> tuple[pa.Array | None, list[int]]:
    """Rows by group and place (None where they stand so already), and where each group begins; the end last."""
    offsets = column("log_offset").to_numpy()
    owners = [column(name) for name in ("log_partition", "log_source")]
    if count == 1 and all(map(_one_name, owners)) and not groups.any() and (offsets[1:] > offsets[:-1]).all():
        return None, [0, len(groups)]
    # What is the same in all rows need not be sorted by.
    keys = [key for key in (*map(_ranks, owners), groups) if (key != key[0]).any()]
    order = np.lexsort((offsets, *keys))
    borders = np.searchsorted(groups[order], np.arange(count + 1)).tolist()
    return pa.array(order), borders


def _one_name(column: pa.ChunkedArray) -> bool:
    """Whether a batch's rows, which come from one place, need no sorting by it."""
    if column.num_chunks != 1 or not pa.types.is_dictionary(column.type):
        return False
    bounds = pc.min_max(column.chunk(0).indices)
    return bool(bounds["min"] == bounds["max"])


def _ranks(column: pa.ChunkedArray) -> np.ndarray:
    """Of each row the rank of its name among the column's names, by their bytes."""
    named = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    encoded = named.unify_dictionaries().combine_chunks()
    names = [name.encode() for name in encoded.dictionary.to_pylist()]
    ranks = np.empty(len(names), np.int64)
    ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    found: np.ndarray = ranks[encoded.indices.to_numpy()]
    return found


def _feed(feed: Feed, column: pa.ChunkedArray) -> None:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        feed(_TEXT)
        _feed_texts(feed, column)
    elif pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        feed(_NUMBER)
        _feed_presence(feed, column)
        for chunk in column.chunks:
            numbers = chunk.cast(pa.int64())
            feed(np.ascontiguousarray(_filled(numbers, pa.scalar(0, pa.int64())).to_numpy(), "<i8"))
    elif pa.types.is_decimal128(kind):
        feed(_DECIMAL)
        _feed_presence(feed, column)
        for chunk in column.chunks:
            whole = _filled(chunk, pa.scalar(0, kind))
            feed(memoryview(whole.buffers()[1])[16 * whole.offset : 16 * (whole.offset + len(whole))])
    elif pa.types.is_map(kind):
        feed(_MAP)
        _feed_maps(feed, column)
    else:
        raise TypeError(f"columns of {kind} have no spelling")


def _feed_presence(feed: Feed, column: pa.ChunkedArray) -> None:
    if not column.null_count:
        feed(b"\x00")
        return
    feed(b"\x01")
    for chunk in column.chunks:
        feed(_present(chunk).view(np.uint8))


def _feed_texts(feed: Feed, column: pa.ChunkedArray) -> None:
    """All lengths, then all values."""
    chunks = []
    for given in column.chunks:
        lengths, chunk = np.diff(_bounds(given)).astype("<u4"), given
        if given.null_count:
            absent = ~_present(given)
            if lengths[absent].any():  # what lies behind a null is nobody's value
                chunk = pc.fill_null(given, pa.scalar(b"", given.type))
            lengths[absent] = _ABSENT
        feed(lengths)
        chunks.append(chunk)
    for chunk in chunks:
        bounds, data = _bounds(chunk), chunk.buffers()[2]
        if data is not None and len(bounds):
            feed(memoryview(data)[int(bounds[0]) : int(bounds[-1])])


def _feed_maps(feed: Feed, column: pa.ChunkedArray) -> None:
    """How many pairs each has, then all keys, then all values."""
    # Taken row by row, a null has no pairs behind it and nothing stands outside of the rows.
    chunks = [chunk.take(pa.array(np.arange(len(chunk)))) for chunk in column.chunks]
    for chunk in chunks:
        counts = np.diff(chunk.offsets.to_numpy()).astype("<u4")
        counts[~_present(chunk)] = _ABSENT
        feed(counts)
    for side in ("keys", "items"):
        _feed_texts(feed, pa.chunked_array([getattr(chunk, side) for chunk in chunks], pa.string()))


def _bounds(chunk: pa.Array) -> np.ndarray:
    """Where each value begins in the data, and where the last one ends."""
    buffer = chunk.buffers()[1]
    if buffer is None:
        return np.zeros(len(chunk) + 1, np.int32)
    return np.frombuffer(buffer, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]


def _present(chunk: pa.Array) -> np.ndarray:
    """Of each value whether there is one (bool)."""
    bits = chunk.buffers()[0]
    if bits is None:
        return np.ones(len(chunk), bool)
    first, skipped = divmod(chunk.offset, 8)
    part = np.frombuffer(bits, np.uint8)[first : first + (skipped + len(chunk) + 7) // 8]
    return np.unpackbits(part, bitorder="little")[skipped : skipped + len(chunk)].view(bool)


def _filled(chunk: pa.Array, value: pa.Scalar) -> pa.Array:
    return pc.fill_null(chunk, value) if chunk.null_count else chunk
