"""Word boundaries: text is cut as jieba cuts it, by both engines; a hit across a word's border does not count."""

from __future__ import annotations

import sys
import warnings
from importlib.machinery import ModuleSpec
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from detectors.corpus.families import corpus
from detectors.errors import DictionaryError
from detectors.keywords import boundaries, dictionary, hashed  # noqa: F401 - compiled code is loaded
from detectors.keywords.boundaries import cut, overlap_words
from detectors.keywords.dictionary import _read, ascending


@pytest.fixture(scope="module")
def jieba(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba
    jieba.dt.tmp_dir = str(tmp_path_factory.mktemp("jieba"))
    jieba.setLogLevel(60)
    return jieba


def _texts() -> list[str]:
    rng = Random(5)
    texts = [one.text for one in rng.sample(list(corpus()), 1500)]
    letters = "".join(texts)
    odd = ["".join(rng.choices(letters + "aB9+#&._%-·~\u0301😀\ud800 ", k=rng.randint(0, 40))) for _ in range(300)]
    return [*texts, *odd, "", "路口交通", "AT&T和T恤", "卡拉OK厅", "c++与C#"]


def test_text_is_cut_as_jieba_cuts_it(jieba: Any) -> None:
    for text in _texts():
        if "\ud800" in text:
            assert cut(text)[-1][1] == len(text)
            continue
        words = list(jieba.cut(text, HMM=False))

        assert [text[low:high] for low, high in cut(text)] == words, text


def test_both_engines_cut_and_judge_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Random(9)
    windows = [(text, at := rng.randrange(len(text) + 1), rng.randint(at, len(text))) for text in _texts()]
    words = [cut(text) for text, _, _ in windows]
    said = boundaries._judged(windows)
    assert 0 < sum(said) < len(said)
    monkeypatch.delitem(sys.modules, "detectors.keywords.hashed")
    assert words == [cut(text) for text, _, _ in windows]
    assert said == boundaries._judged(windows)


def test_a_word_that_overlaps_in_part_speaks_against_a_hit() -> None:
    windows = [("路口交通安全", 1, 3), ("有口交服务", 1, 3), ("买迷奸药水", 1, 3), ("", 0, 0), ("路口交通安全", 1, 3)]
    assert overlap_words(windows) == [True, False, False, False, True]


def test_answers_do_not_depend_on_what_was_asked_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Random(7)
    windows = []
    for text in _texts():
        if len(text) > 4:
            start = rng.randrange(len(text) - 3)
            windows.append((text, start, start + rng.randint(1, 3)))
    monkeypatch.setattr(boundaries, "_known", {})
    together = overlap_words(windows)
    monkeypatch.setattr(boundaries, "_known", {})
    monkeypatch.setattr(boundaries, "KEPT", 3)
    assert [overlap_words([window])[0] for window in windows] == together
    assert len(boundaries._known) <= 3


def test_a_missing_dictionary_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dictionary, "find_spec", lambda name: None)
    dictionary.dictionary.cache_clear()
    with pytest.raises(DictionaryError, match="not installed"):
        dictionary.dictionary()
    elsewhere = ModuleSpec("jieba", None, origin=str(tmp_path / "jieba" / "__init__.py"))
    monkeypatch.setattr(dictionary, "find_spec", lambda name: elsewhere)
    with pytest.raises(DictionaryError, match="cannot be read"):
        dictionary.dictionary()
    (tmp_path / "jieba").mkdir()
    (tmp_path / "jieba" / "dict.txt").write_bytes(b"\xff\xfe broken\n")
    with pytest.raises(DictionaryError, match="cannot be read"):
        dictionary.dictionary()


def test_hashes_that_differ_in_their_last_bits_only_are_ordered_all_the_same() -> None:
    for low in ([3, 1, 2], [1, 2, 3], [2, 2, 1], [0], []):
        hashes = np.array([0xABCD << 48, *((7 << 60) + n for n in low)], np.uint64)
        assert hashes[ascending(hashes)].tolist() == sorted(hashes.tolist())


@pytest.mark.parametrize(
    "line", ["词 3", "词 三 n", "词 -3 n", " 3 n", "词 3 n x", "词 99999999999999999999 n", "\x00"]
)
def test_a_dictionary_of_another_form_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "dict.txt"
    path.write_text(f"好 5 n\n{line}\n词语 7 n\n", encoding="utf-8")
    with pytest.raises(ValueError):  # noqa: PT011 - the caller says which file
        _read(path)
    path.write_bytes(b"\xff\xfe 5 n\n")
    with pytest.raises(ValueError):  # noqa: PT011
        _read(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError):  # noqa: PT011
        _read(path)
