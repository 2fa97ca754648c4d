"""Whatever the text, findings cut exactly what they say out of the original; disguises keep a hit."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detectors.default import PACKS, default_detector
from detectors.keywords import engine, evaluate, hashed  # noqa: F401 - compiled code is loaded
from detectors.keywords.anchors import Anchors
from detectors.keywords.engine import KeywordDetector
from detectors.keywords.matcher import ColumnMatcher
from detectors.keywords.packset import PackSet, load_packs
from detectors.keywords.rules import Boundary, Rule, State
from detectors.keywords.scanner import scanner_of
from detectors.normalise.steps import ALL_STEPS
from detectors.normalise.tables.fold import Reading, fold_table
from detectors.normalise.view import string_buffers

WORDS = ("代开发票", "加微信", "赌场", "冰毒", "包赚", "源码", "VX", "妈的")
PIECES = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(
        ["氵原码", "女马的", "代·开·发·票", "ＶＸ", "赌\u200b场", "加薇信", "加v", "①②③", "👍🏽", "👨‍👩‍👧", "🇨🇳"]
    ),
    st.characters(exclude_categories=("Cs",)),
    st.sampled_from(["\U0001f600", "\ufe0f", "\u200d", "\x00", "\n", "。", "𠮷", "é"]),
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)


@lru_cache(maxsize=1)
def shipped() -> KeywordDetector:
    return KeywordDetector(load_packs(PACKS))


@lru_cache(maxsize=1)
def plain() -> KeywordDetector:
    """Rules of every form that speak at once: words alone, near, pattern, sound."""
    rules = [Rule(f"w{n}", "fraud", "", (word,), weight=1.0) for n, word in enumerate(WORDS)]
    rules.append(Rule("near", "fraud", "", ("代开",), near=(("票", "微信"),), within=20, weight=1.0))
    rules.append(Rule("pattern", "fraud", "", ("加", "赌"), pattern="加.{0,3}信|赌.", weight=1.0))
    rules.append(Rule("sound", "fraud", "", ("加微信",), sound=True, weight=1.0))
    return KeywordDetector(PackSet.of(rules))


@given(st.lists(TEXTS | st.none(), max_size=8))
@example(["👨‍👩‍👧代\ufe0f开\u200b发👍🏽票", None, "", "\U0001f600加\U0001f600微\U0001f600信\U0001f600"])
@settings(max_examples=300)
def test_every_span_cuts_what_it_matched_out_of_the_original(texts: list[str | None]) -> None:
    column = pa.array(texts, pa.string())
    for detector in (plain(), shipped()):
        found = detector.evidence(column).to_pylist()
        for finding in found:
            text = texts[finding["row"]]
            assert text is not None
            assert 0 <= finding["start"] < finding["end"] <= len(text)
            assert text[finding["start"] : finding["end"]] == finding["matched"]
        assert [(f["row"], f["start"]) for f in found] == sorted((f["row"], f["start"]) for f in found)


@given(TEXTS, TEXTS, st.sampled_from(WORDS), st.data())
@settings(max_examples=200)
def test_a_row_s_findings_do_not_depend_on_the_rows_beside_it(
    left: str, right: str, word: str, data: st.DataObject
) -> None:
    text = data.draw(TEXTS)
    alone = plain().evidence(pa.array([text])).to_pylist()
    among = plain().evidence(pa.array([left + word[:2], text, word[2:] + right])).to_pylist()
    assert [{**f, "row": 1} for f in alone] == [f for f in among if f["row"] == 1]


@given(
    st.sampled_from(WORDS), st.lists(st.sampled_from(["\u200b", "\u200d", "\ufe0f", "·", "*", "_", "~"]), max_size=3)
)
@settings(max_examples=150)
def test_signs_between_characters_keep_the_hit(word: str, signs: list[str]) -> None:
    text = "看" + "".join(signs).join(word) + "了"
    wanted = f"w{WORDS.index(word)}"
    found = [f for f in plain().evidence(pa.array([text])).to_pylist() if f["rule"] == wanted]
    assert [(f["start"], f["end"]) for f in found] == [(1, len(text) - 1)]


@given(st.sampled_from(WORDS))
def test_width_keeps_the_hit(word: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if 0x21 <= ord(c) <= 0x7E else c for c in word)
    found = plain().evidence(pa.array([wide])).column("rule").to_pylist()
    assert f"w{WORDS.index(word)}" in found


ODD = st.text(
    st.sampled_from("加微信赌场aVx1①Ⅵ氵原女马\u200b\ufe0f·。 \n👍\U0001f600é薇Ａ½㎏ﬁ"), min_size=1, max_size=5
)
GROUP = st.lists(ODD, min_size=1, max_size=4, unique=True).map(tuple)


@st.composite
def any_rules(draw: st.DrawFn) -> PackSet:
    rules = []
    for number in range(draw(st.integers(1, 5))):
        rules.append(
            Rule(
                f"r{number}",
                draw(st.sampled_from(["fraud", "drugs"])),
                "",
                draw(GROUP),
                near=tuple(draw(st.lists(GROUP, max_size=2))),
                within=draw(st.integers(0, 20)),
                unless=draw(st.just(()) | GROUP),
                pattern=draw(st.sampled_from(["", "", "加.*", ".?", "[a-z0-9]{2,}", "(?i)v|x", "^", r"\b", "信$"])),
                weight=draw(st.sampled_from([0.0, 0.4, 1.0])),
                boundary=draw(st.sampled_from(Boundary)),
                sound=draw(st.booleans()),
                allow=draw(st.just(()) | GROUP),
            )
        )
    return PackSet.of(rules)


@given(any_rules(), st.lists(st.lists(ODD, max_size=8).map("".join), max_size=4))
@example(PackSet.of([Rule("r", "fraud", "", ("1",), pattern="^")]), ["1", "11"])
@settings(max_examples=150)
def test_whatever_the_rules_spans_cut_what_they_matched(packs: PackSet, texts: list[str]) -> None:
    for found in (KeywordDetector(packs).evidence(pa.array(texts, pa.string())).to_pylist(),):
        for finding in found:
            text = texts[finding["row"]]
            assert 0 <= finding["start"] < finding["end"] <= len(text)
            assert text[finding["start"] : finding["end"]] == finding["matched"]


@given(any_rules(), st.lists(st.lists(ODD, max_size=8).map("".join), max_size=4))
@settings(max_examples=150)
def test_rules_judged_together_find_what_each_finds_alone(packs: PackSet, texts: list[str]) -> None:
    column = pa.array(texts, pa.string())
    alone = [f for rule in packs.rules for f in KeywordDetector(PackSet.of([rule])).evidence(column).to_pylist()]
    together = KeywordDetector(packs).evidence(column).to_pylist()
    assert sorted(alone, key=str) == sorted(together, key=str)


@given(any_rules(), st.lists(st.lists(ODD, max_size=8).map("".join), max_size=6), st.sampled_from(Reading))
@settings(max_examples=150)
def test_compiled_code_picks_the_same_rows_to_judge(packs: PackSet, texts: list[str], reading: Reading) -> None:
    words = scanner_of(packs, State.LIVE, ALL_STEPS, reading)
    if not words.patterns.keys:
        return
    found = words.matcher.find_rows(pa.array(texts, pa.string()), fold_table(ALL_STEPS, reading), repeats=True)
    assert found is not None
    word, row, _ = found
    picked = words.rows_to_judge(word, row, len(texts)).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "detectors.keywords.hashed")
        assert picked == words.rows_to_judge(word, row, len(texts)).tolist()


class Every(Anchors):
    """All words are looked for first."""

    def __init__(self, matcher: ColumnMatcher) -> None:
        self.matcher = matcher

    def due(self, rows: int) -> bool:
        return rows < 0


@given(
    any_rules(),
    st.lists(st.lists(st.lists(ODD, max_size=8).map("".join), max_size=4), min_size=1, max_size=4),
    st.lists(st.integers(0, 9), min_size=24, max_size=24),
)
@settings(max_examples=150)
def test_whichever_words_are_looked_for_first_the_same_rows_are_judged(
    packs: PackSet, columns: list[list[str]], rarity: list[int]
) -> None:
    fresh = scanner_of(packs, State.LIVE, ALL_STEPS, Reading.PLAIN)
    if not fresh.patterns.keys:
        return
    lists = fresh.patterns.columns.count
    anchors = Anchors(fresh.patterns, fresh.first, [fresh.patterns.keys[n] for n in fresh.first[:-1]], fresh.matcher)
    anchors._held[:-1] = np.resize(rarity, lists)
    words = replace(fresh, anchors=anchors)
    for texts in columns:
        column, table = pa.array(texts, pa.string()), fold_table(ALL_STEPS, Reading.PLAIN)
        every = replace(fresh, anchors=Every(fresh.matcher)).rows_at_once(column, table, repeats=True)
        some = words.rows_at_once(column, table, repeats=True)
        assert every is not None
        assert some is not None
        assert [part.tolist() for part in every] == [part.tolist() for part in some]


def test_words_that_few_rows_hold_are_looked_for_first() -> None:
    rules = [Rule("near", "fraud", "", ("今天", "明天"), near=(("代开",),), within=9, weight=1.0)]
    words = scanner_of(PackSet.of(rules), State.LIVE, ALL_STEPS, Reading.PLAIN)
    column, table = pa.array(["今天去哪", "明天再说", "后天", "代开"] * 20), fold_table()
    marked = []
    for _ in range(2):
        marked.append(len(words.anchors.matcher.columns().marked(*string_buffers(column), table, True)))
        assert words.rows_at_once(column, table, repeats=True) is not None
    assert marked == [40, 20]


@given(any_rules(), st.lists(st.lists(ODD, max_size=10).map("".join), max_size=8), st.sampled_from(Reading))
@settings(max_examples=300)
def test_rows_left_out_by_where_hits_stand_have_no_finding(packs: PackSet, texts: list[str], reading: Reading) -> None:
    words = scanner_of(packs, State.LIVE, ALL_STEPS, reading)
    if not words.patterns.keys:
        return
    column, table = pa.array(texts, pa.string()), fold_table(ALL_STEPS, reading)
    at_once = words.rows_at_once(column, table, repeats=True)
    assert at_once is not None
    parts = KeywordDetector(packs)._judge(column, np.arange(len(texts)), 0, words, reading)
    assert {row for found in parts for row in found.row.tolist()} <= set(at_once[0].tolist())
    hits = words.matcher.find_rows(column, table, repeats=True)
    assert hits is not None
    assert set(at_once[0].tolist()) <= set(words.rows_to_judge(hits[0], hits[1], len(texts)).tolist())
    assert at_once[1].tolist() == np.flatnonzero(hits[2]).tolist()


def test_a_row_is_judged_only_if_its_hits_can_be_a_rules() -> None:
    rules = [
        Rule(
            "near", "fraud", "", ("代开",), near=(("发票",),), within=4, unless=("举报",), allow=("不代开",), weight=1.0
        )
    ]
    words = scanner_of(PackSet.of(rules), State.LIVE, ALL_STEPS, Reading.PLAIN)
    texts = [
        "代开各种发票", "代开这那有没有什么发票", "不代开发票", "举报代开发票", "发票可以代开", "代开" * 999 + "发票"
    ]  # fmt: skip
    at_once = words.rows_at_once(pa.array(texts), fold_table(), repeats=True)
    assert at_once is not None
    assert at_once[0].tolist() == [0, 4, 5]


MANY = st.lists(st.sampled_from(["路口交通", "有口交", "冰毒", "白冰毒药", "加v信", "，"]), max_size=40).map("".join)


@given(st.lists(MANY, max_size=5), st.integers(1, 20))
@settings(max_examples=60)
def test_judging_in_rounds_finds_what_judging_at_once_finds(texts: list[str], first: int) -> None:
    rules = [
        Rule("word", "fraud", "", ("口交", "冰毒", "毒", "毒药"), weight=1.0, boundary=Boundary.WORD),
        Rule("near", "fraud", "", ("口交", "毒"), near=(("加v", "冰"),), within=9, weight=1.0, boundary=Boundary.WORD),
    ]
    detector = KeywordDetector(PackSet.of(rules))
    column = pa.array(texts, pa.string())
    found = []
    for size in (first, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(evaluate, "FIRST_ROUND", size)
            found.append(detector.evidence(column).to_pylist())
    assert found[0] == found[1]


NASTY = {
    "one character": "啊",
    "combining marks": "e\u0301\u0302\u0300",
    "chains of emoji": "👨‍👩‍👧‍👦",
    "alternating signs": "·*_~",
    "a keyword": "加微信领彩金",
    "another, with spaces": "代 开 发 票 ",
    "letters and a keyword": "加vx",
    "syllables": "zhuang",
    "a word across the hit": "路口交通",
    "split characters": "氵原女马",
    "flags": "🇨🇳",
    "U+0000": "\x00",
    "far planes": "\U0010ffff𠮷",
    "one sign for many": "ﷺ",
    "line ends": "\r\n",
}


def seconds_for(piece: str, size: int) -> float:
    column = pa.array([piece * (size // len(piece.encode()))], pa.string())
    began = time.process_time()
    found = default_detector().detect(column)
    seconds = time.process_time() - began
    text = column[0].as_py()
    assert all(text[f["start"] : f["end"]] == f["matched"] for f in found.to_pylist())
    return seconds


@pytest.fixture(scope="module")
def warm() -> None:
    """Compiled code is loaded by a large text and by many."""
    seconds_for("加微信领彩金", 1 << 20)
    default_detector().detect(pa.array(["加微信领彩金", "👨‍👩‍👧‍👦路口交通vx"] * 1100))


QUICK = ("combining marks", "a keyword", "letters and a keyword")


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in NASTY]
)
@pytest.mark.usefixtures("warm")
def test_time_grows_no_faster_than_a_nasty_text(kind: str) -> None:
    assert seconds_for(NASTY[kind], 1_000_000) < 40 * max(seconds_for(NASTY[kind], 100_000), 0.02)


@pytest.mark.slow
@pytest.mark.parametrize("kind", NASTY)
@pytest.mark.usefixtures("warm")
def test_ten_megabytes_of_a_nasty_text_take_seconds(kind: str) -> None:
    assert seconds_for(NASTY[kind], 10_000_000) < 30


def test_a_boundary_of_none_lets_letters_and_digits_go_on() -> None:
    texts = pa.array(["加vx1", "avxb", "vx", "av·x·b", "9vx"])
    rows = {}
    # The same words in two rules: each is judged by its own boundary, in both ways of scanning.
    packs = PackSet.of(
        [Rule(b.value, "fraud", "", ("vx", "飞机"), weight=1.0, boundary=b, near=()) for b in Boundary]
        + [Rule("near", "fraud", "", ("加",), near=(("vx",),), weight=1.0)]
    )
    for column in (texts, pa.concat_arrays([texts, pa.array(["x" * (1 << 20)])])):
        found = KeywordDetector(packs).evidence(column)
        for name in (*(b.value for b in Boundary), "near"):
            rows[name] = found.filter(pa.compute.equal(found.column("rule"), name)).column("row").to_pylist()
        assert rows["none"] == [0, 1, 2, 3, 4]
        assert rows["latin"] == rows["auto"] == rows["word"] == [0, 2, 4]
        assert rows["near"] == [0]


def test_rows_judged_in_pieces_give_what_they_give_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pa.array([f"{'看' * (n % 7)}加薇信{n}💰" * (n % 5) + "代·开发票" * (n % 3) for n in range(60)])
    whole = plain().evidence(texts)
    assert whole.num_rows > 60
    for size in (1, 64, 1000):
        monkeypatch.setattr(engine, "JUDGED", size)
        assert plain().evidence(texts).equals(whole)
