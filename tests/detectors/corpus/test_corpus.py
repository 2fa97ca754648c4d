"""The corpus and its disguises: readable, distinct, the same every time, broken files named."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest

from detectors.base import CATEGORIES
from detectors.corpus.disguises import DISGUISES, disguise
from detectors.corpus.errors import CorpusFileError
from detectors.corpus.families import FOLDER, NONE, Example, corpus, examples, read_families
from detectors.model.heldout import held_out
from detectors.model.shipping import _chosen, corpus_rows
from detectors.normalise.tables.fold import fold_table
from detectors.normalise.view import code_points, view

NAMED = [name for name in CATEGORIES if not name.startswith("article15")]


def test_every_category_has_over_a_thousand_distinct_texts_of_many_families() -> None:
    texts = Counter(one.category for one in corpus())
    families = Counter(family.category for family in read_families()[0])
    for name in (*NAMED, NONE):
        assert texts[name] > 1000, name
        assert families[name] >= 70, name
    per_family = Counter((one.family, one.text) for one in corpus())
    assert max(per_family.values()) == 1


def test_held_out_families_are_a_fifth_of_each_category() -> None:
    families = read_families()[0]
    for name in (*NAMED, NONE):
        mine = [family.name for family in families if family.category == name]
        assert 0.08 < sum(map(held_out, mine)) / len(mine) < 0.35, name


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("no theme\n", "above its first theme"),
        ("== a\n== b\nx\n", "has no template"),
        ("== a\n{b|c\n", "Unpaired"),
        ("== a\n{nothing}\n", "no slot"),
        ("== a\n{slot|c}\n", "without braces"),
        ("== a\nx\n== a\ny\n", "there twice"),
        ("== a *\nx\n", "no number"),
        ("== a *0\nx\n", "no number"),
        ("== a *9999\nx\n", "no number"),
    ],
)
def test_broken_families_are_named(body: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "slots.txt").write_text("slot = 甲 | 乙\n", encoding="utf-8")
    (tmp_path / "fraud.txt").write_text(body, encoding="utf-8")
    with pytest.raises(CorpusFileError, match=said) as caught:
        read_families(tmp_path)
    assert caught.value.cure


def test_a_theme_of_many_slots_gives_more_texts(tmp_path: Path) -> None:
    (tmp_path / "slots.txt").write_text("", encoding="utf-8")
    (tmp_path / "fraud.txt").write_text("== a\n{#9}\n== b *3\n{#9}\n", encoding="utf-8")
    written = Counter(one.family for one in examples(folder=tmp_path, per_family=5))
    assert written == {"fraud/a/1": 5, "fraud/b/1": 15}


def test_copies_are_drawn_by_weight_and_never_twice_of_a_kind() -> None:
    mixed = [Example(f"加微信领彩金第{n}期，源码出售🐔", "gambling", f"gambling/a/{n}") for n in range(40)]
    mixed += [Example(f"早餐第{n}次买，味道不错", NONE, f"none/a/{n}") for n in range(40)]
    rows = corpus_rows(mixed)
    assert sum(rows.copy) > rows.copy.index(True)
    drawn = Counter(name for n in range(2000) for name in set(_chosen(Random(n), 2)))
    assert sum(drawn.values()) == 4000
    assert drawn["homophone"] > drawn["pinyin"] > drawn["split"]
    assert drawn["homophone"] > drawn["initials"] > drawn["emoji"]


def test_slots_that_contain_one_another_and_unknown_files(tmp_path: Path) -> None:
    (tmp_path / "slots.txt").write_text("a = {b}\nb = {a}\n", encoding="utf-8")
    with pytest.raises(CorpusFileError, match="one another"):
        read_families(tmp_path)
    (tmp_path / "slots.txt").write_text("a = 1\n", encoding="utf-8")
    (tmp_path / "games.txt").write_text("== a\nx\n", encoding="utf-8")
    with pytest.raises(CorpusFileError, match="no category"):
        read_families(tmp_path)
    with pytest.raises(CorpusFileError, match="cannot be read"):
        read_families(tmp_path / "gone")
    assert FOLDER.is_dir()


@pytest.mark.parametrize("name", DISGUISES)
def test_disguises_repeat_and_change_something(name: str) -> None:
    texts = ["加微信 VX123 领彩金，长期代开发票，源码", "", "🐔", "abc"]
    assert disguise(texts, name, 5) == disguise(texts, name, 5)
    assert DISGUISES[name](texts[0] * 3, Random(1), 0.9) != texts[0] * 3
    assert disguise([""], name, 5) == [""]


@pytest.mark.parametrize("name", ["width", "symbols", "zero_width", "traditional"])
def test_the_normaliser_undoes_what_only_looks_different(name: str) -> None:
    text = "长期出售冰毒加微信vx领彩金"
    (hidden,) = disguise([text], name, 3, 0.8)
    table = fold_table()
    assert view(*code_points(pa.array([hidden])), table).text() == view(*code_points(pa.array([text])), table).text()
