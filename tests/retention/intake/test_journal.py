"""The intake journal: what was answered is there once, whatever happens to the process, the disk or the files."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from errors import IntegrityError
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.intake import journal as journal_module
from retention.intake import journal_file as writing
from retention.intake.errors import IntakeBusyError, IntakeConflictError, IntakeFullError
from retention.intake.intake import Intake
from retention.intake.journal import Journal
from retention.intake.keeping import KEYS
from retention.intake.marks import Mark, mark_path, read_mark
from retention.intake.reading import JournalReader, journal_files
from retention.intake.settings import CollectorSettings
from tests.console.helpers import PlainBodies

LIMITS = CollectorSettings(reserve_megabytes=0)


def nothing(_names: list[str]) -> Mapping[str, int]:
    return {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "intake" / "shop"


@pytest.fixture
def opened(folder: Path) -> Iterator[Callable[..., Journal]]:
    made: list[Journal] = []

    def make(limits: CollectorSettings = LIMITS, archived=nothing) -> Journal:
        made.append(Journal(folder, PlainBodies(), limits, archived))
        return made[-1]

    yield make
    for journal in made:
        journal.close()


def read_all(folder: Path) -> bytes:
    """Everything that a reader gets to see."""
    found = b""
    for path in journal_files(folder):
        reader = JournalReader(path, PlainBodies())
        while part := reader.read(1 << 10):
            found += part
    return found


def crash(journal: Journal) -> None:
    """Let the journal go as a killed process does: nothing more is written, the lock is free."""
    os.close(journal._lock_handle)
    journal._lock_handle = -1
    journal._file._file = None


def test_what_was_answered_can_be_read_and_what_was_not_cannot(opened, folder) -> None:
    journal = opened()
    first = journal.take(b'{"a":1}\n', 1)
    second = journal.take(b'{"a":2}\n{"a":3}\n', 2)
    assert (first.start, first.end, second.start, second.end) == (0, 8, 8, 24)
    assert first.partition == second.partition
    assert read_all(folder) == b'{"a":1}\n{"a":2}\n{"a":3}\n'
    (path,) = journal_files(folder)
    assert b'{"a"' not in path.read_bytes(), "frames are sealed"
    reader = JournalReader(path, PlainBodies(), position=8)
    assert reader.read(1) == b'{"a":2}\n{"a":3}\n', "whole frames from an offset of lines on"
    assert JournalReader(path, PlainBodies(), position=16).read(1) == b'{"a":3}\n', "and from inside one"


def test_a_repeated_key_is_taken_once_also_after_a_crash_and_a_deletion(opened, folder) -> None:
    journal = opened()
    first = journal.take(b"x\n", 1, "k1")
    again = journal.take(b"x\n", 1, "k1")
    assert again.repeated
    assert (again.partition, again.start, again.end) == (first.partition, first.start, first.end)
    with pytest.raises(IntakeConflictError):
        journal.take(b"y\n", 1, "k1")
    crash(journal)
    second = opened(archived=lambda names: dict.fromkeys(names, 2))
    assert second.take(b"x\n", 1, "k1").repeated
    second.tend()
    assert journal_files(folder) == [], "archived to its end"
    assert len(list(folder.glob(f"*{KEYS}"))) == 1
    assert second.take(b"x\n", 1, "k1").partition == first.partition
    crash(second)
    assert opened().take(b"x\n", 1, "k1").repeated, "the key outlives its file"


def test_keys_of_the_same_group_meet(opened, folder) -> None:
    journal = opened()
    receipts = []
    with journal._disk:  # all of them wait for one sync
        threads = [threading.Thread(target=lambda: receipts.append(journal.take(b"x\n", 1, "k"))) for _ in range(5)]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert sum(not receipt.repeated for receipt in receipts) == 1
    assert read_all(folder) == b"x\n"


def test_keys_are_forgotten_by_number_and_by_age(opened, folder) -> None:
    journal = opened(CollectorSettings(reserve_megabytes=0, remember_keys=2))
    for key in ("a", "b", "c"):
        journal.take(b"x\n", 1, key)
    assert journal.take(b"x\n", 1, "c").repeated
    assert not journal.take(b"x\n", 1, "a").repeated
    assert journal._keys.forgotten_early == 2
    journal._keys.expire(2**62)
    assert len(journal._keys) == 0


@pytest.mark.parametrize("cut", [1, 40, 110])
def test_a_torn_end_is_cut_off_and_the_rest_is_kept(opened, folder, cut) -> None:
    journal = opened()
    journal.take(b"kept\n", 1)
    journal.take(b"torn\n", 1)
    (path,) = journal_files(folder)
    size = path.stat().st_size
    crash(journal)
    # The power went: the mark was never written, the last frame only in part.
    mark_path(path).unlink()
    os.truncate(path, size - cut)
    assert read_all(folder) == b"", "nothing is read that may be taken back"
    opened()
    assert read_all(folder) == b"kept\n"
    assert read_mark(path).closed


def test_a_lost_mark_is_found_again(opened, folder) -> None:
    journal = opened()
    journal.take(b"one\n", 1)
    journal.take(b"two\n", 1)
    (path,) = journal_files(folder)
    crash(journal)
    mark_path(path).write_bytes(b"\0" * 25)
    opened()
    assert read_all(folder) == b"one\ntwo\n"


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_write_that_fails_is_taken_back(opened, folder, monkeypatch, call) -> None:
    journal = opened()
    journal.take(b"before\n", 1)
    real = getattr(os, call)

    def failing(handle: int, *rest: object) -> int:
        if call == "pwrite" and len(rest) == 2 and rest[1]:
            real(handle, bytes(rest[0])[:50], rest[1])  # half of it reaches the disk
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(writing.os, call, failing)
        with pytest.raises(IntakeFullError, match="No space left"):
            journal.take(b"refused\n", 1, "key")
    assert journal.figures.failures == 1
    assert not journal.take(b"refused\n", 1, "key").repeated, "the same key may try again"
    assert read_all(folder) == b"before\nrefused\n"


def test_while_a_failed_write_cannot_be_taken_back_nothing_is_taken_over(opened, folder, monkeypatch) -> None:
    journal = opened()
    journal.take(b"before\n", 1)

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(writing.os, "fdatasync", failing)
        patched.setattr(writing.os, "ftruncate", failing)
        with pytest.raises(IntakeFullError):
            journal.take(b"refused\n", 1)
        patched.undo()
        patched.setattr(writing.os, "ftruncate", failing)
        with pytest.raises(IntakeFullError):
            journal.take(b"refused\n", 1)
    assert read_all(folder) == b"before\n"
    journal.take(b"after\n", 1)
    assert read_all(folder) == b"before\nafter\n"


def test_files_rotate_and_go_when_archived(opened, folder) -> None:
    cursors: dict[str, int] = {}
    limits = CollectorSettings(reserve_megabytes=0, file_megabytes=1)
    journal = opened(limits, lambda names: {name: cursors.get(name, 0) for name in names})
    line = b"x" * 999 + b"\n"
    receipts = [journal.take(line * 600, 600) for _ in range(5)]
    names = sorted({receipt.partition for receipt in receipts})
    assert len(names) == 3
    journal.tend()
    assert journal.figures.backlog == 5 * 600_000
    cursors[names[0]] = 1_200_000
    journal.tend()
    assert [path.stem for path in journal_files(folder)] == names[1:]
    assert journal.figures.backlog == 3 * 600_000


def test_bounds(opened, folder, monkeypatch) -> None:
    journal = opened(CollectorSettings(reserve_megabytes=0, waiting_megabytes=1, backlog_megabytes=1))
    with journal._disk:
        waiting = threading.Thread(target=journal.take, args=(b"x" * (900 << 10) + b"\n", 1))
        waiting.start()
        while not journal._held:
            pass
        with pytest.raises(IntakeBusyError):
            journal.take(b"x" * (200 << 10) + b"\n", 1)
    waiting.join()
    journal._looked -= 2
    journal.take(b"x" * (200 << 10) + b"\n", 1)
    journal._looked -= 2
    with pytest.raises(IntakeFullError, match="behind"):
        journal.take(b"x\n", 1)
    full = opened_elsewhere = folder.parent / "full"
    with (
        Journal(opened_elsewhere, PlainBodies(), CollectorSettings(reserve_megabytes=10**9), nothing) as other,
        pytest.raises(IntakeFullError, match="nearly full"),
    ):
        other.take(b"x\n", 1)
    assert read_all(full) == b""


def test_two_processes_cannot_write_one_journal(opened) -> None:
    opened()
    with pytest.raises(IntakeFullError, match="Another process"):
        opened()


def test_damage_before_the_mark_is_said_and_nothing_after_it_is_read(opened, folder) -> None:
    journal = opened()
    journal.take(b"good\n", 1)
    second = journal.take(b"bad\n", 1)
    (path,) = journal_files(folder)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1  # in what binds the frame to its place
    path.write_bytes(data)
    reader = JournalReader(path, PlainBodies())
    assert reader.read(1 << 20) == b"good\n"
    with pytest.raises(IntegrityError, match="damaged from its line offset 5"):
        reader.read(1 << 20)
    assert reader.position == second.start


def test_close_answers_whoever_waits(opened, folder) -> None:
    journal = opened()
    journal.take(b"x\n", 1)
    journal.close()
    with pytest.raises(IntakeFullError, match="stopping"):
        journal.take(b"y\n", 1)
    assert all(read_mark(path).closed for path in journal_files(folder))


def test_a_repeat_after_the_end_is_refused_and_does_not_wait_for_ever(opened, folder) -> None:
    journal = opened()
    journal.take(b"x\n", 1, "key")
    journal.close()
    with pytest.raises(IntakeFullError, match="stopping"):
        journal.take(b"x\n", 1, "key")


def test_a_journal_that_could_not_be_opened_can_be_later(opened, folder, monkeypatch) -> None:
    """The lock of a try that failed is given back."""

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(journal_module, "recover", failing)
        with pytest.raises(IntakeFullError, match="Input/output error"):
            opened()
    opened().take(b"x\n", 1)
    assert read_all(folder) == b"x\n"


def test_what_was_synced_is_answered_though_its_file_cannot_be_closed(opened, folder, monkeypatch) -> None:
    journal = opened(CollectorSettings(reserve_megabytes=0, file_megabytes=1))
    line = b"x" * 999 + b"\n"
    real = writing.write_mark

    def failing(handle: int, mark: Mark) -> None:
        if mark.closed:
            raise OSError(errno.EIO, "Input/output error")
        real(handle, mark)

    with monkeypatch.context() as patched:
        patched.setattr(writing, "write_mark", failing)
        first = journal.take(line * 1100, 1100)
    assert journal.take(b"next\n", 1).partition != first.partition
    (path,) = [path for path in journal_files(folder) if path.stem == first.partition]
    assert not read_mark(path).closed
    journal.tend()
    assert read_mark(path).closed, "so that it is deleted when it is archived"
    assert read_all(folder) == line * 1100 + b"next\n"


def test_one_journal_that_fails_leaves_the_others_tended(tmp_path: Path) -> None:
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.db'}")
    migrate(catalogue)
    intake = Intake(tmp_path, ("a", "b"), catalogue, PlainBodies(), LIMITS)
    try:
        _, journal = intake.journal("b")
        journal.take(b"x\n", 1)
        journal.figures.backlog = 0
        LIMITS.place(tmp_path, "a").write_text("no folder")
        with pytest.raises(IntakeFullError, match="a cannot be looked at"):
            intake.tend()
        assert journal.figures.backlog == 2
    finally:
        intake.close()
