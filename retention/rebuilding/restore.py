"""What each entry of the log restores: segments, cursors, batches, ranges, events, and the rows that events imaged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa

from errors import IntegrityError
from retention.catalogue import events, images
from retention.catalogue.events import COLLECTED, CONDEMNED, DESTROYED
from retention.catalogue.key_use import retire
from retention.catalogue.tables import (
    batches,
    checkpoints,
    image_shapes,
    log_entries,
    log_leaves,
    log_nodes,
    partitions,
    ranges,
    retired_segments,
    segment_places,
    segments,
    tombstones,
)
from retention.catalogue.tables import events as event_table
from retention.crypto.suites import Suite
from retention.manifest import SegmentManifest
from retention.rebuilding.chain import StoredCheckpoint
from retention.transparency import merkle
from retention.transparency.entries import Entry
from retention.transparency.sequencer import shape_of

COMPACTED = "segments.compacted"
"""Kind of the event that segments were merged: subject ``segment:ID`` of the new one."""


@dataclass(slots=True)
class Restored:
    """How much came back."""

    entries: int = 0
    segments: int = 0
    batches: int = 0
    events: int = 0
    rows: dict[str, int] = field(default_factory=dict)


class Restorer:
    """Fills an empty catalogue entry by entry, in one transaction of the caller's."""

    def __init__(self, connection: sa.Connection, suite: Suite) -> None:
        self.restored = Restored()
        self._connection = connection
        self._suite = suite
        self._manifests: dict[str, SegmentManifest] = {}
        self._committed: dict[str, str] = {}
        self._retired: dict[str, tuple[str, str | None, str]] = {}
        self._condemned: dict[str, str] = {}
        self._frontier: dict[merkle.NodeId, bytes] = {}
        self._size = 0
        self._seen: set[tuple[str, str]] = set()
        self._imaged = images.present(connection)

    def numbered(self, name: str, entries: Sequence[Entry]) -> None:
        """Restore an object of the log with its numbers."""
        hash_ = self._suite.hash
        leaves = [merkle.leaf_hash(hash_, entry.data(self._suite)) for entry in entries]
        frontier = [self._frontier[node] for node in merkle.subtrees(0, self._size)]
        made = merkle.extend(hash_, self._size, frontier, leaves)
        size = self._size + len(entries)
        known = self._frontier | made
        self._frontier = {node: known[node] for node in merkle.subtrees(0, size)}
        start, self._size = self._size, size
        c = self._connection
        c.execute(log_entries.insert().values(start=start, end=size, object_name=name))
        c.execute(
            log_leaves.insert(),
            [
                {"index": start + n, "type": entry.type, "ref": entry.ref, "hash": leaf}
                for n, (entry, leaf) in enumerate(zip(entries, leaves, strict=True))
            ],
        )
        nodes = [{"level": level, "index": index, "hash": value} for (level, index), value in made.items() if level]
        if nodes:
            c.execute(log_nodes.insert(), nodes)
        self._restore(entries, numbered=True)

    def waiting(self, entries: Sequence[Entry]) -> None:
        """Restore entries that no checkpoint covers: they happened, and wait for a number again."""
        fresh = [entry for entry in entries if (entry.type, entry.ref) not in self._seen]
        self._restore(fresh, numbered=False)
        for kind in (events.SEGMENT, events.EVENT):
            events.queue(self._connection, kind, [entry.ref for entry in fresh if entry.type == kind])

    def root(self) -> bytes:
        """Root of the log as restored so far."""
        frontier = [self._frontier[node] for node in merkle.subtrees(0, self._size)]
        return merkle.root(self._suite.hash, frontier)

    def finish(self, stored: Iterable[StoredCheckpoint]) -> None:
        """Enter what needs all entries: segments with their state, and the signed states."""
        kept = [item for item in stored if item.checkpoint.size <= self._size]
        if kept:
            self._connection.execute(
                checkpoints.insert(),
                [
                    {
                        "size": item.checkpoint.size,
                        "root": item.checkpoint.root,
                        "note": item.note,
                        "at": _time(item),
                        "object_name": item.object_name,
                    }
                    for item in kept
                ],
            )
        for manifest in self._manifests.values():
            for replaced in manifest.replaces:
                at = self._committed.get(manifest.segment_id, "")
                self._retired.setdefault(replaced, ("replaced", manifest.segment_id, at))
        self._enter_segments()
        condemned = self._condemned.keys() - self._used()
        if condemned:
            self._connection.execute(
                tombstones.insert(),
                [
                    {"object_name": name, "seen_at": self._condemned[name], "condemned_at": self._condemned[name]}
                    for name in sorted(condemned)
                ],
            )
        _reset_sequences(self._connection)

    def _used(self) -> set[str]:
        """Objects that this catalogue stands on, condemned ones among them: joined entries may lie in parts again."""
        named = (segments.c.object_name, log_entries.c.object_name, checkpoints.c.object_name)
        return {name for column in named for name in self._connection.execute(sa.select(column)).scalars()}

    def _restore(self, entries: Sequence[Entry], *, numbered: bool) -> None:
        self.restored.entries += len(entries)
        rows: list[dict[str, Any]] = []
        for entry in entries:
            self._seen.add((entry.type, entry.ref))
            if entry.type == events.SEGMENT:
                self._manifests[entry.ref] = SegmentManifest.from_bytes(entry.content)
                continue
            event = orjson.loads(entry.content)
            self._replay(event)
            rows.append(self._event_row(entry, event, numbered=numbered))
            if entry.payload is not None:
                self._apply(event["subject"], entry.payload)
        if rows:
            self._connection.execute(event_table.insert(), rows)
        self.restored.events += len(rows)

    @staticmethod
    def _event_row(entry: Entry, event: dict[str, Any], *, numbered: bool) -> dict[str, Any]:
        names = ("id", "at", "kind", "actor", "subject", "body")
        digests = event["images"]
        return {
            **{name: event[name] for name in names},
            "salt": entry.salt if numbered else None,
            "images": json.dumps(digests, separators=(",", ":")) if numbered and digests is not None else None,
            "payload": None if numbered else entry.payload,
        }

    def _replay(self, event: dict[str, Any]) -> None:
        """What the archive's own events say of segments and cursors."""
        kind, body, at = event["kind"], json.loads(event["body"]), event["at"]
        if kind == "batch.committed":
            self._batch(event["subject"].partition(":")[2], body, at)
        elif kind == COMPACTED:
            self._committed[event["subject"].partition(":")[2]] = at
            for replaced in body["replaces"]:
                self._retired[replaced] = ("replaced", event["subject"].partition(":")[2], at)
        elif kind == DESTROYED:
            self._retired[event["subject"].partition(":")[2]] = ("destroyed", None, at)
            retire(self._connection, body["key"], body["purge"])
        elif kind in (CONDEMNED, COLLECTED):
            self._condemned.update({name: at for name in body["orphans"] if name not in self._condemned})

    def _batch(self, partition: str, body: dict[str, Any], at: str) -> None:
        self._committed.update(dict.fromkeys(body["segments"], at))
        c = self._connection
        place = {"source": body["source"], "partition": partition}
        counts = {name: body[name] for name in ("start", "end", "records", "headers", "blanks")}
        c.execute(batches.insert().values(**place, **counts, committed_at=at))
        if body["range"] is not None:
            digest, first, last, *start = body["range"]
            c.execute(
                ranges.insert().values(
                    **place,
                    start=start[0] if start else body["start"],
                    end=body["end"],
                    digest=digest,
                    first=first,
                    last=last,
                    planned_at=at,
                )
            )
        p = partitions.c
        moved = c.execute(
            partitions.update()
            .where(p.source == body["source"], p.partition == partition)
            .values(cursor=body["end"], path=body["path"])
        )
        if not moved.rowcount:
            c.execute(
                partitions.insert().values(
                    **place,
                    path=body["path"],
                    generation=body["generation"],
                    cursor=body["end"],
                    finished=False,
                    opened_at=at,
                )
            )
        self.restored.batches += 1

    def _apply(self, subject: str, payload: bytes) -> None:
        """Put the subject's rows as the image has them; a later image takes their place."""
        prefix, _, value = subject.partition(":")
        known = {item.table.name: item for item in self._imaged if item.prefix == prefix}
        found = orjson.loads(payload)
        unknown = {image["table"] for image in found} - known.keys()
        if unknown:
            raise IntegrityError(
                f"The log has rows of {', '.join(sorted(unknown))} for {subject!r}, unknown to this program.",
                cure="Rebuild with the version of the program that wrote them, or a newer one.",
            )
        taken = [(known[image["table"]], image) for image in found]
        for item, _image in reversed(taken):
            column = item.table.c[item.column]
            self._connection.execute(item.table.delete().where(column == item.value_of(value)))
        shapes = set(self._connection.execute(sa.select(image_shapes.c.shape)).scalars())
        for item, image in taken:
            there = {column.name for column in item.table.columns}
            rows = [images.restored(image["columns"], row) for row in image["rows"]]
            kept = [{name: cell for name, cell in row.items() if name in there} for row in rows]
            if kept:
                self._connection.execute(item.table.insert(), kept)
            shape = shape_of(image["columns"])
            if shape not in shapes:
                shapes.add(shape)
                columns = json.dumps(image["columns"])
                self._connection.execute(image_shapes.insert().values(shape=shape, columns=columns))

    def _enter_segments(self) -> None:
        live: list[dict[str, Any]] = []
        places: list[dict[str, Any]] = []
        retired: list[dict[str, Any]] = []
        for manifest in self._manifests.values():
            row = {
                "segment_id": manifest.segment_id,
                "object_name": manifest.object_name,
                "record_class": manifest.record_class,
                "period": manifest.period,
                "rows": manifest.rows,
                "bytes_stored": manifest.bytes_stored,
                "manifest": manifest.to_bytes(),
                "committed_at": self._committed.get(manifest.segment_id, ""),
            }
            gone = self._retired.get(manifest.segment_id)
            if gone is not None:
                state, successor, at = gone
                retired.append({**row, "state": state, "successor": successor, "retired_at": at})
                continue
            live.append({**row, "event_time_min": manifest.event_time_min, "event_time_max": manifest.event_time_max})
            places += [
                {
                    "segment_id": manifest.segment_id,
                    "source": place.source,
                    "partition": place.partition,
                    "start": place.start,
                    "end": place.end,
                    "rows": place.rows,
                }
                for place in manifest.places
            ]
        for table, found in ((segments, live), (segment_places, places), (retired_segments, retired)):
            if found:
                self._connection.execute(table.insert(), found)
        self.restored.segments = len(live)
        for item in self._imaged:
            count = sa.select(sa.func.count()).select_from(item.table)
            self.restored.rows[item.table.name] = self._connection.execute(count).scalar_one()


def _time(item: StoredCheckpoint) -> str:
    return next((line[5:] for line in item.checkpoint.extension if line.startswith("time ")), "")


def _reset_sequences(connection: sa.Connection) -> None:
    """PostgreSQL counts new ids from its sequences, which know nothing of the rows that came back."""
    if connection.dialect.name != "postgresql":
        return
    for table in [event_table, *(item.table for item in images.present(connection))]:
        for column in table.primary_key.columns:
            if not isinstance(column.type, sa.Integer):
                continue
            name = connection.execute(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name))).scalar_one()
            if name is not None:
                largest = sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1).scalar_subquery()
                connection.execute(sa.select(sa.func.setval(name, largest, sa.false())))
