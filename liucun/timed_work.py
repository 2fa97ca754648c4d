"""All timed work of a store: what is done how often, one step after the other, none stopping the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from errors import LiucunError

if TYPE_CHECKING:
    from liucun.store import OpenStore
    from retention.audits.gaps import Silence

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
_NAMED: Final = 20
"""Tickets that one line names."""


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of timed work: ``run`` returns figures for the record; ``every`` in seconds."""

    name: str
    every: float
    run: Callable[[OpenStore], dict[str, Any]]


@dataclass(slots=True)
class Outcome:
    """How a step went: its figures, or what went wrong."""

    step: str
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


class Schedule:
    """Runs steps when they are due; a step that failed is tried again after its interval, at most five minutes."""

    def __init__(self, opened: OpenStore, steps: list[Step], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._opened = opened
        self._steps = steps
        self._clock = clock
        self._next = dict.fromkeys((step.name for step in steps), clock())

    def pause(self) -> float:
        """Seconds until the next step is due."""
        return max(min(self._next.values()) - self._clock(), 0.0)

    def run_due(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Outcome]:
        """Run what is due, in the order of the steps, each when the one before has been taken note of."""
        for step in self._steps:
            if stop():
                break
            if self._next[step.name] > self._clock():
                continue
            outcome = _run(self._opened, step)
            wait = step.every if outcome.error is None else min(step.every, 5 * MINUTE)
            self._next[step.name] = self._clock() + wait
            yield outcome


def steps() -> list[Step]:
    """The work, what is most urgent first."""
    return [
        Step("clocks", MINUTE / 2, _clocks),
        Step("outbox", 5.0, _outbox),
        Step("log", MINUTE, _log),
        Step("retention", HOUR, _retention),
        Step("compact", 6 * HOUR, _compact),
        Step("review", HOUR, _review),
        Step("texts", HOUR, _texts),
    ]


def index_step(opened: OpenStore) -> list[Step]:
    """The search index, where there is one, for a worker that does everything once; else it has its own thread."""
    from liucun.index_following import step

    return [Step("index", MINUTE, step)] if opened.settings.search.on else []


def _run(opened: OpenStore, step: Step) -> Outcome:
    began = time.monotonic()
    try:
        figures = step.run(opened)
    except LiucunError as error:
        return Outcome(step.name, time.monotonic() - began, error=str(error))
    # What went on past failures names them: its figures count, and it did not go well.
    failed = figures.get("failed")
    said = "; ".join(f"{name}: {what}" for name, what in failed.items()) if isinstance(failed, dict) else ""
    return Outcome(step.name, time.monotonic() - began, figures, said or None)


def _clocks(opened: OpenStore) -> dict[str, Any]:
    """Alarms, warnings and escalation; deadlines counted anew when the calendar changed."""
    from liucun.calendar_file import calendar_of
    from tickets.clocks import SHANGHAI
    from tickets.duties import DutyBook
    from tickets.watch import Watch

    calendar = calendar_of(Path(opened.root))
    book = DutyBook(opened.catalogue, opened.bodies, calendar, "system:clock", opened.settings.tickets)
    book.standing(opened.settings.company, datetime.now(SHANGHAI).date())
    watch = Watch(opened.catalogue, opened.bodies, calendar, opened.settings.tickets)
    return {**asdict(watch.step()), "silent_sources": watch.silent_sources(_silent(opened))}


def _silent(opened: OpenStore) -> list[Silence]:
    """Sources silent longer than is usual for them."""
    from retention.audits.gaps import silences

    with opened.catalogue.read() as connection:
        return silences(connection, declared={source.name for source in opened.settings.source})


def _outbox(opened: OpenStore) -> dict[str, Any]:
    """Disposal orders to the platform, mail, and messages to group robots."""
    from liucun.calendar_file import calendar_of
    from tickets.outbox import deliver

    calendar = calendar_of(Path(opened.root))
    return asdict(deliver(opened.catalogue, opened.bodies, calendar, opened.settings.tickets))


def _texts(opened: OpenStore) -> dict[str, Any]:
    """What tickets lack since an upgrade or a rebuild: sketches of their texts, and keys of their own for these, for
    reports and for messages."""
    from retention.disclosure.retaining import seal_disclosures_lacking
    from tickets.retaining import seal_lacking
    from tickets.retaining_duties import seal_duties_lacking
    from tickets.retaining_filed import seal_filed_lacking
    from tickets.sketching import sketch_lacking

    resealed, unsealed = seal_lacking(opened.catalogue, opened.bodies)
    rooms = (seal_filed_lacking, seal_duties_lacking, seal_disclosures_lacking)
    more = [seal(opened.catalogue, opened.bodies) for seal in rooms]
    filed, unsealed_filed = sum(done for done, _ in more), [name for _, wrong in more for name in wrong]
    sketched, unread = sketch_lacking(opened.catalogue, opened.bodies)
    damaged = sorted({*unsealed, *unread})
    subjects = [*(f"ticket {name}" for name in damaged), *(one.replace(":", " ") for one in unsealed_filed)]
    failed = dict.fromkeys(subjects[:_NAMED], "its sealed text cannot be opened")
    return {"sketched": sketched, "resealed": resealed + filed, "damaged": len(subjects), "failed": failed}


def _log(opened: OpenStore) -> dict[str, Any]:
    """Number what waits and hand the log's state to the custodian."""
    before = len(opened.store.log.warnings)
    opened.store.log.keep()
    return {"warnings": opened.store.log.warnings[before:]}


def _retention(opened: OpenStore) -> dict[str, Any]:
    """The index of orders follows, holds are looked for, approved purges go on."""
    from liucun.keepers import load_keepers
    from retention.purge.upkeep import keep_up, witnessed_at

    load_keepers()
    done = keep_up(
        opened,
        signers=opened.store.log.signers,
        actor="system:worker",
        now=datetime.now(UTC),
        settings=opened.settings.retention,
        witnessed=witnessed_at(opened.store.log),
    )
    return done.as_json()


def _review(opened: OpenStore) -> dict[str, Any]:
    """The random sample of each day that is over is put before the reviewers."""
    from liucun.reviewing import draw_due

    return draw_due(opened)


def _compact(opened: OpenStore) -> dict[str, Any]:
    """Merge small segments, lock what is settled, collect what nothing names."""
    from retention.compaction.collect import collect
    from retention.compaction.journal import join_entries
    from retention.compaction.locking import lock_merged
    from retention.compaction.merge import compact, plan

    merged = compact(opened.catalogue, opened.archive, plan(opened.catalogue), progress=lambda *_: None)
    opened.store.log.keep()
    locked = lock_merged(opened.catalogue, opened.objects, now=datetime.now(UTC))
    joined = join_entries(opened.store.log)
    return {
        "merged": merged.replaced,
        "into": merged.groups,
        "locked": locked,
        "log_objects_joined": joined,
        "collected": asdict(collect(opened.catalogue, opened.objects)),
    }
