"""Two sets of rules over the same texts: counts of texts, what is new, examples that name nobody."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.keywords.backtest import CONTEXT, Backtest, masked
from detectors.keywords.packset import PackSet
from detectors.keywords.rules import Rule, State


def rule(name: str, *words: str, state: State = State.LIVE) -> Rule:
    return Rule(name, "fraud", "", words, state=state)


def backtest(examples: int = 3) -> Backtest:
    today = [rule("a", "刷单"), rule("b", "跑分", state=State.DRAFT)]
    candidate = [rule("a", "刷单返利"), rule("b", "跑分")]
    return Backtest(PackSet.of(candidate), PackSet.of(today), {r.id: r for r in (*candidate[:1], today[1])}, examples)


TEXTS = ["刷单返利，跑分", "刷单", "跑分，加微信 zhang_san88", "无", None, "跑分 跑分"]


def test_texts_are_counted_once_on_each_side() -> None:
    test = backtest()
    test.add(pa.array(TEXTS[:3]))
    test.add(pa.array(TEXTS[3:]))
    assert test.totals.as_json() == {
        "texts": 6,
        "candidate": 3,
        "today": 2,
        "both": 1,
        "only_candidate": 2,
        "only_today": 1,
    }
    found = {one.rule.id: one for one in test.rules()}
    assert (found["a"].candidate, found["a"].today, found["a"].new) == (1, 2, 0)
    assert (found["b"].candidate, found["b"].today, found["b"].new) == (3, 0, 2)
    assert found["b"].rule.state is State.DRAFT
    assert [one.rule.id for one in test.rules()] == ["b", "a"]


def test_examples_are_few_and_masked() -> None:
    test = backtest(examples=1)
    test.add(pa.array(TEXTS[2:]))
    assert [one.examples for one in test.rules()] == [("【跑分】，加微信 z****…",)]
    none = backtest(examples=0)
    none.add(pa.array(TEXTS))
    assert [one.examples for one in none.rules()] == [(), ()]


@pytest.mark.parametrize(
    "handle", ["13800138000", "１３８００１３８０００", "ab_cd9", "a.b.c.d", "ⓥⓧ①②③", "v-x 1 2 3", "abcdefghijklmnop"]
)
def test_handles_are_starred_even_where_they_are_cut(handle: str) -> None:
    for text in (f"刷单，联系{handle}", f"联系{handle}，刷单", f"{'远' * CONTEXT}刷单{'近' * (CONTEXT - 2)}{handle}"):
        at = text.index("刷单")
        shown = masked(text, at, at + 2)
        assert "【刷单】" in shown
        letters = [c for c in shown if c.isalnum() and not "\u4e00" <= c <= "\u9fff"]
        assert len(letters) <= 1


@given(st.text(max_size=200), st.data())
def test_masking_takes_any_text(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    shown = masked(text, start, end)
    assert "【" in shown
    assert len(shown) < 3 * CONTEXT + 60
    assert "\n" not in shown
