"""An archive with a clock that tests turn: records are sealed month by month, as if ingested on a given day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from retention.catalogue.tables import batches, events, segments, timestamp
from retention.manifest import SegmentManifest
from retention.policies.follow import follow
from retention.policies.judge import UnitState, judge
from retention.policies.periods import SHANGHAI, shanghai_date
from retention.policies.prepare import prepare_policies
from retention.policies.settings import RetentionSettings
from tests.retention.sealed_store import SealedStore, make_store


def at(day: str | date, hour: int = 12) -> datetime:
    """An hour of a Shanghai day."""
    found = date.fromisoformat(day) if isinstance(day, str) else day
    return datetime.combine(found, time(hour), SHANGHAI).astimezone(UTC)


@dataclass(slots=True)
class World:
    """The store, and ``settings`` of the retention section."""

    store: SealedStore
    settings: RetentionSettings

    @property
    def catalogue(self):  # type: ignore[no-untyped-def]
        return self.store.catalogue

    def ingest(
        self, rows: Iterable[dict[str, Any]], record_class: str = "user_log", *, on: str | date | None = None
    ) -> list[SegmentManifest]:
        """Seal rows into one segment a month of their event time, committed on a day (default: that of each month's
        last record)."""
        months: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            months[shanghai_date(row["event_time"]).isoformat()[:7]].append(row)
        made = []
        for period, given in sorted(months.items()):
            moment = at(on) if on else max(row["event_time"] for row in given)
            ingested = [{"event_ingested": moment, **row} for row in given]
            manifest = self.store.add(
                ingested, record_class=record_class, period=period, partition=f"{record_class}.log#1"
            )
            made.append(manifest)
            with self.catalogue.write() as connection:
                text = timestamp(moment)
                connection.execute(
                    segments.update().where(segments.c.segment_id == manifest.segment_id).values(committed_at=text)
                )
                newest = sa.select(sa.func.max(events.c.id)).scalar_subquery()
                connection.execute(events.update().where(events.c.id == newest).values(at=text))
                place = manifest.places[0]
                connection.execute(
                    batches.update()
                    .where(batches.c.partition == place.partition, batches.c.start == place.start)
                    .values(committed_at=text)
                )
        return made

    def follow(self) -> None:
        settings = self.settings
        follow(self.store, ending_words=settings.ending_words, delisting_words=settings.delisting_words)

    def judge(self, day: str | date) -> list[UnitState]:
        """Every unit on a day, after following."""
        self.follow()
        on = date.fromisoformat(day) if isinstance(day, str) else day
        with self.catalogue.read() as connection:
            return judge(connection, on, settings=self.settings)

    def one(self, day: str | date) -> UnitState:
        """The only unit."""
        (state,) = self.judge(day)
        return state

    def execute(self, statement: sa.Executable, values: dict[str, Any] | None = None) -> None:
        with self.catalogue.write() as connection:
            connection.execute(statement, values or {})


def make_world(root: Path, catalogue_url: str | None = None, **settings: Any) -> World:
    """A fresh archive below ``root``, its catalogue there too if no other place is given."""
    root.mkdir(parents=True)
    store = make_store(root, catalogue_url)
    prepare_policies(store.catalogue)
    return World(store, RetentionSettings(**settings))


def close(world: World) -> None:
    world.store.catalogue.close()
    world.store.period_keys.close()


def logs(*days: str) -> list[dict[str, Any]]:
    """A user log's record on each day."""
    return [{"event_time": at(day), "user_id": f"u{n}", "event_action": "login"} for n, day in enumerate(days)]


def order(name: str, status: str, day: str, **more: Any) -> dict[str, Any]:
    """One record of an order."""
    return {"event_time": at(day), "order_id": name, "order_status": status, "user_id": f"of-{name}", **more}


def days(first: date, last: date) -> Iterator[date]:
    """Every day of [first, last]."""
    for n in range((last - first).days + 1):
        yield first + timedelta(days=n)
