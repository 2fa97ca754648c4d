"""Compares the index with the archive, segment by segment, and mends it.

Every comparison counts each segment's documents; one of contents looks at each document, too, and lets the follower
go on in between, so that what is destroyed or restricted meanwhile does not wait for it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from errors import LiucunError
from retention.audits.report import Finding
from retention.catalogue.tables import log_leaves, segments
from retention.persons.restriction import restricted_accounts
from retention.search import book, mapping, persons, streams
from retention.search.contents import compare_contents
from retention.search.follower import Followed, Follower
from retention.search.rebuilding import catch_up
from retention.search.tables import search_labels, search_segments
from retention.search.writer import Writer

MISSING: Final = "documents_missing"
SURPLUS: Final = "documents_surplus"
UNINDEXED: Final = "segment_not_indexed"
DESTROYED: Final = "destroyed_still_indexed"
ORPHANS: Final = "orphan_documents"
ALTERED: Final = "documents_altered"
RESTRICTED: Final = "restricted_still_indexed"
GO_ON: Final = 5.0
"""Seconds of comparing contents between two steps of the follower, and at most of a step."""
_PAGE: Final = 1000

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Comparison:
    """What was compared and found. ``waiting`` segments are behind the follower's position: not yet, no fault.

    ``contents`` documents, of ``of_segments`` segments, were compared with their records one by one.
    """

    segments: int = 0
    documents: int = 0
    waiting: int = 0
    contents: int = 0
    of_segments: int = 0
    findings: list[Finding] = field(default_factory=list)
    mended: int = 0

    @property
    def ok(self) -> bool:
        """Whether index and archive agree, or do again."""
        return len(self.findings) == self.mended

    def as_json(self) -> dict[str, object]:
        """The comparison for programs."""
        return {
            "ok": self.ok,
            "segments": self.segments,
            "documents": self.documents,
            "waiting": self.waiting,
            "contents": self.contents,
            "of_segments": self.of_segments,
            "findings": [finding.as_json() for finding in self.findings],
            "mended": self.mended,
        }


def reconcile(
    follower: Follower,
    *,
    mend: bool,
    contents: bool = False,
    sample: int | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> Comparison:
    """Compare every segment's documents with its records, and with ``mend`` write or delete what differs.

    Args:
        contents: compare every document with its record, too.
        sample: that of so many segments only, drawn at random.

    Raises:
        As ``Follower.step``.
    """
    done = Comparison()
    streams.require(follower.cluster, follower.settings)
    state = book.state_of(follower.parts.catalogue, follower.settings)
    writer = follower.writer(state)
    if mend:
        catch_up(follower)
        state = book.state_of(follower.parts.catalogue, follower.settings)
    counted = _counted(follower, writer)
    with follower.parts.catalogue.read() as connection:
        rows = {row.segment_id: row for row in connection.execute(sa.select(search_segments))}
        labels = [book.Label(*row) for row in connection.execute(sa.select(search_labels))]
        there = _live(connection, follower)
        numbered = _numbered(connection, state.position)
    by_segment: dict[str, list[book.Label]] = {}
    for label in labels:
        by_segment.setdefault(label.segment_id, []).append(label)
    _orphans(writer, done, counted, {label.label: label.index_name for label in labels}, mend=mend)
    for segment_id in sorted(rows.keys() - there):
        _gone(follower, writer, done, segment_id, mend=mend)
    right = _counts(follower, writer, done, rows, by_segment, counted, there, numbered, mend=mend)
    for restriction_id, count in sorted(persons.still_there(follower.parts, writer).items()):
        done.findings.append(Finding(RESTRICTED, f"restriction:{restriction_id}", f"{count} documents"))
        if mend:
            persons.converge(follower.parts, writer, [restriction_id])
            done.mended += 1
    if contents:
        chosen = right
        if sample is not None and sample < len(chosen):
            chosen = random.SystemRandom().sample(chosen, sample)
        _contents(follower, writer, done, chosen, mend=mend, progress=progress)
    return done


def _counts(
    follower: Follower,
    writer: Writer,
    done: Comparison,
    rows: Mapping[str, Any],
    labels: Mapping[str, list[book.Label]],
    counted: Mapping[tuple[str, str], int],
    there: set[str],
    numbered: set[str],
    *,
    mend: bool,
) -> list[str]:
    """Compare how many documents each segment has with its records; the segments that have the right number."""
    restricted = restricted_accounts(follower.parts)
    right: list[str] = []
    for segment_id in sorted(there):
        row = rows.get(segment_id)
        if row is None or row.state != book.DONE:
            if segment_id in numbered:
                done.findings.append(Finding(UNINDEXED, f"segment:{segment_id}", "the follower passed it over"))
                _rewrite(follower, writer, done, segment_id, mend=mend)
            else:
                done.waiting += 1
            continue
        found = sum(counted.get((label.index_name, label.label), 0) for label in labels.get(segment_id, []))
        done.segments += 1
        done.documents += found
        if found == row.rows - row.withheld and not row.recount:
            right.append(segment_id)
            continue
        held = persons.withheld(follower.parts, segment_id, restricted)
        if held is None or found == row.rows - held:
            _held(follower, segment_id, held)
            right.append(segment_id)
            continue
        kind = MISSING if found < row.rows - held else SURPLUS
        detail = f"{row.rows} records, {held} of them withheld, {found} documents"
        done.findings.append(Finding(kind, f"segment:{segment_id}", detail))
        _rewrite(follower, writer, done, segment_id, mend=mend)
    return right


def _contents(
    follower: Follower, writer: Writer, done: Comparison, chosen: list[str], *, mend: bool, progress: Progress
) -> None:
    """Compare the documents of these segments with their records."""
    since, restricted = time.monotonic(), restricted_accounts(follower.parts)
    for number, segment_id in enumerate(chosen):
        progress("index", number, len(chosen))
        if time.monotonic() - since > GO_ON:
            follower.step(seconds=GO_ON)
            since, restricted = time.monotonic(), restricted_accounts(follower.parts)
        with follower.parts.catalogue.read() as connection:
            manifest = book.live(connection, [segment_id]).get(segment_id)
            labels = book.labels_of(connection, [segment_id])
        if manifest is None or not labels:
            done.waiting += 1  # merged or destroyed meanwhile, its documents with it
            continue
        try:
            found = compare_contents(writer, manifest, labels, restricted)
        except LiucunError:
            with follower.parts.catalogue.read() as connection:
                if book.live(connection, [segment_id]):
                    raise
            done.waiting += 1
            continue
        done.contents += found.compared
        done.of_segments += 1
        if not found.ok:
            kind = ALTERED if found.altered else MISSING
            done.findings.append(Finding(kind, f"segment:{segment_id}", found.words()))
            _rewrite(follower, writer, done, segment_id, mend=mend)
    progress("index", len(chosen), len(chosen))


def _counted(follower: Follower, writer: Writer) -> dict[tuple[str, str], int]:
    """Documents by index and label, of every index of ours."""
    found: dict[tuple[str, str], int] = {}
    for item in follower.settings.classes:
        for own in writer.mine(item.value):
            if writer.refresh(own.name):
                for label, count in _by_label(follower, own.name):
                    found[own.name, label] = count
    return found


def _by_label(follower: Follower, index: str) -> Iterator[tuple[str, int]]:
    source = [{"label": {"terms": {"field": mapping.LABEL, "missing_bucket": True}}}]
    after: dict[str, Any] = {}
    while True:
        composite = {"size": _PAGE, "sources": source, **({"after": after} if after else {})}
        body = {"size": 0, "aggs": {"labels": {"composite": composite}}}
        found = follower.cluster.ask("POST", f"/{index}/_search", body)["aggregations"]["labels"]
        for bucket in found["buckets"]:
            yield bucket["key"]["label"] or "", int(bucket["doc_count"])
        after = found.get("after_key") or {}
        if not after or len(found["buckets"]) < _PAGE:
            return


def _live(connection: sa.Connection, follower: Follower) -> set[str]:
    chosen = [item.value for item in follower.settings.classes]
    g = segments.c
    return set(connection.execute(sa.select(g.segment_id).where(g.record_class.in_(chosen))).scalars())


def _numbered(connection: sa.Connection, position: int) -> set[str]:
    """The segments that the follower's position is past."""
    leaf = log_leaves.c
    joined = log_leaves.join(segments, segments.c.segment_id == leaf.ref)
    chosen = sa.select(leaf.ref).select_from(joined).where(leaf.type == "segment", leaf.index < position)
    return set(connection.execute(chosen).scalars())


def _orphans(
    writer: Writer,
    done: Comparison,
    counted: dict[tuple[str, str], int],
    known: dict[str, str],
    *,
    mend: bool,
) -> None:
    """Documents that no segment of the book accounts for."""
    for (index, label), count in sorted(counted.items()):
        if known.get(label) == index:
            continue
        done.findings.append(Finding(ORPHANS, f"index:{index}", f"{count} documents of {label or 'no segment'}"))
        if mend:
            exists = {"exists": {"field": mapping.LABEL}}
            query = {"term": {mapping.LABEL: label}} if label else {"bool": {"must_not": [exists]}}
            writer.delete_where(index, query)
            done.mended += 1


def _gone(follower: Follower, writer: Writer, done: Comparison, segment_id: str, *, mend: bool) -> None:
    """A segment of the book that is not in the archive: destroyed, or merged into one that is not followed yet."""
    with follower.parts.catalogue.read() as connection:
        heir = book.heir(connection, segment_id)
        waits = heir is not None and heir in book.live(connection, [heir])
    if waits:
        done.waiting += 1
        return
    done.findings.append(Finding(DESTROYED, f"segment:{segment_id}", "its documents are still in the index"))
    if mend:
        follower.forget(writer, [segment_id], Followed())
        done.mended += 1


def _rewrite(follower: Follower, writer: Writer, done: Comparison, segment_id: str, *, mend: bool) -> None:
    """Delete what the index has of a segment and write it anew."""
    if not mend:
        return
    with follower.parts.catalogue.write() as connection:
        manifest = book.live(connection, [segment_id]).get(segment_id)
        if manifest is None:
            done.mended += 1
            return
        label = book.enter(connection, follower.settings, manifest)
        labels = book.labels_of(connection, [segment_id])
    writer.forget(labels)
    follower.write_whole(writer, manifest, label, Followed())
    done.mended += 1


def _held(follower: Follower, segment_id: str, held: int | None) -> None:
    """The count of what is withheld was behind, the documents were right."""
    if held is not None:
        with follower.parts.catalogue.write() as connection:
            s = search_segments.c
            connection.execute(
                search_segments.update().where(s.segment_id == segment_id).values(withheld=held, recount=False)
            )
