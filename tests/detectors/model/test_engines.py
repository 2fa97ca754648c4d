"""The compiled and the NumPy engine agree bit for bit, and views point at the right characters."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.model import kernels  # noqa: F401 - so that the compiled path is taken
from detectors.model.explain import strongest_spans
from detectors.model.hashing import occurrences
from detectors.model.linear import LinearModel
from detectors.model.tables import ViewTables, pack, standard_tables
from detectors.model.views import folded_view, pinyin_view, utf32

HOSTILE = [
    "",
    None,
    " ",
    "加V信: ｗeiXin①②③🐔",
    "女马的傻X",
    "a" * 9,
    "zhuangzhuang加w",
    "女子好女子好",
    "👨‍👩‍👧 𝕍𝕏 氵原",
    "ｖ\u200bｘ９９９",
    "xianxianxian weixinhao",
    "，。！",
    "ﷺ㎏㍿",
    "\U0010ffff\ud7ff",
    "1111 0000",
    "啊啊啊啊啊",
    "米青彩米青",
    "微信" * 300,
]


def model_of(
    bits: int, *, labels: int = 10, pinyin: bool = True, gate: float | None = None, prior: int = 0
) -> LinearModel:
    rng = np.random.default_rng(bits)
    columns = -(-(labels + 1) // 8) * 8
    weights = rng.integers(-128, 128, (1 << bits, columns)).astype(np.int8)
    weights[:, 0] = rng.integers(1, 128, 1 << bits)
    return LinearModel(
        labels=[f"l{k}" for k in range(labels)],
        none_label="l0",
        bits=bits,
        pinyin=pinyin,
        weights=weights,
        scale=rng.random(labels),
        bias=rng.random(labels),
        idf_step=0.9,
        calibration=np.vstack([np.eye(labels), np.zeros(labels)]),
        thresholds={},
        tables=standard_tables(),
        gate=gate,
        prior=prior,
    )


def assert_agree(model: LinearModel, texts: list[str | None]) -> None:
    column = pa.array(texts, pa.string())
    assert np.array_equal(model.margins(column, compiled=True), model.margins(column, compiled=False))
    rows, probabilities = model.suspects(column, compiled=True)
    rows_too, probabilities_too = model.suspects(column, compiled=False)
    assert np.array_equal(rows, rows_too)
    assert np.array_equal(probabilities, probabilities_too)


@pytest.mark.parametrize("labels", [2, 7, 10, 40])
@pytest.mark.parametrize("pinyin", [True, False])
@pytest.mark.parametrize(("gate", "prior"), [(None, 0), (0.0, 0), (0.0, 700)])
def test_engines_agree_on_hostile_text(labels: int, pinyin: bool, gate: float | None, prior: int) -> None:
    assert_agree(model_of(12, labels=labels, pinyin=pinyin, gate=gate, prior=prior), HOSTILE)


@settings(max_examples=60)
@given(
    st.lists(
        st.text(st.one_of(st.sampled_from("加微信女马子好vxweinzhag1２ \u200b🐔💰①"), st.characters()), max_size=40),
        max_size=6,
    )
)
def test_engines_agree_on_any_text(texts: list[str]) -> None:
    texts = [t.encode("utf-8", "ignore").decode() for t in texts]
    assert_agree(model_of(10, gate=0.1), list(texts))


@pytest.mark.parametrize("pinyin", [True, False])
def test_the_gate_passes_the_same_rows_wherever_its_blocks_end(pinyin: bool) -> None:
    """Blocks end after 64 rows or 4,096 tokens; rows of several blocks' length stand at both sides of a border."""
    rng = np.random.default_rng(3)
    letters = list("加微信女马子好vxweinzhag1２ ，🐔💰①\u200b\U00020bb7")
    sizes = [*rng.integers(0, 60, 150).tolist(), 4095, 4096, 4097, 9000, 0, *rng.integers(0, 200, 200).tolist()]
    texts = ["".join(rng.choice(letters, size)) for size in sizes]
    model = model_of(11, pinyin=pinyin)
    none = model.margins(pa.array(texts), compiled=False)[:, 0]
    for share in (0.1, 0.5, 0.9):
        gated = replace(model, gate=float(np.quantile(none, share)))
        assert_agree(gated, list(texts))
        passed, _ = gated.suspects(pa.array(texts), compiled=True)
        assert 0 < len(passed) < len(texts)


def test_slices_and_nulls_score_like_their_own_column() -> None:
    model = model_of(12)
    column = pa.array(HOSTILE, pa.string())
    for compiled in (True, False):
        whole = model.margins(column, compiled=compiled)
        assert np.array_equal(model.margins(column.slice(3, 5), compiled=compiled), whole[3:8])
        assert np.array_equal(whole[1], whole[0]), "a null scores as empty text"
    assert model.margins(pa.array([], pa.string()), compiled=True).shape == (0, 10)


def test_chunks_give_what_one_pass_gives() -> None:
    model = model_of(10)
    text = "加微信领取彩金" * 30_000
    column = pa.array([text, "你好", text, text, "再见"], pa.string())
    once = model.margins(pa.array([text], pa.string()), compiled=True)
    assert np.array_equal(model.margins(column, compiled=True)[[0, 2, 3]], np.repeat(once, 3, axis=0))


@pytest.mark.parametrize("char", ["加", "a", "1", "🐔", "\u200b"])
def test_one_character_ten_megabytes_long_is_linear(char: str) -> None:
    model = model_of(10)
    column = pa.array([char * (10_000_000 // len(char.encode()))], pa.string())
    margins = model.margins(column, compiled=True)
    assert np.isfinite(margins).all()


@pytest.mark.parametrize(
    ("disguised", "plain"),
    [
        ("ＶＸ①②③", "vx123"),
        ("微.信", "微信"),
        ("微\u200b信", "微信"),
        ("網賭", "网赌"),
        ("言舌费", "话费"),
        ("加加加加我", "加加我"),
        ("𝓿𝔁", "vx"),
        ("➕V", "加v"),
        ("💰", "钱"),
        ("С", "c"),
    ],
)
def test_folding_undoes_disguises(disguised: str, plain: str) -> None:
    tables = standard_tables()
    tokens = [folded_view(*utf32(pa.array([t])), tables).tokens.tolist() for t in (disguised, plain)]
    assert tokens[0] == tokens[1]


def test_spelled_and_written_syllables_are_one() -> None:
    tables = standard_tables()
    spelled, written = (
        pinyin_view(folded_view(*utf32(pa.array([t])), tables), tables).tokens.tolist()
        for t in ("jia weixin", "加威芯")
    )
    assert spelled == written


@settings(max_examples=80)
@given(
    st.text(
        st.one_of(st.sampled_from("加微女马子好vxwein1 \u200b🐔①"), st.characters(exclude_categories=["Cs"])),
        max_size=60,
    )
)
def test_places_ascend_and_stay_inside_the_original(text: str) -> None:
    tables = standard_tables()
    view = folded_view(*utf32(pa.array([text])), tables)
    for one in (view, pinyin_view(view, tables)):
        assert (one.start < one.end).all()
        assert (one.end <= len(text)).all()
        assert (np.diff(one.start) > 0).all()
        found = occurrences(one, 0, 8)
        assert (found.bucket < 256).all()
        assert (found.first <= found.last).all()


def test_tables_survive_storing() -> None:
    tables = standard_tables()
    again = ViewTables.of_arrays(tables.arrays())
    for name, value in tables.arrays().items():
        assert np.array_equal(again.arrays()[name], value)
    assert np.array_equal(again.fold, tables.fold)
    assert pack("ab") == 34


@pytest.mark.parametrize("broken", ["fold", "readings", "joined", "spelled"])
def test_tables_out_of_range_are_refused(broken: str) -> None:
    arrays = standard_tables().arrays()
    for bad in ({k: v for k, v in arrays.items() if k != broken}, {**arrays, broken: arrays[broken][:-1]}):
        with pytest.raises(ValueError, match="table"):
            ViewTables.of_arrays(bad)
    with pytest.raises(ValueError, match="range"):
        ViewTables.of_arrays({**arrays, "fold": arrays["fold"] - 5})


def test_both_engines_show_the_same_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(10, labels=12)
    rng = np.random.default_rng(3)
    letters = list("加微信女马子好氵原vxweinzhag1２ \u200b🐔💰①，")
    texts = pa.array(["".join(rng.choice(letters, rng.integers(0, 60))) for _ in range(300)], pa.string())
    labels = rng.integers(0, 12, len(texts))
    compiled = strongest_spans(model, texts, labels)
    monkeypatch.delitem(sys.modules, "detectors.model.kernels")
    assert strongest_spans(model, texts, labels) == compiled
    assert all(0 <= start <= end <= len(text) for (start, end), text in zip(compiled, texts.to_pylist(), strict=True))
