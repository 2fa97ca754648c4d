"""The element of the stream, from raw bytes to what became of them.

A range of offsets names a batch for good: the same (source, partition, start,
end) always holds the same bytes, so any worker may repeat it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tickets.opening import ContentFinding


@dataclass(frozen=True, slots=True)
class Place:
    """A half-open range of offsets [start, end) of one partition of one source."""

    source: str
    partition: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Messages:
    """Borders of a batch whose source delivers records one by one: each message is one record, whatever is in it.

    ``offsets`` are the source's own, ascending, with holes where it has none (compaction, transactions); ``ends`` say
    where each message's bytes end in the batch.
    """

    offsets: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets)

    def holes(self, start: int, end: int) -> int:
        """Offsets of [start, end) without a message."""
        return end - start - len(self)

    def hole_ranges(self, start: int, end: int, most: int) -> list[tuple[int, int]]:
        """The first ``most`` of the ranges [from, to) of [start, end) without a message."""
        borders = np.concatenate([[start - 1], self.offsets, [end]])
        after = np.flatnonzero(np.diff(borders) > 1)[:most]
        return [(int(borders[n]) + 1, int(borders[n + 1])) for n in after]


@dataclass(frozen=True, slots=True)
class Guard:
    """Has a batch marked in the catalogue before it is decoded: it is the first after a start, or under suspicion.

    ``suspect`` is the end of the range over which workers died, None where nobody did. A ``condemned`` batch is one
    record over which ``tries`` workers died one by one since ``since`` (ISO 8601): it is sealed and nothing else.
    """

    suspect: int | None = None
    condemned: bool = False
    tries: int = 0
    since: str = ""


@dataclass(frozen=True, slots=True)
class RawBatch:
    """The bytes of a range, and what is known of them before decoding.

    The range holds whole records only. ``first`` says that it begins the partition (a CSV header may stand there);
    ``header`` is the CSV header line of the file, for every batch that does not begin with it; ``last`` says that the
    source ended with this range for good, so that an unterminated tail is a record and an open quote is an error.
    ``continues`` says that the range begins inside a record above the size limit: the byte before it is no LF, and its
    first line is the rest of that record. ``messages`` is set where offsets count messages instead of bytes. ``guard``
    says that its beginning is marked.
    """

    place: Place
    data: bytes
    first: bool
    last: bool
    header: bytes = b""
    continues: bool = False
    messages: Messages | None = None
    guard: Guard | None = None


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
    """A decoded batch, the bytes it came from, and what the detectors found in its public text.

    ``shadow`` counts the texts that each shadow rule hits, under the version ``rules`` of the rules.
    """

    raw: RawBatch
    decoded: DecodedBatch
    contents: tuple[ContentFinding, ...]
    shadow: dict[str, int] = field(default_factory=dict)
    rules: str = ""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch: counts of what was committed, all zero if it had been committed before."""

    place: Place
    committed: bool
    records: dict[str, int] = field(default_factory=dict)
    unparsed: dict[str, int] = field(default_factory=dict)
    findings: dict[str, int] = field(default_factory=dict)
    shadow: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    segments: int = 0
    bytes_in: int = 0
    bytes_stored: int = 0
    tickets_opened: int = 0
    seconds: float = 0.0
    """To seal and commit it."""
    commit_seconds: float = 0.0
