"""What tests of the command line share: an empty store whose passphrase the environment has."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from liucun.cli import main_group


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an empty store."""
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "a passphrase of tests")
    where = tmp_path / "store"
    assert CliRunner().invoke(main_group, ["init", "--store", str(where)]).exit_code == 0
    return where
