"""Reviewing samples 抽检复核: harmless or illegal; what was missed becomes a ticket in the same step.

The texts are read from the archive when they are shown, by a recorded query: what is restricted or destroyed by then is
not shown, and leaves the sample on record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from errors import UsageError
from retention.catalogue import events
from retention.catalogue.tables import timestamp
from retention.policies.periods import SHANGHAI
from retention.query.run import Limits, Parts, Rendered, run_query
from retention.schema import RecordClass
from tickets.actors import Actor, Right
from tickets.bodies import Bodies
from tickets.categories import categories
from tickets.errors import TicketChangedError
from tickets.opening import ContentFinding, Hit, open_or_extend, prepare
from tickets.samples.draw import column_of, word
from tickets.samples.tables import GONE, HARMLESS, ILLEGAL, WAITING
from tickets.samples.tables import samples as table
from tickets.settings import TicketSettings
from tickets.tables import tickets as ticket_table
from tickets.telling import Opening

PURPOSE: Final = "人工抽检复核 human review of a random sample"
RULE: Final = "human:sample"
"""The rule that a ticket opened from a sample names; its channel is 人工巡查."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A drawn text's place and what was decided."""

    sample_id: str
    day: str
    source: str
    partition: str
    offset: int
    field: str
    record_class: str
    content_type: str
    state: str
    category: str | None
    judged_by: str | None
    judged_at: str | None
    ticket_id: str | None
    version: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A sample with its text as the archive has it."""

    sample: Sample
    text: str
    user_id: str | None
    content_id: str | None
    event_time: datetime


def list_samples(
    connection: sa.Connection,
    *,
    states: Iterable[str] = (WAITING,),
    day: str | None = None,
    newest: bool = False,
    limit: int = 50,
) -> list[Sample]:
    """Samples in the order of days and ranks, so that any beginning of a day is a random sample itself."""
    c = table.c
    chosen = sa.select(*(c[name] for name in Sample.__slots__)).where(c.state.in_(list(states)))
    if day is not None:
        chosen = chosen.where(c.day == day)
    order = (c.judged_at.desc(), c.rank) if newest else (c.day, c.rank)
    return [Sample(*row) for row in connection.execute(chosen.order_by(*order).limit(limit))]


def get_sample(connection: sa.Connection, sample_id: str) -> Sample:
    """One sample.

    Raises:
        UsageError: there is none of this number.
    """
    c = table.c
    row = connection.execute(
        sa.select(*(c[name] for name in Sample.__slots__)).where(c.sample_id == sample_id)
    ).one_or_none()
    if row is None:
        raise UsageError(f"There is no sample {sample_id[:40]!r}.", cure="`liucun review list` shows them.")
    return Sample(*row)


def show(parts: Parts, sample: Sample, *, actor: str) -> Shown | None:
    """The text of a sample; None when the archive does not give it any more.

    Raises:
        LiucunError: as of ``run_query``.
    """
    begin = datetime.combine(date.fromisoformat(sample.day), time(), SHANGHAI)
    view = RecordClass(sample.record_class).view
    sql = (
        f"SELECT {column_of(sample.field)} AS found, user_id, content_id, event_time FROM {view} "  # noqa: S608
        f"WHERE event_time >= TIMESTAMPTZ {word(begin.isoformat())} "
        f"AND event_time < TIMESTAMPTZ {word((begin + timedelta(days=1)).isoformat())} "
        f"AND log_source = {word(sample.source)} AND log_partition = {word(sample.partition)} "
        f"AND log_offset = {int(sample.offset)}"
    )
    rows: list[dict[str, Any]] = []

    def keep(result: pa.Table) -> Rendered:
        rows.extend(result.to_pylist())
        return Rendered(json.dumps(len(rows)).encode(), "json")

    run_query(parts, sql, purpose=PURPOSE, actor=actor, render=keep, limits=Limits(seconds=60.0))
    if not rows or not rows[0]["found"]:
        return None
    row = rows[0]
    return Shown(sample, row["found"], row["user_id"], row["content_id"], row["event_time"])


def set_aside(parts: Parts, sample: Sample, *, actor: str) -> None:
    """Take a sample that cannot be shown any more out of the queue; it counts as not reviewed."""
    with parts.catalogue.write() as connection:
        changed = connection.execute(
            table.update()
            .where(table.c.sample_id == sample.sample_id, table.c.state == WAITING)
            .values(state=GONE, version=table.c.version + 1)
        )
        if changed.rowcount:
            events.append(
                connection,
                kind="sample.gone",
                actor=actor,
                subject=f"sample:{sample.sample_id}",
                body={"day": sample.day},
            )


def next_shown(parts: Parts, *, actor: str, skip: Iterable[str] = ()) -> Shown | None:
    """The first waiting sample that can be shown; those that cannot are set aside. None when none waits."""
    passed = set(skip)
    while True:
        with parts.catalogue.read() as connection:
            waiting = [one for one in list_samples(connection, limit=len(passed) + 1) if one.sample_id not in passed]
        if not waiting:
            return None
        found = show(parts, waiting[0], actor=actor)
        if found is not None:
            return found
        set_aside(parts, waiting[0], actor=actor)


def judge(
    parts: Parts,
    bodies: Bodies,
    sample_id: str,
    *,
    actor: Actor,
    category: str | None,
    version: int | None = None,
    severity: int = 3,
    settings: TicketSettings | None = None,
) -> Sample:
    """Decide on a sample: ``category`` None is harmless, else it was missed, and a ticket of it is opened at once.

    A harmless one may be found illegal later; an illegal one is decided on its ticket.

    Raises:
        NotPermittedError: the actor may not judge content.
        TicketChangedError: somebody else decided meanwhile.
        UsageError: there is no such category or sample, or it is no longer to be seen.
    """
    actor.require(Right.TICKETS_WORK)
    if category is not None and category not in categories():
        raise UsageError(f"There is no category {category[:40]!r}.", cure=f"There are {', '.join(categories())}.")
    with parts.catalogue.read() as connection:
        sample = get_sample(connection, sample_id)
    _check(sample, version, category)
    prepared = None
    if category is not None:
        shown = show(parts, sample, actor=actor.name)
        if shown is None:
            set_aside(parts, sample, actor=actor.name)
            raise UsageError(
                "The record is restricted or destroyed by now: nothing was opened.", cure="Go on with the next one."
            )
        prepared = prepare(
            bodies,
            [_finding(shown, category, severity)],
            now=datetime.now(UTC),
            opening=Opening.of(settings or TicketSettings()),
        )
    with parts.catalogue.write() as connection:
        locked = connection.execute(
            sa.select(table.c.version).where(table.c.sample_id == sample_id).with_for_update()
        ).scalar_one()
        if locked != sample.version:
            raise TicketChangedError(f"The sample {sample_id} was decided meanwhile.", cure="Go on with the next one.")
        ticket_id = None
        if prepared is not None:
            open_or_extend(connection, prepared)
            ticket_id = connection.execute(
                sa.select(ticket_table.c.ticket_id)
                .where(ticket_table.c.content_key == prepared.contents[0].key)
                .order_by(ticket_table.c.sequence.desc())
                .limit(1)
            ).scalar_one()
        connection.execute(
            table.update()
            .where(table.c.sample_id == sample_id)
            .values(
                state=HARMLESS if category is None else ILLEGAL,
                category=category,
                judged_by=actor.name,
                judged_at=timestamp(),
                ticket_id=ticket_id,
                version=sample.version + 1,
            )
        )
        body = {"day": sample.day, "verdict": HARMLESS if category is None else ILLEGAL, "category": category}
        events.append(
            connection,
            kind="sample.judged",
            actor=actor.name,
            subject=f"sample:{sample_id}",
            body={**body, "ticket": ticket_id},
        )
        return get_sample(connection, sample_id)


def _check(sample: Sample, version: int | None, category: str | None) -> None:
    if version is not None and version != sample.version:
        raise TicketChangedError(
            f"The sample {sample.sample_id} was decided meanwhile.", cure="Go on with the next one."
        )
    if sample.state == ILLEGAL:
        raise UsageError(
            f"The sample {sample.sample_id} was found illegal: its ticket is {sample.ticket_id}.",
            cure="Dismiss the ticket if that was wrong; then it does not count as missed.",
        )
    if sample.state == GONE or (sample.state == HARMLESS and category is None):
        raise UsageError(f"The sample {sample.sample_id} is {sample.state} already.", cure="Go on with the next one.")


def _finding(shown: Shown, category: str, severity: int) -> ContentFinding:
    sample = shown.sample
    hit = Hit(
        rule=RULE,
        category=category,
        subtype=None,
        severity=severity,
        start=0,
        end=len(shown.text),
        matched=shown.text,
        score=1.0,
        version=sample.sample_id,
    )
    return ContentFinding(
        source=sample.source,
        partition=sample.partition,
        offset=sample.offset,
        content_id=shown.content_id,
        record_class=sample.record_class,
        user_id=shown.user_id,
        field=sample.field,
        text=shown.text,
        event_time=shown.event_time,
        findings=(hit,),
        details={"reference": f"sample {sample.sample_id} of {sample.day}"},
    )
