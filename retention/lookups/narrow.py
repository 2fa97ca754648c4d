"""Reading of an opened segment no more than the blocks that may hold what is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from retention.container_reader import ContainerReader
from retention.crypto.suites import Suite
from retention.errors import SegmentMismatchError
from retention.keys.memory import PeriodKey
from retention.lookups.blind import BlindKey
from retention.lookups.excerpt import chosen_pages, excerpt
from retention.lookups.opened import OpenedSection
from retention.lookups.postings import Blocks, find
from retention.lookups.section import Head

Asked = tuple[tuple[tuple[str, str], ...], ...]
"""Of each member, a row has at least one of its (column, value)."""

MOST_BYTES: Final = 8 << 20
"""Stored bytes of the blocks that are taken out of a segment; where more may hold a value, the segment is read."""
_MOST_SHARE: Final = 4
"""One block in so many may be taken out; cutting costs more than reading on where more are."""


@dataclass(slots=True)
class LookUp:
    """What is asked of every segment of a class.

    ``columns``: names of the columns to read, the filter's among them; None: all.
    """

    asked: Asked
    columns: frozenset[str] | None
    _hashes: dict[tuple[str, str], dict[tuple[str, str], int]] = field(default_factory=dict)

    def hashes(self, suite: Suite, key: PeriodKey) -> dict[tuple[str, str], int]:
        """The keyed hash of each (column, value) asked for: once a key, as months share it."""
        name = (suite.name, key.key_id)
        if name not in self._hashes:
            blind = BlindKey(suite, key)
            self._hashes[name] = {
                (column, value): int(blind.hashes(column, pa.array([value]))[0])
                for clause in self.asked
                for column, value in clause
            }
        return self._hashes[name]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Blocks of a segment as a Parquet file in memory; without blocks there is none."""

    data: bytes
    blocks: int

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.data)

    def read_at(self, start: int, length: int) -> memoryview:
        """Bytes [start, start + length), cut at its end."""
        return memoryview(self.data)[start : start + length]


def narrow(section: OpenedSection, key: PeriodKey, look_up: LookUp) -> Narrowed | None:
    """The blocks that may hold what is asked for; None where the segment must be read itself.

    That is so when it has no postings, or none of the columns asked for, or too many blocks would be needed.

    Raises:
        SegmentMismatchError: its postings were sealed by a faulty program.
        ChunkRefusedError: a chunk does not authenticate.
    """
    if section.head is None:
        return None
    try:
        return _narrow(section, section.head, look_up, look_up.hashes(section.reader.suite, key))
    except (ValueError, OverflowError, IndexError) as error:
        raise faulty_section(section.reader.segment, str(error)) from error


def faulty_section(segment: str, why: str) -> SegmentMismatchError:
    """The error of a section that was sealed with its segment and cannot be right."""
    return SegmentMismatchError(
        f"The look-up section of segment {segment} is faulty: {why}.",
        cure="Run `liucun audit integrity`, and restore the object from a backup.",
        segment=segment,
    )


def _narrow(section: OpenedSection, head: Head, look_up: LookUp, hashes: dict[tuple[str, str], int]) -> Narrowed | None:
    reader = section.reader
    blocks = _blocks(reader, head, section.begin, look_up, hashes)
    if blocks is None or len(blocks) * _MOST_SHARE > head.blocks + _MOST_SHARE:
        return None
    if not len(blocks):
        return Narrowed(b"", 0)
    leaves, data, dictionaries = chosen_pages(head, section.begin, blocks, look_up.columns, reader.read_many)
    if int(data["length"].sum() + dictionaries["length"].sum()) > MOST_BYTES or not leaves:
        return None
    return Narrowed(excerpt(head, blocks, leaves, data, dictionaries, reader.read_many), len(blocks))


def _blocks(
    reader: ContainerReader, head: Head, section_at: int, look_up: LookUp, hashes: dict[tuple[str, str], int]
) -> Blocks | None:
    """Numbers of the blocks, in order; None where the postings say nothing about it."""
    kept: Blocks | None = None
    for clause in look_up.asked:
        if not {column for column, _ in clause} <= head.postings.keys():
            continue
        found = [
            find(lambda at, length: reader.read_at(section_at + at, length), head.postings[pair[0]], hashes[pair])
            for pair in clause
        ]
        either = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
        kept = either if kept is None else np.intersect1d(kept, either)
    if kept is not None and len(kept) and int(kept[-1]) >= head.blocks:
        raise ValueError("it names a block that the file does not have")
    return kept
