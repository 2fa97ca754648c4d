"""Files that leave the store: new, and there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import StorageError
from retention.new_file import write_out


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
