"""Where each block's pages lie in a Parquet file whose pages all end at the same rows.

A block is ``BLOCK_ROWS`` rows. Every column begins a page at its first row, so that its pages, with the dictionaries
of their row group, are a rectangle that can be read alone. Columns that are null throughout are left out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from retention.lookups import thrift

BLOCK_ROWS: Final = 2048
PAGE: Final = np.dtype([("offset", "<u8"), ("length", "<u4"), ("values", "<u4")])
"""A page with its header: first byte in the file, bytes, values (0 of a dictionary; length 0: there is none)."""

Pages = npt.NDArray[Any]

_TYPES: Final = {
    name: number
    for number, name in enumerate(
        ("BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
    )
}
_DICTIONARY_PAGE: Final = 2
_DATA_PAGE: Final = 0


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf column: its path, and its physical type by Parquet's number."""

    path: tuple[str, ...]
    type: int


@dataclass(frozen=True, slots=True)
class PageTable:
    """The pages of leaves [leaf]: data by [block, leaf], dictionaries by [row group, leaf]."""

    leaves: tuple[Leaf, ...]
    data: Pages
    dictionaries: Pages


def page_table(file: pa.Buffer, filled: Collection[str]) -> PageTable | None:
    """The pages of a Parquet file's columns ``filled``, None where they do not end at blocks."""
    data = memoryview(file).cast("B")
    metadata = pq.read_metadata(pa.BufferReader(file))
    paths = [metadata.schema.column(number).path.split(".") for number in range(metadata.num_columns)]
    chosen = [number for number, path in enumerate(paths) if path[0] in filled]
    leaves = tuple(Leaf(tuple(paths[n]), _TYPES[metadata.schema.column(n).physical_type]) for n in chosen)
    repeated = np.array([len(leaf.path) > 1 for leaf in leaves])
    pages, dictionaries = [], []
    for group in range(metadata.num_row_groups):
        of_group = metadata.row_group(group)
        blocks = -(-of_group.num_rows // BLOCK_ROWS)
        expected = np.full(blocks, BLOCK_ROWS)
        expected[-1] = of_group.num_rows - (blocks - 1) * BLOCK_ROWS
        columns, firsts = [], []
        for place, number in enumerate(chosen):
            found, first = _walk(data, of_group.column(number))
            if len(found) != blocks:
                return None
            mine = np.array(found, PAGE)
            if not repeated[place] and (mine["values"] != expected).any():
                return None
            columns.append(mine)
            firsts.append(first)
        pages.append(np.stack(columns, axis=1))
        dictionaries.append(np.array(firsts, PAGE))
    return PageTable(leaves, np.concatenate(pages), np.stack(dictionaries))


def schema_elements(file: pa.Buffer) -> dict[str, tuple[bytes, int]]:
    """A Parquet file's description of each column: its encoded schema elements and their number."""
    view = memoryview(file).cast("B")
    size = int.from_bytes(view[-8:-4], "little")
    footer = bytes(view[len(view) - 8 - size : len(view) - 8])
    number = at = 0
    while number != 2:
        number, kind, at = thrift.field(footer, at, number)
        at = at if number == 2 else thrift.skip(footer, at, kind)
    _, _, at = thrift.items(footer, at)
    _, columns, at = _element(footer, at)
    found = {}
    for _ in range(columns):
        begin, waiting, count = at, 1, 0
        names = []
        while waiting:
            name, children, at = _element(footer, at)
            names.append(name)
            waiting += children - 1
            count += 1
        found[names[0]] = (footer[begin:at], count)
    return found


def _element(file: bytes, at: int) -> tuple[str, int, int]:
    """Name and number of children of a schema element, and where the next begins."""
    number, name, children = 0, "", 0
    while True:
        number, kind, at = thrift.field(file, at, number)
        if not kind:
            return name, children, at
        end = thrift.skip(file, at, kind)
        if number == 4:
            length, begin = thrift.varint(file, at)
            name = file[begin : begin + length].decode()
        elif number == 5:
            children = thrift.signed(file, at)[0]
        at = end


def _walk(data: memoryview, chunk: Any) -> tuple[list[tuple[int, int, int]], tuple[int, int, int]]:
    """The data pages of a column chunk, and its dictionary page."""
    dictionary = (0, 0, 0)
    start = chunk.data_page_offset
    if chunk.dictionary_page_offset is not None:
        start = min(start, chunk.dictionary_page_offset)
    end = start + chunk.total_compressed_size
    pages = []
    at = start
    while at < end:
        kind, size, values, behind = _page_header(data, at)
        page = (at, behind - at + size, values)
        if kind == _DICTIONARY_PAGE:
            dictionary = (page[0], page[1], 0)
        elif kind == _DATA_PAGE:
            pages.append(page)
        else:
            return [], dictionary  # a kind of page that no block can be made of
        at = behind + size
    return pages, dictionary


def _page_header(data: memoryview, at: int) -> tuple[int, int, int, int]:
    """Kind, stored bytes and number of values of a page, and where its content begins."""
    number = kind = size = values = 0
    while True:
        number, form, at = thrift.field(data, at, number)
        if not form:
            return kind, size, values, at
        if number == 1:
            kind, at = thrift.signed(data, at)
        elif number == 3:
            size, at = thrift.signed(data, at)
        elif number == 5:
            inner, what, begin = thrift.field(data, at, 0)
            if (inner, what) == (1, thrift.I32):
                values = thrift.signed(data, begin)[0]
            at = thrift.skip(data, at, form)
        else:
            at = thrift.skip(data, at, form)
