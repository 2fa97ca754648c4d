"""Placing a hold: on segments, a span of time, an account, a ticket, or what a query finds.

A hold works from the moment its row is committed. For an account that is before a single segment was examined: what
was not examined yet counts as held, so there is no gap between placing and finding.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.retrying import retried
from retention.catalogue.tables import segment_places, segments, timestamp
from retention.crypto.bodies import BodyCipher
from retention.holds.effect import ACCOUNT, ACTIVE, SPAN, TICKET
from retention.holds.errors import HoldTargetError
from retention.holds.tables import hold_segments, holds
from retention.objects.base import ObjectStore
from retention.schema import EVIDENCE_SOURCE, RECORD_SCHEMA, RecordClass, evidence_partition
from retention.segments import Archive

SEGMENTS: Final = "segment"
QUERY: Final = "query"
_AT_ONCE: Final = 500
_PLACE: Final = ("log_source", "log_partition", "log_offset")


class Parts(Protocol):
    """What holds need of an open store."""

    @property
    def catalogue(self) -> Catalogue:
        """Segments and holds."""
        ...

    @property
    def archive(self) -> Archive:
        """Sealed segments and their keys."""
        ...

    @property
    def bodies(self) -> BodyCipher:
        """Seals matters and persons."""
        ...

    @property
    def objects(self) -> ObjectStore:
        """Where the segments lie; it may keep legal holds of its own."""
        ...


@dataclass(frozen=True, slots=True)
class Matter:
    """Why something is held: the case (a file number), and in words."""

    name: str
    reason: str


def hold_segments_named(parts: Parts, matter: Matter, names: Sequence[str], *, actor: str, now: datetime) -> str:
    """Hold segments by id; returns the hold's id.

    Raises:
        HoldTargetError: none is named, or one is not in the archive.
    """
    g = segments.c

    def find(connection: sa.Connection) -> dict[str, int]:
        rows = connection.execute(sa.select(g.segment_id, g.rows).where(g.segment_id.in_(names)))
        found = {row[0]: int(row[1]) for row in rows}
        missing = [name for name in names if name not in found]
        if missing or not names:
            raise HoldTargetError(
                f"The archive has no segment {missing[0][:80]!r}." if missing else "No segment is named.",
                cure="`liucun retention show --units` and audits name segments.",
            )
        return found

    return _place(parts, SEGMENTS, matter, {"segments": list(names)}, actor, now, find=find)


def hold_span(
    parts: Parts,
    matter: Matter,
    *,
    since: datetime | None,
    until: datetime | None,
    record_class: str | None,
    actor: str,
    now: datetime,
) -> str:
    """Hold every record of [since, until), of one class or of all; also what is ingested later.

    Raises:
        HoldTargetError: the span is empty, or there is no such class.
    """
    if since is not None and until is not None and since >= until:
        raise HoldTargetError("The span of the hold is empty.", cure="Give --since before --until.")
    if record_class is not None and record_class not in {known.value for known in RecordClass}:
        raise HoldTargetError(
            f"There is no record class {record_class[:40]!r}.", cure=f"Known: {', '.join(RecordClass)}."
        )
    target = {"class": record_class, "since": _text(since), "until": _text(until)}
    return _place(parts, SPAN, matter, target, actor, now, since=since, until=until, record_class=record_class)


def hold_account(parts: Parts, matter: Matter, account: str, *, actor: str, now: datetime) -> str:
    """Hold every segment with a record of an account, as user or counterparty; also what is ingested later.

    Until ``examine`` has looked through the archive, all of it is held.

    Raises:
        HoldTargetError: the account is empty.
    """
    if not account.strip():
        raise HoldTargetError("No account is named.", cure="Give the account as it stands in user_id.")
    return _place(parts, ACCOUNT, matter, {"account": account}, actor, now, means=account_target(parts, account))


def hold_ticket(parts: Parts, matter: Matter, ticket_id: str, *, actor: str, now: datetime) -> str:
    """Hold the records that a ticket is about, and the texts kept with it.

    Raises:
        HoldTargetError: there is no such ticket, or neither its records nor its texts are there any more.
    """

    def find(connection: sa.Connection) -> dict[str, int]:
        places = _ticket_places(connection, ticket_id)
        if not places:
            raise HoldTargetError(f"There is no ticket {ticket_id[:40]!r}.", cure="`liucun tickets list` shows them.")
        try:
            return _found(connection, places, "the ticket's records")
        except HoldTargetError:
            if not _has_texts(connection, ticket_id):
                raise
            return {}

    return _place(parts, TICKET, matter, {"ticket": ticket_id}, actor, now, find=find, means=ticket_id)


def account_target(parts: Parts, account: str) -> str:
    """How tickets and holds name an account without telling it."""
    return parts.bodies.blind(account, "account")


def _has_texts(connection: sa.Connection, ticket_id: str) -> bool:
    columns = {column["name"] for column in sa.inspect(connection).get_columns("tickets")}
    if "texts_gone" not in columns:
        return False
    t = sa.table("tickets", sa.column("ticket_id"), sa.column("texts_gone")).c
    there = sa.select(t.ticket_id).where(t.ticket_id == ticket_id, t.texts_gone.is_(None))
    return connection.execute(there).first() is not None


def hold_rows(parts: Parts, matter: Matter, sql: str, result: pa.Table, *, actor: str, now: datetime) -> str:
    """Hold the records in a query's result, which names their places.

    Raises:
        HoldTargetError: it has no columns ``log_source, log_partition, log_offset``, other values in them, or no rows.
    """
    missing = [name for name in _PLACE if name not in result.column_names]
    if missing:
        raise HoldTargetError(
            f"The query's result has no column {missing[0]}.",
            cure=f"Ask for {', '.join(_PLACE)}: a hold needs the places of the records.",
        )
    places: dict[tuple[str, str], list[int]] = {}
    columns = [_place_column(result, name) for name in _PLACE]
    for source, partition, offset in zip(*columns, strict=True):
        places.setdefault((source, partition), []).append(offset)
    if not places:
        raise HoldTargetError("The query finds no record.", cure="Mend the query; nothing was held.")
    return _place(
        parts, QUERY, matter, {"sql": sql}, actor, now, find=lambda c: _found(c, places, "the query's records")
    )


def _place_column(result: pa.Table, name: str) -> list[Any]:
    """A column of places, as records have it; DuckDB may have given it another type on the way."""
    wanted = RECORD_SCHEMA.field(name).type
    try:
        found = result.column(name).cast(wanted)
    except pa.ArrowException as error:
        raise HoldTargetError(
            f"The query's {name} holds values that are none: {str(error)[:200]}.",
            cure=f"Ask for {', '.join(_PLACE)} as they stand in the views.",
        ) from error
    if found.null_count:
        raise HoldTargetError(
            f"The query's {name} is empty in {found.null_count} rows.", cure=f"Add WHERE {name} IS NOT NULL."
        )
    listed: list[Any] = found.to_pylist()
    return listed


def _ticket_places(connection: sa.Connection, ticket_id: str) -> dict[tuple[str, str], list[int]]:
    """Where the records lie that a ticket, and those merged into it, are about; and their sealed evidence."""
    inspector = sa.inspect(connection)
    found: dict[tuple[str, str], list[int]] = {}
    if not inspector.has_table("tickets"):
        return found
    tickets = sa.table("tickets", *map(sa.column, ("ticket_id", "source", "partition", "offset", "merged_into")))
    waiting, known = [ticket_id], {ticket_id: None}
    p = segment_places.c
    while waiting:
        part, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        below = sa.select(tickets.c.ticket_id).where(tickets.c.merged_into.in_(part))
        merged = [name for name in connection.execute(below).scalars() if name not in known]
        known |= dict.fromkeys(merged)
        waiting += merged
        place = (tickets.c.ticket_id, tickets.c.source, tickets.c.partition, tickets.c.offset)
        sources = {}
        for row in connection.execute(sa.select(*place).where(tickets.c.ticket_id.in_(part))):
            sources[row.ticket_id] = row.source
            found.setdefault((row.source, row.partition), []).append(row.offset)
        if inspector.has_table("findings"):
            hits = sa.table("findings", *map(sa.column, ("ticket_id", "partition", "offset")))
            for hit in connection.execute(sa.select(hits).where(hits.c.ticket_id.in_(list(sources)))):
                found.setdefault((sources[hit.ticket_id], hit.partition), []).append(hit.offset)
        own = p.partition.in_([evidence_partition(name) for name in sources])
        sealed = sa.select(p.partition, p.start, p.end).where(p.source == EVIDENCE_SOURCE, own)
        for partition, start, end in connection.execute(sealed):
            found.setdefault((EVIDENCE_SOURCE, partition), []).extend(range(start, end))
    return found


def _found(connection: sa.Connection, places: Mapping[tuple[str, str], Iterable[int]], what: str) -> dict[str, int]:
    """The segments that cover places, and how many of the places each may hold."""
    s, g = segment_places.c, segments.c
    found: dict[str, int] = {}
    for (source, partition), offsets in places.items():
        wanted = np.unique(np.fromiter(offsets, np.int64))
        rows = connection.execute(
            sa.select(s.segment_id, s.start, s.end)
            .select_from(segment_places.join(segments, g.segment_id == s.segment_id))
            .where(s.source == source, s.partition == partition)
        )
        for segment_id, start, end in rows:
            covered = int(np.searchsorted(wanted, end) - np.searchsorted(wanted, start))
            if covered:
                found[segment_id] = found.get(segment_id, 0) + covered
    if not found:
        raise HoldTargetError(
            f"The archive does not hold {what} any more.", cure="`liucun retention show` tells what was destroyed."
        )
    return found


def _place(
    parts: Parts,
    kind: str,
    matter: Matter,
    target: Mapping[str, Any],
    actor: str,
    now: datetime,
    *,
    find: Callable[[sa.Connection], Mapping[str, int]] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    record_class: str | None = None,
    means: str | None = None,
) -> str:
    if not matter.name.strip() or not matter.reason.strip():
        raise HoldTargetError("A hold needs a matter and a reason.", cure='Give --matter "case 12" --reason TEXT.')
    hold_id = f"H{secrets.token_hex(8)}"
    words = {"matter": matter.name, "reason": matter.reason, "target": dict(target)}
    sealed = parts.bodies.seal(
        json.dumps(words, ensure_ascii=False).encode("utf-8", "surrogatepass"), hold_context(hold_id)
    )

    def attempt() -> None:
        with parts.catalogue.write() as connection:
            placed = sa.select(holds.c.hold_id).where(holds.c.hold_id == hold_id)
            if connection.execute(placed).first():
                return  # committed by the attempt before, and the server's answer was lost
            # In the transaction that places the hold: nothing is merged or destroyed between the look and the hold.
            rows = find(connection) if find is not None else {}
            connection.execute(
                holds.insert().values(
                    hold_id=hold_id,
                    kind=kind,
                    state=ACTIVE,
                    sealed=sealed,
                    matter_blind=parts.bodies.blind(matter.name, "hold matter"),
                    record_class=record_class,
                    since=_text(since),
                    until=_text(until),
                    placed_by=actor,
                    placed_at=timestamp(now),
                    target=means,
                )
            )
            if rows:
                connection.execute(
                    hold_segments.insert(),
                    [{"hold_id": hold_id, "segment_id": s, "rows": n} for s, n in sorted(rows.items())],
                )
            events.append(
                connection,
                kind="hold.placed",
                actor=actor,
                subject=f"hold:{hold_id}",
                body={"kind": kind, "class": record_class, "segments": len(rows)},
                at=now,
            )

    retried(parts.catalogue, attempt)
    return hold_id


def hold_context(hold_id: str) -> bytes:
    """What a hold's sealed words are bound to."""
    return f"hold:{hold_id}".encode()


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)
