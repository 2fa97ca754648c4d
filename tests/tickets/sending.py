"""What the tests of messages that go out share: a ticket with its order, a step of the outbox, what became of both."""

from __future__ import annotations

import sqlalchemy as sa

from tests.tickets.findings import CONTENT, take
from tickets.outbox import deliver
from tickets.queue import Ticket, get_ticket, list_tickets
from tickets.service import Desk
from tickets.states import Decision, Measure
from tickets.tables_sending import orders

SECRET = "s3cret-shared"


def disposed(desk: Desk) -> Ticket:
    take(desk.catalogue, desk.bodies, CONTENT)
    with desk.catalogue.read() as connection:
        number = list_tickets(connection)[0].ticket_id
    desk.confirm(number, Decision.ILLEGAL, "r")
    return desk.dispose(number, Measure.DELETE)


def step(desk: Desk, **more: object):
    return deliver(desk.catalogue, desk.bodies, desk.calendar, desk.settings, **more)


def again(desk: Desk, number: str) -> Ticket:
    with desk.catalogue.read() as connection:
        return get_ticket(connection, number)


def orders_of(desk: Desk) -> list[str]:
    with desk.catalogue.read() as connection:
        return list(connection.execute(sa.select(orders.c.state)).scalars())
