"""The book of policies: proposals, the second person, the wait before a shorter period counts, and what is in force.

A longer period counts from its approval. A shorter one counts only after a wait, and even then destroys nothing by
itself: what has become due still needs a purge, which is planned and approved by two people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp
from retention.policies.errors import PolicyStateError, PolicyUnknownError
from retention.policies.model import CountedFrom, Matrix, Policy, Rank, shipped_matrix
from retention.policies.periods import CalendarPeriod, shanghai_date
from retention.policies.settings import RetentionSettings
from retention.policies.tables import policy_versions
from retention.second_person import check_second_person

_c = policy_versions.c


@dataclass(frozen=True, slots=True)
class Proposal:
    """A policy that somebody asked for, and how far it has come: proposed, approved, withdrawn."""

    policy: Policy
    state: str
    proposed_by: str
    shortens: bool


def in_force(connection: sa.Connection, on: date, matrix: Matrix | None = None) -> dict[str, Policy]:
    """The policy of every class on a day: of those that count by then the one approved last, else the shipped one.

    Versions are numbered as they are proposed; what was approved last is what the company wants, whatever its number.
    """
    found = dict((matrix or shipped_matrix()).policies)
    rows = connection.execute(
        sa.select(policy_versions)
        .where(_c.state == "approved", _c.in_force_from <= on.isoformat())
        .order_by(_c.record_class, _c.approved_at, _c.version)
    )
    for row in rows:
        found[row.record_class] = _policy(row)
    return found


def propose(
    catalogue: Catalogue,
    record_class: str,
    *,
    floor: CalendarPeriod,
    ceiling: CalendarPeriod | None,
    basis: str,
    rank: Rank,
    actor: str,
    now: datetime,
) -> Proposal:
    """Ask for another period of a class; nothing counts before another person approves.

    Raises:
        FloorError: it goes under a floor of the law or licence; the refusal is recorded too.
        PolicyUnknownError, PolicyFileError: no such class; ceiling under floor.
        PolicyStateError: no ground is named.
    """
    if not basis.strip():
        raise PolicyStateError("A policy needs its ground.", cure='Name it: --basis "a law and its article".')
    matrix = shipped_matrix()
    with catalogue.read() as connection:
        current = in_force(connection, shanghai_date(now)).get(record_class)
    if current is None:
        raise PolicyUnknownError(
            f"There is no record class {record_class[:40]!r}.", cure=f"Known: {', '.join(matrix.policies)}."
        )
    wanted = replace(
        current,
        floor=floor,
        ceiling=ceiling or CalendarPeriod(floor.years, floor.months + 3, floor.days),
        basis=basis,
        rank=rank,
    )
    shortens = wanted.floor.shorter_than(current.floor)
    try:
        matrix.check(wanted)
    except Exception:
        with catalogue.write() as connection:
            body = {"floor": str(floor), "basis": basis}
            events.append(
                connection, kind="policy.refused", actor=actor, subject=f"policy:{record_class}", body=body, at=now
            )
        raise
    with catalogue.write() as connection:
        newest = connection.execute(
            sa.select(sa.func.max(_c.version)).where(_c.record_class == record_class)
        ).scalar_one()
        wanted = replace(wanted, version=max(newest or 0, matrix.policies[record_class].version) + 1, approved_by="")
        connection.execute(
            policy_versions.insert().values(
                record_class=record_class,
                version=wanted.version,
                floor=str(wanted.floor),
                ceiling=str(wanted.ceiling),
                counted_from=wanted.counted_from.value,
                basis=basis,
                rank=rank.value,
                state="proposed",
                proposed_by=actor,
                proposed_at=timestamp(now),
            )
        )
        _event(connection, "policy.proposed", actor, wanted, now, shortens=shortens, before=str(current.floor))
    return Proposal(wanted, "proposed", actor, shortens)


def approve(
    catalogue: Catalogue, record_class: str, version: int, *, actor: str, now: datetime, settings: RetentionSettings
) -> Policy:
    """Approve a proposal as another person; a shorter period counts after ``policy_waiting_days``, a longer one today.

    Raises:
        SecondPersonError: who proposed it may not approve it.
        PolicyUnknownError, PolicyStateError: there is no such proposal, or it is decided already.
        FloorError: the floors of this version of the program forbid it.
    """
    with catalogue.write() as connection:
        row = _row(connection, record_class, version)
        check_second_person(actor, row.proposed_by, what=f"{record_class} v{version}")
        today = shanghai_date(now)
        wanted = _policy(row)
        shipped_matrix().check(wanted)
        shortens = wanted.floor.shorter_than(in_force(connection, today)[record_class].floor)
        starts = today + timedelta(days=settings.policy_waiting_days if shortens else 0)
        wanted = replace(wanted, approved_by=actor, in_force_from=starts)
        connection.execute(
            policy_versions.update()
            .where(_c.record_class == record_class, _c.version == version)
            .values(state="approved", approved_by=actor, approved_at=timestamp(now), in_force_from=starts.isoformat())
        )
        _event(connection, "policy.approved", actor, wanted, now, shortens=shortens, in_force_from=starts.isoformat())
    return wanted


def withdraw(catalogue: Catalogue, record_class: str, version: int, *, actor: str, now: datetime) -> None:
    """Take back a proposal, or an approved policy that does not count yet. Anybody with the right may.

    Raises:
        PolicyUnknownError, PolicyStateError: there is none, or it counts already: propose another one instead.
    """
    with catalogue.write() as connection:
        row = _row(connection, record_class, version, states=("proposed", "approved"))
        if row.state == "approved" and row.in_force_from <= shanghai_date(now).isoformat():
            raise PolicyStateError(
                f"{record_class} v{version} is in force since {row.in_force_from}.", cure="Propose another policy."
            )
        connection.execute(
            policy_versions.update()
            .where(_c.record_class == record_class, _c.version == version)
            .values(state="withdrawn")
        )
        _event(connection, "policy.withdrawn", actor, _policy(row), now)


def proposals(connection: sa.Connection, on: date) -> list[Proposal]:
    """Proposals, and approved policies that do not count yet and will: nothing approved since overtakes them."""
    current = in_force(connection, on)
    waiting = sa.or_(_c.state == "proposed", sa.and_(_c.state == "approved", _c.in_force_from > on.isoformat()))
    rows = connection.execute(sa.select(policy_versions).where(waiting).order_by(_c.record_class, _c.version))
    return [
        Proposal(
            _policy(row), row.state, row.proposed_by, _policy(row).floor.shorter_than(current[row.record_class].floor)
        )
        for row in rows.all()
        if row.state == "proposed" or _will_count(connection, row)
    ]


def _will_count(connection: sa.Connection, row: sa.Row[Any]) -> bool:
    """Whether an approved policy is in force on its own first day."""
    first = date.fromisoformat(row.in_force_from)
    return in_force(connection, first)[row.record_class].version == int(row.version)


def _row(
    connection: sa.Connection, record_class: str, version: int, states: tuple[str, ...] = ("proposed",)
) -> sa.Row[Any]:
    row = connection.execute(
        sa.select(policy_versions).where(_c.record_class == record_class, _c.version == version)
    ).one_or_none()
    if row is None:
        raise PolicyUnknownError(
            f"There is no policy {record_class[:40]} v{version}.", cure="`liucun retention show` lists them."
        )
    if row.state not in states:
        raise PolicyStateError(
            f"{record_class} v{version} is {row.state} already.", cure="Propose another policy if it should change."
        )
    return row


def _policy(row: sa.Row[Any]) -> Policy:
    return Policy(
        record_class=row.record_class,
        version=row.version,
        floor=CalendarPeriod.parse(row.floor),
        ceiling=CalendarPeriod.parse(row.ceiling),
        counted_from=CountedFrom(row.counted_from),
        basis=row.basis,
        rank=Rank(row.rank),
        approved_by=row.approved_by or "",
        in_force_from=date.fromisoformat(row.in_force_from) if row.in_force_from else date.max,
    )


def _event(connection: sa.Connection, kind: str, actor: str, policy: Policy, now: datetime, **more: object) -> None:
    body = {
        "version": policy.version,
        "floor": str(policy.floor),
        "ceiling": str(policy.ceiling),
        "basis": policy.basis,
    }
    events.append(
        connection, kind=kind, actor=actor, subject=f"policy:{policy.record_class}", body={**body, **more}, at=now
    )
