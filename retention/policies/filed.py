"""What stands sealed in tables of its own, judged: reports to authorities, messages of the outbox, duties, disclosures.

- **Report**: from the closure of the last of its tickets, and not before it was submitted and settled itself; one that
  is still to go out, or has an open ticket, is open. One that was corrected stays as long as its correction.
- **Message**: one that was delivered is empty and counts from its delivery: its key, and with it every copy of it in a
  backup, goes with those of its month. One that was not counts from the closure of the last ticket that it names, or
  from when it was written; while it is still tried, it is open.
- **Duty** (title and evidence): from the event, its completion or its last file, whichever is latest; open ones stay.
- **Disclosure** (case and document): from the moment it expires, the last at which anything was provided under it.

A hold on a ticket (its account, its time, its records) keeps what names it, one on an account the disclosures about it;
a hold on a time, whatever its class, what was made or ended in it. ``purge.beside`` says who seals.
"""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from retention.holds.effect import ACCOUNT, ACTIVE, SPAN
from retention.holds.tables import holds
from retention.policies.beside_unit import BesideUnit, number_of
from retention.policies.filed_items import FILED, Item, filed_items, filed_keys
from retention.policies.held_tickets import held_tickets
from retention.policies.model import Policy
from retention.policies.periods import may_go_on, stored_date
from retention.policies.ticket_ends import has_tickets


def filed_units(connection: sa.Connection, only: int | None = None) -> list[BesideUnit]:
    """Every unit of what is filed and there."""
    if only is not None and only >= 0:
        return []
    found: dict[str, BesideUnit] = {}
    keepers: _Keepers | None = None
    for record_class, key_id in _places(connection, only):
        for item in filed_items(connection, record_class, key_id, each=False):
            if item.key_id is None or item.gone is not None:
                continue
            unit = found.setdefault(item.key_id, BesideUnit(record_class, item.key_id))
            unit.months.add(f"{stored_date(item.made):%Y-%m}")
            unit.bytes_stored += item.bytes_stored
            unit.add(item.ended, item.count)
            if not item.empty:
                keepers = keepers or _Keepers(connection)
                if names := keepers.of(item):
                    unit.held[item.item_id] = (names, item.ended)
    return list(found.values())


def _places(connection: sa.Connection, only: int | None) -> list[tuple[str, str | None]]:
    """What is to be read: of every class all of it, or of the only unit its key."""
    if only is None:
        return [(record_class, None) for record_class in FILED]
    return [
        (record_class, key_id)
        for record_class in FILED
        for key_id in filed_keys(connection, record_class)
        if number_of(key_id) == only
    ]


def filed_staying(
    connection: sa.Connection, record_class: str, key_id: str, policy: Policy, at: date
) -> dict[str, bool]:
    """Everything under a key, and whether it must stay on a day."""
    keepers = _Keepers(connection)
    return {
        item.item_id: item.ended is None
        or may_go_on(item.ended, policy.floor) > at
        or (not item.empty and bool(keepers.of(item)))
        for item in filed_items(connection, record_class, key_id)
        if item.gone is None
    }


class _Keepers:
    """What active holds keep of it."""

    def __init__(self, connection: sa.Connection) -> None:
        h = holds.c
        active = connection.execute(sa.select(holds).where(h.state == ACTIVE).order_by(h.hold_id)).all()
        self._spans = [hold for hold in active if hold.kind == SPAN and hold.record_class is None]
        self._accounts = [hold for hold in active if hold.kind == ACCOUNT]
        self._tickets = held_tickets(connection) if has_tickets(connection) else {}

    def of(self, item: Item) -> list[str]:
        names = {name for ticket_id in item.tickets for name in self._tickets.get(ticket_id, ())}
        for hold in self._spans:
            if (hold.until is None or item.made < hold.until) and (hold.since is None or item.last >= hold.since):
                names.add(hold.hold_id)
        if item.accounts:
            # Whom a hold from before its target was noted means is known to the keys alone.
            names |= {hold.hold_id for hold in self._accounts if hold.target is None or hold.target in item.accounts}
        return sorted(names)
