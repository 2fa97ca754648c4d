"""The follower: applies the transparency log's entries to the index, in order, from a position of its own.

Two positions, because to forget must not wait for what is still to be written: events (destruction, restriction,
release) are applied up to the log's end first, then segments in order for as long as the step may take. Each entry is
applied by what the catalogue says *now*: a segment that was destroyed or merged before its turn is passed over, so
running ahead, again, or after a crash ends in the same index. A segment's index is decided in the catalogue before
the first document is written, a document's id is its record's place: nothing is doubled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from retention.catalogue.events import DESTROYED, EVENT, SEGMENT
from retention.catalogue.tables import events, log_leaves, retired_segments, segments
from retention.manifest import SegmentManifest
from retention.persons.restriction import restricted_accounts
from retention.search import book, persons, streams
from retention.search.cluster import Cluster
from retention.search.settings import SearchSettings
from retention.search.tables import search_labels, search_segments
from retention.search.writer import Parts, Writer
from retention.transparency.log import state_of as log_state

STEP_SECONDS: Final = 20.0
"""How long a step goes on; the next one continues. Well below the worker's lease."""
_PAGE: Final = 500
FORGETS: Final = (DESTROYED, "restriction.made")
"""Events after which documents must go."""
_KINDS: Final = (*FORGETS, "restriction.lifted")


@dataclass(slots=True)
class Followed:
    """What a step did. ``behind`` entries of the log are left for the next."""

    segments: int = 0
    documents: int = 0
    adopted: int = 0
    refused: int = 0
    forgotten: int = 0
    persons: int = 0
    behind: int = 0

    def as_json(self) -> dict[str, int]:
        """The step for programs."""
        return {name: getattr(self, name) for name in self.__slots__}


class Follower:
    """Follows one store's log into one cluster. Only one at a time may: whoever calls it holds the lease."""

    def __init__(
        self,
        parts: Parts,
        settings: SearchSettings,
        *,
        cluster: Cluster | None = None,
        pulse: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.cluster = cluster or Cluster(settings)
        self.parts = parts
        self._pulse = pulse

    def close(self) -> None:
        """Give back connections."""
        self.cluster.close()

    def writer(self, state: book.State) -> Writer:
        """Writes documents of the present generation."""
        return Writer(self.parts, self.settings, self.cluster, state.generation, pulse=self._pulse)

    def step(self, *, seconds: float = STEP_SECONDS) -> Followed:
        """Apply what the log has, for about so many seconds.

        Raises:
            SearchRebuildError: the index is not this store's, or was made under other settings.
            SearchStreamsError: the settings want data streams, and the cluster has none.
            UnreachableError, BusyError, NotPermittedError, StorageError: the cluster; the next step goes on.
            IntegrityError, KeyAccessError: a segment cannot be read.
        """
        done = Followed()
        deadline = time.monotonic() + seconds
        streams.require(self.cluster, self.settings)
        state = book.state_of(self.parts.catalogue, self.settings)
        writer = self.writer(state)
        self._finish_forgetting(writer, done)
        state = self._events(writer, state, done)
        self._finish_writing(writer, state, done)
        state = self._segments(writer, state, done, deadline)
        done.behind = self._size() - state.position
        return done

    def _size(self) -> int:
        with self.parts.catalogue.read() as connection:
            return log_state(connection).size

    def _events(self, writer: Writer, state: book.State, done: Followed) -> book.State:
        size = self._size()
        while state.events_position < size:
            end = min(state.events_position + _PAGE, size)
            found = self._events_between(state.events_position, end)
            destroyed = [subject.removeprefix("segment:") for kind, subject in found if kind == DESTROYED]
            if destroyed:
                self.forget(writer, destroyed, done)
            changed = [subject.removeprefix("restriction:") for kind, subject in found if kind != DESTROYED]
            if changed:
                done.persons += persons.converge(self.parts, writer, changed)
            with self.parts.catalogue.write() as connection:
                state = book.move(connection, state, events=end)
            self._pulse()
        return state

    def _events_between(self, start: int, end: int) -> list[tuple[str, str]]:
        leaf, e = log_leaves.c, events.c
        with self.parts.catalogue.read() as connection:
            refs = connection.execute(
                sa.select(leaf.ref)
                .where(leaf.index >= start, leaf.index < end, leaf.type == EVENT)
                .order_by(leaf.index)
            ).scalars()
            numbers = [int(ref) for ref in refs]
            rows = connection.execute(
                sa.select(e.kind, e.subject).where(e.id.in_(numbers), e.kind.in_(_KINDS)).order_by(e.id)
            ).all()
        return [(row.kind, row.subject) for row in rows]

    def forget(self, writer: Writer, segment_ids: list[str], done: Followed) -> None:
        """Delete the documents of destroyed segments, and of those that were merged into them."""
        with self.parts.catalogue.write() as connection:
            lost = book.ancestors(connection, segment_ids)
            there = sorted(book.known(connection, lost))
            for begin in range(0, len(there), _PAGE):
                part = there[begin : begin + _PAGE]
                connection.execute(
                    search_segments.update().where(search_segments.c.segment_id.in_(part)).values(state=book.FORGETTING)
                )
        self._finish_forgetting(writer, done)

    def _finish_forgetting(self, writer: Writer, done: Followed) -> None:
        """Delete the documents of every segment that is being forgotten, those of a step that died included."""
        s, c = search_segments.c, search_labels.c
        with self.parts.catalogue.read() as connection:
            ids = list(connection.execute(sa.select(s.segment_id).where(s.state == book.FORGETTING)).scalars())
            if not ids:
                return
            labels = book.labels_of(connection, ids)
            kept = sa.select(c.index_name).where(
                c.segment_id.not_in(sa.select(s.segment_id).where(s.state == book.FORGETTING))
            )
            used = set(connection.execute(kept.distinct()).scalars())
        whole = sorted({label.index_name for label in labels} - used)
        writer.forget(labels, whole=whole)
        with self.parts.catalogue.write() as connection:
            for begin in range(0, len(ids), _PAGE):
                part = ids[begin : begin + _PAGE]
                connection.execute(search_labels.delete().where(c.segment_id.in_(part)))
                connection.execute(search_segments.delete().where(s.segment_id.in_(part), s.state == book.FORGETTING))
        done.forgotten += len(ids)

    def _finish_writing(self, writer: Writer, state: book.State, done: Followed) -> None:
        """Write what a mending that was interrupted left half written, though the position is past it."""
        s, leaf = search_segments.c, log_leaves.c
        numbered = sa.select(leaf.ref).where(leaf.type == SEGMENT, leaf.index < state.position)
        with self.parts.catalogue.read() as connection:
            half = sa.select(s.segment_id).where(s.state == book.WRITING, s.segment_id.in_(numbered))
            ids = list(connection.execute(half.order_by(s.segment_id)).scalars())
        for segment_id in ids:
            with self.parts.catalogue.write() as connection:
                manifest = book.live(connection, [segment_id]).get(segment_id)
                if manifest is None:
                    continue
                label = book.enter(connection, self.settings, manifest)
            self.write_whole(writer, manifest, label, done)

    def _segments(self, writer: Writer, state: book.State, done: Followed, deadline: float) -> book.State:
        size, leaf = self._size(), log_leaves.c
        chosen = {item.value for item in self.settings.classes}
        while state.position < size and time.monotonic() < deadline:
            end = min(state.position + _PAGE, size)
            with self.parts.catalogue.read() as connection:
                leaves = connection.execute(
                    sa.select(leaf.index, leaf.ref)
                    .where(leaf.index >= state.position, leaf.index < end, leaf.type == SEGMENT)
                    .order_by(leaf.index)
                ).all()
            for index, segment_id in leaves:
                if time.monotonic() >= deadline:
                    return state
                state = self._segment(writer, state, int(index), segment_id, chosen, done)
            if state.position < end:
                with self.parts.catalogue.write() as connection:
                    state = book.move(connection, state, position=end)
        return state

    def _segment(
        self, writer: Writer, state: book.State, index: int, segment_id: str, chosen: set[str], done: Followed
    ) -> book.State:
        with self.parts.catalogue.write() as connection:
            manifest = self._manifest(connection, segment_id)
            present = book.live(connection, [segment_id])
            if manifest is None or manifest.record_class not in chosen:
                return book.move(connection, state, position=index + 1)
            row = book.known(connection, [segment_id]).get(segment_id)
            if row is not None and row.state == book.DONE:
                return book.move(connection, state, position=index + 1)
            if manifest.replaces and row is None and book.adopt(connection, manifest):
                done.adopted += 1
                return book.move(connection, state, position=index + 1)
            if not present:
                return book.move(connection, state, position=index + 1)
            label = book.enter(connection, self.settings, manifest)
        self.write_whole(writer, manifest, label, done)
        with self.parts.catalogue.write() as connection:
            return book.move(connection, state, position=index + 1)

    def write_whole(self, writer: Writer, manifest: SegmentManifest, label: book.Label, done: Followed) -> None:
        """Write a segment's documents, then let go of those of the segments that it took the place of."""
        restricted = restricted_accounts(self.parts)
        written = writer.write(manifest, label, restricted)
        with self.parts.catalogue.write() as connection:
            book.finish(connection, manifest.segment_id, withheld=written.withheld, refused=written.refused)
            replaced = sorted(book.known(connection, manifest.replaces))
            gone = set(replaced) - set(book.live(connection, replaced))
        done.segments += 1
        done.documents += written.documents
        done.refused += written.refused
        if gone:
            self.forget(writer, sorted(gone), done)

    @staticmethod
    def _manifest(connection: sa.Connection, segment_id: str) -> SegmentManifest | None:
        for table in (segments, retired_segments):
            data = connection.execute(
                sa.select(table.c.manifest).where(table.c.segment_id == segment_id)
            ).scalar_one_or_none()
            if data is not None:
                return SegmentManifest.from_bytes(data)
        return None
