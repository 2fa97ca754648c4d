"""The sample's sources leave nothing undeclared: who tries the product sees findings of its audits that are real."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from liucun.cli import main_group
from liucun.sample.writing import SOURCES_FILE, STREAMS, write_sample


def test_every_field_with_text_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "a passphrase of tests")
    store, sample = tmp_path / "store", tmp_path / "sample"
    write_sample(sample, records=400, seed=1, days=3, until=datetime.now(UTC))
    runner = CliRunner()
    assert runner.invoke(main_group, ["init", "--store", str(store)]).exit_code == 0
    with (store / "liucun.toml").open("a") as file:
        file.write((sample / SOURCES_FILE).read_text())
    sources = [word for stream in STREAMS for word in ("--source", f"sample-{stream.name}")]
    ran = runner.invoke(main_group, ["run", "--store", str(store), *sources, "--json"])
    assert json.loads(ran.stdout.splitlines()[-1])["records_in"] >= 400, ran.output
    audit = runner.invoke(main_group, ["audit", "coverage", "--store", str(store), "--json"])
    undeclared = [
        found["where"] for found in json.loads(audit.stdout)["findings"] if found["where"].startswith("source:")
    ]
    assert undeclared == []
