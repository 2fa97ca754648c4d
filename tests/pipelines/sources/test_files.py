"""The file source: every line is planned exactly once, whatever happens to the files."""

from __future__ import annotations

import gzip
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.batches import RawBatch
from pipelines.sources.files import FileSource
from pipelines.sources.spec import SourceSpec
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.catalogue.tables import events, partitions


class Collector:
    """Plans and commits as a run does; ``lines`` is what the archive would hold."""

    def __init__(self, folder: Path, **spec: object) -> None:
        self.catalogue = Catalogue.open(f"sqlite:///{folder / 'catalogue.db'}")
        migrate(self.catalogue)
        self.spec = SourceSpec.model_validate(
            {"name": "s", "record_class": "user_log", "format": "ndjson", "paths": [str(folder / "*.log*")], **spec}
        )
        self.lines: list[str] = []
        self.source = self.fresh()

    def fresh(self, *, follow: bool = False, batch_bytes: int = 64) -> FileSource:
        self.source = FileSource(self.spec, self.catalogue, follow=follow, batch_bytes=batch_bytes)
        return self.source

    def plan(self) -> list[RawBatch]:
        self.source._files.scanned = 0.0
        return self.source.plan(1 << 20)

    def commit(self, batches: list[RawBatch]) -> None:
        for batch in batches:
            with self.catalogue.write() as connection:
                moved = connection.execute(
                    partitions.update()
                    .where(partitions.c.partition == batch.place.partition, partitions.c.cursor == batch.place.start)
                    .values(cursor=batch.place.end)
                )
                assert moved.rowcount == 1
            self.lines += batch.data.decode().split("\n")
        self.lines = [line for line in self.lines if line]

    def drain(self) -> int:
        total = 0
        while batches := self.plan():
            self.commit(batches)
            total += len(batches)
        return total

    def run(self, **options: bool) -> int:
        self.fresh(**options)
        return self.drain()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(path: Path, lines: range | list[int], mode: str = "a") -> None:
    with path.open(mode) as file:
        file.writelines(f"line {n} {'x' * (n % 40)}\n" for n in lines)


def expected(lines: range | list[int]) -> list[str]:
    return [f"line {n} {'x' * (n % 40)}".strip() for n in lines]


def held(collector: Collector) -> list[str]:
    return sorted(line.strip() for line in collector.lines)


def test_running_again_adds_only_what_was_appended(folder: Path) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(100))
    assert collector.run() > 1
    assert collector.run() == 0
    write(folder / "a.log", range(100, 150))
    collector.run()
    assert held(collector) == sorted(expected(range(150)))


def test_planned_ranges_are_repeated_exactly_after_a_crash(folder: Path) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(100))
    before = collector.plan()
    write(folder / "a.log", range(100, 120))
    collector.fresh(batch_bytes=1000)
    again = collector.plan()
    assert [replace(b, guard=None) for b in again] == before
    # It may have been the first that ended the run before.
    assert [b.guard is not None for b in again] == [True, *[False] * (len(again) - 1)]
    collector.commit(again)
    collector.drain()
    assert held(collector) == sorted(expected(range(120)))


def test_a_renamed_file_keeps_its_cursor(folder: Path) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(100))
    collector.run()
    (folder / "a.log").rename(folder / "a.log.1")
    write(folder / "a.log.1", range(100, 110))
    write(folder / "a.log", range(200, 250))
    collector.run()
    assert held(collector) == sorted(expected([*range(110), *range(200, 250)]))


def test_a_rotated_and_compressed_file_is_recognised(folder: Path) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(100))
    collector.run()
    (folder / "a.log.1.gz").write_bytes(gzip.compress((folder / "a.log").read_bytes()))
    (folder / "a.log").unlink()
    write(folder / "a.log", range(200, 250))
    collector.run()
    assert held(collector) == sorted(expected([*range(100), *range(200, 250)]))


def test_copy_truncate_is_a_new_generation(folder: Path) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(100))
    collector.run()
    (folder / "a.log.1").write_bytes((folder / "a.log").read_bytes())
    write(folder / "a.log", range(300, 500), mode="w")
    collector.run()
    assert held(collector) == sorted(expected([*range(100), *range(300, 500)]))


def test_many_small_files_that_begin_alike_are_told_apart(folder: Path) -> None:
    collector = Collector(folder)
    for number in range(30):
        (folder / f"{number}.log").write_text(f"same first line\nown line {number}\n")
    collector.run()
    for number in range(30):
        (folder / f"{number}.log").unlink()
        (folder / f"new-{number}.log").write_text("same first line\n" * 2)
    collector.run()
    assert len(collector.lines) == 30 * 2 + 30 * 2


def test_a_reused_inode_does_not_fool(folder: Path) -> None:
    collector = Collector(folder)
    path = folder / "a.log"
    write(path, range(100))
    collector.run()
    inode = path.stat().st_ino
    write(path, range(500, 700), mode="w")
    assert path.stat().st_ino == inode
    collector.run()
    assert held(collector) == sorted(expected([*range(100), *range(500, 700)]))


def test_an_unterminated_tail_waits_only_while_following(folder: Path) -> None:
    collector = Collector(folder)
    (folder / "a.log").write_text("whole\nhal")
    collector.run(follow=True)
    assert collector.lines == ["whole"]
    with (folder / "a.log").open("a") as file:
        file.write("f\n")
    collector.drain()
    assert collector.lines == ["whole", "half"]
    with (folder / "a.log").open("a") as file:
        file.write("end")
    collector.run()
    assert collector.lines == ["whole", "half", "end"]


def test_following_goes_across_rotation(folder: Path) -> None:
    collector = Collector(folder, paths=[str(folder / "a.log")])
    path = folder / "a.log"
    write(path, range(50))
    collector.run(follow=True)
    write(path, range(50, 60))
    path.rename(folder / "a.old")
    write(path, range(60, 80))
    collector.drain()
    write(path, range(80, 90))
    collector.drain()
    assert held(collector) == sorted(expected(range(90)))


def test_a_truncated_gz_gives_what_it_has_and_says_so(folder: Path) -> None:
    collector = Collector(folder)
    whole = gzip.compress(b"".join(f"line {random.Random(n).random()}\n".encode() for n in range(5000)))
    (folder / "a.log.gz").write_bytes(whole[: len(whole) // 2])
    collector.run()
    assert len(collector.lines) > 1000
    (problem,) = collector.source.problems
    assert "ends too early" in str(problem)


def test_gz_members_damage_and_emptiness(folder: Path) -> None:
    collector = Collector(folder)
    (folder / "a.log.gz").write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n") + b"\0" * 512)
    (folder / "b.log.gz").write_bytes(gzip.compress(b"three\n") + b"not gzip at all")
    (folder / "c.log.gz").write_bytes(b"")
    (folder / "d.log.gz").write_bytes(b"plain text\n")
    collector.run()
    assert collector.lines == ["one", "two", "three"]
    assert {str(p).split("/")[-1].split(":")[0] for p in collector.source.problems} == {"b.log.gz", "d.log.gz"}


def test_what_is_no_file_is_a_problem_and_never_hangs(folder: Path) -> None:
    collector = Collector(folder, paths=[str(folder / "*.log"), str(folder / "nowhere/*.log")])
    os.mkfifo(folder / "pipe.log")
    (folder / "folder.log").mkdir()
    (folder / "loop.log").symlink_to("loop.log")
    (folder / "empty.log").touch()
    write(folder / "a.log", range(3))
    collector.run()
    assert held(collector) == sorted(expected(range(3)))
    said = " ".join(str(problem) for problem in collector.source.problems)
    assert "no regular file" in said
    assert "loop.log" in said
    assert "nowhere" in said


def test_odd_names_are_kept(folder: Path) -> None:
    collector = Collector(folder)
    (folder / os.fsdecode(b"\xff\xfe.log")).write_bytes(b"one\n")
    collector.run()
    assert collector.run() == 0
    assert collector.lines == ["one"]


def test_a_file_that_vanishes_while_it_is_read_is_read_to_its_end(folder: Path) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(2000))
    collector.commit(collector.source.plan(64))
    (folder / "a.log").unlink()
    collector.drain()
    assert held(collector) == sorted(expected(range(2000)))


def test_planned_bytes_that_are_gone_are_said_and_recorded(folder: Path) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(100))
    collector.plan()
    (folder / "a.log").unlink()
    collector.run()
    assert collector.lines == []
    assert any("never archived" in str(problem) for problem in collector.source.problems)
    with collector.catalogue.read() as connection:
        assert [row.kind for row in connection.execute(events.select())] == ["source.lost"]


def test_two_collectors_share_one_plan(folder: Path) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(100))
    other = FileSource(collector.spec, collector.catalogue, batch_bytes=64)
    mine = collector.plan()
    theirs = other.plan(1 << 20)
    assert [b.place for b in theirs] == [b.place for b in mine]


def test_csv_batches_after_the_first_carry_the_header(folder: Path) -> None:
    collector = Collector(folder, format="csv", paths=[str(folder / "*.csv")])
    (folder / "a.csv").write_text("a,b\n" + "".join(f'{n},"x\ny"\n' for n in range(50)))
    batches = collector.plan()
    assert batches[0].first
    assert batches[0].header == b""
    assert {b.header for b in batches[1:]} == {b"a,b"}
    assert all(b.data.count(b'"') % 2 == 0 for b in batches)


@pytest.mark.parametrize("seed", range(6))
def test_random_lives_of_files(folder: Path, seed: int) -> None:
    """Appends, renames, rotations, compression, copy-truncation, restarts and crashes in random order."""
    rng = random.Random(seed)
    collector = Collector(folder)
    written: list[int] = []
    alive = folder / "a.log"
    number = seed * 100_000

    def append() -> None:
        nonlocal number
        more = range(number, number + rng.randrange(40, 90))
        number = more.stop
        write(alive, more)
        written.extend(more)

    append()
    for step in range(40):
        match rng.randrange(7):
            case 0 | 1:
                append()
            case 2:
                alive.rename(folder / f"a.log.{step}")
                append()
            case 3:
                collector.drain()
                (folder / f"a.log.{step}.gz").write_bytes(gzip.compress(alive.read_bytes()))
                alive.unlink()
                append()
            case 4:
                collector.drain()
                (folder / f"a.log.{step}").write_bytes(alive.read_bytes())
                alive.write_text("")
                append()
            case 5:
                collector.fresh(batch_bytes=rng.choice((64, 500, 1 << 20)))
                planned = collector.plan()
                collector.commit(planned[: rng.randrange(len(planned) + 1)])
                collector.fresh()
            case 6:
                collector.drain()
        if rng.random() < 0.3:
            collector.fresh(follow=rng.random() < 0.5)
            collector.drain()
    collector.run()
    assert held(collector) == sorted(expected(written))


def test_a_file_that_never_ends_leaves_the_others_their_turn(folder: Path) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(1000))
    write(folder / "b.log", range(1000, 1010))
    collector.fresh(follow=True)
    for number in range(2000, 2010):
        write(folder / "a.log", range(number * 10, number * 10 + 10))
        collector.commit(collector.source.plan(64))
    assert set(expected(range(1000, 1010))) <= set(held(collector))


def test_blank_lines_alone_are_not_the_beginning_of_a_csv_file(folder: Path) -> None:
    """Its header is to stand in the range with which it begins."""
    collector = Collector(folder, format="csv", paths=[str(folder / "*.csv")])
    path = folder / "a.csv"
    path.write_text("\n")
    collector.fresh(follow=True)
    assert collector.plan() == []
    with path.open("a") as file:
        file.write("a,b\n1,2\n")
    (batch,) = collector.plan()
    assert batch.first
    assert batch.data == b"\na,b\n1,2\n"
    collector.commit([batch])
    (folder / "b.csv").write_text("\n")
    collector.fresh()
    assert [batch.data for batch in collector.plan()] == [b"\n"], "unless there is no more"
