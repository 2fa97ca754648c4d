"""The mark beside a journal file: up to where its frames are synced, and so may be read.

Readers never look past it: what was written and not synced may be taken back. The writer moves it after the sync and
before the answer; a mark lost in a power cut is found again from the frames (``keeping.recover``).
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FORM: Final = struct.Struct(">4sBQQ")
_BYTES: Final = _FORM.size + 4
_MAGIC: Final = b"LCM1"
_TRIES: Final = 20
FRAMES: Final = ".journal"
SUFFIX: Final = ".mark"


@dataclass(frozen=True, slots=True)
class Mark:
    """``stored`` bytes of the file hold ``lines`` bytes of lines; ``closed``: nothing more will come."""

    stored: int = 0
    lines: int = 0
    closed: bool = False


def mark_path(journal: Path) -> Path:
    """Where the mark of a journal file lies."""
    return journal.with_suffix(SUFFIX)


def write_mark(handle: int, mark: Mark) -> None:
    """Overwrite the mark in one write; a closed one is synced."""
    body = _FORM.pack(_MAGIC, int(mark.closed), mark.stored, mark.lines)
    os.pwrite(handle, body + zlib.crc32(body).to_bytes(4, "big"), 0)
    if mark.closed:
        os.fsync(handle)


def read_mark(journal: Path) -> Mark:
    """The mark of a journal file; one that is missing or torn lets nothing be read."""
    for _ in range(_TRIES):
        try:
            found = mark_path(journal).read_bytes()
        except FileNotFoundError:
            return Mark()
        with contextlib.suppress(struct.error):
            magic, closed, stored, lines = _FORM.unpack(found[: _FORM.size])
            if magic == _MAGIC and found[_FORM.size : _BYTES] == zlib.crc32(found[: _FORM.size]).to_bytes(4, "big"):
                return Mark(stored, lines, bool(closed))
        time.sleep(0.001)  # the writer is at it
    return Mark()
