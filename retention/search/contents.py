"""Compares the documents of a segment with its records, one by one: each is there, and says what its record says.

Counting finds what is missing or too many; only this finds a document that somebody changed, or put in another's
place. Documents are fetched by the records' places, some megabytes at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from retention.manifest import SegmentManifest
from retention.persons.restriction import without_restricted
from retention.search import mapping
from retention.search.book import Label
from retention.search.cluster import path_of
from retention.search.writer import Writer

MOST: Final = 5_000
"""Documents fetched at a time; below the cluster's limit of a page."""
EXAMPLES: Final = 3


@dataclass(slots=True)
class Contents:
    """Documents of a segment by how they compare: the same, ``least`` where the mapping refused more, or wrong."""

    same: int = 0
    least: int = 0
    missing: int = 0
    altered: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def compared(self) -> int:
        """Records looked for."""
        return self.same + self.least + self.missing + self.altered

    @property
    def ok(self) -> bool:
        """Whether every document is right."""
        return not self.missing and not self.altered

    def words(self) -> str:
        """For people; the ids of some documents."""
        named = f" (for example {', '.join(self.examples)})" if self.examples else ""
        return f"{self.compared} records, {self.missing} documents missing, {self.altered} altered{named}"


def compare_contents(
    writer: Writer, manifest: SegmentManifest, labels: list[Label], restricted: pa.Array, done: Contents | None = None
) -> Contents:
    """Compare every record of a segment that is not withheld with its document.

    Args:
        labels: under which documents stand for the segment; all are hashed under one key.
        restricted: accounts whose documents must not be there; their absence is counted elsewhere.
    """
    done = done or Contents()
    names, indices = {label.label for label in labels}, sorted({label.index_name for label in labels})
    for batch in writer.batches(manifest):
        table = without_restricted(pa.Table.from_batches([batch]), restricted)
        if not table.num_rows:
            continue
        ids, whole, least = writer.lines(table, manifest, labels[0])
        for begin, end in _parts(whole, writer.settings.bulk_megabytes << 20):
            wanted = ids.slice(begin, end - begin).to_pylist()
            there = _there(writer, indices, wanted)
            for number, name in enumerate(wanted, begin):
                expected = (whole[number].as_py(), least[number].as_py())
                _judge(done, name, there.get(name), expected, names)
    return done


def _judge(done: Contents, name: str, found: list[Any] | None, expected: tuple[str, str], labels: set[str]) -> None:
    if not found:
        done.missing += 1
    elif len(found) > 1 or not isinstance(found[0], dict) or found[0].get(mapping.LABEL) not in labels:
        done.altered += 1
    else:
        document = found[0]
        refused = document.get(mapping.REFUSED) == "mapping"
        wanted = orjson.loads(expected[1] if refused else expected[0])
        # The label is that of the segment which the document was first written for.
        wanted[mapping.LABEL] = document[mapping.LABEL]
        if document == wanted:
            done.same += not refused
            done.least += refused
            return
        done.altered += 1
    if len(done.examples) < EXAMPLES:
        done.examples.append(name)


def _parts(whole: pa.Array, limit: int) -> Iterator[tuple[int, int]]:
    """Cut rows so that their documents have about ``limit`` bytes together, at most ``MOST`` of them."""
    ends = np.cumsum(pc.binary_length(whole).to_numpy(zero_copy_only=False))
    begin = 0
    while begin < len(ends):
        before = int(ends[begin - 1]) if begin else 0
        end = int(np.searchsorted(ends, before + limit, side="right"))
        end = min(max(end, begin + 1), begin + MOST, len(ends))
        yield begin, end
        begin = end


def _there(writer: Writer, indices: list[str], ids: list[str]) -> dict[str, list[Any]]:
    """The documents of these ids, whatever index of the segment's they stand in."""
    body = {"size": 2 * MOST, "query": {"ids": {"values": ids}}, "sort": ["_doc"], "track_total_hits": False}
    answer = writer.cluster.ask("POST", path_of(",".join(indices), "_search") + "?ignore_unavailable=true", body)
    found: dict[str, list[Any]] = {}
    for hit in answer["hits"]["hits"]:
        found.setdefault(hit["_id"], []).append(hit.get("_source"))
    return found
