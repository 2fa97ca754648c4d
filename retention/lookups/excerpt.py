"""A small Parquet file made of some blocks of a sealed one: their pages as they are, under a footer of its own.

Each block becomes a row group. Nothing is decoded here; the reader of the small file does that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from retention.lookups import thrift
from retention.lookups.pages import BLOCK_ROWS, PAGE, Leaf, Pages
from retention.lookups.postings import Blocks
from retention.lookups.section import Head

ReadMany = Callable[[Sequence[tuple[int, int]]], list[memoryview]]
"""Reads ranges (start, length) of the segment's plaintext."""

_MAGIC: Final = b"PAR1"
_ZSTD: Final = 6
_PLAIN_AND_DICTIONARY: Final = (0, 3, 8)


def chosen_pages(
    head: Head, section_at: int, blocks: Blocks, columns: Collection[str] | None, read_many: ReadMany
) -> tuple[list[int], Pages, Pages]:
    """The leaves of the columns (None: all), and their pages of the blocks: data and dictionaries, [block, leaf].

    Args:
        section_at: where the section begins in the segment's plaintext, which is where its rows end.
        blocks: numbers of blocks, in order.
        columns: names of the columns wanted, None for all.

    Raises:
        ValueError: the table of pages is cut, or names a page that lies elsewhere.
    """
    leaves = [n for n, leaf in enumerate(head.leaves) if columns is None or leaf.path[0] in columns]
    width = len(head.leaves) * PAGE.itemsize
    groups = blocks // head.group_blocks
    data_at, dictionary_at = section_at + head.pages, section_at + head.dictionaries
    ranges = [(data_at + int(block) * width, width) for block in blocks]
    ranges += [(dictionary_at + int(group) * width, width) for group in groups]
    rows = [np.frombuffer(data, PAGE) for data in read_many(ranges)]
    table = np.stack(rows)[:, leaves] if rows else np.zeros((0, len(leaves)), PAGE)
    limit = np.uint64(section_at)
    if ((table["offset"] > limit) | (table["length"] > limit - np.minimum(table["offset"], limit))).any():
        raise ValueError("a page of it lies outside of its rows")
    return leaves, table[: len(blocks)], table[len(blocks) :]


def excerpt(
    head: Head, blocks: Blocks, leaves: Sequence[int], data: Pages, dictionaries: Pages, read_many: ReadMany
) -> bytes:
    """The small file: what ``chosen_pages`` found, each block a row group; without blocks, a file without rows."""
    pages = np.stack([dictionaries, data], axis=2)
    parts = read_many([(offset, length) for offset, length, _ in pages.ravel().tolist()])
    counts = [min(BLOCK_ROWS, head.rows - int(block) * BLOCK_ROWS) for block in blocks]
    at, groups = len(_MAGIC), []
    for of_block, count in zip(pages.tolist(), counts, strict=True):
        chunks, begin = [], at
        for leaf, ((_, dictionary, _), (_, page, values)) in zip(leaves, of_block, strict=True):
            chunks.append(_chunk(head.leaves[leaf], values, at, dictionary, page))
            at += dictionary + page
        groups.append(
            thrift.struct(
                (1, thrift.LIST, thrift.listed(thrift.STRUCT, chunks)),
                (2, thrift.I64, thrift.number(at - begin)),
                (3, thrift.I64, thrift.number(count)),
            )
        )
    footer = _footer(head, leaves, sum(counts), groups)
    return b"".join((_MAGIC, *parts, footer, len(footer).to_bytes(4, "little"), _MAGIC))


def _footer(head: Head, leaves: Sequence[int], rows: int, groups: Sequence[bytes]) -> bytes:
    names = list(dict.fromkeys(head.leaves[leaf].path[0] for leaf in leaves))
    root = thrift.struct((4, thrift.BINARY, thrift.binary(b"schema")), (5, thrift.I32, thrift.number(len(names))))
    count = 1 + sum(head.elements[name][1] for name in names)
    elements = root + b"".join(head.elements[name][0] for name in names)
    return thrift.struct(
        (1, thrift.I32, thrift.number(2)),
        (2, thrift.LIST, bytes([0xF0 | thrift.STRUCT]) + thrift.to_varint(count) + elements),
        (3, thrift.I64, thrift.number(rows)),
        (4, thrift.LIST, thrift.listed(thrift.STRUCT, groups)),
    )


def _chunk(leaf: Leaf, values: int, at: int, dictionary: int, page: int) -> bytes:
    """A column chunk of one data page, and its dictionary before it."""
    fields = [
        (5, thrift.I64, thrift.number(values)),
        (6, thrift.I64, thrift.number(dictionary + page)),
        (7, thrift.I64, thrift.number(dictionary + page)),
        (9, thrift.I64, thrift.number(at + dictionary)),
    ]
    if dictionary:
        fields.append((11, thrift.I64, thrift.number(at)))
    # A column chunk's field 2, a place that readers do not use, and its field 3, the metadata.
    return b"\x26\x00\x1c" + _described(leaf) + thrift.struct(*fields, before=4) + b"\x00"


@lru_cache(maxsize=1024)
def _described(leaf: Leaf) -> bytes:
    """What is the same of every chunk of a column: fields 1 to 4 of its metadata."""
    encodings = thrift.listed(thrift.I32, [thrift.number(number) for number in _PLAIN_AND_DICTIONARY])
    path = thrift.listed(thrift.BINARY, [thrift.binary(part.encode()) for part in leaf.path])
    return thrift.struct(
        (1, thrift.I32, thrift.number(leaf.type)),
        (2, thrift.LIST, encodings),
        (3, thrift.LIST, path),
        (4, thrift.I32, thrift.number(_ZSTD)),
    )[:-1]
