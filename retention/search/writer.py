"""Writes and deletes the documents of segments; run again after any interruption it ends in the same index."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from retention.catalogue.engine import Catalogue
from retention.crypto.bodies import BodyCipher
from retention.errors import KeyDestroyedError
from retention.manifest import SegmentManifest
from retention.persons.restriction import PERSON_COLUMNS, without_restricted
from retention.search import bulk, documents, mapping, streams
from retention.search.book import Label
from retention.search.cluster import Cluster, path_of
from retention.search.errors import SearchAnswerError, SearchRebuildError
from retention.search.settings import SearchSettings
from retention.segments import Archive, open_segment

ROWS: Final = 10_000
"""Records that are made into documents at a time."""
_PAGE: Final = 5_000
"""Documents that are found and deleted at a time; below the cluster's limit of a page."""


class Parts(Protocol):
    """What the follower needs of an open store."""

    @property
    def catalogue(self) -> Catalogue:
        """Segments, the log, restrictions, the follower's book."""
        ...

    @property
    def archive(self) -> Archive:
        """Sealed segments and their keys."""
        ...

    @property
    def bodies(self) -> BodyCipher:
        """Opens restrictions."""
        ...


@dataclass(frozen=True, slots=True)
class Own:
    """An index of this store's, or a data stream."""

    name: str
    stream: bool


@dataclass(frozen=True, slots=True)
class Written:
    """Documents of a segment: written, withheld for restricted accounts, and in their least form only."""

    documents: int
    withheld: int
    refused: int


class Writer:
    """Documents in, documents out, of the indices or data streams of one generation."""

    def __init__(
        self, parts: Parts, settings: SearchSettings, cluster: Cluster, generation: str, *, pulse: Callable[[], None]
    ) -> None:
        self.cluster, self.settings = cluster, settings
        self._parts, self._generation, self._pulse = parts, generation, pulse
        self._there: dict[str, list[str]] = {}
        """Indices and streams that are there; what is behind a stream and takes no new documents."""

    @property
    def mark(self) -> dict[str, Any]:
        """What indices and templates are marked with: whose they are."""
        store = self._parts.bodies.blind("store", "search index")[:16]
        return {"format": 1, "store": store, "generation": self._generation}

    def ensure(self, index: str, record_class: str) -> None:
        """Make the index or data stream, from its class's template.

        Raises:
            SearchRebuildError: there is one of this name that this generation did not make.
            SearchStreamsError: the cluster puts refused documents of data streams aside.
        """
        if index in self._there:
            return
        name = mapping.alias(self.settings, record_class)
        wanted = mapping.template(self.settings, record_class, self.mark)
        self._own_template(name, wanted)
        found = self.cluster.ask("GET", path_of(index, "_mapping"), absent=True)
        if found is None:
            self.cluster.ask("PUT", path_of("_index_template", name), wanted)
            self._make(index)
            found = self.cluster.ask("GET", path_of(index, "_mapping"))
        # A stream's mappings are those of the indices behind it, under their names.
        marks = [item["mappings"].get("_meta", {}).get("liucun") for item in found.values()]
        if (index in found) is self.settings.data_streams or any(mark != self.mark for mark in marks):
            raise _foreign(index)
        self._there[index] = streams.older(self.cluster, index) if self.settings.data_streams else []

    def _make(self, index: str) -> None:
        if self.settings.data_streams:
            streams.make(self.cluster, index)
            return
        # Refused where an earlier try made it whose answer was lost.
        with contextlib.suppress(SearchAnswerError):
            self.cluster.ask("PUT", path_of(index), {})

    def write(self, manifest: SegmentManifest, label: Label, restricted: pa.Array) -> Written:
        """Write all documents of a segment but those about restricted accounts."""
        self.ensure(label.index_name, manifest.record_class)
        refused = written = 0
        for batch in self.batches(manifest):
            seen = without_restricted(pa.Table.from_batches([batch]), restricted)
            one = self._write(seen, manifest, label)
            refused += one.refused
            written += one.documents
        return Written(written, manifest.rows - written, refused)

    def write_about(self, manifest: SegmentManifest, label: Label, accounts: pa.Array, restricted: pa.Array) -> Written:
        """Write the documents about these accounts, unless they are about a restricted one too; counts all withheld."""
        self.ensure(label.index_name, manifest.record_class)
        refused = written = withheld = 0
        for batch in self.batches(manifest):
            table = pa.Table.from_batches([batch])
            open_ = without_restricted(table, restricted)
            withheld += table.num_rows - open_.num_rows
            about = pa.nulls(open_.num_rows, pa.bool_()).fill_null(False)
            for name in PERSON_COLUMNS:
                about = pc.or_(about, pc.is_in(open_.column(name), value_set=accounts))
            one = self._write(open_.filter(about), manifest, label)
            refused += one.refused
            written += one.documents
        return Written(written, withheld, refused)

    def mine(self, record_class: str) -> list[Own]:
        """The indices and data streams of a class that this store made, of whatever generation.

        Raises:
            SearchRebuildError: there are others of such names.
        """
        pattern = f"{mapping.alias(self.settings, record_class)}-*"
        # Names what is behind a stream, and the stream that it is behind; any server answers it.
        found = self.cluster.ask("GET", path_of(pattern), absent=True) or {}
        own: set[Own] = set()
        for index, item in found.items():
            stream = item.get("data_stream")
            name = str(stream or index)
            mark = item["mappings"].get("_meta", {}).get("liucun") or {}
            if mark.get("store") != self.mark["store"]:
                raise _foreign(name)
            own.add(Own(name, stream is not None))
        return sorted(own, key=lambda one: one.name)

    def forget(self, labels: Sequence[Label], *, whole: Sequence[str] = ()) -> int:
        """Delete the documents of labels; ``whole`` are indices that hold nothing else and go as they are."""
        gone = 0
        for index in whole:
            self.drop(Own(index, self.settings.data_streams))
        by_index: dict[str, list[str]] = {}
        for label in labels:
            if label.index_name not in whole:
                by_index.setdefault(label.index_name, []).append(label.label)
        for index, names in by_index.items():
            for begin in range(0, len(names), 1000):
                gone += self.delete_where(index, {"terms": {mapping.LABEL: names[begin : begin + 1000]}})
        return gone

    def drop(self, own: Own) -> None:
        """Delete an index or data stream of ours; one that is not there is gone already."""
        if own.stream:
            streams.drop(self.cluster, own.name)
        else:
            self.cluster.ask("DELETE", path_of(own.name), absent=True)
        self._there.pop(own.name, None)

    def delete_where(self, index: str, query: dict[str, Any]) -> int:
        """Delete what a query finds, page by page, until it finds nothing; returns how many went."""
        gone = 0
        body = {"size": _PAGE, "_source": False, "query": query, "sort": ["_doc"], "track_total_hits": False}
        while self.refresh(index):
            found = self.cluster.ask("POST", path_of(index, "_search"), body)["hits"]["hits"]
            if not found:
                return gone
            by_index: dict[str, list[str]] = {}
            for hit in found:
                by_index.setdefault(hit["_index"], []).append(hit["_id"])
            for name, ids in by_index.items():
                bulk.delete(self.cluster, name, ids)
            gone += len(found)
            self._pulse()
        return gone

    def refresh(self, index: str) -> bool:
        """Let searches see what was written; whether there is such an index."""
        return self.cluster.ask("POST", path_of(index, "_refresh"), absent=True) is not None

    def hashes(self, account: str, key_ids: Sequence[str]) -> list[str]:
        """The hashes of an account under the keys of the index's documents; a destroyed key has none left."""
        return self.hashed("account", account, key_ids)

    def hashed(self, kind: str, value: str, key_ids: Sequence[str]) -> list[str]:
        """The hashes of a value of a kind under keys."""
        found = []
        for key_id in key_ids:
            try:
                key = self._parts.archive.period_keys.get(key_id).key
            except KeyDestroyedError:
                continue
            found.append(documents.blinder(self._parts.archive.suite, key)(kind, value))
        return found

    def batches(self, manifest: SegmentManifest) -> Iterator[pa.RecordBatch]:
        """A segment's records, with the columns that documents are made of."""
        file = open_segment(self._parts.archive, manifest).parquet()
        wanted = documents.read_columns(self.settings)
        for batch in file.iter_batches(batch_size=ROWS, columns=wanted, use_threads=False):
            yield batch
            self._pulse()

    def lines(self, table: pa.Table, manifest: SegmentManifest, label: Label) -> tuple[pa.Array, pa.Array, pa.Array]:
        """For each record its document's id, the document, and the least form of it that any mapping takes."""
        batch = table.combine_chunks().to_batches()[0]
        key = self._parts.archive.period_keys.get(label.key_id).key
        blind = documents.blinder(self._parts.archive.suite, key)
        return documents.lines(batch, self.settings, label=label.label, record_class=manifest.record_class, blind=blind)

    def _write(self, table: pa.Table, manifest: SegmentManifest, label: Label) -> Written:
        if not table.num_rows:
            return Written(0, 0, 0)
        ids, bodies, least = self.lines(table, manifest, label)
        limit = self.settings.bulk_megabytes << 20
        refused = 0
        index, verb = label.index_name, "create" if self.settings.data_streams else "index"
        for part in documents.bulks(index, ids, bodies, least, limit=limit, verb=verb):
            refused += bulk.write(self.cluster, part, index, older=self._there[index])
        return Written(table.num_rows, 0, refused)

    def _own_template(self, name: str, wanted: dict[str, Any]) -> None:
        found = self.cluster.ask("GET", path_of("_index_template", name), absent=True)
        templates = [] if found is None else found["index_templates"]
        for item in templates:
            mark = item["index_template"].get("_meta", {}).get("liucun")
            if mark is not None and mark != wanted["_meta"]["liucun"]:
                raise _foreign(name)


def _foreign(name: str) -> SearchRebuildError:
    return SearchRebuildError(
        f"The search cluster holds {name!r} already, and this store's follower did not make it.",
        cure="Choose another [search] prefix; or, if it is this store's from before, run `liucun index rebuild`.",
    )
