# ruff: noqa: PLR0912, PLR0915, PLR1714, SIM109
# A compiled loop is one long function, and compares bytes one by one.
"""Newline-delimited JSON: the members of each line's object as cells.

An object is opened if a known name begins with its path (``{"user": {"id": …}}`` for ``user_id``); what else is nested
stays one value, as compact JSON text. Numbers are kept as their text, so that no digit is lost.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.compiled import kernel, wide
from pipelines.decode.cells import Bytes, Cells, Extras, Int32s, Int64s, Kind, Work, empty_grid
from pipelines.decode.json_text import QUOTE, read_text
from pipelines.decode.json_values import (
    BRACE,
    BRACKET,
    COLON,
    COMMA,
    KEYS,
    MAX_DEPTH,
    MORE_KEYS,
    RECORD,
    SERIAL,
    SPACED,
    compact,
    note_key,
    skip_scalar,
    skip_space,
    skip_value,
)
from pipelines.decode.names import Names, find_name, hash_byte, hash_snake
from pipelines.decode.reasons import Code

MORE_EXTRAS: Final = -101
MORE_ROOM: Final = -102
_MAX_LEVELS: Final = 16
_MAX_NAME: Final = 48
"""Longest path of an opened object: columns' names have up to 29 characters."""
_MEMO: Final = 1024

# Counters shared with the loop; those of json_values follow.
_NEXT: Final = 0
_ROWS: Final = 1
_EXTRAS: Final = 2
_ROOM: Final = 3

_TRUNCATED: Final = -int(Code.TRUNCATED)
_NOT_JSON: Final = -int(Code.NOT_JSON)
_NOT_OBJECT: Final = -int(Code.NOT_AN_OBJECT)
_TEXT: Final = int(Kind.TEXT)
_NUMBER: Final = int(Kind.NUMBER)
_LITERAL: Final = int(Kind.LITERAL)
_NESTED: Final = int(Kind.NESTED)
_NULL: Final = int(Kind.NULL)


def read_ndjson(work: Work, starts: Int64s, ends: Int64s, codes: Bytes, names: Names) -> Cells:
    """Read framed records.

    Args:
        work: the working copy of the bytes.
        starts, ends: (n,) ranges of the records in it, without terminators.
        codes: (n,) reasons found so far; the records that have one are left out. Filled with further reasons.
        names: the field names of the source.
    """
    count = len(starts)
    grid = empty_grid(names.slots, count)
    extras = Extras.room(4 * count + 64)
    rows = np.empty(count, dtype=np.int64)
    seen_hash = np.zeros(4096, dtype=np.uint64)
    seen_stamp = np.zeros(4096, dtype=np.int64)
    memo_hash = np.zeros(_MEMO, dtype=np.uint64)
    memo = np.empty((_MEMO, 3), dtype=np.int32)
    counters = np.zeros(8, dtype=np.int64)
    counters[_ROOM] = work.size
    table = names.tables
    while True:
        lack = _read_all(
            work.buffer, starts, ends, codes, *grid, rows,
            extras.row, extras.key_start, extras.key_end, extras.start, extras.end, extras.kind,
            table.seed, table.exact_hash, table.exact_slot, table.exact_node, table.exact_state,
            table.snake_hash, table.snake_slot, table.snake_node, table.snake_state,
            memo_hash, memo, seen_hash, seen_stamp, counters,
        )  # fmt: skip
        if lack == 0:
            break
        # Give the loop what it lacks, restore the record that it had begun to change, and go on there.
        if lack == MORE_EXTRAS:
            extras = extras.resized(int(counters[_EXTRAS]), 2 * len(extras))
        elif lack == MORE_ROOM:
            work.grow()
        else:
            seen_hash = np.zeros(8 * len(seen_hash), dtype=np.uint64)
            seen_stamp = np.zeros(len(seen_hash), dtype=np.int64)
        work.restore(int(starts[counters[_NEXT]]), int(ends[counters[_NEXT]]))
    read = int(counters[_ROWS])
    total = int(counters[_EXTRAS])
    return Cells(work.buffer, codes, rows[:read], *grid, extras.resized(total, total))


@kernel
def _read_all(
    buffer: Bytes, starts: Int64s, ends: Int64s, codes: Bytes,
    slot_start: Int32s, slot_end: Int32s, slot_kind: Bytes, rows: Int64s,
    extra_row: Int32s, key_start: Int32s, key_end: Int32s, extra_start: Int32s, extra_end: Int32s, extra_kind: Bytes,
    seed: np.uint64,
    exact_hash: NDArray[np.uint64], exact_slot: Int32s, exact_node: Int32s, exact_state: NDArray[np.uint64],
    snake_hash: NDArray[np.uint64], snake_slot: Int32s, snake_node: Int32s, snake_state: NDArray[np.uint64],
    memo_hash: NDArray[np.uint64], memo: NDArray[np.int32],
    seen_hash: NDArray[np.uint64], seen_stamp: Int64s, counters: Int64s,
) -> int:  # fmt: skip
    """Read records from the counter's on; 0 when all are read, else what the loop lacks."""
    stack = np.empty(MAX_DEPTH, dtype=np.int64)
    node_exact = np.empty(_MAX_LEVELS, dtype=np.int64)
    node_snake = np.empty(_MAX_LEVELS, dtype=np.int64)
    node_serial = np.empty(_MAX_LEVELS, dtype=np.int64)
    path_start = np.empty(_MAX_LEVELS, dtype=np.int64)
    path_end = np.empty(_MAX_LEVELS, dtype=np.int64)
    for record in range(counters[_NEXT], len(starts)):
        counters[_NEXT] = record
        if codes[record] != 0:
            continue
        counters[KEYS] = 0
        # A record that is read again, after the loop got what it lacked, must not meet its own keys.
        counters[SERIAL] += 1
        counters[RECORD] = counters[SERIAL]
        row = counters[_ROWS]
        first_extra = counters[_EXTRAS]
        room = counters[_ROOM]
        at = skip_space(buffer, starts[record], ends[record])
        end = ends[record]
        wrong = 0
        level = 0
        if at >= end:
            wrong = _NOT_JSON
        elif buffer[at] != BRACE:
            at = skip_value(buffer, at, end, stack, seed, seen_hash, seen_stamp, counters)
            wrong = at
            if at >= 0:
                wrong = _NOT_OBJECT if skip_space(buffer, at, end) == end else _NOT_JSON
        else:
            at += 1
            counters[SERIAL] += 1
            node_exact[0] = 0
            node_snake[0] = 0
            node_serial[0] = counters[SERIAL]
            path_start[0] = 0
            path_end[0] = 0
        first = True
        while wrong == 0:
            at = skip_space(buffer, at, end)
            if at >= end:
                wrong = _TRUNCATED
                break
            byte = buffer[at]
            if byte == 125:
                at += 1
                if first and level > 0:
                    # An empty object that was opened: a value of its own.
                    if counters[_EXTRAS] >= len(extra_row):
                        wrong = MORE_EXTRAS
                        break
                    extra = counters[_EXTRAS]
                    counters[_EXTRAS] += 1
                    extra_row[extra] = row
                    key_start[extra] = path_start[level]
                    key_end[extra] = path_end[level]
                    buffer[at - 2] = BRACE  # `{ }` loses its space
                    extra_start[extra] = at - 2
                    extra_end[extra] = at
                    extra_kind[extra] = _NESTED
                level -= 1
                if level < 0:
                    break
                first = False
                continue
            if not first:
                if byte != COMMA:
                    wrong = _NOT_JSON
                    break
                at = skip_space(buffer, at + 1, end)
                if at >= end:
                    wrong = _TRUNCATED
                    break
                byte = buffer[at]
            first = False
            if byte != QUOTE:
                wrong = _NOT_JSON
                break
            name_start = at + 1
            name_end, at = read_text(buffer, name_start, end)
            if name_end < 0:
                wrong = name_end
                break
            hashed = seed
            for i in range(name_start, name_end):
                hashed = hash_byte(hashed, wide(buffer[i]))
            wrong = note_key(hashed, node_serial[level], seen_hash, seen_stamp, counters)
            if wrong < 0:
                break
            at = skip_space(buffer, at, end)
            if at >= end or buffer[at] != COLON:
                wrong = _TRUNCATED if at >= end else _NOT_JSON
                break
            at = skip_space(buffer, at + 1, end)
            if at >= end:
                wrong = _TRUNCATED
                break

            # Which slot does the name stand for, and is it the path of further names?
            in_exact = node_exact[level]
            in_snake = node_snake[level]
            name_size = name_end - name_start
            own = hashed ^ (np.uint64(in_exact + 1) << np.uint64(32)) ^ (np.uint64(in_snake + 1) << np.uint64(48))
            place = np.int64((own ^ (own >> np.uint64(20))) & np.uint64(_MEMO - 1))
            if memo_hash[place] != own:
                slot = -1
                to_exact = -1
                to_snake = -1
                if in_snake >= 0:
                    path = hash_snake(buffer, name_start, name_end, snake_state[in_snake])
                    if path != np.uint64(0):
                        entry = find_name(snake_hash, path)
                        if entry >= 0:
                            slot = snake_slot[entry]
                            to_snake = snake_node[entry]
                if in_exact >= 0:
                    path = exact_state[in_exact]
                    for i in range(name_start, name_end):
                        path = hash_byte(path, wide(buffer[i]))
                    entry = find_name(exact_hash, path if path != np.uint64(0) else np.uint64(1))
                    if entry >= 0:
                        if exact_slot[entry] >= 0:
                            slot = exact_slot[entry]
                        to_exact = exact_node[entry]
                memo_hash[place] = own
                memo[place, 0] = slot
                memo[place, 1] = to_exact
                memo[place, 2] = to_snake
            slot = memo[place, 0]

            byte = buffer[at]
            opens = byte == BRACE and (memo[place, 1] >= 0 or memo[place, 2] >= 0)
            # Long names padded with signs must not be copied to each member.
            opens = opens and level + 1 < _MAX_LEVELS and path_end[level] - path_start[level] + name_size < _MAX_NAME
            kind = _TEXT
            value_start = at
            value_end = at
            if opens:
                at += 1
            elif byte == QUOTE:
                value_start = at + 1
                value_end, at = read_text(buffer, value_start, end)
                if value_end < 0:
                    wrong = value_end
                    break
            elif byte == BRACE or byte == BRACKET:
                kind = _NESTED
                at = skip_value(buffer, at, end, stack, seed, seen_hash, seen_stamp, counters)
                if at < 0:
                    wrong = at
                    break
                value_end = compact(buffer, value_start, at) if counters[SPACED] else at
            else:
                at = skip_scalar(buffer, at, end)
                if at < 0:
                    wrong = at
                    break
                value_end = at
                kind = _NULL if byte == 110 else (_LITERAL if byte == 116 or byte == 102 else _NUMBER)

            if not opens and slot >= 0 and (kind == _NULL or slot_kind[slot, row] == 0):
                if kind != _NULL:
                    slot_start[slot, row] = value_start
                    slot_end[slot, row] = value_end
                    slot_kind[slot, row] = kind
                continue
            if level > 0 or opens:
                # Compose the name with its path behind the bytes.
                path_size = path_end[level] - path_start[level] + (1 if level > 0 else 0)
                if counters[_ROOM] + path_size + name_size > len(buffer):
                    wrong = MORE_ROOM
                    break
                composed = counters[_ROOM]
                for i in range(path_start[level], path_end[level]):
                    buffer[counters[_ROOM]] = buffer[i]
                    counters[_ROOM] += 1
                if level > 0:
                    buffer[counters[_ROOM]] = 46
                    counters[_ROOM] += 1
                for i in range(name_start, name_end):
                    buffer[counters[_ROOM]] = buffer[i]
                    counters[_ROOM] += 1
                name_start = composed
                name_end = counters[_ROOM]
            if opens:
                level += 1
                counters[SERIAL] += 1
                node_exact[level] = memo[place, 1]
                node_snake[level] = memo[place, 2]
                node_serial[level] = counters[SERIAL]
                path_start[level] = name_start
                path_end[level] = name_end
                first = True
                continue
            if counters[_EXTRAS] >= len(extra_row):
                wrong = MORE_EXTRAS
                break
            extra = counters[_EXTRAS]
            counters[_EXTRAS] += 1
            extra_row[extra] = row
            key_start[extra] = name_start
            key_end[extra] = name_end
            extra_start[extra] = value_start
            extra_end[extra] = value_end
            extra_kind[extra] = kind
        if wrong == 0 and skip_space(buffer, at, end) != end:
            wrong = _NOT_JSON
        if wrong == 0:
            rows[row] = record
            counters[_ROWS] += 1
            continue
        counters[_EXTRAS] = first_extra
        counters[_ROOM] = room
        for slot in range(len(slot_kind)):
            slot_kind[slot, row] = 0
        if wrong == MORE_EXTRAS or wrong == MORE_ROOM or wrong == MORE_KEYS:
            return wrong
        codes[record] = -wrong
    return 0
