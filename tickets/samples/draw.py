"""Drawing a day's sample 抽样: uniformly from the texts published on that day in which no detector found anything.

Only text that a source declares public is drawn from (电信条例 art. 65 protects the rest); records of restricted
accounts are out of reach (个人信息保护法 art. 47). What is read is a recorded query of places and types, no text.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from errors import IntegrityError, UsageError
from retention.audits.kinds import kind_of
from retention.catalogue import events
from retention.catalogue.tables import timestamp
from retention.policies.periods import SHANGHAI
from retention.query.errors import QueryTooLargeError
from retention.query.run import Limits, Parts, Rendered, run_query
from retention.schema import RECORD_SCHEMA, RecordClass
from tickets.samples.ranks import METHOD, ranks, seed_of
from tickets.samples.tables import WAITING
from tickets.samples.tables import days as day_table
from tickets.samples.tables import samples as table
from tickets.samples.tables import strata as strata_table
from tickets.tables import findings
from tickets.tables import tickets as ticket_table

PURPOSE: Final = "人工抽检抽样 random sample of passed texts for human review (licence 15(6), 16(7))"
PART_BYTES: Final = 256 << 20
"""Bytes of places read at once; a longer span is read in halves, and these in halves again."""
SMALLEST: Final = timedelta(seconds=1)
WORKER: Final = "system:review"


@dataclass(frozen=True, slots=True, order=True)
class Frame:
    """What is drawn from: one field of a record class, of the sources that declare it public."""

    record_class: str
    field: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DrawnDay:
    """A day's sample: texts passed by type of content, texts with a finding, the places drawn by rank."""

    day: str
    passed: Mapping[str, int]
    flagged: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A drawn text's rank and place."""

    rank: str
    source: str
    partition: str
    offset: int
    field: str
    record_class: str
    content_type: str


def frames_of(declared: Iterable[tuple[str, str, Mapping[str, bool]]]) -> tuple[Frame, ...]:
    """The frames of declared sources, each (name, record class, {field: public})."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, record_class, published in declared:
        for column, public in published.items():
            if public:
                found[record_class, column].append(name)
    return tuple(Frame(*key, tuple(sorted(names))) for key, names in sorted(found.items()))


def choose(parts: Parts, frames: Sequence[Frame], day: date, size: int, *, actor: str) -> DrawnDay:
    """Choose the sample of a day (in Asia/Shanghai, by the time of publication); only the query's record is written.

    Raises:
        UsageError: a field is none of text.
        LiucunError: as of ``run_query``.
    """
    choice = _Choice(day.isoformat(), size)
    begin = datetime.combine(day, time(), SHANGHAI)
    for frame in frames:
        flagged = _flagged(parts, frame)
        waiting = [(begin, begin + timedelta(days=1))]
        while waiting:
            since, until = waiting.pop()
            try:
                run_query(
                    parts,
                    _statement(frame, since, until),
                    purpose=PURPOSE,
                    actor=actor,
                    render=lambda rows, frame=frame, flagged=flagged: choice.take(parts, frame, flagged, rows),  # type: ignore[misc]
                    limits=Limits(result_bytes=PART_BYTES),
                )
            except QueryTooLargeError:
                if until - since <= SMALLEST:
                    raise
                middle = since + (until - since) / 2
                waiting += [(middle, until), (since, middle)]
    return choice.done()


def draw(
    parts: Parts, frames: Sequence[Frame], day: date, size: int, *, actor: str, now: datetime | None = None
) -> DrawnDay:
    """Choose the sample of a day that is over, and put it before the reviewers. A drawn day is never drawn again.

    Raises:
        UsageError: nothing is declared public, the day is not over, or it was drawn already.
    """
    moment = now or datetime.now(UTC)
    if not frames:
        raise UsageError(
            "No source declares text that is published to the public: there is nothing to draw from.",
            cure="Declare it in liucun.toml: published = { text = true }.",
        )
    if moment < datetime.combine(day + timedelta(days=1), time(), SHANGHAI):
        raise UsageError(f"{day} is not over yet.", cure="Draw a day when it is over.")
    if is_drawn(parts, day):
        raise UsageError(
            f"The sample of {day} was drawn already.", cure="`liucun review check` draws it again and compares."
        )
    found = choose(parts, frames, day, size, actor=actor)
    at = timestamp(moment)
    rows = [_row(place, found.day) for place in found.places]
    frame = json.dumps([[f.record_class, f.field, list(f.sources)] for f in frames], ensure_ascii=False)
    with parts.catalogue.write() as connection:
        if connection.execute(sa.select(day_table.c.day).where(day_table.c.day == found.day)).first():
            raise UsageError(f"The sample of {day} was drawn meanwhile.", cure="Nothing to do.")
        connection.execute(
            day_table.insert().values(
                day=found.day,
                drawn_at=at,
                drawn_by=actor,
                method=METHOD,
                size=size,
                frame=frame,
                passed=sum(found.passed.values()),
                flagged=found.flagged,
            )
        )
        if found.passed:
            counted = [{"day": found.day, "content_type": k, "passed": n} for k, n in sorted(found.passed.items())]
            connection.execute(strata_table.insert(), counted)
        if rows:
            connection.execute(table.insert(), rows)
        said: dict[str, object] = {"passed": sum(found.passed.values()), "flagged": found.flagged, "drawn": len(rows)}
        events.append(connection, kind="sample.day_drawn", actor=actor, subject=f"sample_day:{found.day}", body=said)
        drawn = [(f"sample:{row['sample_id']}", {"day": found.day}) for row in rows]
        events.append_many(connection, drawn, kind="sample.drawn", actor=actor)
    return found


def check(parts: Parts, day: date, *, actor: str) -> DrawnDay:
    """Choose a drawn day's sample again and compare: nobody put a text in or took one out.

    Raises:
        UsageError: the day was not drawn.
        IntegrityError: the places drawn are not those with the lowest ranks of what is there now.
    """
    with parts.catalogue.read() as connection:
        kept = connection.execute(sa.select(day_table).where(day_table.c.day == day.isoformat())).one_or_none()
        if kept is None:
            raise UsageError(f"No sample of {day} was drawn.", cure="`liucun review draw` draws it.")
        stored = {
            (row.source, row.partition, row.offset, row.field): row.rank
            for row in connection.execute(sa.select(table).where(table.c.day == kept.day))
        }
        # What became a ticket since was passed when it was drawn.
        judged = {
            (row.source, row.partition, row.offset, row.field)
            for row in connection.execute(sa.select(table).where(table.c.day == kept.day, table.c.state == "illegal"))
        }
    frames = [Frame(name, column, tuple(sources)) for name, column, sources in json.loads(kept.frame)]
    again = choose(parts, frames, day, kept.size, actor=actor)
    highest = max(stored.values(), default="")
    full = len(stored) >= kept.size
    there = {(p.source, p.partition, p.offset, p.field) for p in again.places if not full or p.rank <= highest}
    missing = there - stored.keys()
    foreign = stored.keys() - there - judged
    if missing or foreign:
        raise IntegrityError(
            f"The sample of {day} is not the one that the archive gives today: {len(missing)} texts are not in it, "
            f"{len(foreign)} should not be ({kept.passed} texts then, {sum(again.passed.values())} now).",
            cure="Records that came late, were restricted or destroyed since explain it; anything else does not.",
        )
    return again


def is_drawn(parts: Parts, day: date) -> bool:
    """Whether a day has its sample."""
    with parts.catalogue.read() as connection:
        found = connection.execute(sa.select(day_table.c.day).where(day_table.c.day == day.isoformat())).first()
    return found is not None


@dataclass(slots=True)
class _Choice:
    """The lowest ranks seen so far, and what was counted."""

    day: str
    size: int
    passed: Counter[str] = field(default_factory=Counter)
    flagged: int = 0
    best: list[Place] = field(default_factory=list)

    def take(
        self, parts: Parts, frame: Frame, flagged: Mapping[tuple[str, str], np.ndarray[Any, Any]], rows: pa.Table
    ) -> Rendered:
        """Count a part of the frame and keep its lowest ranks."""
        types = rows.column("content_type").combine_chunks().dictionary_encode()
        kinds = [kind_of(name) for name in types.dictionary.to_pylist()]
        codes = pc.fill_null(types.indices, len(kinds)).to_numpy(zero_copy_only=False)
        kinds.append(kind_of(None))
        offsets = rows.column("log_offset").combine_chunks().to_numpy(zero_copy_only=False)
        sources, partitions = (rows.column(name).combine_chunks() for name in ("log_source", "log_partition"))
        owners = pc.binary_join_element_wise(sources.cast(pa.string()), partitions.cast(pa.string()), "\x00")
        owners = owners.dictionary_encode()
        mine = owners.indices.to_numpy(zero_copy_only=False)
        for code, owner in enumerate(owners.dictionary.to_pylist()):
            source, _, partition = owner.partition("\x00")
            here = np.flatnonzero(mine == code)
            hit = flagged.get((source, partition))
            if hit is not None:
                known = np.isin(offsets[here], hit)
                self.flagged += int(known.sum())
                here = here[~known]
            counts = np.bincount(codes[here], minlength=len(kinds))
            self.passed.update({kinds[n]: int(count) for n, count in enumerate(counts) if count})
            numbers = ranks(seed_of(parts.bodies, self.day, source, partition, frame.field), offsets[here])
            lowest = np.argsort(numbers, kind="stable")[: self.size]
            self.best += [
                Place(
                    f"{int(numbers[n]):016x}",
                    source,
                    partition,
                    int(offsets[here[n]]),
                    frame.field,
                    frame.record_class,
                    kinds[codes[here[n]]],
                )
                for n in lowest
            ]
            self.best = sorted(self.best)[: self.size]
        return Rendered(b"", "json")

    def done(self) -> DrawnDay:
        """What was chosen."""
        return DrawnDay(self.day, dict(self.passed), self.flagged, tuple(self.best))


def _flagged(parts: Parts, frame: Frame) -> dict[tuple[str, str], np.ndarray[Any, Any]]:
    """Offsets of texts of a frame with a finding, by source and partition."""
    f, t = findings.c, ticket_table.c
    chosen = (
        sa.select(t.source, f.partition, f.offset)
        .distinct()
        .join_from(findings, ticket_table, t.ticket_id == f.ticket_id)
        .where(f.field == frame.field, t.source.in_(frame.sources))
    )
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    with parts.catalogue.read() as connection:
        for source, partition, offset in connection.execute(chosen):
            found[source, partition].append(offset)
    return {key: np.array(offsets, dtype=np.int64) for key, offsets in found.items()}


def _statement(frame: Frame, since: datetime, until: datetime) -> str:
    column = column_of(frame.field)
    sources = ", ".join(map(word, frame.sources))
    view = RecordClass(frame.record_class).view
    return (
        f"SELECT log_source, log_partition, log_offset, content_type FROM {view} "  # noqa: S608
        f"WHERE event_time >= TIMESTAMPTZ {word(since.isoformat())} "
        f"AND event_time < TIMESTAMPTZ {word(until.isoformat())} "
        f"AND log_source IN ({sources}) AND trim({column}) <> ''"
    )


def column_of(name: str) -> str:
    """A published field in SQL: its column, or its place in ``extra``.

    Raises:
        UsageError: the column holds no text.
    """
    if name in RECORD_SCHEMA.names:
        if RECORD_SCHEMA.field(name).type != pa.string():
            raise UsageError(f"The field {name!r} holds no text.", cure="Name a column of text in `published`.")
        return f'"{name}"'
    return f"element_at(extra, {word(name)})[1]"


def word(value: str) -> str:
    """A string in SQL."""
    return "'" + value.replace("'", "''") + "'"


def _row(place: Place, day: str) -> dict[str, object]:
    return {
        "sample_id": f"S{secrets.token_hex(8)}",
        "day": day,
        **{name: getattr(place, name) for name in Place.__slots__},
        "state": WAITING,
        "version": 1,
    }
