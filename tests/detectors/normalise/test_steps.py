"""The normaliser's steps: each alone, all pairs together, both paths alike, linear in the text."""

from __future__ import annotations

import time
from functools import lru_cache
from itertools import combinations
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.normalise.column import fold_column
from detectors.normalise.steps import ALL_STEPS, Steps
from detectors.normalise.tables.fold import FoldTable, Reading, fold_table
from detectors.normalise.view import View, code_points, view

UNDONE = {
    "width": ("ｖｘ①", "vx1"),
    "case": ("Vx", "vx"),
    "traditional": ("網賭", "网赌"),
    "invisible": ("微\u200b信\ufe0f", "微信"),
    "confusable": ("薇信о", "微信o"),
    "symbols": ("下.注 -了", "下注了"),
    "repeats": ("返返返水", "返水"),
    "emoji": ("➕我", "加我"),
    "split": ("氵原码", "源码"),
}
"""Step → a text that only it undoes, and what is left."""
PIECES = st.one_of(
    st.sampled_from([text for pair in UNDONE.values() for text in pair]),
    st.sampled_from(
        ["👨‍👩‍👧", "🇨🇳", "👍🏽", "㎏", "㍿", "ﷺ", "𠮷", "é", "e\u0301", "氵", "者阝", "禾刂", "又阝", "\x00", "ſ", "İ"]
    ),
    st.characters(exclude_categories=("Cs",)),
)
TEXTS = st.lists(PIECES, max_size=20).map("".join)
MIXED = [Steps(**{name: rng.random() < 0.6 for name in Steps.names()}) for rng in map(Random, range(6))]
STEPS = st.sampled_from([ALL_STEPS, *MIXED])


@lru_cache(maxsize=64)
def table_of(steps: Steps, reading: Reading) -> FoldTable:
    return fold_table.__wrapped__(steps, reading)


def seen(text: str, steps: Steps, reading: Reading = Reading.SIGNS) -> View:
    return view(*code_points(pa.array([text])), table_of(steps, reading), repeats=steps.repeats)


def only(*names: str) -> Steps:
    return Steps(**{name: name in names for name in Steps.names()})


@pytest.mark.parametrize("name", Steps.names())
def test_a_step_undoes_its_own_and_nothing_is_undone_without_it(name: str) -> None:
    disguised, plain = UNDONE[name]
    assert seen(disguised, only(name)).text() == plain
    assert seen(disguised, Steps.none()).text() == disguised


@pytest.mark.parametrize(("one", "other"), list(combinations(Steps.names(), 2)))
def test_any_two_steps_work_together(one: str, other: str) -> None:
    for first, second in ((one, other), (other, one)):
        text = UNDONE[first][0] + "隔" + UNDONE[second][0]
        assert seen(text, only(one, other)).text() == UNDONE[first][1] + "隔" + UNDONE[second][1]


def test_all_steps_together() -> None:
    text = "隔".join(pair[0] for pair in UNDONE.values())
    assert seen(text, ALL_STEPS).text() == "隔".join(pair[1] for pair in UNDONE.values()).lower()


@given(st.lists(TEXTS, max_size=5), STEPS, st.sampled_from(Reading))
@settings(max_examples=25)
def test_both_paths_fold_alike_whatever_the_steps(texts: list[str], steps: Steps, reading: Reading) -> None:
    column = pa.array(texts, pa.string())
    table = table_of(steps, reading)
    plain = fold_column(column, table, repeats=steps.repeats, compiled=False)
    fast = fold_column(column, table, repeats=steps.repeats, compiled=True)
    assert fast.data == plain.data
    assert np.array_equal(fast.byte_rows, plain.byte_rows)
    assert np.array_equal(fast.char_rows, plain.char_rows)
    assert np.array_equal(fast.signs, plain.signs)


@given(TEXTS, STEPS, st.sampled_from(Reading))
@settings(max_examples=25)
def test_tokens_stand_in_order_for_characters_of_the_original(text: str, steps: Steps, reading: Reading) -> None:
    found = seen(text, steps, reading)
    assert (found.start < found.end).all()
    assert (found.end <= len(text)).all()
    assert (np.diff(found.start) >= 0).all()
    assert (np.diff(found.end) >= 0).all()
    assert (found.run >= 1).all()
    assert found.rows.tolist() == [0, len(found.tokens)]


@given(st.text("微信加发票V1", min_size=1, max_size=12), st.data())
@settings(max_examples=100)
def test_signs_width_and_invisible_characters_between_change_nothing(text: str, data: st.DataObject) -> None:
    noise = st.sampled_from(["", ".", " ", "*", "\u200b", "\u2060", "。", "|", "\ufe0f", "_", "～"])
    wide = {c: chr(ord(c) + 0xFEE0) for c in "V1"}
    disguised = "".join((wide[c] if c in wide and data.draw(st.booleans()) else c) + data.draw(noise) for c in text)
    assert seen(disguised, ALL_STEPS, Reading.PLAIN).text() == seen(text, ALL_STEPS, Reading.PLAIN).text()


@pytest.mark.parametrize("char", ["加", "氵", "1", "\u200b", "🐔", "ﷺ", "阝", "➕"])
def test_time_grows_with_the_text_and_no_faster(char: str) -> None:
    table = fold_table()
    fold_column(pa.array(["热身"]), table, repeats=True, compiled=True)

    def seconds(size: int) -> float:
        column = pa.array([char * (size // len(char.encode()))], pa.string())
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            fold_column(column, table, repeats=True, compiled=True)
            best = min(best, time.process_time() - began)
        return best

    assert seconds(10_000_000) < 30 * max(seconds(1_000_000), 0.003)
