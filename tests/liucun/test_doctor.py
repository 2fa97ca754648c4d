"""What `liucun doctor` says of the second custodian and of objects that are on their way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from liucun.cli import main_group
from liucun.settings import FILE_NAME


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two small segments."""
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "a passphrase of tests")
    where = tmp_path / "store"
    run("init", "--store", where)
    for n in range(2):
        (tmp_path / f"in{n}.csv").write_text(f"event_time,user_id\n2026-03-0{n + 1}T08:00:00Z,u{n}\n")
    run("run", "--store", where, "--source", f"user_log:csv:{tmp_path}/in*.csv")
    return where


def run(*words: object) -> str:
    result = CliRunner().invoke(main_group, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def said(store: Path, check: str) -> list[dict[str, Any]]:
    """What the doctor says of one thing."""
    result = CliRunner().invoke(main_group, ["doctor", "--store", str(store), "--json"])
    checks = json.loads(result.stdout)["checks"]
    return [item for item in checks if item["check"].startswith(check)]


def test_the_custodian_is_asked(store: Path, tmp_path: Path) -> None:
    assert "no second custodian" in said(store, "custodian")[0]["what"]
    settings = store / FILE_NAME
    settings.write_text(settings.read_text() + f'\n[custodian]\ncheckpoints = "{tmp_path}/notary"\n')
    assert said(store, "custodian")[0]["level"] == "failed"  # the folder is not there
    (tmp_path / "notary").mkdir()
    run("audit", "coverage", "--store", store)
    found = said(store, "custodian")[0]
    assert found["level"] == "ok"
    assert "has seen" in found["what"]


def test_merged_segments_are_no_orphans(store: Path) -> None:
    run("compact", "--store", store)
    assert said(store, "orphans") == []
    (store / "objects/segments/user_log/2026-03/left-by-a-crash.lcs").write_bytes(b"x")
    assert said(store, "orphans")[0]["what"].startswith("1 objects")
