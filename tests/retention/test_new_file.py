"""Files that leave the store: new, and there whole or not at all."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from errors import StorageError
from retention import new_file
from retention.new_file import unplaced, write_out


def test_what_is_there_stays(tmp_path: Path) -> None:
    write_out(tmp_path / "a", b"first")
    with pytest.raises(StorageError, match="File exists"):
        write_out(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"


@pytest.mark.parametrize("name", ["none/a", "a\0b", "n" * 300])
def test_where_nothing_can_be_written_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        write_out(tmp_path / name, b"data")


def test_nothing_is_left_of_what_was_not_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_out(tmp_path / "a", b"data")
    assert not list(tmp_path.iterdir())


def test_a_file_has_its_name_when_it_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with unplaced(path) as made:
        made.file.write(b"data")
        made.sync()
        assert not list(tmp_path.iterdir())
        made.place()
        assert path.read_bytes() == b"data"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StorageError, match="File exists"), unplaced(path):
        pass
    with unplaced(tmp_path / "b") as made:
        made.file.write(b"data")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("links", [True, False])
def test_where_every_file_has_a_name_it_is_a_hidden_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refused(*_given: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(new_file, "_NAMELESS", 0)
    if not links:
        monkeypatch.setattr("os.link", refused)
    path = tmp_path / "a"
    with unplaced(path) as made:
        made.file.write(b"data")
        made.sync()
        (hidden,) = tmp_path.iterdir()
        assert hidden.name.startswith(".writing-")
        assert hidden.stat().st_mode & 0o777 == 0o600
        made.place()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"data"
    with unplaced(tmp_path / "b") as made:
        (tmp_path / "b").write_bytes(b"another's")
        with pytest.raises(StorageError, match="File exists"):
            made.place()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a", "b"]
    assert (tmp_path / "b").read_bytes() == b"another's"


def stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden names cannot be deleted."""
    unlink = Path.unlink

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith(".writing-"):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)


def test_a_file_that_was_placed_stays_though_its_hidden_name_does_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(new_file, "_NAMELESS", 0)
    path = tmp_path / "a"
    with monkeypatch.context() as locked:
        stuck(locked)
        with unplaced(path) as made:
            made.file.write(b"data")
            made.sync()
            made.place()
    assert path.read_bytes() == b"data"
    (hidden,) = (item for item in tmp_path.iterdir() if item != path)
    assert f"{hidden} is a second name of {path} and cannot be deleted" in caplog.text
    # The next file takes it away, and neither what others are writing nor what is not a second name.
    (tmp_path / ".writing-another").write_bytes(b"being written")
    with unplaced(tmp_path / "b") as made:
        assert not hidden.exists()
        made.place()
    assert sorted(item.name for item in tmp_path.iterdir()) == [".writing-another", "a", "b"]
    assert path.read_bytes() == b"data"


def test_what_was_not_placed_and_cannot_be_taken_away_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(new_file, "_NAMELESS", 0)
    stuck(monkeypatch)
    with pytest.raises(StorageError, match=r"\.writing-\S+ cannot be deleted"), unplaced(tmp_path / "a"):
        pass
    with pytest.raises(ValueError, match="the first error"), unplaced(tmp_path / "b"):
        raise ValueError("the first error")
    assert f"what was written of {tmp_path / 'b'}" in caplog.text
    assert all(item.name.startswith(".writing-") for item in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["none/a", "a\0b", "n" * 300])
def test_where_no_file_can_be_begun_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="cannot be written"), unplaced(tmp_path / name):
        pass


def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    with unplaced(tmp_path / "a") as made:
        if made.hidden is not None:
            pytest.skip("this file system has no files without a name")
    script = (
        "import os, signal, sys; from pathlib import Path; from retention.new_file import unplaced\n"
        "with unplaced(Path(sys.argv[1])) as made:\n"
        "    made.file.write(b'personal' * 100000); made.sync(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not list(tmp_path.iterdir())
