"""Lines with a fixed set of fields (access log, syslog): from ranges a field to cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pipelines.compiled import kernel
from pipelines.decode.cells import Bytes, Extras, Int32s, Kind
from pipelines.decode.names import COLUMN_BLOB, Names

_TEXT: Final = int(Kind.TEXT)


class Fields:
    """Names of the fields of a batch's lines, and where the source wants them.

    ``blob`` holds the columns' and the fields' names one after the other and is put before the bytes of the batch, so
    that a field which goes to ``extra`` has the range of its name there: from ``key_starts[i]`` to the next.
    """

    def __init__(self, fields: Sequence[str], names: Names) -> None:
        encoded = [name.encode() for name in fields]
        self.blob = COLUMN_BLOB + b"".join(encoded) + b"\0"
        self.key_starts = len(COLUMN_BLOB) + np.cumsum([0, *map(len, encoded)], dtype=np.int32)
        self.slots = np.array(names.assign(fields), dtype=np.int32)

    def room(self, rows: int) -> Extras:
        """Room for all the fields that may go to ``extra``."""
        return Extras.room(int((self.slots < 0).sum()) * rows)


@kernel
def place(
    row: int, fields: Int32s, slots: Int32s, keys: Int32s, extra: int,
    slot_start: Int32s, slot_end: Int32s, slot_kind: Bytes,
    extra_row: Int32s, key_start: Int32s, key_end: Int32s, extra_start: Int32s, extra_end: Int32s, extra_kind: Bytes,
) -> int:  # fmt: skip
    """Put the fields (m, 2) of a row where they belong, empty ones left out; the new number of extras."""
    for field in range(len(slots)):
        if fields[field, 0] >= fields[field, 1]:
            continue
        slot = slots[field]
        if slot >= 0:
            slot_start[slot, row] = fields[field, 0]
            slot_end[slot, row] = fields[field, 1]
            slot_kind[slot, row] = _TEXT
            continue
        extra_row[extra] = row
        key_start[extra] = keys[field]
        key_end[extra] = keys[field + 1]
        extra_start[extra] = fields[field, 0]
        extra_end[extra] = fields[field, 1]
        extra_kind[extra] = _TEXT
        extra += 1
    return extra
