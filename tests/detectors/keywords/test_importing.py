"""Word lists of every form become drafts; what is worthless or harmful is refused with the reason."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.errors import RuleListError
from detectors.keywords.importing import Imported, Wishes, import_words
from detectors.keywords.lint import lint_rules
from detectors.keywords.packset import read_packs
from detectors.keywords.packwrite import pack_text
from detectors.keywords.rules import Rule, State
from detectors.keywords.wordlists import FORMATS, Entry, read_list

WISHES = Wishes(prefix="import.t", category="gambling", author="ann", since="2026-11-24")


def entries(data: bytes | str, form: str | None = None) -> list[tuple[int, str, str | None, float | None]]:
    read = read_list(data.encode() if isinstance(data, str) else data, "list.txt", form)
    return [(e.line, e.word, e.category, e.weight) for e in read.entries]


def b64(word: str) -> str:
    return base64.b64encode(word.encode()).decode()


LISTS = {
    "words": ("赌场\n\n# 备注\n博彩网、\n", [(1, "赌场", None, None), (4, "博彩网", None, None)]),
    "tab and category": ("赌场\t赌博\n约炮\t色情\n", [(1, "赌场", "赌博", None), (2, "约炮", "色情", None)]),
    "category, weight": ("赌场,赌博,0.8\n博彩,赌博,3\n", [(1, "赌场", "赌博", 0.8), (2, "博彩", "赌博", 3.0)]),
    "blank and weight": ("赌场 3\n真人 荷官 2\n", [(1, "赌场", None, 3.0), (2, "真人 荷官", None, 2.0)]),
    "weight and kind": ("赌场 3 n\n荷官 2 v\n", [(1, "赌场", "n", 3.0), (2, "荷官", "v", 2.0)]),
    "base64": (f"{b64('赌场')}\n{b64('博彩网')}\n", [(1, "赌场", None, None), (2, "博彩网", None, None)]),
    "json list": ('["赌场", "博彩"]', [(1, "赌场", None, None), (2, "博彩", None, None)]),
    "json by category": ('{"赌博": ["赌场"], "色": ["约炮"]}', [(1, "赌场", "赌博", None), (2, "约炮", "色", None)]),
    "json word to category": ('{"赌场": "赌博", "约炮": 2}', [(1, "赌场", "赌博", None), (2, "约炮", None, 2.0)]),
    "json objects": ('[{"word": "赌场", "type": "赌博", "level": 3}]', [(1, "赌场", "赌博", 3.0)]),
    "json under words": ('{"words": ["赌场"]}', [(1, "赌场", None, None)]),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_read_in_the_form_it_has(name: str) -> None:
    data, wanted = LISTS[name]
    assert entries(data) == wanted


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings(encoding: str) -> None:
    assert [e[1] for e in entries("赌场\r\n博彩网站\r\n".encode(encoding))] == ["赌场", "博彩网站"]


def test_words_of_letters_are_not_taken_for_base64() -> None:
    assert [e[1] for e in entries("heroin\nmeth\ncocaines\n")] == ["heroin", "meth", "cocaines"]


BAD = {
    "empty": (b"", None, "holds no word"),
    "only remarks": (b"# a\n\n", None, "holds no word"),
    "no encoding": (b"\xe8\xb5\n\xff\xff\xff", None, "list.txt:"),
    "not base64": (f"{b64('赌场')}\n赌场\n".encode(), "base64", "list.txt:2"),
    "not json": (b'["a",', "json", "list.txt:1"),
    "deep json": (b"[" * 500 + b'"a"' + b"]" * 500, None, "nests deeper"),
    "json without end": (b"[" * 100_000, None, "no JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_list_is_a_typed_error(name: str) -> None:
    data, form, said = BAD[name]
    with pytest.raises(RuleListError) as raised:
        read_list(data, "list.txt", form)
    assert said in raised.value.what
    assert raised.value.cure


def test_a_list_over_the_limit_is_refused() -> None:
    with pytest.raises(RuleListError, match="64 MiB"):
        read_list(bytes((64 << 20) + 1), "list.txt")


@given(st.binary(max_size=300), st.sampled_from([None, *FORMATS]))
@settings(max_examples=300)
def test_any_bytes_are_a_list_or_a_typed_error(data: bytes, form: str | None) -> None:
    try:
        read = read_list(data, "list.txt", form)
    except RuleListError:
        return
    made = import_words(read.entries, WISHES)
    assert len(made.rules) + len(made.refused) == len(read.entries)


def why(made: Imported) -> dict[str, str]:
    return {word.word: word.why for word in made.refused}


def test_words_become_drafts_and_worthless_ones_are_refused() -> None:
    known = [Rule("known", "gambling", "", ("网上赌场",))]
    words = ["百家乐", "百 家 乐", "网上賭場", "好", "---", "a|b", "@lure", "长" * 201, "线上投注"]
    made = import_words([Entry(n, word) for n, word in enumerate(words, 1)], WISHES, known=known)
    assert [rule.words[0] for rule in made.rules] == ["百家乐", "线上投注"]
    assert {rule.state for rule in made.rules} == {State.DRAFT}
    assert why(made) == {
        "百 家 乐": "there already",
        "网上賭場": "there already",
        "好": "one character",
        "---": "nothing left",
        "a|b": "signs",
        "@lure": "signs",
        "长" * 201: "too long",
    }


def test_a_word_of_harmless_texts_is_refused() -> None:
    made = import_words(
        [Entry(1, "质量"), Entry(2, "百家乐")], WISHES, harmless={"reviews": pa.array(["质量好"] * 9 + ["好"])}
    )
    assert [rule.words[0] for rule in made.rules] == ["百家乐"]
    assert [(w.line, w.why, w.detail) for w in made.refused] == [(1, "harmless text", "9 of 10 of reviews, 90.000%")]


def test_categories_come_from_the_list_its_names_or_the_wish() -> None:
    said = [
        Entry(1, "百家乐", "赌博"),
        Entry(2, "冰毒", "drugs"),
        Entry(3, "刀具", "ours"),
        Entry(4, "政要", "政治"),
        Entry(5, "投注"),
    ]
    made = import_words(said, Wishes(prefix="p", category="fraud", names={"ours": "weapons"}))
    assert {rule.words[0]: rule.category for rule in made.rules} == {
        "百家乐": "gambling",
        "冰毒": "drugs",
        "刀具": "weapons",
        "投注": "fraud",
    }
    assert why(made) == {"政要": "category"}, "a category that is not known is never guessed"


def test_weights_are_brought_to_one() -> None:
    made = import_words([Entry(1, "百家乐", None, 4), Entry(2, "投注站", None, 2), Entry(3, "赌资")], WISHES)
    assert [rule.weight for rule in made.rules] == [0.95, 0.5, 0.9]
    made = import_words([Entry(1, "百家乐", None, 0.4), Entry(2, "投注站", None, -1)], WISHES)
    assert [rule.weight for rule in made.rules] == [0.4, 0.0]


def test_ids_stay_the_same_when_the_list_grows() -> None:
    first = import_words([Entry(1, "百家乐")], WISHES).rules
    again = import_words([Entry(1, "投注站"), Entry(2, "百家乐")], WISHES).rules
    assert first[0].id == again[1].id


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8), max_size=20))
@settings(max_examples=100)
def test_a_written_pack_reads_as_it_was(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    made = import_words([Entry(n, word.strip()) for n, word in enumerate(words, 1)], WISHES)
    meta = {"source": 'https://example.org/a,b "c"\nd', "digest": "sha256:00"}
    folder = tmp_path_factory.mktemp("packs")
    (folder / "list.csv").write_text(pack_text(made.rules, meta), encoding="utf-8", newline="")
    read = read_packs(folder)
    assert not read.problems
    assert [(r.id, r.words, r.hits, r.weight, r.state) for r in read.rules] == [
        (r.id, r.words, r.hits, r.weight, r.state) for r in made.rules
    ]
    assert read.meta[f"{folder.name}/list.csv"] == {"source": 'https://example.org/a,b "c" d', "digest": "sha256:00"}


def test_a_large_import_lints_clean_and_in_time(tmp_path: Path) -> None:
    words = [f"测{chr(0x4E00 + n)}试词{n % 97}" for n in range(20_000)]
    made = import_words(read_list(json.dumps(words).encode(), "l").entries, WISHES)
    (tmp_path / "l.csv").write_text(pack_text(made.rules, {}), encoding="utf-8")
    rules = read_packs(tmp_path).rules
    assert len(rules) == len(made.rules)
    kinds = Counter(problem.what.split()[0] for problem in lint_rules(rules))
    assert sum(kinds.values()) < len(rules) / 100, kinds
