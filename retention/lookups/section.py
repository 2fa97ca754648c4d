"""The section between a segment's rows and its Parquet footer: postings, and where the pages of each block lie.

    section = pages || dictionaries || postings of each column || head || tag || u32(length of head), little-endian

It ends where the footer begins, and is believed only with the tag that the period's key gives its head: what lies
there without one is the senders' of records. ``docs/archive-format.md`` specifies it. It is sealed with the rows,
bound into both digests of the manifest, and gone with them.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from retention.lookups import postings
from retention.lookups.blind import BlindKey
from retention.lookups.pages import BLOCK_ROWS, Leaf, page_table, schema_elements
from retention.lookups.postings import MOST_BLOCKS, Posted, Read

VERSION: Final = 1
COLUMNS: Final = ("user_id", "counterparty_id", "order_id", "source_ip", "device_id")
"""Columns with postings: what auditors ask for (account, order, address, device)."""
HEAD_LIMIT: Final = 1 << 18
"""Longest head in bytes; one is about 6,000 long."""
TAG_BYTES: Final = 16
ENDING: Final = TAG_BYTES + 4


class UnknownVersionError(Exception):
    """A later version of the program sealed this section: the rows are read without it."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a section holds; ``section`` are its bytes before the head.

    Places are bytes from the section's beginning, but those of pages, which are the file's.
    """

    rows: int
    group_blocks: int
    leaves: tuple[Leaf, ...]
    elements: Mapping[str, tuple[bytes, int]]
    section: int
    pages: int
    dictionaries: int
    postings: Mapping[str, Posted]

    @property
    def blocks(self) -> int:
        """Blocks of rows."""
        return -(-self.rows // BLOCK_ROWS)


def section_of(
    file: pa.Buffer,
    table: pa.Table,
    filled: Collection[str],
    key: BlindKey,
    group_rows: int,
    names: Sequence[str] = COLUMNS,
) -> bytes | None:
    """The section of a Parquet file, None where its pages cannot be taken block by block.

    Args:
        file: its row groups have ``group_rows`` rows.
        table: the columns ``names`` of its rows.
        filled: the columns that have a value in any row; the others are left out of look-ups.
        names: the columns that get postings.
    """
    blocks = -(-table.num_rows // BLOCK_ROWS)
    found = page_table(file, filled) if blocks <= MOST_BLOCKS and not group_rows % BLOCK_ROWS else None
    if found is None:
        return None
    pages, dictionaries = found.data.tobytes(), found.dictionaries.tobytes()
    parts = [pages, dictionaries]
    at = len(pages) + len(dictionaries)
    posted: dict[str, Posted] = {}
    for name in names:
        data, shape = _postings(table.column(name), name, key, at)
        posted[name] = shape
        parts.append(data)
        at += len(data)
    elements = schema_elements(file)
    columns = dict.fromkeys(leaf.path[0] for leaf in found.leaves)
    head = encode_head(
        {
            "version": VERSION,
            "rows": table.num_rows,
            "block_rows": BLOCK_ROWS,
            "group_blocks": group_rows // BLOCK_ROWS,
            "leaves": [[list(leaf.path), leaf.type] for leaf in found.leaves],
            "elements": {name: [base64.b64encode(elements[name][0]).decode(), elements[name][1]] for name in columns},
            "length": at,
            "pages": 0,
            "dictionaries": len(pages),
            "postings": {name: asdict(shape) for name, shape in posted.items()},
        }
    )
    return b"".join((*parts, head, key.tag(head)[:TAG_BYTES], len(head).to_bytes(4, "little")))


def with_section(file: pa.Buffer, section: bytes) -> pa.Buffer:
    """The Parquet file with a section between its rows and its footer."""
    view = memoryview(file).cast("B")
    footer = footer_start(view[-8:], len(view))
    return pa.py_buffer(b"".join((view[:footer], section, view[footer:])))


def footer_start(end: memoryview | bytes, size: int) -> int:
    """Where the footer of a Parquet file of ``size`` bytes begins, by the last 8 of them."""
    return size - 8 - int.from_bytes(end[-8:-4], "little")


def find_head(read_at: Read, footer: int, key: BlindKey) -> tuple[int, bytes] | None:
    """Where the section's head lies in a file whose footer begins at ``footer``, and the head; None without one."""
    if footer < ENDING:
        return None
    ending = bytes(read_at(footer - ENDING, ENDING))
    length = int.from_bytes(ending[TAG_BYTES:], "little")
    if not 0 < length <= min(HEAD_LIMIT, footer - ENDING):
        return None
    at = footer - ENDING - length
    head = bytes(read_at(at, length))
    if not hmac.compare_digest(key.tag(head)[:TAG_BYTES], ending[:TAG_BYTES]):
        return None
    return at, head


def encode_head(body: Mapping[str, Any]) -> bytes:
    """A head as it is sealed."""
    return orjson.dumps(body)


def read_head(data: bytes) -> Head:
    """Take a head apart, strictly.

    Raises:
        ValueError: it is none of this version, or contradicts itself.
    """
    try:
        return _read_head(orjson.loads(data))
    except (TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError("its head is malformed") from error


def _postings(column: pa.ChunkedArray, name: str, key: BlindKey, at: int) -> tuple[bytes, Posted]:
    """The postings of a column of strings."""
    whole = column.combine_chunks()
    encoded = whole.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    there = np.flatnonzero(encoded.is_valid().to_numpy(zero_copy_only=False))
    indices = encoded.indices.drop_null().to_numpy(zero_copy_only=False)
    hashes = key.hashes(name, encoded.dictionary)
    pairs = postings.distinct(indices.astype(np.int64) << 16 | there // BLOCK_ROWS)
    return postings.build(hashes[pairs >> 16], pairs & 0xFFFF, at)


def _read_head(body: Any) -> Head:
    if (body["version"], body["block_rows"]) != (VERSION, BLOCK_ROWS):
        raise UnknownVersionError
    head = Head(
        rows=int(body["rows"]),
        group_blocks=int(body["group_blocks"]),
        leaves=tuple(Leaf(tuple(map(str, path)), int(kind)) for path, kind in body["leaves"]),
        elements={
            name: (base64.b64decode(data, validate=True), int(count))
            for name, (data, count) in body["elements"].items()
        },
        section=int(body["length"]),
        pages=int(body["pages"]),
        dictionaries=int(body["dictionaries"]),
        postings={name: Posted(**shape) for name, shape in body["postings"].items()},
    )
    for shape in head.postings.values():
        whole = (shape.entries, shape.bits, shape.directory, shape.groups)
        if not all(isinstance(number, int) and number >= 0 for number in whole) or shape.bits > 40:
            raise ValueError("the shape of its postings is malformed")
    places = (head.section, head.pages, head.dictionaries)
    if (
        min(places) < 0
        or head.group_blocks < 1
        or head.rows < 1
        or not {leaf.path[0] for leaf in head.leaves} <= head.elements.keys()
    ):
        raise ValueError("its head contradicts itself")
    return head
