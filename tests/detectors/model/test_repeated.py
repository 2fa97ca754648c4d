"""What a text repeats counts twice, however often it stands there."""

from __future__ import annotations

import re
import time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.model import default_model
from detectors.model.linear import LinearModel
from detectors.model.repeated import LONGEST, shortened


def short(text: str) -> str:
    rows, texts = shortened(pa.array(["", text, "别的"]))
    assert rows.tolist() in ([], [1])
    return texts[0].as_py() if len(rows) else text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("假的假的假的假的！", "假的假的！"),
        ("没发票 没发票 没发票 没发票 没", "没发票 没发票 没"),
        ("看看" + "裤子长就要腰粗？" * 9 + "对", "看看" + "裤子长就要腰粗？" * 2 + "对"),
        ("一次两次一次两次", "一次两次一次两次"),
        ("哈哈哈哈哈", "哈哈哈哈哈"),
        ("🐔💰" * 5, "🐔💰" * 2),
        ("", ""),
        ("ab" * 3 + "cd" * 3, "ababcdcd"),
        ("a" * (LONGEST + 1), "a" * 5),
    ],
)
def test_two_repeats_are_left(text: str, left: str) -> None:
    assert short(text) == left


@given(st.lists(st.text(st.sampled_from("ab我🐔 "), max_size=30), max_size=8))
def test_rows_are_read_as_if_alone_and_nothing_new_stands_in_them(texts: list[str]) -> None:
    rows, left = shortened(pa.array(texts, pa.string()))
    for row, text in zip(rows.tolist(), left.to_pylist(), strict=True):
        assert len(text) < len(texts[row])
        assert set(text) <= set(texts[row])
        assert short(texts[row]) == text
    whole = {k for k, text in enumerate(texts) if re.search(r"(.{2,10}?)\1\1", text, re.S)}
    assert whole == set(rows.tolist())


def test_repeating_a_text_makes_it_no_surer() -> None:
    model: LinearModel = default_model().model
    none = model.none_index
    texts = ["这裤子真的太垃圾了，", "加微信看视频，", "收购银行卡，", "你就是条狗，"]
    for compiled in (False, True):
        seen = []
        for times in (2, 3, 7, 40):
            rows, likely = model.suspects(pa.array([text * times for text in texts]), compiled=compiled)
            seen.append(dict(zip(rows.tolist(), (1 - likely[:, none]).round(9).tolist(), strict=True)))
        assert max(seen[0].values()) >= 0.3, "none of these texts is near a finding: the test would prove nothing"
        for more in seen[1:]:
            assert all(sure <= max(seen[0].get(row, 0.3), 0.3) for row, sure in more.items())


def test_hostile_repeats_take_linear_time() -> None:
    spent = []
    for size in (1_000_000, 4_000_000):
        column = pa.array(["我要" * (size // 4) + "abababx" * (size // 14)])
        begun = time.process_time()
        rows, left = shortened(column)
        spent.append(time.process_time() - begun)
        assert len(rows) == 1
        assert len(left[0].as_py()) < size // 2
    assert spent[1] < 12 * spent[0] + 0.5
