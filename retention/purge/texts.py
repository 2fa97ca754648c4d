"""Destruction of what is kept with tickets: their rows are emptied, their key is shredded, every copy of them with it.

The rows' images in the log's objects and in backups hold the texts only as they were sealed: without the key they are
as good as gone. What must stay is sealed anew under the present month's key first, in the same transaction.
Whose tables these are registers how they are emptied and sealed anew; the archive needs nothing of the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

import sqlalchemy as sa

from errors import BusyError
from retention.catalogue import events
from retention.catalogue.key_use import retire
from retention.crypto.bodies import TEXTS, BodyCipher
from retention.policies.book import in_force
from retention.policies.periods import shanghai_date, stored_date
from retention.policies.texts import staying
from retention.purge.plan import DROPPED, PLANNED, Parts
from retention.purge.tables import purge_units, purges

KEPT_EVENT: Final = "ticket.texts_kept"
GONE_EVENT: Final = "ticket.texts_destroyed"


class Prepared(Protocol):
    """Rows that are sealed and not yet written."""

    @property
    def key_id(self) -> str:
        """The key that they are sealed under."""
        ...

    def write(self, connection: sa.Connection) -> None:
        """Put them in place.

        Raises:
            BusyError: a ticket changed since they were read.
        """
        ...


class TextKeeper(Protocol):
    """Whoever keeps texts with tickets."""

    def prepare(
        self,
        connection: sa.Connection,
        bodies: BodyCipher,
        purge_id: str,
        *,
        stay: Sequence[str],
        go: Sequence[str],
        month: str,
    ) -> Prepared:
        """Seal anew what stays, and what stands in the place of what goes, under the key of ``month``."""
        ...


_keepers: list[TextKeeper] = []


def register(keeper: TextKeeper) -> None:
    """Say who keeps texts with tickets; the last one counts."""
    _keepers[:] = [keeper]


def claim_texts(
    parts: Parts, purge_id: str, unit_id: int, *, actor: str, now: datetime, fingerprint: str | None
) -> str | None:
    """Empty the tickets of a planned unit; returns why nothing may go, None when it is claimed.

    Raises:
        BusyError: tickets changed meanwhile; nothing was changed, run it again.
    """
    c = purge_units.c
    here = sa.and_(c.purge_id == purge_id, c.unit_id == unit_id)
    with parts.catalogue.read() as connection:
        planned = connection.execute(sa.select(purge_units).where(here)).one()
        stays = _stays(connection, purge_id, planned.key_id, now)
        stay, go = (sorted(name for name, kept in stays.items() if kept is wanted) for wanted in (True, False))
        most = planned.rows - planned.kept_rows
        if not go or len(go) > most:
            return f"the texts of {len(go)} tickets would go, of {most} were planned"
        if not _keepers:
            return "the program that keeps them is not there"
        # The month of the day, not of the unit: what stays outlives this one.
        ready = _keepers[0].prepare(
            connection, parts.bodies, purge_id, stay=stay, go=go, month=f"{shanghai_date(now):%Y-%m}"
        )
    if ready.key_id == planned.key_id:
        return "it is the key of this month"
    with parts.catalogue.write() as connection:
        state = connection.execute(sa.select(c.state).where(here)).scalar_one()
        if state != PLANNED:
            return None
        if _stays(connection, purge_id, planned.key_id, now) != stays:
            raise BusyError(
                "Tickets changed while their texts were emptied.", cure="Nothing was changed; run it again."
            )
        ready.write(connection)
        for kind, names in ((KEPT_EVENT, stay), (GONE_EVENT, go)):
            said = [(f"ticket:{name}", {"purge": purge_id, "key": planned.key_id}) for name in names]
            events.append_many(connection, said, kind=kind, actor=actor, at=now)
        retire(connection, planned.key_id, purge_id)
        connection.execute(
            purge_units.update().where(here).values(state="claimed", key_fingerprint=fingerprint, kept_rows=len(stay))
        )
        body = {"key": planned.key_id, "fingerprint": fingerprint, "tickets": len(go), "carried": len(stay)}
        for subject in (f"shredding:{planned.key_id}", f"purge:{purge_id}"):
            events.append(connection, kind="purge.unit_claimed", actor=actor, subject=subject, body=body, at=now)
    return None


def sealed_texts(connection: sa.Connection, key_id: str) -> int:
    """How many tickets' texts lie under a key."""
    if not sa.inspect(connection).has_table("tickets"):
        return 0
    t = sa.table("tickets", sa.column("text_key")).c
    return int(connection.execute(sa.select(sa.func.count()).where(t.text_key == key_id)).scalar_one())


def destroyed_texts(connection: sa.Connection, purge_id: str) -> int:
    """Of how many tickets a purge destroyed the texts, as its units have it."""
    c = purge_units.c
    gone = sa.select(sa.func.coalesce(sa.func.sum(c.rows - c.kept_rows), 0)).where(
        c.purge_id == purge_id, c.record_class == TEXTS, c.state.not_in((PLANNED, DROPPED))
    )
    return int(connection.execute(gone).scalar_one())


def _stays(connection: sa.Connection, purge_id: str, key_id: str, now: datetime) -> dict[str, bool]:
    """What ran out after the day of the plan was not approved and stays; holds and tickets count as they are now."""
    planned_at = connection.execute(sa.select(purges.c.planned_at).where(purges.c.purge_id == purge_id)).scalar_one()
    policy = in_force(connection, shanghai_date(now))[TEXTS]
    return staying(connection, key_id, policy, stored_date(planned_at))
