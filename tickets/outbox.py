"""The outbox's step of timed work: delivers what is due, tries again with growing pauses, records what became of it.

Several workers may run it at once: each takes a message by moving its next time on, so one dies with a message in hand
at worst and another delivers it again under the same key. Findings come after everything else, and a channel that does
not answer is left alone for the rest of the step: no order waits behind a topic that is away.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import sqlalchemy as sa

from errors import LiucunError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies
from tickets.calendar.working_days import WorkingCalendar
from tickets.delivery.mail import send_mail
from tickets.delivery.robots import send_to_robot
from tickets.delivery.webhook import PlatformAnswer, send_to_platform
from tickets.errors import DeliveryRefusedError
from tickets.messages import FINDINGS, FINDINGS_KAFKA, KAFKA, MAIL, PLATFORM, ROBOT, message_context, order_key
from tickets.service import Desk
from tickets.settings import PlatformTopic, TicketSettings
from tickets.tables_sending import orders, outbox, outbox_tickets

if TYPE_CHECKING:
    from tickets.delivery.kafka import Topics

ACTOR: Final = "system:outbox"
LEASE: Final = timedelta(minutes=3)
"""How long a message in hand is left to whoever took it."""
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 900.0
MAX_ATTEMPTS: Final = 120
"""About a day: then it stands as failed, with an event, until somebody sends it again."""
SILENT: Final = 3
"""Failures of a channel, one after the other, after which a step leaves it alone."""
_ORDERS: Final = (PLATFORM, KAFKA)
_LAST: Final = (FINDINGS, FINDINGS_KAFKA)


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
    texts_gone: str | None = None
    """The purge that destroyed what it said, of one that never went out."""


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
    silent: Counter[str] = Counter()
    with _Ways(bodies, settings) as ways:
        for _ in range(limit):
            skipped = [channel for channel, failures in silent.items() if failures >= SILENT]
            row = _take(catalogue, now or datetime.now(UTC), skipped)
            if row is None:
                break
            try:
                answer = ways.send(row)
            except LiucunError as error:
                outcome = _record_failure(catalogue, row, error, now or datetime.now(UTC))
                counts[outcome] += 1
                silent[row.channel] = 0 if isinstance(error, DeliveryRefusedError) else silent[row.channel] + 1
                if outcome == "failed" and row.channel in _ORDERS:
                    _refuse(desk, row, error)
            else:
                _record_sent(catalogue, row)
                counts["sent"] += 1
                silent[row.channel] = 0
                if answer is not None and answer.acknowledged:
                    _acknowledge(desk, row, answer)
    return Delivered(**counts)


def list_outbox(connection: sa.Connection, *, state: str | None = None, limit: int = 100) -> list[OutboxEntry]:
    """Messages, newest first."""
    o = outbox.c
    columns: list[sa.ColumnElement[Any]] = [
        o.id,
        o.channel,
        o.subject,
        o.created_at,
        o.next_at,
        o.attempts,
        o.state,
        o.error,
        o.sent_at,
        o.texts_gone,
    ]
    chosen = sa.select(*columns).order_by(o.id.desc()).limit(limit)
    if state is not None:
        chosen = chosen.where(o.state == state)
    return [OutboxEntry(*row) for row in connection.execute(chosen)]


def send_again(connection: sa.Connection, actor: str, entry: int) -> bool:
    """Put a failed message back; whether there was one whose text is still there."""
    o = outbox.c
    values = {"state": "waiting", "next_at": timestamp(), "attempts": 0}
    moved = connection.execute(
        outbox.update().where(o.id == entry, o.state == "failed", o.texts_gone.is_(None)).values(**values)
    ).rowcount
    if moved:
        events.append(connection, kind="outbox.sent_again", actor=actor, subject=f"outbox:{entry}", body={})
    return bool(moved)


def _take(catalogue: Catalogue, now: datetime, skipped: Sequence[str] = ()) -> Any:
    o = outbox.c
    last = sa.case((o.channel.in_(_LAST), 1), else_=0)
    with catalogue.write(row_locks=True) as connection:
        row = connection.execute(
            sa.select(outbox)
            .where(o.state == "waiting", o.next_at <= timestamp(now), o.channel.not_in(skipped))
            .order_by(last, o.next_at, o.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if row is not None:
            connection.execute(
                outbox.update().where(o.id == row.id).values(next_at=timestamp(now + LEASE), attempts=row.attempts + 1)
            )
        return row


class _Ways:
    """The ways out of the house, each by the channel's name."""

    def __init__(self, bodies: Bodies, settings: TicketSettings) -> None:
        self._bodies = bodies
        self._settings = settings
        self._topics: Topics | None = None

    def send(self, row: Any) -> PlatformAnswer | None:
        """Send a message; what the platform said where it may answer."""
        message: Mapping[str, Any] = json.loads(self._bodies.open(row.body, message_context(row.key)))
        platform = self._settings.platform
        match row.channel:
            case channel if channel == PLATFORM:
                return self._to_platform(platform.url, row.key, message)
            case channel if channel == FINDINGS:
                self._to_platform(platform.findings.url, row.key, message)
            case channel if channel == KAFKA:
                self._to_topic(platform.kafka, [(row.key, message)])
            case channel if channel == FINDINGS_KAFKA:
                found = [{"type": "finding", **found} for found in message["findings"]]
                self._to_topic(platform.findings.kafka, [(f"{row.key}-{n}", said) for n, said in enumerate(found)])
            case channel if channel == MAIL:
                send_mail(self._settings.mail, row.key, message["title"], message["text"], message["recipients"])
            case channel:
                self._to_robot(channel.removeprefix(ROBOT), message)
        return None

    def _to_platform(self, url: str, key: str, message: Mapping[str, Any]) -> PlatformAnswer:
        if not url:
            raise DeliveryRefusedError("No such webhook is set up any more.", cure="Set its url in [tickets.platform].")
        return send_to_platform(self._settings.platform, url, key, message)

    def _to_topic(self, topic: PlatformTopic | None, messages: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        if topic is None:
            raise DeliveryRefusedError("No such topic is set up any more.", cure="Set it in [tickets.platform].")
        if self._topics is None:
            from tickets.delivery.kafka import Topics  # the client takes a while to load

            self._topics = Topics(self._settings.platform)
        self._topics.send(topic, messages)

    def _to_robot(self, name: str, message: Mapping[str, Any]) -> None:
        robot = next((robot for robot in self._settings.robot if robot.name == name), None)
        if robot is None:
            raise DeliveryRefusedError(f"There is no robot {name!r} any more.", cure="Set it up in [[tickets.robot]].")
        send_to_robot(robot, message["title"], message["text"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._topics is not None:
            self._topics.close()


def _record_sent(catalogue: Catalogue, row: Any) -> None:
    with catalogue.write(row_locks=True) as connection:
        # What was delivered is kept by whoever has it: no account's name stays here.
        values = {"state": "sent", "sent_at": timestamp(), "error": None, "body": b""}
        connection.execute(outbox.update().where(outbox.c.id == row.id).values(**values))
        connection.execute(outbox_tickets.delete().where(outbox_tickets.c.message == row.id))
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
    # Also an order that was refused: somebody sent it again.
    if (order_id := _order_of(desk, row, ("waiting", "refused"))) is not None:
        desk.acknowledge_order(order_id, effective_at=moment, reference=answer.reference)


def _refuse(desk: Desk, row: Any, error: LiucunError) -> None:
    """An order that no way is left for is refused; one that another way has taken, or may still take, is not."""
    order_id = _order_of(desk, row, ("waiting",))
    if order_id is None:
        return
    other = hashlib.sha256(order_key(order_id, PLATFORM if row.channel == KAFKA else KAFKA).encode()).hexdigest()
    with desk.catalogue.read() as connection:
        state = connection.execute(sa.select(outbox.c.state).where(outbox.c.key == other)).scalar_one_or_none()
    if state in (None, "failed"):
        desk.refuse_order(order_id, error.what)


def _order_of(desk: Desk, row: Any, states: Sequence[str]) -> str | None:
    """The order that a message carries, if it is in one of these states."""
    message = json.loads(desk.bodies.open(row.body, message_context(row.key)))
    with desk.catalogue.read() as connection:
        chosen = sa.select(orders.c.order_id).where(orders.c.order_id == message["order"], orders.c.state.in_(states))
        return connection.execute(chosen).scalar_one_or_none()
