"""Destruction of what is sealed in the database (texts kept with tickets, what reports say, messages): rows are
emptied, their key is shredded, every copy of them with it.

The rows' images in the log's objects and in backups hold the texts only as they were sealed: without the key they are
as good as gone. What must stay is sealed anew under the present month's key first, in the same transaction.
Whose tables these are registers how they are emptied and sealed anew; the archive needs nothing of the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import sqlalchemy as sa

from errors import BusyError, StorageError
from retention.catalogue import events
from retention.catalogue.key_use import retire
from retention.crypto.bodies import BESIDE, TEXTS, heads_under
from retention.policies.beside import beside_staying
from retention.policies.book import in_force
from retention.policies.periods import shanghai_date, stored_date
from retention.purge.plan import DROPPED, PLANNED, Parts
from retention.purge.tables import purge_units, purges


class Bodies(Protocol):
    """Seals small values for the database (``retention.crypto.bodies``)."""

    def seal(self, plaintext: bytes, context: bytes, *, under: str | None = None) -> bytes:
        """Seal a value, bound to the place it is kept at; ``under`` a key of that id, else the lasting one."""
        ...

    def open(self, blob: bytes, context: bytes) -> bytes:
        """Open it again; raises a member of the errors' tree."""
        ...

    def text_key(self, month: str, record_class: str = TEXTS) -> str:
        """Id of the key for what is kept of a class and month (``YYYY-MM``)."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """What is sealed anew under the key of ``month`` (``YYYY-MM``), and what goes: by the numbers of items, as text.

    ``purge_id`` is the purge that destroys ``key_id``, the key that they lie under; both are None where nothing goes.
    """

    month: str
    stay: Sequence[str]
    go: Sequence[str] = ()
    purge_id: str | None = None
    key_id: str | None = None


class Prepared(Protocol):
    """Rows that are sealed and not yet written."""

    @property
    def key_id(self) -> str:
        """The key that they are sealed under."""
        ...

    def write(self, connection: sa.Connection) -> None:
        """Put them in place.

        Raises:
            BusyError: one of them changed since they were read.
        """
        ...


class Keeper(Protocol):
    """Whoever keeps texts of a class in tables of its own."""

    def prepare(self, connection: sa.Connection, bodies: Bodies, turn: Turn) -> Prepared:
        """Read and seal anew what stays, and what stands in the place of what goes.

        Raises:
            IntegrityError, KeyAccessError: what must stay cannot be opened.
        """
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """A class of what is kept: who empties and seals it, in which table, and the kinds of the events that say so.

    ``subject`` begins the events' subjects; ``table`` has the columns ``text_key`` and ``texts_gone``; ``sealed`` are
    all tables and columns with values under the class's keys.
    """

    keeper: Keeper
    subject: str
    kept_event: str
    gone_event: str
    table: str
    sealed: tuple[sa.Column[Any], ...]


_keepers: Final[dict[str, Kept]] = {}


def register(record_class: str, kept: Kept) -> None:
    """Say who keeps a class; the last one counts."""
    _keepers[record_class] = kept


def claim_beside(
    parts: Parts, purge_id: str, unit_id: int, *, actor: str, now: datetime, fingerprint: str | None
) -> str | None:
    """Empty what a planned unit holds; returns why nothing may go, None when it is claimed.

    Raises:
        BusyError: some of it changed meanwhile; nothing was changed, run it again.
        StorageError: the part of the program that keeps this class was not loaded; nothing was changed.
    """
    c = purge_units.c
    here = sa.and_(c.purge_id == purge_id, c.unit_id == unit_id)
    with parts.catalogue.read() as connection:
        planned = connection.execute(sa.select(purge_units).where(here)).one()
        stays = _stays(connection, purge_id, planned, now)
        stay, go = (sorted(name for name, kept in stays.items() if kept is wanted) for wanted in (True, False))
        most = planned.rows - planned.kept_rows
        if not go or len(go) > most:
            return f"{len(go)} would go, {most} were planned"
        kept = _kept(planned.record_class)
        # The month of the day, not of the unit: what stays outlives this one.
        turn = Turn(f"{shanghai_date(now):%Y-%m}", stay, go, purge_id, planned.key_id)
        ready = kept.keeper.prepare(connection, parts.bodies, turn)
    if ready.key_id == planned.key_id:
        return "it is the key of this month"
    with parts.catalogue.write() as connection:
        state = connection.execute(sa.select(c.state).where(here)).scalar_one()
        if state != PLANNED:
            return None
        if _stays(connection, purge_id, planned, now) != stays:
            raise BusyError(
                f"What is kept of {planned.record_class} changed while it was emptied.",
                cure="Nothing was changed; run it again.",
            )
        ready.write(connection)
        for kind, names in ((kept.kept_event, stay), (kept.gone_event, go)):
            said = [(f"{kept.subject}:{name}", {"purge": purge_id, "key": planned.key_id}) for name in names]
            events.append_many(connection, said, kind=kind, actor=actor, at=now)
        retire(connection, planned.key_id, purge_id)
        connection.execute(
            purge_units.update().where(here).values(state="claimed", key_fingerprint=fingerprint, kept_rows=len(stay))
        )
        counted = "tickets" if planned.record_class == TEXTS else "items"
        body = {"key": planned.key_id, "fingerprint": fingerprint, counted: len(go), "carried": len(stay)}
        for subject in (f"shredding:{planned.key_id}", f"purge:{purge_id}"):
            events.append(connection, kind="purge.unit_claimed", actor=actor, subject=subject, body=body, at=now)
    return None


def sealed_beside(connection: sa.Connection, key_id: str, record_class: str) -> int:
    """How many rows lie under a key in the tables of those who keep something: those that name it, and all values
    that are sealed under it, whatever their rows say.

    Args:
        connection: a transaction.
        key_id: the key.
        record_class: the class that it was made for.

    Raises:
        StorageError: the part of the program that keeps this class was not loaded.
    """
    there = set(sa.inspect(connection).get_table_names())
    found = 0
    for kept in _keepers.values():
        if kept.table in there:
            c = sa.table(kept.table, sa.column("text_key")).c
            found += int(connection.execute(sa.select(sa.func.count()).where(c.text_key == key_id)).scalar_one())
    sealed: dict[sa.FromClause, list[sa.Column[Any]]] = {}
    for column in _kept(record_class).sealed if record_class in BESIDE else ():
        if column.table.description in there:
            sealed.setdefault(column.table, []).append(column)
    for table, columns in sealed.items():
        chosen = sa.or_(*(under(column, key_id) for column in columns))
        if table.description == _kept(record_class).table:
            named = table.c.text_key
            chosen = sa.and_(chosen, sa.or_(named.is_(None), named != key_id))
        found += int(connection.execute(sa.select(sa.func.count()).select_from(table).where(chosen)).scalar_one())
    return found


def under(column: sa.Column[Any], key_id: str) -> sa.ColumnElement[bool]:
    """The condition that a value is sealed under a key, as it says itself."""
    heads = heads_under(key_id)
    return sa.or_(
        sa.false(), *(sa.func.substr(column, 1, len(head)) == sa.literal(head, sa.LargeBinary) for head in heads)
    )


def _kept(record_class: str) -> Kept:
    kept = _keepers.get(record_class)
    if kept is None:
        raise StorageError(
            f"Nothing is loaded that empties the tables of {record_class}.",
            cure="This is a fault of the program: report it. Nothing was destroyed of the class.",
        )
    return kept


def destroyed_beside(connection: sa.Connection, purge_id: str) -> int:
    """How many a purge emptied, as its units have it."""
    c = purge_units.c
    gone = sa.select(sa.func.coalesce(sa.func.sum(c.rows - c.kept_rows), 0)).where(
        c.purge_id == purge_id, c.record_class.in_(sorted(BESIDE)), c.state.not_in((PLANNED, DROPPED))
    )
    return int(connection.execute(gone).scalar_one())


def _stays(connection: sa.Connection, purge_id: str, planned: Any, now: datetime) -> dict[str, bool]:
    """What ran out after the day of the plan was not approved and stays; holds and ends count as they are now."""
    planned_at = connection.execute(sa.select(purges.c.planned_at).where(purges.c.purge_id == purge_id)).scalar_one()
    policy = in_force(connection, shanghai_date(now))[planned.record_class]
    return beside_staying(connection, planned.record_class, planned.key_id, policy, stored_date(planned_at))
