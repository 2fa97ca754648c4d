"""The element of the stream, from raw bytes to what became of them.

A range of offsets names a batch for good: the same (source, partition, start,
end) always holds the same bytes, so any worker may repeat it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from tickets.opening import ContentFinding


@dataclass(frozen=True, slots=True)
class Place:
    """A half-open range of offsets [start, end) of one partition of one source."""

    source: str
    partition: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RawBatch:
    """The bytes of a range, and what is known of them before decoding.

    The range holds whole records only. ``first`` says that it begins the partition (a CSV header may stand there);
    ``header`` is the CSV header line of the file, for every batch that does not begin with it; ``last`` says that the
    source ended with this range for good, so that an unterminated tail is a record and an open quote is an error.
    ``continues`` says that the range begins inside a record above the size limit: the byte before it is no LF, and its
    first line is the rest of that record.
    """

    place: Place
    data: bytes
    first: bool
    last: bool
    header: bytes = b""
    continues: bool = False

    def tail(self, cursor: int) -> RawBatch:
        """What lies past ``cursor``, which stands at a record's border inside the range."""
        start = self.place.start
        return replace(
            self,
            place=replace(self.place, start=cursor),
            data=self.data[cursor - start :],
            first=self.first and cursor == start,
            continues=self.continues if cursor == start else self.data[cursor - start - 1] != ord("\n"),
        )


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """A batch in the record schema, with what it leaves out counted.

    ``records`` and ``unparsed`` are in ``retention.schema.RECORD_SCHEMA``, each in the order of the source; together
    they hold every framed record of the batch exactly once. ``published`` maps the name of a field whose text is
    public to its values, aligned with ``records``. ``header_rows`` and ``blank_lines`` are framed but are no records.
    """

    place: Place
    record_class: str
    records: pa.RecordBatch
    unparsed: pa.RecordBatch
    header_rows: int = 0
    blank_lines: int = 0
    published: dict[str, pa.StringArray] = field(default_factory=dict)

    @property
    def records_in(self) -> int:
        """Framed records: archived rows of every class."""
        return int(self.records.num_rows + self.unparsed.num_rows)


@dataclass(frozen=True, slots=True)
class PairedBatch:
    """A decoded batch beside the bytes it came from: a later stage may have to take up its tail anew."""

    raw: RawBatch
    decoded: DecodedBatch


@dataclass(frozen=True, slots=True)
class DetectedBatch:
    """A decoded batch, the bytes it came from, and what the detectors found in its public text."""

    raw: RawBatch
    decoded: DecodedBatch
    contents: tuple[ContentFinding, ...]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch: counts of what was committed, all zero if it had been committed before."""

    place: Place
    committed: bool
    records: dict[str, int] = field(default_factory=dict)
    unparsed: dict[str, int] = field(default_factory=dict)
    findings: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    segments: int = 0
    bytes_in: int = 0
    bytes_stored: int = 0
    tickets_opened: int = 0
