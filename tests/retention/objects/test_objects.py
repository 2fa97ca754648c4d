"""Every kind of object store against one set of promises, and the local one against a failing disk."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from errors import StorageError
from retention.errors import DiskFullError, ObjectExistsError, ObjectMissingError, ObjectNameError
from retention.objects.base import ObjectStore
from retention.objects.local import LocalObjects
from retention.objects.memory import MemoryObjects


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.services)])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "s3":
        return request.getfixturevalue("s3_objects")
    return LocalObjects(tmp_path / "objects") if request.param == "local" else MemoryObjects()


def test_what_was_put_is_read_whole_and_in_part(objects: ObjectStore) -> None:
    objects.put("a/b/c.lcs", memoryview(b"0123456789"))
    assert objects.read("a/b/c.lcs") == b"0123456789"
    assert objects.read("a/b/c.lcs", 3, 6) == b"345"
    assert objects.read("a/b/c.lcs", 8, 99) == b"89"
    assert objects.read("a/b/c.lcs", 99) == b""
    assert objects.size("a/b/c.lcs") == 10
    assert objects.exists("a/b/c.lcs")
    assert not objects.exists("a/b")


def test_an_empty_object_is_an_object(objects: ObjectStore) -> None:
    objects.put("empty", b"")
    assert (objects.read("empty"), objects.size("empty"), list(objects.list())) == (b"", 0, ["empty"])


def test_nothing_is_overwritten(objects: ObjectStore) -> None:
    objects.put("one", b"first")
    with pytest.raises(ObjectExistsError, match="'one'"):
        objects.put("one", b"second")
    assert objects.read("one") == b"first"


def test_what_is_missing_is_named(objects: ObjectStore) -> None:
    for call in (objects.read, objects.size, objects.delete):
        with pytest.raises(ObjectMissingError, match="'no/such'"):
            call("no/such")
    assert not objects.exists("no/such")
    assert list(objects.list("no/")) == []


def test_deleted_is_gone_and_the_name_is_free(objects: ObjectStore) -> None:
    objects.put("one", b"1")
    objects.delete("one")
    assert not objects.exists("one")
    objects.put("one", b"2")


def test_names_come_in_order_and_by_prefix(objects: ObjectStore) -> None:
    names = ["a/b", "a/b-c/d", "a/b/.."[:3] + "x", "a0", "b/c/d", "b/c.d", "a.x"]
    for name in names:
        objects.put(name, b"")
    assert list(objects.list()) == sorted(names)
    assert list(objects.list("a/")) == sorted(n for n in names if n.startswith("a/"))
    assert list(objects.list("a/b")) == sorted(n for n in names if n.startswith("a/b"))
    assert list(objects.list("b/c/")) == ["b/c/d"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../b",
        "a//b",
        "a/",
        ".hidden",
        "a/.hidden",
        "a\x00b",
        "a b",
        "名",
        "a\\b",
        "x" * 600,
        "a\n",
    ],
)
def test_names_that_could_lead_astray_are_refused(objects: ObjectStore, name: str) -> None:
    for call in (objects.read, objects.size, objects.delete, objects.exists, lambda n: objects.put(n, b"")):
        with pytest.raises(ObjectNameError):
            call(name)


def test_of_many_writers_of_one_name_one_wins(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    won: list[int] = []

    def write(number: int) -> None:
        try:
            objects.put("deep/er/one", bytes([number]) * 1000)
            won.append(number)
        except ObjectExistsError:
            pass

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert objects.read("deep/er/one") == bytes(won) * 1000


@pytest.mark.parametrize("call", ["write", "fsync", "link", "open", "mkdir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_leaves_no_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int) -> None:
    """Every system call of a write fails in turn, at its first, second … use."""
    tried = 0
    for at in range(1, 9):
        objects = LocalObjects(tmp_path / f"{at}")
        objects.root.mkdir()
        real, uses = getattr(os, call), 0

        def failing(*args, real=real, at=at, **options):
            nonlocal uses
            uses += 1
            if uses == at:
                raise OSError(code, os.strerror(code))
            return real(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            error = failure_of(objects)
        if error is None:
            break
        tried += 1
        assert "'a/b/c'" in error.what
        assert isinstance(error, DiskFullError) == (code == errno.ENOSPC)
        assert not objects.exists("a/b/c")
        assert list(objects.list()) == []
        objects.put("a/b/c", b"again")
        assert objects.read("a/b/c") == b"again"
    assert tried >= 1


def failure_of(objects: LocalObjects) -> StorageError | None:
    try:
        objects.put("a/b/c", b"x" * 100_000)
    except StorageError as error:
        return error
    return None


def test_a_torn_write_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take fewer bytes than it was given."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:7]))
    objects = LocalObjects(tmp_path)
    objects.put("one", bytes(range(100)))
    assert objects.read("one") == bytes(range(100))


def test_leftovers_of_dead_writers_are_hidden_and_collected(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    objects.put("a/one", b"1")
    leftover = tmp_path / "a" / ".writing-0123"
    leftover.write_bytes(b"half")
    os.utime(leftover, (0, 0))
    assert list(objects.list()) == ["a/one"]
    assert objects.collect_leftovers(older_than=1e12) == 0
    assert objects.collect_leftovers(older_than=3600) == 1
    assert not leftover.exists()
    assert objects.exists("a/one")


def test_links_out_of_the_folder_are_not_followed_when_listing(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path / "objects")
    objects.put("one", b"1")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_bytes(b"s")
    (tmp_path / "objects" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert "link/secret" not in list(objects.list())
