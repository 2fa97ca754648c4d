"""One partition of a file source while it is read: its open file, and how far it was planned."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from pipelines.batches import Place, RawBatch
from pipelines.decode import csv_header
from pipelines.framing import LIMITS, cut
from pipelines.sources.discovery import FoundFile
from pipelines.sources.identity import SMALL, digest
from pipelines.sources.reading import Reader, UnreadableError, open_reader
from pipelines.sources.spec import SourceSpec
from retention.catalogue.progress import PlannedRange

_CHECKED: Final = 4 << 10
"""Bytes before the planned end that are looked at again before more is read (truncated and grown in between?)."""
_HEADER: Final = 1 << 20
STILL_SECONDS: Final = 60.0
"""How long nothing must have come to a file that left its path, or is compressed, until its end is final: its writer
goes on with it until it opens the next one."""


@dataclass(slots=True)
class Tail:
    """``planned`` is the offset up to which ranges are planned; ``ended`` says that the file has nothing more to give.

    ``rotated``: the file no longer stands under its path. ``still_since``: since when nothing came to a file whose end
    becomes final, by the monotonic clock.
    """

    spec: SourceSpec
    partition: str
    file: FoundFile
    planned: int = 0
    closed_range: bool = True
    rotated: bool = False
    ended: bool = False
    still_since: float | None = None
    seen_before: bytes = b""
    reader: Reader | None = None
    _header: bytes | None = field(default=None)
    _beginning: str = field(default="")

    def open(self) -> Reader:
        """The open file; raises ``UnreadableError``."""
        if self.reader is None:
            self.reader = open_reader(self.file.path)
        return self.reader

    def close(self) -> None:
        """Give the file back; ``open`` opens it again."""
        if self.reader is not None:
            self.reader.close()
            self.reader = None

    def leave_path(self) -> None:
        """The file was renamed, replaced or deleted: it gives what it still holds."""
        if not self.rotated:
            self.rotated, self.still_since = True, time.monotonic()

    def beginning(self) -> str:
        """SHA-256 of a plain file's first ``SMALL`` bytes; empty while it has not so many, or cannot be read."""
        if not self._beginning and not self.file.compressed and self.file.size >= SMALL:
            opened = self.reader is None
            try:
                data = self.open().read(0, SMALL)
            except UnreadableError:
                data = b""
            if opened:
                self.close()
            self._beginning = digest(data) if len(data) == SMALL else ""
        return self._beginning

    def waiting(self) -> int:
        """Bytes known and not planned; an estimate for compressed files that were not opened yet."""
        if self.ended:
            return 0
        if self.reader is not None:
            return max(self.reader.length() - self.planned, 0)
        return max(self.file.size * (5 if self.file.compressed else 1) - self.planned, 0)

    def truncated(self) -> bool:
        """Whether the bytes before the planned end are no longer those that were read (copy-truncate)."""
        reader = self.open()
        if not self.seen_before:
            return reader.length() < self.planned
        return reader.read(self.planned - len(self.seen_before), len(self.seen_before)) != self.seen_before

    def cut_short(self) -> bool:
        """Whether an open plain file is truncated; what cannot be read tells nothing."""
        try:
            return not self.file.compressed and self.truncated()
        except UnreadableError:
            return False

    def next_range(self, batch_bytes: int, *, follow: bool) -> tuple[PlannedRange, RawBatch] | None:
        """Read on and cut a range of whole records; None when there is none (yet).

        Raises:
            UnreadableError: the file cannot be read.
        """
        final = self._final(follow)
        if self.file.compressed and not self.rotated and self.still_since is not None and not final:
            return None  # it holds the beginning of a record: reading that again would mean unpacking it all
        reader = self.open()
        size = batch_bytes
        while True:
            data = reader.read(self.planned, size)
            at_end = len(data) < size
            last = at_end and final
            length = cut(data, csv=self.spec.format == "csv", delimiter=self.spec.csv_delimiter, last=last)
            if length or at_end or size > 2 * LIMITS.record_bytes:
                break
            # One record larger than the batch: read on until it ends, or is cut at the limit.
            size = min(size * 4, 2 * LIMITS.record_bytes + 1)
        if at_end and not final and self._lacks_header(data[:length]):
            return None
        if at_end and length == len(data) and (final or self.file.compressed):
            self.ended = True
        elif (self.rotated and length) or (self.file.compressed and at_end and self.still_since is None):
            self.still_since = time.monotonic()
        if not length:
            return None
        data = data[:length]
        planned = PlannedRange(
            source=self.spec.name,
            partition=self.partition,
            start=self.planned,
            end=self.planned + length,
            digest=digest(data),
            first=self.planned == 0,
            last=last,
        )
        raw = self.raw(planned, data)
        self.advance(planned, data)
        return planned, raw

    def _lacks_header(self, data: bytes) -> bool:
        """Whether these bytes begin a CSV file and are blank lines only: its header belongs to its first range."""
        named = self.spec.format == "csv" and self.spec.csv_columns is None
        return named and not self.planned and not csv_header(data, self.spec.csv_delimiter, last=True)

    def _final(self, follow: bool) -> bool:
        """Whether the present end is the file's end for good."""
        still = self.still_since
        return not follow or (still is not None and time.monotonic() - still >= STILL_SECONDS)

    def raw(self, planned: PlannedRange, data: bytes) -> RawBatch:
        """The batch of a range whose predecessor is the last range this tail advanced over."""
        before = self.seen_before[-1:] if planned.start == self.planned else b""
        return RawBatch(
            place=Place(planned.source, planned.partition, planned.start, planned.end),
            data=data,
            first=planned.first,
            last=planned.last,
            header=b"" if planned.first else self.header(),
            continues=planned.start > 0 and not self.closed_range and before != b"\n",
        )

    def advance(self, planned: PlannedRange, data: bytes) -> None:
        """Move past a range."""
        self.planned = planned.end
        self.closed_range = planned.last
        self.seen_before = data[-_CHECKED:]

    def header(self) -> bytes:
        """First record of a CSV file that names its columns itself."""
        if self.spec.format != "csv" or self.spec.csv_columns is not None:
            return b""
        if self._header is None:
            data = self.open().read(0, _HEADER)
            self._header = csv_header(data, self.spec.csv_delimiter, last=True)
        return self._header
