"""One partition of a file source while it is read: its open file, and how far it was planned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pipelines.batches import Place, RawBatch
from pipelines.framing import LIMITS, cut, frame
from pipelines.sources.discovery import FoundFile
from pipelines.sources.identity import digest
from pipelines.sources.reading import Reader, open_reader
from pipelines.sources.spec import SourceSpec
from retention.catalogue.progress import PlannedRange

_CHECKED: Final = 4 << 10
"""Bytes before the planned end that are looked at again before more is read (truncated and grown in between?)."""
_HEADER: Final = 1 << 20


@dataclass(slots=True)
class Tail:
    """``planned`` is the offset up to which ranges are planned; ``ended`` says that the file has nothing more to give.

    ``rotated``: the file no longer stands under its path, so that its end is final even when following.
    """

    spec: SourceSpec
    partition: str
    file: FoundFile
    planned: int = 0
    closed_range: bool = True
    rotated: bool = False
    ended: bool = False
    seen_before: bytes = b""
    reader: Reader | None = None
    _header: bytes | None = field(default=None)

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
            return False
        return reader.read(self.planned - len(self.seen_before), len(self.seen_before)) != self.seen_before

    def next_range(self, batch_bytes: int, *, follow: bool) -> tuple[PlannedRange, RawBatch] | None:
        """Read on and cut a range of whole records; None when there is none (yet).

        Raises:
            UnreadableError: the file cannot be read.
        """
        reader = self.open()
        size = batch_bytes
        while True:
            data = reader.read(self.planned, size)
            at_end = len(data) < size
            last = at_end and (self.rotated or not follow)
            length = cut(data, csv=self.spec.format == "csv", delimiter=self.spec.csv_delimiter, last=last)
            if length or at_end or size > 2 * LIMITS.record_bytes:
                break
            # One record larger than the batch: read on until it ends, or is cut at the limit.
            size = min(size * 4, 2 * LIMITS.record_bytes + 1)
        if at_end and length == len(data) and (self.rotated or not follow):
            self.ended = True
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
            frames = frame(data, csv=True, delimiter=self.spec.csv_delimiter, last=True)
            self._header = data[: int(frames.ends[0])] if len(frames) else b""
        return self._header
