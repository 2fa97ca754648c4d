"""Subjects without news, and the decision of two people that one of them has ended.

An open order never expires by itself. One that nobody has heard of for 180 days is listed; a person proposes the
day on which it ended, another approves, and from then on it counts like any other.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.tables import segments, timestamp
from retention.policies.errors import PolicyStateError, PolicyUnknownError
from retention.policies.follow import Parts, apply_decisions, blinder
from retention.policies.listings import is_listing
from retention.policies.periods import shanghai_date
from retention.policies.subject_ends import still_open
from retention.policies.tables import decisions, segment_subjects, subjects, unit_segments
from retention.second_person import check_second_person


@dataclass(frozen=True, slots=True)
class Silent:
    """An open subject without news: where one of its records stands, since when, how many records wait for it."""

    record_class: str
    blind: str
    news_on: str
    records: int
    segment_id: str


def silent(connection: sa.Connection, today: date, days: int, limit: int = 1000) -> list[Silent]:
    """Open subjects whose last record is over ``days`` days old, ``limit`` at most, the longest silent first."""
    c, m, n, g = subjects.c, unit_segments.c, segment_subjects.c, segments.c
    rows = connection.execute(
        sa.select(
            c.record_class,
            c.blind,
            c.news_on,
            sa.func.sum(n.rows).label("records"),
            sa.func.min(m.segment_id).label("segment_id"),
        )
        .select_from(
            subjects.join(segment_subjects, n.blind == c.blind)
            .join(unit_segments, m.number == n.number)
            .join(segments, sa.and_(g.segment_id == m.segment_id, g.record_class == c.record_class))
        )
        .where(*_silent_since(today, days))
        .group_by(c.record_class, c.blind, c.news_on)
        .order_by(c.news_on, c.blind)
        .limit(limit)
    )
    return [Silent(row[0], bytes(row[1]).hex(), row[2], int(row[3]), row[4]) for row in rows]


def count_silent(connection: sa.Connection, today: date, days: int) -> tuple[int, str | None]:
    """How many ``silent`` would list without a limit, and since when the longest of them is."""
    c = subjects.c
    named = sa.select(segment_subjects.c.number).where(segment_subjects.c.blind == c.blind).exists()
    chosen = sa.select(sa.func.count(), sa.func.min(c.news_on)).where(*_silent_since(today, days), named)
    count, first = connection.execute(chosen).one()
    return int(count), first


def _silent_since(today: date, days: int) -> tuple[sa.ColumnElement[bool], ...]:
    before = (today - timedelta(days=days)).isoformat()
    # A listing that is up is on sale, not silent; one that is down waits for orders, which are named themselves.
    return still_open(), subjects.c.news_on < before, sa.not_(is_listing())


def propose_end(
    parts: Parts,
    record_class: str,
    name: str,
    *,
    ended_on: date,
    reason: str,
    actor: str,
    now: datetime,
    is_blind: bool = False,
) -> str:
    """Propose that a subject ended on a day; returns the decision's id. ``is_blind``: ``name`` is the hash in a list.

    Raises:
        PolicyUnknownError: there is no such subject in the archive.
        PolicyStateError: it has ended already, the day lies before its last record or in the future, or no reason is
            given.
    """
    if not reason.strip():
        raise PolicyStateError("A decision needs its reason.", cure="Say in a few words what shows that it ended.")
    blind = _named(parts, record_class, name, is_blind=is_blind)
    decision_id = f"D{secrets.token_hex(8)}"
    sealed = parts.bodies.seal(
        json.dumps({"name": name, "reason": reason}, ensure_ascii=False).encode("utf-8", "surrogatepass"),
        f"decision:{decision_id}".encode(),
    )
    with parts.catalogue.write() as connection:
        row = _subject(connection, record_class, blind)
        if not row.open:
            raise PolicyStateError("This one has ended already.", cure="Nothing is to be decided about it.")
        if not row.news_on <= ended_on.isoformat() <= shanghai_date(now).isoformat():
            raise PolicyStateError(
                f"It cannot have ended on {ended_on}: its last record is of {row.news_on}.",
                cure="Give a day from its last record to today.",
            )
        connection.execute(
            decisions.insert().values(
                decision_id=decision_id,
                record_class=record_class,
                blind=blind,
                sealed=sealed,
                ended_on=ended_on.isoformat(),
                state="proposed",
                proposed_by=actor,
                proposed_at=timestamp(now),
            )
        )
        _event(connection, "decision.proposed", actor, decision_id, record_class, ended_on.isoformat(), now)
    return decision_id


def approve_end(parts: Parts, decision_id: str, *, actor: str, now: datetime) -> None:
    """Approve a decision as another person: the subject counts from the day decided, or from any later record of it.

    Raises:
        SecondPersonError: who proposed it may not approve it.
        PolicyUnknownError, PolicyStateError: there is no such proposal, or it is approved already.
    """
    d = decisions.c
    with parts.catalogue.write() as connection:
        row = connection.execute(sa.select(decisions).where(d.decision_id == decision_id)).one_or_none()
        if row is None:
            raise PolicyUnknownError(
                f"There is no decision {decision_id[:40]!r}.", cure="`liucun retention silent` lists what is open."
            )
        if row.state != "proposed":
            raise PolicyStateError(f"Decision {decision_id} is {row.state} already.", cure="Nothing is to be done.")
        check_second_person(actor, row.proposed_by, what=f"decision {decision_id}")
        connection.execute(
            decisions.update()
            .where(d.decision_id == decision_id)
            .values(state="approved", approved_by=actor, approved_at=timestamp(now))
        )
        _event(connection, "decision.approved", actor, decision_id, row.record_class, row.ended_on, now)
    apply_decisions(parts.catalogue, blinder(parts))


def _named(parts: Parts, record_class: str, name: str, *, is_blind: bool) -> bytes:
    if not is_blind:
        return blinder(parts)(record_class, name)
    try:
        return bytes.fromhex(name)
    except ValueError as error:
        raise PolicyUnknownError(
            f"{name[:40]!r} is no hash.", cure="Copy it from `liucun retention silent`."
        ) from error


def _subject(connection: sa.Connection, record_class: str, blind: bytes) -> sa.Row[Any]:
    c = subjects.c
    row = connection.execute(
        sa.select(subjects, still_open().label("open")).where(c.record_class == record_class, c.blind == blind)
    ).one_or_none()
    if row is None:
        raise PolicyUnknownError(
            f"The archive knows no such {record_class[:40]}.", cure="Copy it from `liucun retention silent`."
        )
    return row


def _event(
    connection: sa.Connection, kind: str, actor: str, decision_id: str, record_class: str, ended_on: str, now: datetime
) -> None:
    events.append(
        connection,
        kind=kind,
        actor=actor,
        subject=f"decision:{decision_id}",
        body={"class": record_class, "ended_on": ended_on},
        at=now,
    )
