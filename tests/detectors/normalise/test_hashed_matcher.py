"""The compiled matcher against a library's: the same hits over anything, in both units, and in linear time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.keywords.hashed import HashedWords
from detectors.keywords.matcher import DaachorseMatcher, HyperscanMatcher, Matcher
from detectors.normalise.column import fold_column
from detectors.normalise.steps import ALL_STEPS, Steps
from detectors.normalise.tables.fold import Reading, fold_table
from detectors.normalise.view import string_buffers

ALPHABET = "加微信发票代开𠮷v1氵原者阝🐔 ，"


def hits(matcher: HashedWords | Matcher, text: str) -> set[tuple[int, int, int]]:
    word, start, end = matcher.find(text.encode())
    return set(zip(word.tolist(), start.tolist(), end.tolist(), strict=True))


@settings(max_examples=150)
@given(
    st.lists(st.text(ALPHABET, min_size=1, max_size=6), min_size=1, max_size=30, unique=True),
    st.text(ALPHABET, max_size=200),
)
def test_finds_what_the_libraries_find(words: list[str], text: str) -> None:
    mine = hits(HashedWords(words), text)
    assert mine == hits(DaachorseMatcher(words), text)
    in_bytes = {(w, len(text[:a].encode()), len(text[:b].encode())) for w, a, b in mine}
    assert in_bytes == hits(HyperscanMatcher(words), text)


@settings(max_examples=100)
@given(
    st.lists(st.text(ALPHABET, min_size=1, max_size=4), min_size=1, max_size=12, unique=True),
    st.lists(st.text(ALPHABET, max_size=40), min_size=1, max_size=6),
    st.sampled_from(Reading),
    st.booleans(),
)
def test_folding_and_scanning_in_one_pass_is_folding_then_scanning(
    words: list[str], texts: list[str], reading: Reading, repeats: bool
) -> None:
    matcher = HashedWords(words)
    column = pa.array(texts, pa.string())
    table = fold_table(ALL_STEPS if repeats else Steps(repeats=False), reading)
    word, row, signs = matcher.find_rows(*string_buffers(column), table, repeats)
    folded = fold_column(column, table, repeats=repeats, compiled=False)
    number, start, end = matcher.find(folded.data)
    at = np.searchsorted(folded.char_rows, start, side="right") - 1
    inside = end <= folded.char_rows[at + 1]
    # Each word once a row, however often it stands there.
    pairs = list(zip(word.tolist(), row.tolist(), strict=True))
    assert sorted(pairs) == sorted(set(zip(number[inside].tolist(), at[inside].tolist(), strict=True)))
    assert signs.tolist() == folded.signs.tolist()


@pytest.mark.parametrize("char", ["加", "1", "🐔", "\u200b", "氵"])
def test_ten_megabytes_of_one_character(char: str) -> None:
    column = pa.array([char * (10_000_000 // len(char.encode()))], pa.string())
    matcher = HashedWords([char * 3, "加微", "1", char + "x"])
    matcher.find_rows(*string_buffers(column), fold_table(), True)
    matcher.find(column[0].as_py().encode())


def test_more_hits_than_room_at_first() -> None:
    text = "12" * 5000
    assert len(hits(HashedWords(["1", "12", "2", "21", "121"]), text)) == 5000 * 5 - 2


def test_words_of_one_character_and_none_at_all() -> None:
    assert hits(HashedWords(["微"]), "加微信") == {(0, 1, 2)}
    assert hits(HashedWords(["微信"]), "") == set()
    assert hits(HashedWords(["微信"]), "微") == set()
