"""The rules that run, how often each spoke in tickets, and what people made of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from console.parts import Parts
from detectors.keywords.layers import read_layers
from detectors.keywords.rules import Problem, Rule
from retention.catalogue.tables import events
from tickets.clocks import SHANGHAI
from tickets.tables import findings, tickets

BACKTESTED: Final = "rules.backtested"
KEPT_SECONDS: Final = 60.0
"""How long counts are shown before they are counted again: they read every finding."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Tickets that a rule spoke in, and of those confirmed and dismissed."""

    tickets: int
    confirmed: int
    dismissed: int

    @property
    def share(self) -> float | None:
        """Confirmed of what was decided, 0 to 1."""
        decided = self.confirmed + self.dismissed
        return self.confirmed / decided if decided else None


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule as written, the state it runs in, and what became of its hits."""

    rule: Rule
    state: str
    spoken: Spoken


_NOBODY: Final = Spoken(0, 0, 0)


def rule_lines(parts: Parts, counted: dict[str, Spoken]) -> tuple[list[RuleLine], tuple[Problem, ...], str]:
    """Every rule of the layers, their problems, and the version of what runs."""
    if parts.layers is None:
        return [], (), ""
    found = read_layers(parts.layers, datetime.now(UTC).astimezone(SHANGHAI).date())
    running = {rule.id: rule.state.value for rule in found.running.rules}
    lines = [RuleLine(r, running.get(r.id, r.state.value), counted.get(r.id, _NOBODY)) for r in found.written]
    return lines, found.problems, found.running.version


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule in a backtest: texts that it found as tried, as it runs today, and that no rule of today finds."""

    rule: str
    candidate: int
    today: int
    new: int


@dataclass(frozen=True, slots=True)
class Backtested:
    """A backtest over the archive: whose, of which texts, and how many each side found."""

    at: str
    actor: str
    since: str
    until: str
    record_class: str
    version: str
    texts: int
    candidate: int
    today: int
    only_candidate: int
    only_today: int
    rules: tuple[Tried, ...]
    further: int


def backtests(connection: sa.Connection, limit: int = 10) -> list[Backtested]:
    """The last backtests, the newest first, as their events say."""
    e = events.c
    chosen = sa.select(e.at, e.actor, e.body).where(e.kind == BACKTESTED).order_by(e.id.desc()).limit(limit)
    found = []
    for at, actor, text in connection.execute(chosen):
        body = json.loads(text)
        counts = body["found"]
        found.append(
            Backtested(
                at=at,
                actor=actor,
                since=body["since"],
                until=body["until"],
                record_class=body["class"],
                version=body["candidate_version"],
                **{name: counts[name] for name in ("texts", "candidate", "today", "only_candidate", "only_today")},
                rules=tuple(Tried(**one) for one in body["rules"]),
                further=body["further_rules"],
            )
        )
    return found


class Counts:
    """Counts by rule, models included, kept for a minute."""

    def __init__(self) -> None:
        self._at = -KEPT_SECONDS
        self._found: dict[str, Spoken] = {}

    def read(self, connection: sa.Connection) -> dict[str, Spoken]:
        """The counts."""
        if time.monotonic() - self._at > KEPT_SECONDS:
            f, t = findings.c, tickets.c
            whole = sa.func.count(sa.distinct(f.ticket_id))
            decided = sa.func.count(sa.distinct(sa.case((t.decision.is_not(None), f.ticket_id))))
            dropped = sa.func.count(sa.distinct(sa.case((t.state == "dismissed", f.ticket_id))))
            rows = connection.execute(
                sa.select(f.rule, whole.label("n"), decided.label("c"), dropped.label("d"))
                .join(tickets, t.ticket_id == f.ticket_id)
                .group_by(f.rule)
            )
            self._found = {row.rule: Spoken(row.n, row.c, row.d) for row in rows}
            self._at = time.monotonic()
        return self._found
