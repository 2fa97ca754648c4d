"""The store's figures: how far the index is behind, where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from liucun.cli import main_group
from liucun.store import open_store
from liucun.watching.store import store_figures
from retention.catalogue.tables import segments, timestamp


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "a passphrase for tests")
    monkeypatch.setenv("LIUCUN_STORE", str(tmp_path / "store"))
    (tmp_path / "a.ndjson").write_text('{"user_id":"u1","text":"今天天气好"}\n', encoding="utf-8")
    for words in (["init"], ["run", "--source", f"content:ndjson:{tmp_path}/a.ndjson"]):
        done = CliRunner().invoke(main_group, words)
        assert done.exit_code == 0, done.output
    return tmp_path / "store"


def figures(root: Path) -> dict[str, float]:
    with open_store(root, ()) as opened:
        return {name: value for name, labels, value in store_figures(opened) if not labels}


def test_without_an_index_nothing_is_behind(root: Path) -> None:
    assert figures(root)["liucun_store_readable"] == 1
    assert "liucun_oldest_unindexed_seconds" not in figures(root)


def test_what_no_index_has_is_as_old_as_its_commit(root: Path) -> None:
    with (root / "liucun.toml").open("a", encoding="utf-8") as file:
        file.write('\n[search]\nurls = ["http://127.0.0.1:1"]\n')
    with open_store(root, ()) as opened, opened.catalogue.write() as connection:
        connection.execute(sa.update(segments).values(committed_at="2026-11-01T00:00:00.000000Z"))
    age = figures(root)["liucun_oldest_unindexed_seconds"]
    assert age > 24 * 3600, "the cluster itself is not asked"
    with open_store(root, ()) as opened, opened.catalogue.write() as connection:
        connection.execute(sa.update(segments).values(committed_at=timestamp()))
    assert figures(root)["liucun_oldest_unindexed_seconds"] < 120
