"""The element of the stream: one batch of a source's bytes, and its decoded form.

A range of offsets names the batch for good: the same (source, partition, start,
end) always holds the same bytes, so any worker may repeat it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa


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
    ``header`` is the CSV header line of the file for the batches after the first; ``last`` says that the source ended
    with this range for good, so that an unterminated tail is a record and an open quote is an error.
    """

    place: Place
    data: bytes
    first: bool
    last: bool
    header: bytes = b""


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
