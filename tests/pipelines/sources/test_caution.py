"""What a source does with the marks of readers that died: batches in parts, turns, tries of a record of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from errors import UnreachableError
from pipelines import under_way
from pipelines.batches import Messages, Place, RawBatch
from pipelines.decode import decoder
from pipelines.sources import caution
from pipelines.sources.caution import PARTS, Caution
from pipelines.sources.files import FileSource
from pipelines.sources.journal import JournalSource
from pipelines.sources.parts import parts, record_starts, split
from retention.catalogue import attempts, progress
from retention.catalogue.attempts import TRIES
from retention.catalogue.tables import attempts as table
from retention.catalogue.tables import partitions
from retention.intake.journal import Journal
from retention.intake.settings import CollectorSettings
from retention.store import Store
from tests.console.helpers import PlainBodies
from tests.pipelines.sources.mock_kafka import spec

SPEC = spec("127.0.0.1:9092")


def batch(start: int, count: int, partition: str = "t/0#1", step: int = 1) -> RawBatch:
    values = [b'{"content_id":"c%d"}' % n for n in range(count)]
    return RawBatch(
        Place("k", partition, start, start + count * step),
        b"".join(values),
        first=not start,
        last=False,
        messages=Messages(
            start + np.arange(count, dtype=np.int64) * step, np.cumsum([len(v) for v in values], dtype=np.int64)
        ),
    )


def known(store: Store, partition: str = "t/0#1", cursor: int = 0) -> None:
    with store.catalogue.write() as connection:
        progress.add_partition(connection, source="k", partition=partition, path=partition, generation=1)
        connection.execute(partitions.update().where(partitions.c.partition == partition).values(cursor=cursor))


def died(store: Store, raw: RawBatch, times: int = 1) -> None:
    """Workers that began a batch and were no more."""
    for _ in range(times):
        under_way.begin("gone", store.catalogue, SPEC, raw)
        under_way.done("gone", raw.place)


def mark(store: Store, partition: str = "t/0#1") -> attempts.Attempt | None:
    with store.catalogue.read() as connection:
        return attempts.attempt(connection, "k", partition)


def taken_up(store: Store, raw: RawBatch) -> list[RawBatch]:
    looking = Caution(SPEC, store.catalogue)
    assert looking.take_up(raw.place.partition, raw.place.start)
    return looking.guarded([raw])


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caution, "SPACING", timedelta(0))


def test_only_the_first_batch_after_a_start_is_marked(store: Store) -> None:
    looking = Caution(SPEC, store.catalogue)
    assert looking.take_up("t/0#1", 0)
    first, second = looking.guarded([batch(0, 4), batch(4, 4)])
    assert first.guard is not None
    assert second.guard is None
    assert [raw.guard for raw in looking.guarded([batch(8, 4)])] == [None]


def test_what_three_workers_died_over_is_read_in_parts_and_the_rest_as_ever(store: Store) -> None:
    known(store)
    died(store, taken_up(store, batch(0, 160))[0], TRIES)
    found = taken_up(store, batch(0, 200))
    assert [raw.place.end for raw in found] == [*range(10, 161, 10), 200]
    assert [raw.guard is not None for raw in found] == [True] * PARTS + [False]
    # The next dies over the second part: what was committed before it is no longer suspected.
    with store.catalogue.write() as connection:
        attempts.passed(connection, "k", "t/0#1", 10, suspect=160)
    died(store, found[1])
    again = taken_up(store, batch(10, 190))
    assert [raw.place.end for raw in again] == [*range(11, 21), 200]


def test_a_commit_inside_of_a_suspected_range_keeps_the_rest_suspected(store: Store) -> None:
    known(store)
    died(store, taken_up(store, batch(0, 160))[0], TRIES)
    died(store, taken_up(store, batch(0, 160))[0])
    with store.catalogue.write() as connection:
        attempts.passed(connection, "k", "t/0#1", 10, suspect=160)
    left = mark(store)
    assert left is not None
    assert (left.cursor, left.end, left.tries, left.narrowed) == (10, 160, 0, True)
    assert len(taken_up(store, batch(10, 150))) == 15
    with store.catalogue.write() as connection:
        attempts.passed(connection, "k", "t/0#1", 160, suspect=160)
    assert mark(store) is None


@pytest.mark.usefixtures("at_once")
def test_a_message_alone_has_tries_of_its_own_before_it_is_condemned(store: Store) -> None:
    known(store)
    died(store, taken_up(store, batch(0, 1))[0], TRIES)
    for _ in range(TRIES):
        (alone,) = taken_up(store, batch(0, 1))
        assert alone.guard is not None
        assert not alone.guard.condemned
        died(store, alone)
    condemned, rest = taken_up(store, batch(0, 3))
    assert condemned.guard is not None
    assert condemned.guard.condemned
    assert condemned.place.end == 1
    assert rest.guard is None


def test_its_tries_are_spaced_and_the_partition_is_put_off_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(store)
    died(store, taken_up(store, batch(0, 1))[0], TRIES)
    died(store, taken_up(store, batch(0, 1))[0])
    looking = Caution(SPEC, store.catalogue)
    assert not looking.take_up("t/0#1", 0)
    monkeypatch.setattr(caution, "SPACING", timedelta(0))
    assert looking.due("t/0#1") is False, "it is not asked before the time that was found"
    assert looking.take_up("t/0#1", 0)
    assert looking.due("t/0#1")


@pytest.mark.usefixtures("at_once")
def test_a_message_alone_waits_for_what_else_workers_may_die_over(store: Store) -> None:
    """Two lanes: the death of one ends the other's worker with the job."""
    known(store)
    known(store, "t/1#1")
    for partition in ("t/0#1", "t/1#1"):
        died(store, taken_up(store, batch(0, 1, partition))[0], TRIES)
        died(store, taken_up(store, batch(0, 1, partition))[0])
    looking = Caution(SPEC, store.catalogue)
    assert looking.take_up("t/0#1", 0), "the first by name has its turn"
    assert not looking.take_up("t/1#1", 0)
    with store.catalogue.write() as connection:
        attempts.passed(connection, "k", "t/0#1", 1, suspect=1)
    assert looking.take_up("t/1#1", 0)
    died(store, batch(1, 9, "t/0#1"))
    assert looking.take_up("t/1#1", 0), "an unguarded batch leaves no mark"


def test_marks_of_another_place_or_time_are_nobody_s_fault(store: Store) -> None:
    known(store)
    died(store, taken_up(store, batch(0, 50))[0], TRIES)
    # Another job came further; a new generation; another partition.
    assert len(taken_up(store, batch(7, 50))) == 1
    assert len(taken_up(store, batch(0, 50, "t/0#2"))) == 1
    assert len(taken_up(store, batch(0, 50, "t/1#1"))) == 1
    # One that comes late does not touch the mark of what is ahead of it.
    died(store, taken_up(store, batch(7, 50))[0])
    died(store, taken_up(store, batch(0, 50))[0])
    left = mark(store)
    assert left is not None
    assert (left.cursor, left.tries) == (7, 1)


@pytest.mark.parametrize(("error", "tries"), [(UnreachableError("Away.", cure="Wait."), 2), (MemoryError(), 3)])
def test_an_error_that_is_told_is_taken_back_and_memory_that_ran_out_is_not(
    store: Store, error: Exception, tries: int
) -> None:
    raw = taken_up(store, batch(0, 50))[0]
    died(store, raw, 2)
    under_way.begin("job", store.catalogue, SPEC, raw)
    under_way.failed("job", raw.place, error)
    left = mark(store)
    assert left is not None
    assert left.tries == tries
    assert left.end == 50


def test_a_process_that_ends_in_order_leaves_no_mark(store: Store) -> None:
    raw = taken_up(store, batch(0, 50))[0]
    under_way.begin("job", store.catalogue, SPEC, raw)
    assert mark(store) is not None
    under_way.end()
    assert mark(store) is None
    under_way.end()
    under_way.failed("job", raw.place, UnreachableError("Away.", cure="Wait."))
    with store.catalogue.read() as connection:
        assert connection.execute(sa.select(table)).all() == []


@pytest.mark.parametrize(("count", "step"), [(1, 1), (2, 3), (16, 1), (17, 2), (1000, 1)])
def test_parts_make_the_whole(count: int, step: int) -> None:
    raw = batch(5, count, step=step)
    found = parts(raw, SPEC, PARTS)
    assert len(found) <= PARTS
    assert b"".join(part.data for part in found) == raw.data
    assert [part.place.start for part in found] == [5, *(part.place.end for part in found[:-1])]
    assert found[-1].place.end == raw.place.end
    assert sum(len(record_starts(part, SPEC)) for part in found) == count


def test_lines_are_split_where_a_record_begins() -> None:
    csv = SPEC.model_copy(update={"format": "csv", "kind": "files", "kafka": None})
    raw = RawBatch(Place("k", "p", 0, 22), b'a,b\n1,"x\ny"\n2,z\n3,zz\n', first=True, last=True)
    found = parts(raw, csv, 2)
    assert [part.data for part in found] == [b'a,b\n1,"x\ny"\n', b"2,z\n3,zz\n"]
    assert [part.header for part in found] == [b"", b"a,b"]
    assert [(part.first, part.last) for part in found] == [(True, False), (False, True)]
    head, tail = split(found[1], csv, 16)
    assert (head.header, tail.header, tail.data) == (b"a,b", b"a,b", b"3,zz\n")


def test_blank_lines_before_a_header_are_never_parted_from_it() -> None:
    csv = SPEC.model_copy(update={"format": "csv", "kind": "files", "paths": ("/logs/*.csv",), "kafka": None})
    data = b"\n\r\n\ncontent_id,text\n1,x\n2,y\n"
    found = parts(RawBatch(Place("k", "p", 0, len(data)), data, first=True, last=True), csv, PARTS)
    assert [part.data for part in found] == [b"\n\r\n\ncontent_id,text\n", b"1,x\n", b"2,y\n"]
    decoded = [decoder(csv).decode(part, datetime.now(UTC)) for part in found]
    assert [part.header_rows for part in decoded] == [1, 0, 0]
    assert [part.records.column("content_id").to_pylist() for part in decoded] == [[], ["1"], ["2"]]
    assert [part.unparsed.num_rows for part in decoded] == [0, 0, 0]


def test_lines_of_the_collector_are_taken_apart_too_and_wait_for_their_turn(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four lines of one request: the second kills every reader."""
    collected = SPEC.model_copy(update={"kind": "collector", "kafka": None})
    lines = [b'{"n":%d}\n' % number for number in range(4)]
    with Journal(tmp_path, PlainBodies(), CollectorSettings(reserve_megabytes=0), lambda _names: {}) as journal:
        partition = journal.take(b"".join(lines), len(lines)).partition

    def source() -> JournalSource:
        return JournalSource(collected, store.catalogue, tmp_path, PlainBodies())

    def died_over(raw: RawBatch) -> None:
        under_way.begin("gone", store.catalogue, collected, raw)
        under_way.done("gone", raw.place)

    def commit(raw: RawBatch) -> None:
        assert raw.guard is not None
        with store.catalogue.write() as connection:
            attempts.passed(connection, "k", partition, raw.place.end, suspect=raw.guard.suspect)
            connection.execute(
                partitions.update().where(partitions.c.partition == partition).values(cursor=raw.place.end)
            )

    for _ in range(TRIES):
        (whole,) = source().plan(1 << 20)
        died_over(whole)
    first, second, *_ = source().plan(1 << 20)
    commit(first)
    died_over(second)
    waiting = source()
    assert waiting.plan(1 << 20) == []
    assert waiting.waiting
    assert not waiting.done()
    monkeypatch.setattr(caution, "SPACING", timedelta(0))
    for _ in range(TRIES - 1):
        died_over(source().plan(1 << 20)[0])
    through = source()
    condemned, rest = through.plan(1 << 20)
    assert condemned.guard is not None
    assert condemned.guard.condemned
    assert (condemned.data, rest.data, rest.guard) == (lines[1], lines[2] + lines[3], None)
    assert [problem.path for problem in through.problems] == [partition]


def test_what_others_brought_to_its_end_meanwhile_is_waited_for_no_more(store: Store, tmp_path: Path) -> None:
    """A run that does not follow would else never end."""
    collected = SPEC.model_copy(update={"kind": "collector", "kafka": None})
    limits = CollectorSettings(reserve_megabytes=0)
    with Journal(tmp_path, PlainBodies(), limits, lambda _names: {}) as journal:
        names = [journal.take(b"{}\n", 1).partition]
        journal._end_file()
        names.append(journal.take(b"{}\n", 1).partition)

    def source() -> JournalSource:
        return JournalSource(collected, store.catalogue, tmp_path, PlainBodies())

    for tries in range(TRIES + 1):
        for raw in source().plan(1 << 20):
            under_way.begin("gone", store.catalogue, collected, raw)
            under_way.done("gone", raw.place)
        assert tries < TRIES or source().plan(1 << 20) == []
    through = source()
    assert through.plan(1 << 20) == []
    assert through.waiting
    with store.catalogue.write() as connection:
        progress.finish_partition(connection, "k", names[0])
    for file in tmp_path.glob(f"{names[1]}.*"):
        file.unlink()
    through._caution._due.clear()  # their time comes
    assert through.plan(1 << 20) == []
    assert not through.waiting
    assert through.done()


def test_a_file_that_others_brought_to_its_end_meanwhile_is_waited_for_no_more(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"{}\n")
    spec = SPEC.model_copy(update={"kind": "files", "paths": (str(tmp_path / "*.log"),), "kafka": None})
    FileSource(spec, store.catalogue, follow=False).plan(1 << 20)
    for _ in range(TRIES + 1):
        (raw,) = FileSource(spec, store.catalogue, follow=False).plan(1 << 20)
        under_way.begin("gone", store.catalogue, spec, raw)
        under_way.done("gone", raw.place)
    source = FileSource(spec, store.catalogue, follow=False)
    assert source.plan(1 << 20) == []
    assert source.waiting
    with store.catalogue.write() as connection:
        connection.execute(partitions.update().values(cursor=3))
    source._forget()  # as when another collector was quicker
    assert source.plan(1 << 20) == []
    assert not source.waiting
