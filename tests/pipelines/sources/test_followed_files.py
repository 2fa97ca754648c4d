"""Which file is which while others rename, copy, compress, link and rewrite them: nothing is lost, nothing doubled."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.sources import copies, reading, tail
from retention.catalogue.tables import events
from tests.pipelines.sources.test_files import Collector, expected, held, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def refusing(real: Callable[..., Any], name: str) -> Callable[..., Any]:
    """``os.open`` where one file cannot be opened."""

    def opened(path: Any, *given: Any, **named: Any) -> Any:
        if str(path).endswith(name):
            raise PermissionError(13, "Permission denied")
        return real(path, *given, **named)

    return opened


def _to(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:  # closed by another thread meanwhile
        return None


def test_a_file_that_is_written_anew_under_its_name_goes_on_and_leaves_nothing_open(folder: Path) -> None:
    """As editors and copying programs do: another file with all that was there, and more, takes the name."""
    collector = Collector(folder)
    path = folder / "a.log"
    write(path, range(100))
    collector.run(follow=True)
    for number in range(100, 110):
        (folder / "new").write_bytes(path.read_bytes())
        write(folder / "new", [number])
        (folder / "new").rename(path)
        collector.drain()
    assert held(collector) == sorted(expected(range(110)))
    still_open = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink() and str(path) in str(_to(link))]
    assert len(still_open) == 1


@pytest.mark.parametrize("begin", ["", "a banner that every file begins with\n"])
def test_what_an_open_file_still_gives_is_read_though_the_next_begins_alike(folder: Path, begin: str) -> None:
    collector = Collector(folder, paths=[str(folder / "a.log")])
    path = folder / "a.log"
    path.write_text(begin + "hal")
    collector.run(follow=True)
    with path.open("a") as file:
        file.write("f\nmore\n")
    path.rename(folder / "a.old")
    path.write_text(begin + "new\n")
    collector.drain()
    assert sorted(collector.lines) == sorted([*([begin.strip()] * 2 if begin else []), "half", "more", "new"])


def test_a_file_that_begins_as_the_one_moved_away_did_is_another(folder: Path) -> None:
    collector = Collector(folder, paths=[str(folder / "a.log")])
    path = folder / "a.log"
    path.write_text("banner\n")
    collector.run(follow=True)
    path.rename(folder / "a.old")
    path.write_text("banner\nnew\n")
    collector.drain()
    assert collector.lines == ["banner", "banner", "new"]


def test_lines_that_come_after_the_rotation_are_read_until_the_writer_has_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector(folder, paths=[str(folder / "a.log")])
    path = folder / "a.log"
    write(path, range(50))
    with path.open("a") as writer:
        collector.run(follow=True)
        path.rename(folder / "a.old")
        write(path, range(60, 70))
        collector.drain()
        writer.write("late\n")
        writer.flush()
        collector.drain()
        writer.write("unfinished")
        writer.flush()
        collector.drain()
    assert held(collector) == sorted([*expected([*range(50), *range(60, 70)]), "late"])
    monkeypatch.setattr(tail, "STILL_SECONDS", 0.0)
    collector.drain()
    assert "unfinished" in collector.lines
    assert [item.file.path for item in collector.source._files.tails.values()] == [str(path)]


@pytest.mark.parametrize("again", [False, True])
def test_a_small_file_is_known_by_its_inode_after_it_was_renamed(folder: Path, again: bool) -> None:
    collector = Collector(folder)
    path = folder / "a.log"
    path.write_text("one\n")
    collector.run(follow=True)
    with path.open("a") as file:
        file.write("two\n")
    path.rename(folder / "a.log.1")
    path.write_text("three\n")
    if again:
        collector.fresh(follow=True)
    collector.drain()
    assert sorted(collector.lines) == ["one", "three", "two"]


def test_a_file_being_compressed_is_not_taken_in_twice(folder: Path) -> None:
    collector = Collector(folder)
    path, packed = folder / "a.log.1", folder / "a.log.1.gz"
    write(path, range(200))
    collector.run(follow=True)
    data = gzip.compress(path.read_bytes())
    for size in (4, len(data) // 2, len(data)):
        packed.write_bytes(data[:size])
        collector.drain()
        assert "a.log.1 does" in str(collector.source.problems)
    path.unlink()
    collector.drain()
    collector.run()
    assert held(collector) == sorted(expected(range(200)))
    assert collector.source.problems == []


def test_a_compressed_file_beside_another_of_its_name_is_read(folder: Path) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(100))
    (folder / "a.log.gz").write_bytes(gzip.compress(b"of last week\n"))
    (folder / "b.log").write_text("b\n")
    (folder / "b.log.gz").write_bytes(b"not gzip at all")
    collector.run()
    assert held(collector) == sorted([*expected(range(100)), "of last week", "b"])
    assert [str(problem).split("/")[-1].split(":")[0] for problem in collector.source.problems] == ["b.log.gz"]


def test_a_copy_in_the_making_waits_until_its_original_is_cut(folder: Path) -> None:
    collector = Collector(folder)
    path, copy = folder / "a.log", folder / "a.log.1"
    write(path, range(200))
    collector.run(follow=True)
    data = path.read_bytes()
    for size in (len(data) // 2, len(data)):
        copy.write_bytes(data[:size])
        collector.drain()
    path.write_text("")
    collector.drain()
    write(path, range(300, 310))
    collector.drain()
    assert held(collector) == sorted(expected([*range(200), *range(300, 310)]))


def test_a_copy_that_stays_beside_its_original_is_a_file_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(200))
    collector.run(follow=True)
    (folder / "b.log").write_bytes((folder / "a.log").read_bytes())
    collector.drain()
    assert len(collector.lines) == 200
    monkeypatch.setattr(copies, "COPY_SECONDS", 0.0)
    collector.drain()
    assert len(collector.lines) == 400


def test_files_of_the_same_content_are_both_read_by_a_run_that_ends(folder: Path) -> None:
    collector = Collector(folder)
    for name in ("a.log", "b.log"):
        write(folder / name, range(100))
    collector.run()
    assert len(collector.lines) == 200


@pytest.mark.parametrize("hard", [False, True])
def test_a_file_with_two_names_is_read_once(folder: Path, hard: bool) -> None:
    collector = Collector(folder)
    path = folder / "app-1.log"
    write(path, range(100))
    (os.link if hard else os.symlink)(path, folder / "a-current.log")
    collector.run(follow=True)
    (folder / "a-current.log").unlink()
    collector.drain()
    write(path, range(100, 110))
    collector.run()
    assert held(collector) == sorted(expected(range(110)))


def test_a_partition_that_is_gone_does_not_hide_the_one_that_is_read_under_its_path(folder: Path) -> None:
    """A chain of rotation has had older files under each name, some of them of later generations."""
    collector = Collector(folder)
    first, second = folder / "a.log.1", folder / "a.log.2"
    for begin in range(0, 240, 60):
        write(first, range(begin, begin + 60), mode="w")
        collector.run()
        first.rename(second)
        collector.run()
        second.unlink()
        collector.run()
    write(folder / "a.log", range(240, 300))
    collector.run(follow=True)
    (folder / "a.log").rename(second)
    write(folder / "a.log", range(300, 360))
    for _ in range(3):
        collector.drain()
    assert held(collector) == sorted(expected(range(360)))


@pytest.mark.parametrize("follow", [False, True])
def test_planned_bytes_that_cannot_be_read_for_a_while_are_not_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch, follow: bool
) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(100))
    collector.plan()
    write(folder / "b.log", range(100, 120))
    with monkeypatch.context() as patch:
        patch.setattr(reading.os, "open", refusing(os.open, "a.log"))
        collector.run(follow=follow)
        assert held(collector) == sorted(expected(range(100, 120))), "and the others are read"
        assert "Permission denied" in str(collector.source.problems)
    if not follow:
        collector.fresh()
    collector.drain()
    assert held(collector) == sorted(expected(range(120)))
    with collector.catalogue.read() as connection:
        assert connection.execute(events.select()).all() == []


def test_a_file_that_was_given_up_is_read_if_it_comes_back(folder: Path) -> None:
    collector = Collector(folder)
    path = folder / "a.log"
    write(path, range(100))
    collector.plan()
    path.rename(folder / "elsewhere")
    write(folder / "b.log", range(200, 210))
    collector.run()
    assert "never archived" in str(collector.source.problems)
    assert held(collector) == sorted(expected(range(200, 210))), "the run goes on with what is there"
    (folder / "elsewhere").rename(path)
    collector.run()
    assert held(collector) == sorted(expected([*range(100), *range(200, 210)]))


def test_a_loss_names_all_that_was_planned(folder: Path) -> None:
    collector = Collector(folder)
    write(folder / "a.log", range(100))
    planned = collector.plan()
    assert len(planned) > 2
    (folder / "a.log").unlink()
    collector.run()
    assert f"bytes 0 to {planned[-1].place.end} " in str(collector.source.problems)


def test_a_compressed_file_whose_last_line_has_no_end_is_read_to_its_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector(folder)
    (folder / "a.log.gz").write_bytes(gzip.compress(b"one\ntwo"))
    collector.run(follow=True)
    assert collector.lines == ["one"]
    monkeypatch.setattr(tail, "STILL_SECONDS", 0.0)
    collector.drain()
    assert collector.lines == ["one", "two"]
    assert collector.source.lag() == 0


def test_a_compressed_file_that_is_touched_is_the_same_however_its_members_are_cut(folder: Path) -> None:
    """The length that stands at its end is that of the last member alone."""
    collector = Collector(folder)
    packed = folder / "a.log.gz"
    lines = "".join(f"line {n} {'x' * (n % 40)}\n" for n in range(100)).encode()
    packed.write_bytes(gzip.compress(lines) + gzip.compress(b""))
    collector.run(follow=True)
    (folder / "new").write_bytes(packed.read_bytes())
    (folder / "new").rename(packed)
    collector.drain()
    assert held(collector) == sorted(expected(range(100)))


def test_a_blank_line_before_the_header_is_no_header(folder: Path) -> None:
    collector = Collector(folder, format="csv", paths=[str(folder / "*.csv")])
    (folder / "a.csv").write_text("\na,b\n" + "".join(f"{n},x\n" for n in range(50)))
    batches = collector.plan()
    assert len(batches) > 1
    assert {batch.header for batch in batches[1:]} == {b"a,b"}


def test_a_file_that_was_copied_cut_and_written_anew_between_two_looks_is_neither_doubled_nor_mixed(
    folder: Path,
) -> None:
    collector = Collector(folder)
    path = folder / "a.log"
    write(path, range(100))
    collector.run(follow=True)
    (folder / "a.log.1").write_bytes(path.read_bytes())
    path.write_text("")
    write(path, range(200, 350))
    (folder / "new").write_bytes(path.read_bytes())
    write(folder / "new", range(350, 400))
    (folder / "new").rename(path)
    collector.drain()
    assert held(collector) == sorted(expected([*range(100), *range(200, 400)]))


@pytest.mark.parametrize("seed", range(4))
def test_random_lives_of_followed_files(folder: Path, seed: int) -> None:
    """Looked at between any two steps of what others do with the files, and begun anew at any time."""
    rng = random.Random(seed)
    collector = Collector(folder)
    collector.fresh(follow=True, batch_bytes=500)
    written: list[int] = []
    alive, number = folder / "a.log", seed * 100_000

    def append(to: Path) -> None:
        nonlocal number
        more = range(number, number + rng.randrange(40, 90))
        number = more.stop
        write(to, more)
        written.extend(more)

    def look() -> None:
        if rng.random() < 0.7:
            collector.drain()
        if rng.random() < 0.2:
            collector.fresh(follow=True, batch_bytes=rng.choice((64, 500, 1 << 20)))
        if rng.random() < 0.2:
            planned = collector.plan()
            collector.commit(planned[: rng.randrange(len(planned) + 1)])
            collector.fresh(follow=True)

    append(alive)
    for step in range(30):
        look()
        moved = folder / f"a.log.{step}"
        match rng.randrange(6):
            case 0:
                append(alive)
            case 1:  # the writer goes on with the file that was moved until it opens the next one
                alive.rename(moved)
                look()
                append(moved)
                look()
                append(alive)
            case 2:  # compressed, bit by bit, beside the file
                alive.rename(moved)
                append(alive)
                look()
                packed = gzip.compress(moved.read_bytes())
                for size in sorted(rng.sample(range(1, len(packed)), 2)):
                    (folder / f"{moved.name}.gz").write_bytes(packed[:size])
                    look()
                (folder / f"{moved.name}.gz").write_bytes(packed)
                look()
                moved.unlink()
            case 3:  # copied, bit by bit, and cut
                collector.drain()
                data = alive.read_bytes()
                if len(data) >= 2048:
                    moved.write_bytes(data[: rng.randrange(1024, len(data))])
                    look()
                    moved.write_bytes(data)
                    look()
                    alive.write_text("")
                    look()
                    append(alive)
            case 4:  # written anew under its name
                (folder / "new").write_bytes(alive.read_bytes())
                append(folder / "new")
                (folder / "new").rename(alive)
            case 5:  # other names for it
                (folder / "a.log.link").unlink(missing_ok=True)
                rng.choice((os.symlink, os.link))(alive, folder / "a.log.link")
                look()
                (folder / "a.log.link").unlink()
    collector.drain()
    collector.run()
    assert held(collector) == sorted(expected(written))
