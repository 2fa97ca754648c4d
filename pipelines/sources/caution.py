"""How a source goes on where readers died: what they died over is read in ever smaller parts, until one stands alone.

Where a partition is taken up, its mark (``retention.catalogue.attempts``) tells how often the same was begun there and
never committed. After ``TRIES`` deaths the range is read in ``PARTS`` parts, each marked before it is begun; the part
over which the next reader dies is taken apart in turn. A record that stands alone has ``TRIES`` tries of its own,
``SPACING`` apart and while nothing else is under suspicion: three workers that an operator stopped, or that died over
another partition, are not its doing. Then it is condemned: archived as it came, neither decoded nor scanned.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pipelines.batches import Guard, RawBatch
from pipelines.sources.parts import parts, record_starts, split
from pipelines.sources.problems import SourceProblem
from pipelines.sources.spec import SourceSpec
from retention.catalogue import attempts
from retention.catalogue.attempts import TRIES, Attempt
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp

PARTS: Final = 16
"""Into how many parts a range is taken apart. A death costs a worker's start, a part one small transaction."""
SPACING: Final = timedelta(seconds=20)
"""Between two tries of a record that stands alone."""
_LOOK_SECONDS: Final = 2.0
"""How often it is asked whether others are still under suspicion."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    """A partition that was taken up and gave nothing yet: the end of what is suspected, and its mark if it is alone."""

    suspect: int | None = None
    condemned: Attempt | None = None


class Caution:
    """The marks of one source, for its reader; one thread at a time.

    ``problems`` names the records that were condemned.
    """

    def __init__(self, spec: SourceSpec, catalogue: Catalogue) -> None:
        self.problems: list[SourceProblem] = []
        self._spec = spec
        self._catalogue = catalogue
        self._places: dict[str, _Place] = {}
        self._due: dict[str, float] = {}

    def take_up(self, partition: str, cursor: int) -> bool:
        """Look at the mark of a partition that is to be read from ``cursor`` on; whether it may be read now.

        Raises:
            StorageError, UnreachableError: the catalogue cannot be read.
        """
        self._due.pop(partition, None)
        with self._catalogue.read() as connection:
            mark = attempts.attempt(connection, self._spec.name, partition)
        if mark is None or mark.cursor != cursor:
            self._places[partition] = _Place()
            return True
        if not mark.narrowed and mark.tries < TRIES:
            _LOG.warning(
                "%s: the last %d tries from offset %d on ended without a commit", partition, mark.tries, cursor
            )
            self._places[partition] = _Place()
            return True
        alone = mark.narrowed and mark.records == 1
        if alone and mark.tries < TRIES and (wait := self._wait(mark)) > 0:
            self._due[partition] = time.monotonic() + wait
            return False
        condemned = mark if alone and mark.tries >= TRIES else None
        if condemned is None:
            _LOG.warning("%s [%d, %d): workers died over it; it is read in parts", partition, cursor, mark.end)
        self._places[partition] = _Place(mark.end, condemned)
        return True

    def due(self, partition: str) -> bool:
        """Whether a partition that may not be read yet is to be taken up again."""
        return time.monotonic() >= self._due.get(partition, 0.0)

    def drop(self, partition: str) -> None:
        """Forget a partition that is not read any more."""
        self._places.pop(partition, None)
        self._due.pop(partition, None)

    def guarded(self, batches: list[RawBatch]) -> list[RawBatch]:
        """The same, with a guard on the first batch of each partition since it was taken up; suspects in parts."""
        if not self._places:
            return batches
        return [part for raw in batches for part in self._guarded(raw)]

    def _guarded(self, raw: RawBatch) -> list[RawBatch]:
        place = self._places.get(raw.place.partition)
        if place is None or not _holds_records(raw):
            return [raw]
        if place.suspect is None or raw.place.start >= place.suspect:
            del self._places[raw.place.partition]
            return [replace(raw, guard=Guard())]
        rest = []
        if raw.place.end > place.suspect:
            head, tail = split(raw, self._spec, place.suspect)
            if _holds_records(tail):
                raw, rest = head, [tail]
        if raw.place.end >= place.suspect:
            del self._places[raw.place.partition]
        if not _holds_records(raw):
            return [raw, *rest]
        guard = Guard(place.suspect)
        if place.condemned is not None and len(record_starts(raw, self._spec)) == 1:
            return [self._condemn(raw, place.condemned), *rest]
        return [*(replace(part, guard=guard) for part in parts(raw, self._spec, PARTS)), *rest]

    def _condemn(self, raw: RawBatch, mark: Attempt) -> RawBatch:
        problem = condemned_record(raw.place.partition, mark.cursor, mark.tries)
        _LOG.error("%s", problem)
        self.problems.append(problem)
        return replace(raw, guard=Guard(mark.end, condemned=True, tries=mark.tries, since=timestamp(mark.since)))

    def _wait(self, mark: Attempt) -> float:
        """Seconds until a record that stands alone may be tried again; clocks of machines may differ."""
        left = min(SPACING - (datetime.now(UTC) - mark.at), SPACING).total_seconds()
        if left > 0:
            return left
        with self._catalogue.read() as connection:
            return _LOOK_SECONDS if attempts.others_at_work(connection, mark.source, mark.partition) else 0.0


def condemned_record(partition: str, offset: int, tries: int) -> SourceProblem:
    """That a record is archived unread, and why, in words."""
    return SourceProblem(partition, f"offset {offset} is archived unread: {tries} workers died over it, one by one")


def _holds_records(raw: RawBatch) -> bool:
    return bool(len(raw.messages) if raw.messages is not None else raw.data)
