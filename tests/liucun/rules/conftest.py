"""A store for the tests of rules, and the environment that its commands run in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.liucun.rules.rule_store import liucun

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("LIUCUN_STORE", str(tmp_path / "no store"))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    liucun("init", store=root)
    (root / "rules").mkdir()
    return root
