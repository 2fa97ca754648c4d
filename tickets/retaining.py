"""How long the queue's own copies of texts live: sealed under a key a month, emptied when that key is destroyed.

What decides is the archive's retention (class ``ticket_text``); here it is carried out on the tables of the queue. An
emptied ticket keeps its number, state, times and decisions; its texts, sketch, account and notes are gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from errors import BusyError, IntegrityError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.sets import among
from retention.crypto.bodies import TEXTS
from retention.purge import beside as destruction
from retention.purge.beside import Bodies, Turn
from tickets.bodies import month_of, note_context, text_context, ticket_context
from tickets.tables import notes, texts, tickets
from tickets.tables_work import bands, sketches

_LOOK_UP: Final = 500
KEPT_EVENT: Final = "ticket.texts_kept"


def emptied_body(purge_id: str | None) -> bytes:
    """The body of a ticket whose texts a purge destroyed; it says so as long as the ticket is kept."""
    return json.dumps({"texts": [], "user_id": None, "details": {}, "destroyed_by": purge_id}).encode()


@dataclass(slots=True)
class Sealed:
    """Rows sealed anew and not yet written; ``versions`` are those of the tickets when they were read."""

    key_id: str
    purge_id: str | None
    versions: dict[str, int]
    bodies: dict[str, bytes]
    texts: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    emptied: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    """Tickets of other keys of which a text or note lay under this one."""

    def write(self, connection: sa.Connection) -> None:
        """Put the rows in place, and take those of emptied tickets away.

        Raises:
            BusyError: a ticket changed since it was read.
        """
        if _versions(connection, sorted(self.versions)) != self.versions:
            raise BusyError("Tickets changed while their texts were sealed anew.", cure="Run it again.")
        gone = set(self.emptied)
        rows = [
            {
                "b_id": name,
                "b_body": body,
                "b_key": None if name in gone else self.key_id,
                "b_gone": self.purge_id if name in gone else None,
            }
            for name, body in self.bodies.items()
        ]
        if rows:
            connection.execute(
                tickets.update()
                .where(tickets.c.ticket_id == sa.bindparam("b_id"))
                .values(body=sa.bindparam("b_body"), text_key=sa.bindparam("b_key"), texts_gone=sa.bindparam("b_gone")),
                rows,
            )
        if self.texts:
            here = sa.and_(texts.c.ticket_id == sa.bindparam("b_id"), texts.c.text_blind == sa.bindparam("b_blind"))
            connection.execute(texts.update().where(here).values(body=sa.bindparam("b_body")), self.texts)
        if self.notes:
            one = notes.c.id == sa.bindparam("b_id")
            connection.execute(notes.update().where(one).values(body=sa.bindparam("b_body")), self.notes)
        for begin in range(0, len(self.emptied), _LOOK_UP):
            part = self.emptied[begin : begin + _LOOK_UP]
            for table in (texts, notes, bands, sketches):
                connection.execute(table.delete().where(table.c.ticket_id.in_(part)))
        moved = [(f"ticket:{name}", {"purge": self.purge_id, "key": self.key_id}) for name in self.strays]
        events.append_many(connection, moved, kind=KEPT_EVENT, actor="system:texts")


class Keeper:
    """Seals and empties on behalf of ``retention.purge``."""

    def prepare(self, connection: sa.Connection, bodies: Bodies, turn: Turn) -> Sealed:
        """Read and seal anew what stays; what goes is left with an empty body (``beside.Keeper``).

        A text or note of another key's ticket may lie under this key: its writer could not open the ticket's own
        (``tickets.bodies.seal_beside``). It stays with its ticket.
        """
        stay, go = turn.stay, turn.go
        columns = (texts.c.ticket_id, texts.c.text_blind, texts.c.body)
        said = (notes.c.id, notes.c.ticket_id, notes.c.at, notes.c.body)
        stray_texts, stray_notes = _strays(connection, columns, texts, turn), _strays(connection, said, notes, turn)
        strays = sorted({row.ticket_id for row in (*stray_texts, *stray_notes)})
        # No key is made where nothing stays: one that seals nothing would be left over.
        key_id = bodies.text_key(turn.month) if stay or strays else ""
        versions = _versions(connection, [*stay, *go, *strays])
        made = Sealed(key_id, turn.purge_id, versions, {}, emptied=tuple(go), strays=tuple(strays))
        for number, sealed in _rows(connection, sa.select(tickets.c.ticket_id, tickets.c.body), tickets, stay):
            context = ticket_context(number)
            made.bodies[number] = bodies.seal(bodies.open(sealed, context), context, under=key_id)
        for number, blind, sealed in (*_rows(connection, sa.select(*columns), texts, stay), *stray_texts):
            context = text_context(number, blind)
            body = bodies.seal(bodies.open(sealed, context), context, under=key_id)
            made.texts.append({"b_id": number, "b_blind": blind, "b_body": body})
        for note, number, at, sealed in (*_rows(connection, sa.select(*said), notes, stay), *stray_notes):
            context = note_context(number, at)
            body = bodies.seal(bodies.open(sealed, context), context, under=key_id)
            made.notes.append({"b_id": note, "b_body": body})
        for number in go:
            # Says nothing, and must be read when the month's key is gone in its turn.
            made.bodies[number] = bodies.seal(emptied_body(turn.purge_id), ticket_context(number))
        return made


destruction.register(
    TEXTS,
    destruction.Kept(
        Keeper(),
        "ticket",
        KEPT_EVENT,
        "ticket.texts_destroyed",
        tickets.name,
        sealed=(tickets.c.body, texts.c.body, notes.c.body),
    ),
)


def text_keys(connection: sa.Connection, ids: Sequence[str]) -> dict[str, str | None]:
    """The keys that tickets' texts are sealed under; None of those from before there were any, and of emptied ones."""
    chosen = sa.select(tickets.c.ticket_id, tickets.c.text_key)
    return dict(_rows(connection, chosen, tickets, ids))


def took_in(connection: sa.Connection, ids: Iterable[str], key_id: str) -> None:
    """Of tickets that had no key of their own: something joined them under this one, and goes with it."""
    names = sorted(set(ids))
    for begin in range(0, len(names), _LOOK_UP):
        here = among(connection, tickets.c.ticket_id, names[begin : begin + _LOOK_UP])
        connection.execute(
            tickets.update().where(here, tickets.c.text_key.is_(None)).values(text_key=key_id, texts_gone=None)
        )


def seal_lacking(catalogue: Catalogue, bodies: Bodies, *, most: int = 2_000) -> tuple[int, list[str]]:
    """Put the texts of tickets from before there were such keys under that of their month, the oldest first, ``most``.

    Returns:
        Of how many, and the tickets of which something is damaged, each once: they stay as they are, keep nobody
        behind them waiting, and the next round tries again.
    """
    damaged: list[str] = []
    done = 0
    last: tuple[str, str] | None = None
    while done < most:
        with catalogue.read() as connection:
            rows = _lacking(connection, last, min(_LOOK_UP, most - done))
            if not rows:
                break
            last = (rows[-1].detected_at, rows[-1].ticket_id)
            months: dict[str, list[str]] = {}
            for row in rows:
                months.setdefault(month_of(row.detected_at), []).append(row.ticket_id)
            ready = [
                one for month, names in months.items() for one in _sealed(connection, bodies, names, month, damaged)
            ]
        for names, made in ready:
            try:
                with catalogue.write() as connection:
                    made.write(connection)
                    said = [(f"ticket:{name}", {"key": made.key_id}) for name in names]
                    events.append_many(connection, said, kind=KEPT_EVENT, actor="system:texts")
            except BusyError:
                continue  # somebody works on one of them: the next round takes them again
            done += len(names)
    return done, damaged


def _lacking(connection: sa.Connection, last: tuple[str, str] | None, most: int) -> Sequence[Any]:
    c = tickets.c
    chosen = sa.select(c.ticket_id, c.detected_at).where(c.text_key.is_(None), c.texts_gone.is_(None))
    if last is not None:
        chosen = chosen.where(sa.tuple_(c.detected_at, c.ticket_id) > sa.tuple_(*map(sa.literal, last)))
    return connection.execute(chosen.order_by(c.detected_at, c.ticket_id).limit(most)).all()


def _sealed(
    connection: sa.Connection, bodies: Bodies, names: list[str], month: str, damaged: list[str]
) -> list[tuple[list[str], Sealed]]:
    """Tickets sealed anew together, one by one where something is damaged: those add to ``damaged``."""
    try:
        return [(names, Keeper().prepare(connection, bodies, Turn(month, names)))]
    except IntegrityError:
        if len(names) == 1:
            damaged += names
            return []
    return [one for name in names for one in _sealed(connection, bodies, [name], month, damaged)]


def _versions(connection: sa.Connection, ids: Sequence[str]) -> dict[str, int]:
    chosen = sa.select(tickets.c.ticket_id, tickets.c.version)
    return {number: int(version) for number, version in _rows(connection, chosen, tickets, ids)}


def _strays(connection: sa.Connection, columns: Sequence[Any], table: sa.Table, turn: Turn) -> list[Any]:
    """Texts or notes under the key that goes, of tickets that are not under it."""
    if turn.key_id is None:
        return []
    rows = connection.execute(sa.select(*columns).where(destruction.under(table.c.body, turn.key_id)))
    mine = {*turn.stay, *turn.go}
    return [row for row in rows if row.ticket_id not in mine]


def _rows(connection: sa.Connection, chosen: sa.Select[Any], table: sa.Table, ids: Sequence[str]) -> list[Any]:
    found: list[Any] = []
    for begin in range(0, len(ids), _LOOK_UP):
        found += connection.execute(
            chosen.where(among(connection, table.c.ticket_id, ids[begin : begin + _LOOK_UP]))
        ).all()
    return found
