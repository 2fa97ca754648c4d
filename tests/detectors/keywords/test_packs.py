"""Packs: what is wrong is named by file, line and cure; whatever the bytes, reading ends with rules or problems."""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.errors import PackError
from detectors.keywords.engine import KeywordDetector
from detectors.keywords.layers import Layers, Switches, load_layers, read_layers
from detectors.keywords.lint import HARMLESS_LIMIT, lint_folder, lint_rules, run_examples
from detectors.keywords.pack_rows import MAX_PROBLEMS, Faults, parse_rows
from detectors.keywords.packfile import COLUMNS
from detectors.keywords.packset import load_packs, read_packs
from detectors.keywords.rules import Problem, State

HEAD = "id,category,words,near,pattern,hits,state\n"


def pack(folder: Path, body: str | bytes, name: str = "own.csv") -> Path:
    data = body if isinstance(body, bytes) else body.encode()
    (folder / name).write_bytes(data)
    return folder


def problems(folder: Path) -> list[Problem]:
    return lint_folder(folder)[1]


BAD = {
    "duplicate word in a rule": (HEAD + "a,fraud,刷单|兼职|刷单,,,刷单,\n", 2, "stands twice"),
    "duplicate word in two rules": (HEAD + "a,fraud,刷单,,,刷单,\nb,fraud,刷单,,,刷单,\n", 3, "stands also in a"),
    "unnamed group": (HEAD + "a,fraud,刷单,,(刷|单),刷单,\n", 2, "unnamed groups"),
    "hundreds of columns of one name": ("id," * 300 + "category,words\n", 1, "stand twice"),
    "bad regex": (HEAD + "a,fraud,刷单,,[刷,刷单,\n", 2, "no regular expression"),
    "regex that breaks out of its group": (HEAD + "a,fraud,刷单,,刷)(?P<x>单,刷单,\n", 2, "no regular expression"),
    "regex that matches nothing": (HEAD + "a,fraud,刷单,,x*,刷单,\n", 2, "matches the empty text"),
    "unknown category": (HEAD + "a,frauds,刷单,,,刷单,\n", 2, "category 'frauds' is unknown"),
    "empty word": (HEAD + "a,fraud,,,,刷单,\n", 2, "empty word"),
    "empty word between bars": (HEAD + "a,fraud,刷单||兼职,,,刷单,\n", 2, "empty word"),
    "undeclared state": (HEAD + "a,fraud,刷单,,,刷单,tested\n", 2, "state 'tested' is unknown"),
    "unknown group": (HEAD + "a,fraud,@lure,,,刷单,\n", 2, "not defined"),
    "same id": (HEAD + "a,fraud,刷单,,,刷单,\na,fraud,兼职,,,兼职,\n", 3, "stands twice"),
    "too many cells": (HEAD + "a,fraud,刷单,,,刷单,live,more\n", 2, "8 cells"),
    "unknown column": ("id,category,word\na,fraud,刷单\n", 1, "'word'"),
    "open quote": (HEAD + 'a,fraud,"刷单,,,刷单,\n', 2, "no CSV"),
    "not UTF-8": (HEAD.encode() + "a,fraud,刷单,,,刷单,\n".encode("gb18030"), 2, "not UTF-8"),
    "number": ("id,category,words,weight\na,fraud,刷单,2\n", 2, "weight '2'"),
    "date": ("id,category,words,since\na,fraud,刷单,20260101\n", 2, "since '20260101'"),
    "word that vanishes": (HEAD + "a,fraud,-_-,,,刷单,\n", 2, "Nothing is left"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_pack_is_named_by_file_line_and_cure(tmp_path: Path, name: str) -> None:
    body, line, said = BAD[name]
    found = [problem for problem in problems(pack(tmp_path, body)) if problem.fatal]
    assert [p for p in found if p.line == line and said in p.what and p.cure], found
    assert all(p.file == f"{tmp_path.name}/own.csv" for p in found)


def test_groups_that_name_each_other_in_a_circle(tmp_path: Path) -> None:
    pack(tmp_path, "name,words\na,@b|刷单\nb,@c\nc,@a\n", "groups.csv")
    found = problems(pack(tmp_path, HEAD + "r,fraud,@a,,,刷单,\n"))
    assert any("circle: a → b → c → a" in p.what and p.file.endswith("groups.csv") and p.line == 4 for p in found)
    with pytest.raises(PackError, match="circle"):
        load_packs(tmp_path)


def test_groups_that_nest_without_end_or_double_at_each_step_are_read_at_once(tmp_path: Path) -> None:
    deep = "".join(f"g{n},@g{n + 1}\n" for n in range(5000)) + "g5000,刷单\n"
    wide = "h0,赌场|博彩\n" + "".join(f"h{n},@h{n - 1}|@h{n - 1}|词{n}\n" for n in range(1, 200))
    pack(tmp_path, "name,words\n" + deep + wide, "groups.csv")
    begun = time.monotonic()
    read = read_packs(pack(tmp_path, HEAD + "r,fraud,@g0,,,刷单,\ns,gambling,@h199,,,赌场,\n"))
    assert time.monotonic() - begun < 5
    assert not read.problems
    assert [len(rule.words) for rule in read.rules] == [1, 201]


def test_a_fault_of_a_draft_keeps_no_pack_from_loading(tmp_path: Path) -> None:
    folder = pack(tmp_path, HEAD + "a,fraud,刷单,,,刷单,\nb,fraud,兼职,,[兼,兼职,draft\n")
    assert [rule.id for rule in load_packs(folder).rules] == ["a"]
    assert any(p.line == 3 and not p.fatal for p in problems(folder))


@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
@settings(max_examples=300)
def test_any_bytes_give_rows_or_problems_with_lines(data: bytes) -> None:
    faults = Faults("own.csv")
    rows = list(parse_rows(data, COLUMNS, faults))
    assert all(line >= 1 and cells.keys() <= set(COLUMNS) for line, cells in rows)
    assert all(p.line >= 1 and p.file == "own.csv" and p.what and p.cure for p in faults.found)


CELLS = st.sampled_from(
    [
        "",
        "a",
        "刷单",
        "刷|单",
        "@g",
        "|",
        "fraud",
        "live",
        "draft",
        "0.5",
        "-1",
        "[",
        "(?P<hit>x)",
        "#",
        '"',
        "\x00",
        "1e9",
    ]
)


@given(st.lists(st.lists(CELLS, min_size=1, max_size=9), max_size=6), st.permutations(COLUMNS))
@settings(max_examples=200)
def test_any_cells_either_load_or_name_file_and_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], columns: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("packs")
    body = "\n".join(",".join(row) for row in [columns[:9], *rows])
    pack(folder, body)
    if any(problem.fatal for problem in read_packs(folder).problems):
        with pytest.raises(PackError) as raised:
            load_packs(folder)
        named = raised.value.problems
        assert named
        assert all(isinstance(p, Problem) and p.line >= 1 and p.file.endswith("own.csv") for p in named)
    else:
        KeywordDetector(load_packs(folder)).detect(pa.array(["刷单 a x 0.5"]))


def test_a_file_full_of_faults_ends_in_time(tmp_path: Path) -> None:
    folder = pack(tmp_path, HEAD + "a,x,刷单,,,刷单,\n" * 200_000)
    begun = time.monotonic()
    found = read_packs(folder).problems
    assert len(found) == MAX_PROBLEMS + 1
    assert time.monotonic() - begun < 5


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(PackError, match="64 MiB"):
        load_packs(tmp_path)


def test_pipes_devices_folders_and_dead_links_are_faults_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "b.csv").symlink_to("/dev/zero")
    (tmp_path / "c.csv").mkdir()
    (tmp_path / "d.csv").symlink_to("nowhere")
    (tmp_path / "e.csv").symlink_to("e.csv")
    found = read_packs(tmp_path).problems
    assert [p.file.rpartition("/")[2] for p in found] == ["a.csv", "b.csv", "c.csv", "d.csv", "e.csv"]
    assert all(p.fatal and p.line == 1 for p in found)


def test_one_cell_of_two_million_characters_is_a_problem_of_its_line(tmp_path: Path) -> None:
    folder = pack(tmp_path, HEAD + "a,fraud," + "刷" * 2_000_000 + ",,,,\n")
    assert any(p.line == 2 and p.fatal for p in read_packs(folder).problems)


def test_sixty_thousand_rules_load_and_lint_in_seconds(tmp_path: Path) -> None:
    words = [f"测{chr(0x4E00 + n % 20_000)}{n // 20_000}词" for n in range(60_000)]
    rows = "".join(f"r{n},fraud,{word},,,{word},\n" for n, word in enumerate(words))
    begun = time.process_time()
    packs = load_packs(pack(tmp_path, HEAD + rows))
    loaded = time.process_time() - begun
    assert len(packs.rules) == 60_000
    assert loaded < 15


def test_layers_replace_rules_by_id_and_switches_decide_the_state(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    pack(first, HEAD + "a,fraud,刷单,,,刷单,\nb,fraud,兼职,,,兼职,\nc,fraud,跑分,,,跑分,draft\n")
    pack(second, HEAD + "a,fraud,返利,,,返利,\n")
    layers = Layers((first,), Switches(disable=("b",), enable=("c*",)), optional=(second, tmp_path / "none"))
    packs = load_layers(layers)
    assert {rule.id: (rule.words, rule.state) for rule in packs.rules} == {
        "a": (("返利",), State.LIVE),
        "b": (("兼职",), State.DRAFT),
        "c": (("跑分",), State.LIVE),
    }
    found = KeywordDetector(packs).detect(pa.array(["刷单兼职返利跑分"]))
    assert found.column("rule").to_pylist() == ["a", "c"]


def test_a_switch_that_names_no_rule_is_told(tmp_path: Path) -> None:
    pack(tmp_path, HEAD + "a,fraud,刷单,,,刷单,\n")
    read = read_layers(Layers((tmp_path,), Switches(disable=("aa",))))
    assert ["names 'aa'" in p.what for p in read.problems] == [True]


def test_states_and_dates_are_honoured(tmp_path: Path) -> None:
    body = (
        "id,category,words,state,since,until\n"
        "draft,fraud,刷单,draft,,\nshadow,fraud,兼职,shadow,,\nlive,fraud,返利,live,,\n"
        "over,fraud,跑分,live,,2026-01-31\nlater,fraud,垫付,live,2026-03-01,\n"
    )
    packs = load_layers(Layers((pack(tmp_path, body),)), date(2026, 2, 1))
    detector, text = KeywordDetector(packs), pa.array(["刷单兼职返利跑分垫付"])
    assert detector.detect(text).column("rule").to_pylist() == ["live"]
    assert detector.evidence(text, State.SHADOW).column("rule").to_pylist() == ["shadow"]


def test_a_rule_s_version_changes_with_what_it_finds_and_not_with_its_state(tmp_path: Path) -> None:
    def version(row: str) -> str:
        return load_packs(pack(tmp_path, HEAD + row)).rules[0].version

    live = version("a,fraud,刷单,,,刷单,live\n")
    assert version("a,fraud,刷单,,,,shadow\n") == live
    assert version("a,fraud,刷单|兼职,,,刷单,live\n") != live
    found = KeywordDetector(load_packs(pack(tmp_path, HEAD + "a,fraud,刷单,,,刷单,live\n"))).detect(pa.array(["刷单"]))
    assert found.column("version").to_pylist() == [live]


def test_lint_refuses_a_word_that_harmless_texts_hold(tmp_path: Path) -> None:
    rules = read_packs(pack(tmp_path, HEAD + "a,fraud,质量,,,质量,draft\nb,fraud,刷单返利,,,刷单返利,\n")).rules
    harmless = pa.array(["质量很好"] * 2 + ["不错"] * 998)
    found = lint_rules(rules, {"reviews": harmless}, HARMLESS_LIMIT)
    assert [(p.line, "2 of 1,000 harmless texts of reviews" in p.what) for p in found] == [(2, True)]
    assert not lint_rules(rules, {"reviews": harmless}, 0.002)


def test_examples_run_whatever_the_state(tmp_path: Path) -> None:
    body = "id,category,words,hits,misses,state\na,fraud,刷单,刷_单|没有,刷单,draft\n"
    ran = run_examples(read_packs(pack(tmp_path, body)).rules)
    assert [(e.text, e.passed) for e in ran] == [("刷_单", True), ("没有", False), ("刷单", False)]
