"""The rows of a pack file: bytes into cells with their lines; whatever is wrong becomes a problem that names its line.

The first line that is no remark names the columns. A line ``#! name=value`` sets what empty cells of that column mean
from there on, ``#: name=value`` says something about the whole file (where it comes from), other lines that begin with
``#`` are remarks.
"""

from __future__ import annotations

import csv
import io
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from detectors.keywords.rules import Problem

MAX_BYTES: Final = 64 << 20
"""Largest pack file."""
MAX_CELL: Final = 1 << 20
"""Longest cell in characters."""
MAX_PROBLEMS: Final = 1000
"""Problems listed of one file; a file with more is hardly a pack."""
MAX_META: Final = 64
_SHOWN: Final = 60
# The limit belongs to the process; set once, so that readers of two threads do not undo each other's.
csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))


@dataclass(slots=True)
class Faults:
    """Collects the problems of one file, at most ``MAX_PROBLEMS``."""

    file: str
    found: list[Problem] = field(default_factory=list)

    def add(self, line: int, what: str, cure: str, *, fatal: bool = True) -> None:
        """Note a fault in a line (from 1)."""
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(Problem(self.file, line, what, cure, fatal))
        elif len(self.found) == MAX_PROBLEMS:
            self.found.append(
                Problem(self.file, line, "Further problems of this file are not listed.", "Cure those above first.")
            )

    @property
    def full(self) -> bool:
        """Whether it makes no sense to read on."""
        return len(self.found) > MAX_PROBLEMS


def shown(text: str) -> str:
    """A cell as a message shows it: quoted, cut when long."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def read_rows(
    path: Path, columns: tuple[str, ...], faults: Faults, meta: dict[str, str] | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, cells by column) of a file's rows; ``meta`` takes what the file says about itself."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # A pipe would be waited for, a device has no end.
            faults.add(1, "This is no ordinary file.", "Put a CSV file in its place.")
            return
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        faults.add(1, f"The file cannot be read: {error.strerror or error}.", "Give the process the right to read it.")
        return
    yield from parse_rows(data, columns, faults, meta)


def parse_rows(
    data: bytes, columns: tuple[str, ...], faults: Faults, meta: dict[str, str] | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a file's bytes; see ``read_rows``."""
    if len(data) > MAX_BYTES:
        faults.add(1, f"The file has over {MAX_BYTES >> 20} MiB.", "Divide it.")
        return
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        faults.add(line, "The line is not UTF-8.", "Save the file as UTF-8, e.g. with `iconv -f GB18030 -t UTF-8`.")
        return
    table = _Table(columns, faults, {} if meta is None else meta)
    for line, row in _csv(content, faults):
        cells = table.row(line, row)
        if cells is not None:
            yield line, cells
        if faults.full:
            return


def _csv(content: str, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            faults.add(line, f"The line is no CSV: {error}.", "Close the quotes, and double those inside.")
            return
        if any(cell.strip() for cell in row):
            yield line, row


class _Table:
    """Header and defaults so far."""

    def __init__(self, columns: tuple[str, ...], faults: Faults, meta: dict[str, str]) -> None:
        self.columns, self.faults, self.meta = columns, faults, meta
        self.header: list[str] | None = None
        self.defaults: dict[str, str] = {}

    def row(self, line: int, row: list[str]) -> dict[str, str] | None:
        """The cells of a row of rules, stripped, empty ones left out; None for any other row."""
        first = row[0].lstrip()
        if first.startswith("#"):
            self._remark(line, ",".join(row).lstrip())
            return None
        if self.header is None:
            self.header = [cell.strip() for cell in row]
            unknown = {name for name in self.header if name not in self.columns}
            doubled = {name for name, count in Counter(self.header).items() if count > 1}
            if unknown or doubled:
                self.faults.add(
                    line,
                    f"The columns {', '.join(shown(name) for name in sorted(unknown | doubled)[:5])} are unknown or "
                    "stand twice.",
                    f"Use each of {', '.join(self.columns)} at most once.",
                )
                self.header = []
            return None
        if not self.header:
            return None
        if len(row) > len(self.header) and any(cell.strip() for cell in row[len(self.header) :]):
            what = f"The line has {len(row)} cells, the file {len(self.header)} columns."
            self.faults.add(line, what, "Quote cells with commas.")
            return None
        cells = self.defaults.copy()
        for name, value in zip(self.header, row, strict=False):
            if text := value.strip():
                cells[name] = text
        return cells

    def _remark(self, line: int, text: str) -> None:
        kind, (name, sep, value) = text[1:2], text[2:].rstrip(",").partition("=")
        name, value = name.strip(), value.strip()
        if kind == "!":
            if not sep or name not in self.columns:
                cure = f"Write #! column=value, with one of {', '.join(self.columns)}."
                self.faults.add(line, "The default names no column.", cure)
            else:
                self.defaults[name] = value
        elif kind == ":" and sep and name and len(self.meta) < MAX_META:
            self.meta[name] = value
