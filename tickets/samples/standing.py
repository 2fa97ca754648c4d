"""How human review stands: the miss rate by day, week and type of content, and what waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from tickets.samples.rates import Rate, Stratum, rate_of
from tickets.samples.tables import GONE, HARMLESS, ILLEGAL, WAITING
from tickets.samples.tables import days as day_table
from tickets.samples.tables import samples as table
from tickets.samples.tables import strata as strata_table
from tickets.states import State
from tickets.tables import tickets as ticket_table


@dataclass(frozen=True, slots=True)
class Standing:
    """Rates over a span of days [since, until), and counts. ``by_week`` is keyed by its Monday."""

    total: Rate
    by_day: dict[str, Rate]
    by_week: dict[str, Rate]
    by_type: dict[str, Rate]
    waiting: int
    gone: int
    flagged: int
    undrawn: tuple[str, ...]
    """Days of the span without a sample, from the first day ever drawn on."""
    tickets: tuple[str, ...]
    """Tickets of what was missed."""

    def as_json(self) -> dict[str, Any]:
        """For programs: rates and interval as numbers in [0, 1]."""
        return {
            "total": asdict(self.total),
            **{
                name: {key: asdict(rate) for key, rate in getattr(self, name).items()}
                for name in ("by_day", "by_week", "by_type")
            },
            **{name: getattr(self, name) for name in ("waiting", "gone", "flagged", "undrawn", "tickets")},
        }


def standing(
    connection: sa.Connection, *, since: date | None = None, until: date | None = None, due: date | None = None
) -> Standing:
    """Count and estimate. A miss whose ticket was dismissed or reversed was none.

    Args:
        due: the last day whose sample should have been drawn by now; None counts gaps between drawn days only.
    """
    d, c = day_table.c, table.c
    span = sa.and_(
        d.day >= since.isoformat() if since else sa.true(), d.day < until.isoformat() if until else sa.true()
    )
    first = connection.execute(sa.select(sa.func.min(d.day))).scalar_one()
    drawn_days = {row.day: int(row.flagged) for row in connection.execute(sa.select(d.day, d.flagged).where(span))}
    passed: dict[tuple[str, str], int] = {}
    for row in connection.execute(sa.select(strata_table).join(day_table, d.day == strata_table.c.day).where(span)):
        passed[row.day, row.content_type] = int(row.passed)
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    t = ticket_table.c
    undone = t.state.in_([State.DISMISSED.value, State.REVERSED.value])
    for row in connection.execute(
        sa.select(c.day, c.content_type, c.state, undone.label("undone"), sa.func.count().label("texts"))
        .select_from(table.join(day_table, d.day == c.day).outerjoin(ticket_table, t.ticket_id == c.ticket_id))
        .where(span)
        .group_by(c.day, c.content_type, c.state, undone)
    ):
        state = HARMLESS if row.state == ILLEGAL and row.undone else row.state
        counts[row.day, row.content_type][state] += int(row.texts)
    found = {key: _stratum(passed.get(key, 0), counts[key]) for key in passed.keys() | counts.keys()}
    missed = connection.execute(
        sa.select(c.ticket_id)
        .select_from(table.join(day_table, d.day == c.day).join(ticket_table, t.ticket_id == c.ticket_id))
        .where(span, c.state == ILLEGAL, sa.not_(undone))
        .order_by(c.judged_at)
    ).scalars()
    return Standing(
        total=rate_of(found.values()),
        by_day={day: rate_of(v for k, v in found.items() if k[0] == day) for day in sorted(drawn_days)},
        by_week=_grouped(found, drawn_days, _monday),
        by_type={
            kind: rate_of(v for k, v in found.items() if k[1] == kind) for kind in sorted({kind for _, kind in found})
        },
        waiting=sum(one[WAITING] for one in counts.values()),
        gone=sum(one[GONE] for one in counts.values()),
        flagged=sum(drawn_days.values()),
        undrawn=_undrawn(
            drawn_days,
            max(date.fromisoformat(first), since or date.min) if first else None,
            due if until is None or due is None else min(due, until - timedelta(days=1)),
        ),
        tickets=tuple(str(number) for number in missed),
    )


def _stratum(passed: int, counts: dict[str, int]) -> Stratum:
    return Stratum(passed, sum(counts.values()), counts[HARMLESS] + counts[ILLEGAL], counts[ILLEGAL])


def _monday(day: str) -> str:
    found = date.fromisoformat(day)
    return (found - timedelta(days=found.weekday())).isoformat()


def _grouped(
    found: dict[tuple[str, str], Stratum], days: Iterable[str], group: Callable[[str], str]
) -> dict[str, Rate]:
    return {
        name: rate_of(v for k, v in found.items() if group(k[0]) == name) for name in sorted({group(d) for d in days})
    }


def _undrawn(days: Iterable[str], first: date | None, due: date | None) -> tuple[str, ...]:
    """Days without a sample from ``first`` to the last that has one or should, none where nothing was ever drawn."""
    there = set(days)
    last = max((*map(date.fromisoformat, there), *(() if due is None else (due,))), default=None)
    if first is None or last is None:
        return ()
    every = ((first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1))
    return tuple(day for day in every if day not in there)
