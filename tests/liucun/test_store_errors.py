"""Wrong passphrase, missing key, damaged settings: a clear error, its exit code, nothing written."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

from liucun.cli import main

PASSPHRASE = "a passphrase for tests"


class Finished(NamedTuple):
    """How a command ended."""

    returncode: int | str | None
    stdout: str
    stderr: str


def liucun(*words: str, passphrase: str | None = PASSPHRASE) -> Finished:
    """Run a command in this process, by the program's own entry point."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LIUCUN_")]:
            patch.delenv(name)
        if passphrase is not None:
            patch.setenv("LIUCUN_PASSPHRASE", passphrase)
        patch.setattr(sys, "argv", ["liucun", *words])
        patch.setattr(sys, "stdin", StringIO())
        with (
            redirect_stdout(StringIO()) as said,
            redirect_stderr(StringIO()) as complained,
            pytest.raises(SystemExit) as ended,
        ):
            main()
    return Finished(ended.value.code, said.getvalue(), complained.getvalue())


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found.update(str(path).encode() + path.read_bytes())
    return found.hexdigest()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "store"
    done = liucun("init", "--store", str(root))
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "store"
    subprocess.run(["cp", "-r", str(made), str(copy)], check=True)
    (tmp_path / "a.ndjson").write_text('{"text":"x"}\n')
    return copy


def run(store: Path, **options: str | None) -> Finished:
    return liucun("run", "--source", f"content:ndjson:{store.parent}/a.ndjson", "--store", str(store), **options)


def spoil_settings(store: Path) -> None:
    (store / "liucun.toml").write_text("format = 1\n[archive]\nsuite = 'none'\n")


def lose_keyring(store: Path) -> None:
    (store / "keys" / "keyring.json").unlink()


def spoil_keyring(store: Path) -> None:
    (store / "keys" / "keyring.json").write_text("{}")


def lose_period_keys(store: Path) -> None:
    (store / "keys" / "periods.db").unlink()


def lose_catalogue(store: Path) -> None:
    (store / "catalogue.db").unlink()


def spoil_catalogue(store: Path) -> None:
    for name in ("catalogue.db", "catalogue.db-wal", "catalogue.db-shm"):
        (store / name).unlink(missing_ok=True)
    (store / "catalogue.db").write_bytes(b"not a database" * 1000)


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (spoil_settings, 3),
        (lose_keyring, 4),
        (spoil_keyring, 4),
        (lose_period_keys, 4),
        (lose_catalogue, 3),
        (spoil_catalogue, 6),
    ],
)
def test_a_damaged_store_stops_every_run(store: Path, harm, code: int) -> None:
    harm(store)
    before = digest(store)
    done = run(store)
    assert done.returncode == code, done.stderr
    assert "what to do:" in done.stderr
    assert "Traceback" not in done.stderr
    assert digest(store) == before


@pytest.mark.parametrize("passphrase", ["a wrong passphrase", None])
def test_a_wrong_or_missing_passphrase(store: Path, passphrase: str | None) -> None:
    before = digest(store)
    done = run(store, passphrase=passphrase)
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert digest(store) == before


def test_init_never_touches_what_is_there(store: Path) -> None:
    before = digest(store)
    assert liucun("init", "--store", str(store)).returncode == 2
    assert liucun("init", "--store", str(store.parent / "new"), passphrase="short").returncode == 4
    assert not (store.parent / "new").exists()
    assert digest(store) == before


def test_no_store_is_said(tmp_path: Path) -> None:
    words = ("tickets", "list", "--store", str(tmp_path / "none"))
    here = liucun(*words)
    assert here.returncode == 3
    assert "liucun init" in here.stderr
    # A process of its own says the same.
    done = subprocess.run([sys.executable, "-m", "liucun", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == here


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--source", "content:ndjson"), "CLASS:FORMAT:GLOB"),
        (("run", "--source", "nonsense:ndjson:x"), "no record class"),
        (("run", "--source", "content:xml:x"), "no format"),
        (("run", "--source", "content:csv:x", "--map", "nowhere=a"), "no such column"),
        (("run", "--source", "content:csv:x", "--map", "text"), "NAME=VALUE"),
        (("run", "--source", "content:csv:x", "--time-zone", "Mars"), "no such time zone"),
        (("run",), "No source"),
        (("due", "2026-02-30"), "no date"),
        (("tickets", "show", "T0"), "no ticket"),
    ],
)
def test_wrong_use_is_said_with_its_cure(store: Path, words: tuple[str, ...], said: str) -> None:
    done = liucun(*words, "--store", str(store))
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "what to do:" in done.stderr
