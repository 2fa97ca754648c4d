"""The outbox's step of timed work: delivers what is due, tries again with growing pauses, records what became of it.

Several workers may run it at once: each takes a message by moving its next time on, so one dies with a message in hand
at worst and another delivers it again under the same key.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from errors import LiucunError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies
from tickets.calendar.working_days import WorkingCalendar
from tickets.delivery.mail import send_mail
from tickets.delivery.robots import send_to_robot
from tickets.delivery.webhook import PlatformAnswer, send_order
from tickets.errors import DeliveryRefusedError
from tickets.messages import KAFKA, MAIL, PLATFORM, ROBOT, message_context
from tickets.service import Desk
from tickets.settings import TicketSettings
from tickets.tables_sending import orders, outbox

ACTOR: Final = "system:outbox"
LEASE: Final = timedelta(minutes=3)
"""How long a message in hand is left to whoever took it."""
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 900.0
MAX_ATTEMPTS: Final = 120
"""About a day: then it stands as failed, with an event, until somebody sends it again."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Counts of one step: sent, to be tried again, given up."""

    sent: int = 0
    again: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A message without its body: ``state`` is waiting, sent or failed."""

    id: int
    channel: str
    subject: str
    created_at: str
    next_at: str
    attempts: int
    state: str
    error: str | None
    sent_at: str | None


def deliver(
    catalogue: Catalogue,
    bodies: Bodies,
    calendar: WorkingCalendar,
    settings: TicketSettings,
    *,
    now: datetime | None = None,
    limit: int = 100,
) -> Delivered:
    """Deliver what is due, at most ``limit`` messages. A failed message never stops the next."""
    counts = {"sent": 0, "again": 0, "failed": 0}
    desk = Desk(catalogue, bodies, calendar, ACTOR, settings)
    for _ in range(limit):
        row = _take(catalogue, now or datetime.now(UTC))
        if row is None:
            break
        try:
            answer = _send(bodies, settings, row)
        except LiucunError as error:
            counts[_record_failure(catalogue, row, error, now or datetime.now(UTC))] += 1
            if isinstance(error, DeliveryRefusedError) and row.channel == PLATFORM:
                _refuse(desk, row, error)
        else:
            _record_sent(catalogue, row)
            counts["sent"] += 1
            if answer is not None and answer.acknowledged:
                _acknowledge(desk, row, answer)
    return Delivered(**counts)


def list_outbox(connection: sa.Connection, *, state: str | None = None, limit: int = 100) -> list[OutboxEntry]:
    """Messages, newest first."""
    o = outbox.c
    columns = (o.id, o.channel, o.subject, o.created_at, o.next_at, o.attempts, o.state, o.error, o.sent_at)
    chosen = sa.select(*columns).order_by(o.id.desc()).limit(limit)
    if state is not None:
        chosen = chosen.where(o.state == state)
    return [OutboxEntry(*row) for row in connection.execute(chosen)]


def send_again(connection: sa.Connection, actor: str, entry: int) -> bool:
    """Put a failed message back; whether there was one."""
    o = outbox.c
    values = {"state": "waiting", "next_at": timestamp(), "attempts": 0}
    moved = connection.execute(outbox.update().where(o.id == entry, o.state == "failed").values(**values)).rowcount
    if moved:
        events.append(connection, kind="outbox.sent_again", actor=actor, subject=f"outbox:{entry}", body={})
    return bool(moved)


def _take(catalogue: Catalogue, now: datetime) -> Any:
    o = outbox.c
    with catalogue.write(row_locks=True) as connection:
        row = connection.execute(
            sa.select(outbox)
            .where(o.state == "waiting", o.next_at <= timestamp(now))
            .order_by(o.next_at, o.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if row is not None:
            connection.execute(
                outbox.update().where(o.id == row.id).values(next_at=timestamp(now + LEASE), attempts=row.attempts + 1)
            )
        return row


def _send(bodies: Bodies, settings: TicketSettings, row: Any) -> PlatformAnswer | None:
    message: Mapping[str, Any] = json.loads(bodies.open(row.body, message_context(row.key)))
    if row.channel == PLATFORM:
        if not settings.platform.url:
            raise DeliveryRefusedError("No platform is set up any more.", cure="Set [tickets.platform] url.")
        return send_order(settings.platform, row.key, message)
    if row.channel == KAFKA:
        from tickets.delivery.kafka import send_to_topic  # the client takes a while to load

        send_to_topic(settings.platform, row.key, message)
        return None
    if row.channel == MAIL:
        send_mail(settings.mail, row.key, message["title"], message["text"], message["recipients"])
        return None
    name = row.channel.removeprefix(ROBOT)
    robot = next((robot for robot in settings.robot if robot.name == name), None)
    if robot is None:
        raise DeliveryRefusedError(f"There is no robot {name!r} any more.", cure="Set it up in [[tickets.robot]].")
    send_to_robot(robot, message["title"], message["text"])
    return None


def _record_sent(catalogue: Catalogue, row: Any) -> None:
    with catalogue.write(row_locks=True) as connection:
        values = {"state": "sent", "sent_at": timestamp(), "error": None}
        connection.execute(outbox.update().where(outbox.c.id == row.id).values(**values))
        events.append(
            connection,
            kind="outbox.sent",
            actor=ACTOR,
            subject=row.subject,
            body={"channel": row.channel, "attempts": row.attempts + 1},
        )


def _record_failure(catalogue: Catalogue, row: Any, error: LiucunError, now: datetime) -> str:
    attempts = row.attempts + 1
    final = isinstance(error, DeliveryRefusedError) or attempts >= MAX_ATTEMPTS
    pause = min(FIRST_PAUSE * 2 ** min(attempts - 1, 12), LONGEST_PAUSE) * random.uniform(0.8, 1.2)
    with catalogue.write(row_locks=True) as connection:
        connection.execute(
            outbox.update()
            .where(outbox.c.id == row.id)
            .values(
                state="failed" if final else "waiting",
                next_at=timestamp(now + timedelta(seconds=pause)),
                error=error.what[:500],
            )
        )
        if final:
            events.append(
                connection,
                kind="outbox.failed",
                actor=ACTOR,
                subject=row.subject,
                body={"channel": row.channel, "attempts": attempts, "error": type(error).__name__},
            )
    return "failed" if final else "again"


def _acknowledge(desk: Desk, row: Any, answer: PlatformAnswer) -> None:
    moment = min(answer.effective_at, datetime.now(UTC)) if answer.effective_at else None
    for order_id in _orders_of(desk, row):
        desk.acknowledge_order(order_id, effective_at=moment, reference=answer.reference)


def _refuse(desk: Desk, row: Any, error: LiucunError) -> None:
    for order_id in _orders_of(desk, row):
        desk.refuse_order(order_id, error.what)


def _orders_of(desk: Desk, row: Any) -> list[str]:
    """The order that a message carries, if it still waits for its answer."""
    message = json.loads(desk.bodies.open(row.body, message_context(row.key)))
    with desk.catalogue.read() as connection:
        chosen = sa.select(orders.c.order_id).where(orders.c.order_id == message["order"], orders.c.state == "waiting")
        return list(connection.execute(chosen).scalars())
