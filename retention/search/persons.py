"""Restriction and release in the index: a restricted person's documents leave it, and come back from the archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from retention.persons.restriction import ACTIVE, PERSON_COLUMNS, Restriction, list_restrictions, restricted_accounts
from retention.search import book, mapping
from retention.search.tables import search_labels, search_segments
from retention.search.writer import Parts, Writer
from retention.segments import open_segment

_HASHES: Final = 1000
_LABELS: Final = 10_000


def converge(parts: Parts, writer: Writer, restriction_ids: Sequence[str]) -> int:
    """Bring the index in line with what these restrictions are *now*; returns documents taken out and put back.

    By what they are now, not by what the log says they were: so it may run ahead of the segments, and twice.
    """
    wanted = set(restriction_ids)
    named = [item for item in list_restrictions(parts, lifted=True) if item.restriction_id in wanted]
    restricted = restricted_accounts(parts)
    now = set(restricted.to_pylist())
    changed = 0
    for account in sorted({item.account for item in named if item.account in now}):
        changed += take_out(parts, writer, account)
    recount(parts, restricted)
    lifted = sorted({item.account for item in named if item.account not in now})
    if lifted:
        changed += put_back(parts, writer, lifted, restricted)
    return changed


def take_out(parts: Parts, writer: Writer, account: str) -> int:
    """Delete every document about an account; the segments concerned are marked to be counted anew."""
    with parts.catalogue.read() as connection:
        rows = connection.execute(sa.select(search_labels.c.index_name, search_labels.c.key_id).distinct()).all()
    keys: dict[str, set[str]] = {}
    for row in rows:
        keys.setdefault(row.index_name, set()).add(row.key_id)
    gone = 0
    for index, key_ids in sorted(keys.items()):
        hashes = writer.hashes(account, sorted(key_ids))
        for begin in range(0, len(hashes), _HASHES):
            query = {"terms": {mapping.PERSONS: hashes[begin : begin + _HASHES]}}
            _mark(parts, writer, index, query)
            gone += writer.delete_where(index, query)
    return gone


def put_back(parts: Parts, writer: Writer, accounts: Sequence[str], restricted: pa.Array) -> int:
    """Write the documents about accounts whose restriction ended, out of the segments that withheld some."""
    s = search_segments.c
    with parts.catalogue.read() as connection:
        ids = list(
            connection.execute(
                sa.select(s.segment_id).where(s.state != book.FORGETTING, s.withheld > 0).order_by(s.segment_id)
            ).scalars()
        )
    back, chosen = 0, pa.array(accounts, pa.string())
    for segment_id in ids:
        with parts.catalogue.write() as connection:
            manifest = book.live(connection, [segment_id]).get(segment_id)
            if manifest is None:
                continue
            label = book.enter(connection, writer.settings, manifest)
        done = writer.write_about(manifest, label, chosen, restricted)
        back += done.documents
        with parts.catalogue.write() as connection:
            refused = book.known(connection, [segment_id])[segment_id].refused + done.refused
            book.finish(connection, segment_id, withheld=done.withheld, refused=refused)
    return back


def recount(parts: Parts, restricted: pa.Array) -> None:
    """Count anew, in the archive, what segments withhold whose documents a restriction took away."""
    s = search_segments.c
    with parts.catalogue.read() as connection:
        ids = list(connection.execute(sa.select(s.segment_id).where(s.recount)).scalars())
    for segment_id in ids:
        held = withheld(parts, segment_id, restricted)
        if held is None:
            continue
        with parts.catalogue.write() as connection:
            connection.execute(
                search_segments.update().where(s.segment_id == segment_id).values(withheld=held, recount=False)
            )


def withheld(parts: Parts, segment_id: str, restricted: pa.Array) -> int | None:
    """How many of a segment's records are about a restricted account; None when it is not in the archive any more."""
    with parts.catalogue.read() as connection:
        manifest = book.live(connection, [segment_id]).get(segment_id)
    if manifest is None:
        return None
    table = open_segment(parts.archive, manifest).parquet().read(columns=list(PERSON_COLUMNS), use_threads=False)
    about = pa.repeat(pa.scalar(False), table.num_rows)
    for name in PERSON_COLUMNS:
        about = pc.or_(about, pc.is_in(table.column(name), value_set=restricted).combine_chunks())
    return int(pc.sum(about).as_py() or 0)


def still_there(parts: Parts, writer: Writer) -> dict[str, int]:
    """Documents about restricted accounts that the index holds, by restriction: there must be none."""
    with parts.catalogue.read() as connection:
        rows = connection.execute(sa.select(search_labels.c.index_name, search_labels.c.key_id).distinct()).all()
    found: dict[str, int] = {}
    for item in _active(parts):
        for row in rows:
            hashes = writer.hashes(item.account, [row.key_id])
            if not hashes or not writer.refresh(row.index_name):
                continue
            query = {"query": {"terms": {mapping.PERSONS: hashes}}}
            count = int(writer.cluster.ask("POST", f"/{row.index_name}/_count", query)["count"])
            if count:
                found[item.restriction_id] = found.get(item.restriction_id, 0) + count
    return found


def _active(parts: Parts) -> list[Restriction]:
    return [item for item in list_restrictions(parts) if item.state == ACTIVE]


def _mark(parts: Parts, writer: Writer, index: str, query: Mapping[str, object]) -> None:
    """Remember which segments are concerned before anything is deleted: a step may die between the two."""
    if not writer.refresh(index):
        return
    asked = {"size": 0, "query": query, "aggs": {"labels": {"terms": {"field": mapping.LABEL, "size": _LABELS}}}}
    answer = writer.cluster.ask("POST", f"/{index}/_search", asked)
    names = [bucket["key"] for bucket in answer["aggregations"]["labels"]["buckets"]]
    if not names:
        return
    c, s = search_labels.c, search_segments.c
    with parts.catalogue.write() as connection:
        for begin in range(0, len(names), 500):
            concerned = sa.select(c.segment_id).where(c.label.in_(names[begin : begin + 500]))
            connection.execute(search_segments.update().where(s.segment_id.in_(concerned)).values(recount=True))
