"""Notices to people: written into the outbox for mail and every group robot. They name tickets, never content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from tickets.bodies import Bodies
from tickets.messages import MAIL, ROBOT, put
from tickets.settings import TicketSettings

_NAMED: Final = 20


def notify(
    connection: sa.Connection,
    bodies: Bodies,
    settings: TicketSettings,
    *,
    key: str,
    subject: str,
    title: str,
    lines: Sequence[str],
    escalate: bool = False,
    tickets: Sequence[str] = (),
) -> int:
    """Write one notice for each way out and return how many; ``key`` makes each go out once.

    ``escalate``: also to those who are told only when it is serious. ``tickets``: those that the lines name.
    """
    more = [f"… 另有 {len(lines) - _NAMED} 条, {len(lines) - _NAMED} more"] if len(lines) > _NAMED else []
    text = "\n".join([*lines[:_NAMED], *more])
    said = {"title": f"【{'升级 ' if escalate else ''}留存】{title}", "text": text}
    written = 0
    recipients = [*settings.mail.recipients, *(settings.mail.escalation if escalate else ())]
    if settings.mail.host and recipients:
        body = {**said, "recipients": list(dict.fromkeys(recipients))}
        put(connection, bodies, channel=MAIL, subject=subject, key=f"{key}\x00mail", body=body, tickets=tickets)
        written += 1
    for robot in settings.robot:
        if escalate or not robot.only_escalations:
            channel = f"{ROBOT}{robot.name}"
            put(
                connection,
                bodies,
                channel=channel,
                subject=subject,
                key=f"{key}\x00{channel}",
                body=said,
                tickets=tickets,
            )
            written += 1
    return written
