"""A column's normalised reading with its map back to the original, in plain NumPy.

This is the reference: what the compiled path writes must be the same tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from detectors.normalise.tables.fold import POINTS, FoldTable

Points = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class View:
    """Tokens (folded code points) of all rows end to end; row ``i`` owns ``rows[i]:rows[i+1]``.

    ``start`` and ``end`` are the code points of the original row (end exclusive) that a token stands for; ``run`` is
    how often the character stood there in a row (1 for all without the step ``repeats``).
    """

    tokens: Points
    start: Ints
    end: Ints
    run: Ints
    rows: Longs

    def text(self) -> str:
        """All tokens as one string; place in it = index of the token."""
        return self.tokens.tobytes().decode("utf-32-le")


def code_points(texts: pa.StringArray) -> tuple[Points, Longs]:
    """Return the code points of a column (nulls are empty) and the row borders (n + 1)."""
    filled = texts.fill_null("") if texts.null_count else texts
    lengths = pc.utf8_length(filled).to_numpy(zero_copy_only=False)
    rows = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=rows[1:])
    data, offsets = string_buffers(filled)
    joined = bytes(data[offsets[0] : offsets[-1]]).decode("utf-8").encode("utf-32-le")
    return np.frombuffer(joined, np.uint32), rows


def string_buffers(texts: pa.StringArray) -> tuple[npt.NDArray[np.uint8], Ints]:
    """Return the UTF-8 bytes and the n + 1 offsets of a column without nulls, uncopied."""
    if len(texts) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int32)
    buffers = texts.buffers()
    offsets = np.frombuffer(buffers[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(buffers[2], np.uint8) if buffers[2] is not None else np.zeros(0, np.uint8)
    return data, offsets


def view(points: Points, rows: Longs, table: FoldTable, *, repeats: bool = True) -> View:
    """Fold ``points`` (rows as ``code_points`` gives them), drop, join split characters, count runs once."""
    n = len(rows) - 1
    row_of = np.repeat(np.arange(n, dtype=np.int64), np.diff(rows))
    place = (np.arange(len(points), dtype=np.int64) - np.repeat(rows[:-1], np.diff(rows))).astype(np.int32)
    tokens = table.points[points]
    keep = tokens != 0
    tokens, row_of, place = tokens[keep], row_of[keep], place[keep]
    if len(tokens) and tokens.max() >= POINTS:
        tokens, row_of, place = _expand(tokens, row_of, place, table)
    end = place + 1
    tokens, row_of, place, end = _join(tokens, row_of, place, end, table)
    run = np.ones(len(tokens), np.int32)
    if repeats and len(tokens) > 1:
        first = np.ones(len(tokens), np.bool_)
        digit = (tokens[1:] >= 48) & (tokens[1:] <= 57)
        first[1:] = (tokens[1:] != tokens[:-1]) | (row_of[1:] != row_of[:-1]) | digit
        at = np.flatnonzero(first)
        last = np.append(at[1:], len(tokens)) - 1
        tokens, row_of, place, end, run = tokens[at], row_of[at], place[at], end[last], (last - at + 1).astype(np.int32)
    borders = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(row_of, minlength=n), out=borders[1:])
    return View(tokens, place, end, run, borders)


def _expand(tokens: Points, row_of: Longs, place: Ints, table: FoldTable) -> tuple[Points, Longs, Ints]:
    """Write out the tokens that stand for several code points."""
    many = tokens >= POINTS
    number = np.where(many, tokens, POINTS).astype(np.int64) - POINTS
    low = table.borders[number]
    size = np.where(many, table.borders[number + 1] - low, 1)
    source = np.repeat(np.arange(len(tokens)), size)
    within = np.arange(len(source)) - np.repeat(np.cumsum(size) - size, size)
    written = table.expansions[np.where(many[source], low[source] + within, 0)]
    return np.where(many[source], written, tokens[source]), row_of[source], place[source]


def _join(tokens: Points, row_of: Longs, place: Ints, end: Ints, table: FoldTable) -> tuple[Points, Longs, Ints, Ints]:
    """Join split characters; of overlapping pairs in a row every second one, from the left."""
    if len(tokens) < 2 or not len(table.pairs):
        return tokens, row_of, place, end
    head = np.flatnonzero(table.heads[tokens[:-1]] & (row_of[1:] == row_of[:-1]))
    key = (tokens[head].astype(np.uint64) << np.uint64(32)) | tokens[head + 1].astype(np.uint64)
    at = np.minimum(np.searchsorted(table.pairs, key), len(table.pairs) - 1)
    found = table.pairs[at] == key
    if not found.any():
        return tokens, row_of, place, end
    first, value = head[found], table.joined[at[found]]
    # Neighbours that overlap form chains; in each, the 1st, 3rd … pair is joined.
    start = np.ones(len(first), np.bool_)
    start[1:] = np.diff(first) > 1
    chain = np.maximum.accumulate(np.where(start, np.arange(len(first)), 0))
    taken = (np.arange(len(first)) - chain) % 2 == 0
    first, value = first[taken], value[taken]
    tokens, end = tokens.copy(), end.copy()
    tokens[first] = value
    end[first] = end[first + 1]
    keep = np.ones(len(tokens), np.bool_)
    keep[first + 1] = False
    return tokens[keep], row_of[keep], place[keep], end[keep]
