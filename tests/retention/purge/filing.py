"""Tickets, reports and messages as they stood on days of a simulated clock."""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa

from liucun.store import TICKET_SCRIPTS
from retention.catalogue.migrate import migrate
from retention.catalogue.tables import events, timestamp
from retention.crypto.bodies import MESSAGES, REPORTS
from tests.retention.policies.world import World, at
from tickets.bodies import month_of
from tickets.messages import message_context, name_tickets
from tickets.opening import ContentFinding, Hit, open_or_extend, prepare
from tickets.reports.register import digests, report_context
from tickets.tables import tickets
from tickets.tables_sending import outbox, report_tickets, reports


def with_queue(world: World) -> World:
    """Give a world the queue's tables."""
    migrate(world.catalogue, room="tickets", script_location=TICKET_SCRIPTS)
    return world


def opened(world: World, name: str, offset: int, day: str) -> None:
    """A ticket about content ``name`` of account ``u`` + name."""
    hit = Hit("gambling/1", "gambling", None, 3, 0, 2, "赌球", 0.9, "test/1")
    content = ContentFinding(
        "app", "chat#1", offset, name, "content", f"u{name}", "text", f"赌球 {name}", at(day), (hit,)
    )
    ready = prepare(world.store.bodies, [content], now=at(day))
    with world.catalogue.write() as connection:
        open_or_extend(connection, ready)
    # The purge's clock is compared with the events': they have the machine's time.
    world.execute(events.update().where(events.c.at > "2026-06").values(at=timestamp(at(day))))


def ended(world: World, name: str, day: str | None) -> None:
    """It was closed on a day; None: it is open again."""
    values = {"state": "closed" if day else "disposed", "closed_at": timestamp(at(day)) if day else None}
    world.execute(tickets.update().where(tickets.c.content_id == name).values(**values))


def number(world: World, name: str) -> str:
    """The ticket's."""
    with world.catalogue.read() as connection:
        return str(connection.execute(sa.select(tickets.c.ticket_id).where(tickets.c.content_id == name)).scalar_one())


def reported(
    world: World, report_id: str, names: Sequence[str], day: str, *, state: str = "acknowledged",
    corrects: str | None = None, key: str | None = "month",
) -> None:  # fmt: skip
    """A report of tickets, as the register has it."""
    moment = timestamp(at(day))
    bodies = world.store.bodies
    plain = json.dumps({"says": report_id}).encode()
    sha256, sm3 = digests(plain)
    text_key = bodies.text_key(month_of(moment), REPORTS) if key else None
    out = state not in ("draft", "approved")
    with world.catalogue.write() as connection:
        connection.execute(
            reports.insert().values(
                report_id=report_id, recipient="telecom", corrects=corrects, state=state, created_at=moment,
                created_by="ann", submitted_at=moment if out else None, settled_at=moment if out else None,
                sha256=sha256, sm3=sm3, body=bodies.seal(plain, report_context(report_id), under=text_key), version=1,
                text_key=text_key,
            )
        )  # fmt: skip
        rows = [{"report_id": report_id, "ticket_id": number(world, name)} for name in names]
        connection.execute(report_tickets.insert(), rows)


def message(
    world: World, key: str, names: Sequence[str], day: str, *, state: str = "failed", sent: str | None = None,
    keyed: bool = True,
) -> int:  # fmt: skip
    """A message about tickets; one that was sent is empty."""
    moment = timestamp(at(day))
    bodies = world.store.bodies
    text_key = bodies.text_key(month_of(moment), MESSAGES) if keyed else None
    said = {"type": "findings", "findings": [{"ticket": number(world, name), "account": f"u{name}"} for name in names]}
    body = b"" if sent else bodies.seal(json.dumps(said).encode(), message_context(key), under=text_key)
    with world.catalogue.write() as connection:
        made = connection.execute(
            outbox.insert().values(
                key=key, channel="platform", subject="findings:F1", body=body, created_at=moment, next_at=moment,
                attempts=1, state="sent" if sent else state, sent_at=timestamp(at(sent)) if sent else None,
                error=None if sent else "refused", text_key=text_key,
            )
        )  # fmt: skip
        assert made.inserted_primary_key is not None
        entry = int(made.inserted_primary_key[0])
        if keyed and not sent:
            name_tickets(connection, {entry: [number(world, name) for name in names]})
    return entry
