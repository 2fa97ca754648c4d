"""Postings: every block that holds a value is found, few others are; what is broken is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.lookups.postings import Posted, build, find

Pair = tuple[int, int]


def built(pairs: list[Pair], at: int = 0) -> tuple[bytes, Posted]:
    hashes = np.array([value for value, _ in pairs], np.uint64)
    return build(hashes, np.array([block for _, block in pairs], np.int64), at)


def look(data: bytes, posted: Posted, value: int, at: int = 0) -> list[int]:
    found = find(lambda start, length: memoryview(data)[start - at : start - at + length], posted, value)
    return [int(block) for block in found]


@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 400)), max_size=300),
    st.integers(0, 2**64 - 1),
    st.integers(0, 1000),
)
def test_every_block_of_a_value_is_found(pairs: list[Pair], other: int, at: int) -> None:
    pairs = [*pairs, *((value, (block * 7) % 400) for value, block in pairs[::3])]
    data, posted = built(pairs, at)
    for value, block in pairs:
        assert block in look(data, posted, value, at)
    blocks = look(data, posted, other, at)
    assert blocks == sorted(set(blocks))
    assert set(blocks) <= {block for _, block in pairs}


def test_little_is_found_in_vain_and_an_entry_is_small() -> None:
    rng = np.random.default_rng(5)
    hashes = rng.integers(0, 2**64, 50_000, dtype=np.uint64)
    data, posted = build(hashes, rng.integers(0, 200, 50_000), 0)
    vain = sum(bool(look(data, posted, int(value))) for value in rng.integers(0, 2**64, 4000, dtype=np.uint64))
    assert vain < 4000 / 100
    assert len(data) / 50_000 < 2.5


@given(st.data())
def test_a_cut_or_changed_shape_is_refused_or_finds_blocks(given_data: st.DataObject) -> None:
    rng = np.random.default_rng(6)
    hashes = rng.integers(0, 2**64, 5000, dtype=np.uint64)
    data, posted = build(hashes, rng.integers(0, 100, 5000), 0)
    changed = dataclasses.replace(
        posted,
        **{
            name: given_data.draw(st.integers(0, 2**40))
            for name in given_data.draw(st.sets(st.sampled_from(["directory", "groups"]), min_size=1))
        },
    )
    damaged = bytearray(data)
    for _ in range(given_data.draw(st.integers(0, 4))):
        damaged[given_data.draw(st.integers(0, len(data) - 1))] ^= given_data.draw(st.integers(1, 255))
    cut = bytes(damaged[: given_data.draw(st.integers(0, len(data)))])
    for shape, content in ((changed, data), (posted, cut), (posted, bytes(damaged))):
        try:
            found = look(content, shape, int(hashes[0]))
        except ValueError:
            continue
        assert all(0 <= block <= 0xFFFF for block in found)


def test_a_directory_past_the_end_is_refused() -> None:
    data, posted = built([(n << 50, n % 9) for n in range(100)])
    with pytest.raises(ValueError, match="directory"):
        look(data[:8], posted, 1)
