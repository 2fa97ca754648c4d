"""The restore drill: a store lost and made again from its backup and the keys, which never lay together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from errors import LiucunError
from liucun.cli import main_group
from liucun.settings import read_settings
from retention import backups
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import log_entries
from retention.store import Store

SECRET = "a passphrase of tests"
LINES = "".join(f"2026-03-{day:02d}T08:00:00Z,u{day},hello {day}\n" for day in range(1, 29))


@pytest.fixture(autouse=True)
def _passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_PASSPHRASE", SECRET)


def liucun(*arguments: object) -> Result:
    """Run a command that succeeds."""
    result = CliRunner().invoke(main_group, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def failing(*arguments: object) -> LiucunError:
    """Run a command that fails, and return its error."""
    result = CliRunner().invoke(main_group, [str(a) for a in arguments])
    assert isinstance(result.exception, LiucunError), result.output
    return result.exception


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with two months of records."""
    (tmp_path / "in.csv").write_text("event_time,user_id,text\n" + LINES + LINES.replace("2026-03", "2026-04"))
    where = tmp_path / "store"
    liucun("init", "--store", where)
    liucun("run", "--store", where, "--source", f"user_log:csv:{tmp_path}/in.csv", "--not-published")
    return where


def count(store: Path, condition: str = "true") -> int:
    """Records of a store, by its own query."""
    sql = f"SELECT count(*) AS n FROM user_logs WHERE {condition}"
    return int(json.loads(liucun("query", sql, "--purpose", "drill", "--json", "--store", store).output)[0]["n"])


def test_the_drill(store: Path, tmp_path: Path) -> None:
    data, keys, again = tmp_path / "data", tmp_path / "keys", tmp_path / "again"
    first = json.loads(liucun("backup", "--store", store, "--to", data, "--json").output)
    assert first["objects_copied"] > 2
    second = json.loads(liucun("backup", "--store", store, "--to", data, "--json").output)
    assert second["objects_there"] == first["objects_copied"]
    made = json.loads(liucun("backup", "--keys", "--store", store, "--to", keys, "--json").output)
    assert made["delete_by"]
    assert {path.name for path in data.rglob("*")} & {"keyring.json", "periods.db"} == set()
    shutil.rmtree(store)
    restored = json.loads(liucun("restore", "--from", data, "--keys", keys, "--store", again, "--json").output)
    assert restored["faults"] == []
    assert restored["lost_entries"] == 0
    assert count(again) == 56
    audit = json.loads(liucun("audit", "all", "--store", again, "--json").output)
    assert audit["ok"]
    # And it goes on: the source's cursor came back too.
    run = liucun("run", "--store", again, "--source", f"user_log:csv:{tmp_path}/in.csv", "--not-published", "--json")
    assert json.loads(run.output.splitlines()[-1])["records_in"] == 0


def test_a_backup_from_before_a_keys_destruction_reads_nothing_of_it(store: Path, tmp_path: Path) -> None:
    data, keys, again = tmp_path / "data", tmp_path / "keys", tmp_path / "again"
    liucun("backup", "--store", store, "--to", data)
    with Store.open(store, read_settings(store).store, SECRET) as opened:
        gone = [key.key_id for key in opened.period_keys.list() if key.period == "2026-03"]
        assert len(gone) == 1
        opened.period_keys.destroy(gone[0])
    liucun("backup", "--keys", "--store", store, "--to", keys)
    liucun("restore", "--from", data, "--keys", keys, "--store", again)
    assert count(again, "event_time >= '2026-04-01'") == 28
    error = failing("query", "SELECT text FROM user_logs", "--purpose", "drill", "--store", again)
    assert error.exit_code == 4
    assert "destroyed" in str(error)


def test_a_backup_that_was_cut_off_goes_on(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    with monkeypatch.context() as patched:
        patched.setattr("retention.backups._copy_objects", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        assert failing("backup", "--store", store, "--to", data).exit_code == 6
    assert failing("restore", "--from", data, "--keys", store / "keys", "--store", tmp_path / "x").exit_code == 2
    liucun("backup", "--store", store, "--to", data)
    liucun("restore", "--from", data, "--keys", store / "keys", "--store", tmp_path / "again")


def test_what_is_merged_while_a_backup_runs_is_in_it_as_its_catalogue_has_it(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its objects are those that the copied catalogue names, not those of a moment later."""
    for n in range(2):
        (tmp_path / f"more{n}.csv").write_text("event_time,user_id,text\n" + LINES)
        liucun("run", "--store", store, "--source", f"user_log:csv:{tmp_path}/more{n}.csv", "--not-published")
    copied = backups._snapshot

    def then_merged(catalogue: Catalogue, folder: Path) -> Path | None:
        taken = copied(catalogue, folder)
        liucun("compact", "--store", store)
        with catalogue.write() as connection:  # as when entries' objects were joined
            row = connection.execute(sa.select(log_entries).order_by(log_entries.c.start)).first()
            assert row is not None
            connection.execute(log_entries.delete().where(log_entries.c.start == row.start))
        return taken

    data = tmp_path / "data"
    with monkeypatch.context() as patched:
        patched.setattr(backups, "_snapshot", then_merged)
        liucun("backup", "--store", store, "--to", data)
    liucun("restore", "--from", data, "--keys", store / "keys", "--store", tmp_path / "again")
    audit = json.loads(liucun("audit", "integrity", "--store", tmp_path / "again", "--json").output)
    assert audit["ok"], audit["findings"]


def test_what_is_no_backup_is_refused(store: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    liucun("backup", "--store", store, "--to", data)
    keys = store / "keys"
    assert failing("restore", "--from", tmp_path, "--keys", keys, "--store", tmp_path / "x").exit_code == 2
    assert failing("restore", "--from", data, "--keys", tmp_path / "none", "--store", tmp_path / "x").exit_code == 2
    assert failing("restore", "--from", data, "--keys", keys, "--store", store).exit_code == 2
    assert failing("backup", "--store", store, "--to", store / "inside").exit_code == 2
    assert failing("backup", "--keys", "--store", store, "--to", data).exit_code == 2
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("something else")
    assert failing("backup", "--store", store, "--to", other).exit_code == 2
    for text in ("", "[]", "{}", '{"format": 2, "settings": "../x", "catalogue": true, "log_size": 1}', "\x00" * 100):
        (data / "backup.json").write_text(text)
        assert failing("restore", "--from", data, "--keys", keys, "--store", tmp_path / "x").exit_code == 5
    assert not (tmp_path / "x").exists()


def test_a_damaged_object_in_a_backup_is_found(store: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    liucun("backup", "--store", store, "--to", data)
    victim = next((data / "objects" / "segments").rglob("*.lcs"))
    victim.write_bytes(victim.read_bytes()[:-1])
    assert failing("backup", "--store", store, "--to", data).exit_code == 5
    liucun("restore", "--from", data, "--keys", store / "keys", "--store", tmp_path / "again")
    result = CliRunner().invoke(main_group, ["audit", "integrity", "--store", str(tmp_path / "again"), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.output)["findings"][0]["kind"] == "segment_damaged"
