"""``liucun rules list``, ``lint``, ``test`` and ``import``, and ``liucun detect``, over a store's own rules."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from detectors.keywords.lint import HARMLESS_LIMIT
from liucun.commands.rules import DEFAULT_RATE
from tests.liucun.rules.rule_store import liucun, own


def test_the_rate_in_the_help_is_the_one_that_lint_uses() -> None:
    assert DEFAULT_RATE == HARMLESS_LIMIT


def test_the_packs_that_ship_are_without_fault_and_pass_their_examples() -> None:
    linted = liucun("rules", "lint", "--json")
    assert linted["ok"]
    assert linted["findings"] == []
    tested = liucun("rules", "test", "--json")
    assert tested["ok"]
    assert tested["examples"] >= tested["rules"] > 50


def test_list_shows_own_rules_over_those_that_ship(store: Path) -> None:
    own(store, "own.a,fraud,垫付本金,垫付本金,live", "own.b,fraud,跑分平台,跑分平台,draft")
    settings = store / "liucun.toml"
    settings.write_text(
        settings.read_text("utf-8") + '\n[detect]\ndisable = ["abuse.*"]\nshadow = ["own.b"]\n', "utf-8"
    )
    listed = liucun("rules", "list", "--json", store=store)
    rules = {rule["rule"]: rule for rule in listed["rules"]}
    assert {"rule", "category", "subtype", "severity", "state", "version", "pack"} <= rules["own.a"].keys()
    assert (rules["own.a"]["state"], rules["own.a"]["pack"]) == ("live", "rules/own.csv")
    assert (rules["own.b"]["state"], rules["own.b"]["written_state"]) == ("shadow", "draft")
    assert {r["state"] for name, r in rules.items() if name.startswith("abuse.")} == {"draft"}
    only = liucun("rules", "list", "--json", "--state", "shadow", store=store)
    assert [rule["rule"] for rule in only["rules"]] == ["own.b"]
    assert "own.b" in liucun("rules", "list", store=store)


def test_lint_names_file_line_and_cure_and_exits_1(store: Path) -> None:
    own(store, "own.a,fraud,质量,质量,draft", "own.b,frauds,跑分平台,跑分平台,live")
    linted = liucun("rules", "lint", "--json", store=store, code=1)
    found = {(f["file"], f["line"]): f for f in linted["findings"]}
    assert "harmless texts" in found["rules/own.csv", 2]["what"]
    assert "unknown" in found["rules/own.csv", 3]["what"]
    assert all(f["cure"] for f in linted["findings"])
    assert not linted["ok"]
    text = liucun("rules", "lint", store / "rules" / "own.csv", code=1)
    assert "rules/own.csv:3: The category 'frauds' is unknown." in text
    assert "Use one of gambling" in text
    liucun("rules", "list", store=store, code=3)


def test_lint_measures_on_texts_of_the_operator(store: Path, tmp_path: Path) -> None:
    own(store, "own.a,fraud,暗号甲乙,暗号甲乙,live")
    liucun("rules", "lint", store / "rules", store=store)
    csv, text = tmp_path / "good.csv", tmp_path / "good.txt"
    csv.write_text("id,comment\n1,暗号甲乙\n2,好\n", encoding="utf-8")
    text.write_text("好\n暗号甲乙\n", encoding="utf-8")
    for sample in (f"{csv}:comment", text):
        linted = liucun("rules", "lint", store / "rules", "--benign", sample, "--json", store=store, code=1)
        assert "1 of 2 harmless texts" in linted["findings"][0]["what"]
        assert linted["harmless"][str(sample)] == 2
    liucun("rules", "lint", store / "rules", "--benign", text, "--max-rate", "0.5", store=store)
    assert "cannot be read" in liucun("rules", "lint", "--benign", tmp_path / "none.txt", store=store, code=2)


def test_test_names_the_example_that_fails(store: Path) -> None:
    own(store, "own.a,fraud,垫付本金,垫付|垫付本金,draft")
    tested = liucun("rules", "test", store / "rules", "--json", store=store, code=1)
    assert tested["failed"] == [{"rule": "own.a", "file": "rules/own.csv", "line": 2, "text": "垫付", "must": "hit"}]
    assert "垫付" in liucun("rules", "test", "--rule", "own.a", store=store, code=1)
    liucun("rules", "test", "--rule", "none", store=store, code=2)


def test_import_writes_drafts_with_provenance_once(store: Path, tmp_path: Path) -> None:
    words = tmp_path / "Public List.txt"
    words.write_bytes("开云体育投注\n质量\n好\n".encode("gb18030"))
    made = liucun(
        "rules", "import", words, "--category", "gambling", "--source", "https://example.org/list", "--license", "MIT",
        "--author", "ann", "--json", store=store,
    )  # fmt: skip
    assert (made["rules"], made["refused"]) == (1, {"harmless text": 1, "one character": 1})
    listed = liucun("rules", "list", "--state", "draft", "--json", store=store)
    assert [rule["pack"] for rule in listed["rules"]] == ["rules/public_list.csv"]
    pack = next(pack for pack in listed["packs"] if pack["pack"] == "rules/public_list.csv")
    assert (pack["source"], pack["author"], pack["license"]) == ("https://example.org/list", "ann", "MIT")
    assert pack["digest"].startswith("sha256:")
    assert pack["format"] == "words, gb18030"
    liucun("rules", "lint", store=store)
    assert "exists already" in liucun("rules", "import", words, "--category", "gambling", store=store, code=2)
    assert sorted(path.name for path in (store / "rules").iterdir()) == ["public_list.csv"]


def test_import_of_nothing_worth_a_rule_writes_nothing(store: Path, tmp_path: Path) -> None:
    words = tmp_path / "list.txt"
    words.write_text("质量\n好\n", encoding="utf-8")
    made = liucun("rules", "import", words, "--category", "gambling", "--json", store=store, code=1)
    assert made["pack"] is None
    assert not list((store / "rules").iterdir())
    assert "unknown" in liucun("rules", "import", words, "--category", "games", store=store, code=2)
    assert "cannot be read" in liucun("rules", "import", tmp_path, "--category", "fraud", store=store, code=2)


def test_detect_uses_the_store_s_rules(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own(store, "own.a,fraud,暗号甲乙丙,暗号甲乙丙,live", "own.d,fraud,很好,很好,draft", "own.s,fraud,口令,口令,shadow")

    def rules(where: Path | None) -> list[str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("暗号甲乙丙，今天天气很好，口令\n".encode())))
        return [finding["rule"] for finding in liucun("detect", "--json", store=where)["findings"]]

    assert rules(store) == ["own.a"]
    assert rules(None) == []
