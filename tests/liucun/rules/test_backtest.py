"""``liucun rules backtest``: what drafts would have found in a real archive, in parts, never in private text."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.reading.rules import Tried, backtests
from liucun.store import open_store
from tests.liucun.rules.rule_store import OWN, line, liucun, own, recorded, run


def test_backtest_shows_what_drafts_would_have_found_and_is_recorded(store: Path, tmp_path: Path) -> None:
    logs = tmp_path / "log.ndjson"
    texts = ["暗号甲乙丙，加我 13800138000", "代开发票，税点低", "很好", "暗号甲乙丙"]
    logs.write_text("".join(line(n, text, 10 + n) + "\n" for n, text in enumerate(texts)), encoding="utf-8")
    own(store, "own.a,fraud,暗号甲乙丙,暗号甲乙丙,draft")
    opened_by_run = run(store, logs).summary.tickets_opened
    args = ("rules", "backtest", "--since", "2026-11-20", "--until", "2026-11-20T13:00", "--purpose", "try drafts")
    assert "is declared to publish" in liucun(*args, store=store, code=2)
    found = liucun(*args, "--published", "--json", store=store)
    assert (found["texts"], found["candidate"], found["today"], found["only_candidate"]) == (3, 2, 1, 1)
    rules = {rule["rule"]: rule for rule in found["rules"]}
    assert (rules["own.a"]["state"], rules["own.a"]["candidate"], rules["own.a"]["new"]) == ("draft", 1, 1)
    assert rules["own.a"]["examples"] == ["【暗号甲乙丙】，加我 1*****…"]
    other = tmp_path / "new.csv"
    other.write_text(OWN + "new.a,fraud,很好,很好,draft\n", encoding="utf-8")
    found = liucun("rules", "backtest", other, *args[2:], "--published", "--rule", "new.a", "--json", store=store)
    assert [(rule["rule"], rule["new"]) for rule in found["rules"]] == [("new.a", 1)]
    assert "13800138000" not in liucun(*args, "--published", store=store)
    assert "purpose" in liucun(*args[:-1], " ", "--published", store=store, code=2)
    with open_store(store, ()) as opened:
        answered = recorded(opened, "query.answered")
        assert [subject for subject, _ in answered][1] == f"query:{found['queries'][0]}"
        assert len(recorded(opened, "ticket.opened")) == opened_by_run, "a backtest opens nothing"
        with opened.catalogue.read() as connection:
            shown = backtests(connection)
    assert len(shown) == 3
    first = shown[-1]
    assert (first.texts, first.candidate, first.today, first.only_candidate, first.further) == (3, 2, 1, 1, 0)
    assert first.rules[0] == Tried("own.a", candidate=1, today=0, new=1)


def test_a_span_too_large_for_memory_is_read_in_parts(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = tmp_path / "log.ndjson"
    texts = ["暗号甲乙丙" if n % 3 else "很好" for n in range(48)]
    logs.write_text("".join(line(n, text, n % 24) + "\n" for n, text in enumerate(texts)), encoding="utf-8")
    own(store, "own.a,fraud,暗号甲乙丙,暗号甲乙丙,draft")
    run(store, logs)
    args = ("rules", "backtest", "--since", "2026-11-20", "--until", "2026-11-21", "--purpose", "x", "--published")
    whole = liucun(*args, "--json", store=store)
    monkeypatch.setattr("liucun.rule_backtest.PART_BYTES", 400)
    parts = liucun(*args, "--json", store=store)
    assert len(whole["queries"]) == 1 < len(parts["queries"])
    for name in ("texts", "candidate", "today", "only_candidate"):
        assert parts[name] == whole[name]
    assert (whole["texts"], whole["candidate"]) == (48, 32)


def test_text_declared_private_is_never_backtested(store: Path, tmp_path: Path) -> None:
    logs = tmp_path / "log.ndjson"
    logs.write_text(line(1, "代开发票，税点低") + "\n", encoding="utf-8")
    settings = store / "liucun.toml"
    settings.write_text(
        settings.read_text("utf-8")
        + f'\n[[source]]\nname = "chat"\nrecord_class = "content"\nformat = "ndjson"\npaths = ["{logs}"]\n'
        + "published = { text = false }\n",
        "utf-8",
    )
    liucun("run", "--source", "chat", "--json", store=store)
    found = liucun("rules", "backtest", "--since", "2026-11-01", "--purpose", "x", "--published", "--json", store=store)
    assert found["texts"] == 0
