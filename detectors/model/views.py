"""The two views of a column, as token arrays with their places in the original.

The NumPy form here is the reference; ``kernels`` does the same in one compiled
pass. Tokens of the normalised view are folded code points. Tokens of the pinyin
view are readings: a Chinese character's syllable, or the longest syllable that
Latin letters spell, read from the left; digits count as one token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.model.tables import MAX_SYLLABLE, SYLLABLE_BASE, ViewTables

Ints = npt.NDArray[np.int32]
Points = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class View:
    """Tokens of all rows end to end; row ``i`` owns ``rows[i]:rows[i+1]``.

    ``start`` and ``end`` are the code points of the original row (end exclusive) that a token stands for.
    """

    tokens: Points
    start: Ints
    end: Ints
    rows: npt.NDArray[np.int64]


def utf32(texts: pa.StringArray) -> tuple[Points, npt.NDArray[np.int64]]:
    """Return the code points of a column (nulls are empty) and the row borders (n + 1)."""
    import pyarrow.compute as pc

    filled = texts.fill_null("") if texts.null_count else texts
    lengths = pc.utf8_length(filled).to_numpy(zero_copy_only=False).astype(np.int64)
    rows = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=rows[1:])
    data, offsets = string_buffers(filled)
    joined = bytes(data[offsets[0] : offsets[-1]]).decode("utf-8").encode("utf-32-le")
    return np.frombuffer(joined, np.uint32), rows


def string_buffers(texts: pa.StringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Return the UTF-8 bytes and the n + 1 offsets of a column without nulls."""
    buffers = texts.buffers()
    n = len(texts)
    if n == 0 or buffers[1] is None:
        return np.zeros(0, np.uint8), np.zeros(n + 1, np.int32)
    offsets = np.frombuffer(buffers[1], np.int32)[texts.offset : texts.offset + n + 1]
    data = np.frombuffer(buffers[2], np.uint8) if buffers[2] is not None else np.zeros(0, np.uint8)
    return data, offsets


def folded_view(points: Points, rows: npt.NDArray[np.int64], tables: ViewTables) -> View:
    """Fold, drop what carries nothing, cut runs to two, join split characters."""
    row_of = np.repeat(np.arange(len(rows) - 1, dtype=np.int64), np.diff(rows))
    place = (np.arange(len(points), dtype=np.int64) - rows[row_of]).astype(np.int32) if len(points) else _EMPTY
    tokens = tables.fold[np.minimum(points, 0x10FFFF)]
    keep = tokens != 0
    tokens, row_of, place = tokens[keep], row_of[keep], place[keep]
    if len(tokens) > 2:
        same = (tokens[1:] == tokens[:-1]) & (row_of[1:] == row_of[:-1])
        drop = np.zeros(len(tokens), np.bool_)
        drop[2:] = same[1:] & same[:-1]
        keep = ~drop
        tokens, row_of, place = tokens[keep], row_of[keep], place[keep]
    end = place + 1
    if len(tokens) > 1 and len(tables.pairs):
        head = np.flatnonzero(tables.heads[tokens[:-1]] & (row_of[1:] == row_of[:-1]))
        key = (tokens[head].astype(np.uint64) << np.uint64(32)) | tokens[head + 1].astype(np.uint64)
        at = np.minimum(np.searchsorted(tables.pairs, key), len(tables.pairs) - 1)
        hit = np.zeros(len(tokens), np.bool_)
        value = np.zeros(len(tokens), np.uint32)
        found = tables.pairs[at] == key
        hit[head[found]] = True
        value[head[found]] = tables.joined[at[found]]
        # Of overlapping pairs the first of two neighbours wins: a rule without memory, on which both engines agree.
        hit[1:] &= ~hit[:-1].copy()
        if hit.any():
            tokens = np.where(hit, value, tokens)
            first = np.flatnonzero(hit)
            end = end.copy()
            end[first] = end[first + 1]
            keep = np.ones(len(tokens), np.bool_)
            keep[first + 1] = False
            tokens, row_of, place, end = tokens[keep], row_of[keep], place[keep], end[keep]
    return View(tokens.astype(np.uint32), place.astype(np.int32), end.astype(np.int32), _borders(row_of, len(rows) - 1))


def pinyin_view(view: View, tables: ViewTables) -> View:
    """Read the normalised view aloud: syllables, digits as one token, other signs as they are."""
    n = len(view.tokens)
    row_of = np.repeat(np.arange(len(view.rows) - 1, dtype=np.int64), np.diff(view.rows))
    tokens = view.tokens.copy()
    low = tokens < 0x10000
    reading = np.zeros(n, np.uint32)
    reading[low] = tables.readings[tokens[low]]
    tokens = np.where(reading > 0, reading + np.uint32(SYLLABLE_BASE), tokens)
    tokens = np.where(_digit(view.tokens), np.uint32(48), tokens)
    letter = (view.tokens >= 97) & (view.tokens <= 122)
    if not letter.any():
        return View(tokens.astype(np.uint32), view.start, view.end, view.rows)
    length = np.ones(n, np.int64)
    packed = np.zeros(n, np.uint64)
    alive = np.ones(n, np.bool_)
    digit = np.where(letter, view.tokens - np.uint32(96), 0).astype(np.uint64)
    for size in range(1, MAX_SYLLABLE + 1):
        shift = min(size - 1, n)
        inside = np.zeros(n, np.bool_)
        inside[: n - shift] = letter[shift:] & (row_of[: n - shift] == row_of[shift:])
        alive &= inside
        ahead = np.zeros(n, np.uint64)
        ahead[: n - shift] = digit[shift:]
        packed = packed * np.uint64(32) + ahead
        if size < 2:
            continue
        at = np.minimum(np.searchsorted(tables.spellings, packed), len(tables.spellings) - 1)
        hit = alive & (tables.spellings[at] == packed)
        length[hit] = size
        tokens[hit] = tables.spelled[at[hit]] + np.uint32(SYLLABLE_BASE)
    # Starts of tokens: reach from the first letter of each run by jumps of the found length, doubled each round.
    mark = ~letter
    run = letter.copy()
    run[1:] &= ~(letter[:-1] & (row_of[1:] == row_of[:-1]))
    mark |= run
    jump = np.minimum(np.arange(n) + length, n)
    reach = np.append(mark, False)
    step = np.append(jump, n)
    letters = np.append(letter, False)
    same_run = np.append(np.cumsum(run), -1)
    # A jump that leaves its run ends there.
    step = np.where(letters & (same_run[step] == same_run) & letters[step], step, n)
    while True:
        new = step[reach]
        before = int(reach.sum())
        reach[new] = True
        reach[n] = False
        step = step[step]
        if int(reach.sum()) == before:
            break
    keep = reach[:n]
    first = np.flatnonzero(keep)
    end = view.end[first + length[first] - 1]
    return View(tokens[first].astype(np.uint32), view.start[first], end, _borders(row_of[first], len(view.rows) - 1))


def _digit(tokens: Points) -> npt.NDArray[np.bool_]:
    return (tokens >= 48) & (tokens <= 57)


def _borders(row_of: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.int64]:
    borders = np.zeros(rows + 1, np.int64)
    np.cumsum(np.bincount(row_of, minlength=rows), out=borders[1:])
    return borders


_EMPTY: Ints = np.zeros(0, np.int32)
