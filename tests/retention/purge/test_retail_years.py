"""A year of a shop's real orders, with completions derived from it, moved through six simulated years.

Whether anything went early or stayed late is told by another computation than the program's: plain dates, one order
at a time. ``-s`` prints what was kept longer than needed, and why.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
import sqlalchemy as sa

from errors import StorageError
from retention.audits.coverage import audit_coverage
from retention.audits.keys import audit_keys
from retention.audits.retention import audit_retention
from retention.catalogue import events, progress
from retention.catalogue.commit import BatchCommit, commit_batch
from retention.catalogue.tables import batches, segments, timestamp
from retention.holds import place
from retention.holds.place import Matter
from retention.holds.service import release
from retention.manifest import SegmentManifest, SegmentPlace
from retention.policies.follow import follow
from retention.policies.periods import SHANGHAI
from retention.policies.simulate import simulate
from retention.purge.errors import NothingDueError
from retention.purge.plan import approve, plan
from retention.schema import RECORD_SCHEMA
from retention.segments import open_segment, write_segment
from tests.retention.policies.world import World, close, make_world
from tests.retention.purge.destroying import run

SOURCE, PARTITION = "shop", "orders.log#1"
PATIENCE_DAYS = 2 * 31
"""Longest wait for neighbours in the same month (the code's patience), in days."""
CADENCE_DAYS = 31
"""Purges are planned once a month here, and wait a week."""


@dataclass(slots=True)
class Order:
    """What the test itself knows of an order: days in China."""

    first: date
    ended: date | None = None
    last: date | None = None
    rows: Counter[str] = field(default_factory=Counter)

    def may_go(self) -> date | None:
        """Three years after its end or any later record, and a day; by plain dates."""
        if self.ended is None:
            return None
        day = max(self.ended, self.last or self.ended)
        try:
            over = day.replace(year=day.year + 3)
        except ValueError:
            over = date(day.year + 3, 2, 28)
        return over + timedelta(days=1)


def draw(name: str, what: str, below: int) -> int:
    """A number that depends on the order's name alone."""
    return int.from_bytes(hashlib.blake2b(f"{what}:{name}".encode(), digest_size=4).digest()) % below


def followers(name: str, at: datetime) -> list[tuple[datetime, str]]:
    """The later records of an order: most complete, some are cancelled or come back, one in a hundred never ends."""
    lot = draw(name, "fate", 100)
    if lot == 0:
        return []
    if lot < 5:
        return [(at + timedelta(hours=1 + draw(name, "cancel", 48)), "cancelled")]
    done = at + timedelta(days=2 + draw(name, "days", 25), hours=draw(name, "hour", 24))
    found = [(done, "completed")]
    if lot < 12:
        back = done + timedelta(days=1 + draw(name, "back", 160))
        found += [(back, "refund_requested"), (back + timedelta(days=1 + draw(name, "refund", 9)), "refunded")]
    return found


class Shop:
    """The archive of the shop, fed a day at a time."""

    def __init__(self, world: World) -> None:
        self.world, self.cursor = world, 0
        self.orders: dict[str, Order] = {}
        with world.catalogue.write() as connection:
            progress.add_partition(connection, source=SOURCE, partition=PARTITION, path="orders.log", generation=1)

    def take_in(self, names: list[str], times: list[datetime], words: list[str], extra: dict[str, Any]) -> None:
        """Seal the records of one day, one segment a month of them."""
        now = max(times)
        for name, time, word in zip(names, times, words, strict=True):
            day = time.astimezone(SHANGHAI).date()
            known = self.orders.setdefault(name, Order(day))
            known.rows[day.isoformat()[:7]] += 1
            known.last = max(known.last or day, day)
            if word in ("completed", "cancelled", "refunded"):
                known.ended = max(known.ended or day, day)
        count = len(names)
        offsets = self.cursor + 10 * np.arange(count)
        columns: dict[str, Any] = {
            "log_source": pa.array([SOURCE] * count).dictionary_encode(),
            "log_partition": pa.array([PARTITION] * count).dictionary_encode(),
            "log_offset": pa.array(offsets),
            "log_length": pa.array([10] * count, pa.int32()),
            "event_ingested": pa.array([now] * count, pa.timestamp("us", tz="UTC")),
            "event_time": pa.array(times, pa.timestamp("us", tz="UTC")),
            "order_id": pa.array(names),
            "order_status": pa.array(words),
            "raw": pa.array([b"123456789"] * count),
            **extra,
        }
        table = pa.table([columns.get(f.name, pa.nulls(count, f.type)) for f in RECORD_SCHEMA], schema=RECORD_SCHEMA)
        end = self.cursor + 10 * count
        months = [time.astimezone(SHANGHAI).strftime("%Y-%m") for time in times]
        manifests = []
        for month in sorted(set(months)):
            part = table.filter(pc.equal(pa.array(months), month))
            manifests.append(
                write_segment(
                    self.world.store.archive,
                    part,
                    record_class="transaction",
                    period=month,
                    places=(SegmentPlace(SOURCE, PARTITION, self.cursor, end, part.num_rows),),
                )
            )
        commit_batch(
            self.world.catalogue,
            BatchCommit(SOURCE, PARTITION, self.cursor, end, count, headers=0, blanks=0, segments=tuple(manifests)),
        )
        text = timestamp(now)
        with self.world.catalogue.write() as connection:
            ids = [manifest.segment_id for manifest in manifests]
            connection.execute(segments.update().where(segments.c.segment_id.in_(ids)).values(committed_at=text))
            connection.execute(batches.update().where(batches.c.start == self.cursor).values(committed_at=text))
            connection.execute(
                sa.text("UPDATE events SET at = :at WHERE id = (SELECT max(id) FROM events)"), {"at": text}
            )
        self.cursor = end


def fill(shop: Shop, files: list[Path]) -> None:
    """The shop's lines and what follows from them, day by day."""
    later: dict[date, list[tuple[str, datetime, str]]] = defaultdict(list)
    days: dict[date, pa.Table] = {}
    for file in files:
        day = date.fromisoformat(file.name[:10])
        days[day] = pyarrow.csv.read_csv(file, convert_options=pyarrow.csv.ConvertOptions(column_types={
            "InvoiceNo": pa.string(), "StockCode": pa.string(), "CustomerID": pa.string(),
        }))  # fmt: skip
    day = min(days)
    seen: set[str] = set()
    while day <= max(days) or later:
        names: list[str] = []
        times: list[datetime] = []
        words: list[str] = []
        users: list[str | None] = []
        table = days.get(day)
        if table is not None:
            names = table.column("InvoiceNo").to_pylist()
            times = [t.replace(tzinfo=UTC) for t in table.column("InvoiceDate").to_pylist()]
            words = ["paid"] * len(names)
            users = table.column("CustomerID").to_pylist()
            for name, time in zip(names, times, strict=True):
                if name not in seen:
                    seen.add(name)
                    for moment, word in followers(name, time):
                        later[moment.date()].append((name, moment, word))
        for name, moment, word in later.pop(day, []):
            names.append(name)
            times.append(moment)
            words.append(word)
            users.append(None)
        if names:
            shop.take_in(names, times, words, {"user_id": pa.array(users, pa.string())})
        day += timedelta(days=1)


def still_there(world: World) -> dict[tuple[str, str], int]:
    """Rows in the archive by order and month, read from the segments themselves."""
    found: Counter[tuple[str, str]] = Counter()
    with world.catalogue.read() as connection:
        manifests = [
            SegmentManifest.from_bytes(m) for m in connection.execute(sa.select(segments.c.manifest)).scalars()
        ]
    for manifest in manifests:
        column = open_segment(world.store.archive, manifest).parquet().read(columns=["order_id"]).column("order_id")
        for item in pc.value_counts(column).to_pylist():
            found[item["values"], manifest.period] += item["counts"]
    return dict(found)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_six_years(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "retail").glob("*.csv.gz"))
    if not files:
        raise StorageError("No retail data.", cure="Put it there.")
    world = make_world(tmp_path / "shop")
    shop = Shop(world)
    fill(shop, files)
    follow(world.store)
    total = sum(sum(order.rows.values()) for order in shop.orders.values())
    assert sum(still_there(world).values()) == total

    # One month is under hold for a year past its time.
    with world.catalogue.read() as connection:
        held = list(
            connection.execute(sa.select(segments.c.segment_id).where(segments.c.period == "2011-05")).scalars()
        )
    hold_id = place.hold_segments_named(
        world.store, Matter("case", "x"), held, actor="ann", now=datetime(2013, 12, 15, tzinfo=UTC)
    )
    held_orders = {name for name, month in still_there(world) if month == "2011-05"}

    before = still_there(world)
    waited: Counter[int] = Counter()
    waited_held: Counter[int] = Counter()
    longer: dict[str, Counter[str]] = {}
    day = date(2013, 12, 20)
    last = day - timedelta(days=75)
    while day < date(2018, 1, 10):
        _beat(world, last, day)
        last = day
        if day >= date(2015, 9, 1) and hold_id:
            release(world.store, hold_id, reason="over", proof=b"x", actor="ann", now=_noon(day))
            hold_id, released = "", day
        try:
            made = plan(world.store, reason="monthly", actor="ann", now=_noon(day), settings=world.settings)
        except NothingDueError:
            day = _next(day)
            continue
        approve(
            world.store, made.purge_id, digest=made.plan_digest, actor="ben", now=_noon(day), settings=world.settings
        )
        went_on = day + timedelta(days=8)
        _beat(world, day, went_on)
        last = went_on
        run(world, made.purge_id, went_on.isoformat())
        follow(world.store)
        after = still_there(world)
        for (name, month), rows in before.items():
            gone = rows - after.get((name, month), 0)
            assert gone in (0, rows), f"{name} was torn apart"
            if gone:
                may = shop.orders[name].may_go()
                assert may is not None, f"{name} never ended and went on {went_on}"
                assert went_on >= may, f"{name} went on {went_on}, its floor ends before {may}"
                assert month != "2011-05" or not hold_id, f"{name} was under hold"
                (waited_held if month == "2011-05" else waited)[(went_on - may).days] += gone
        for (name, month), rows in after.items():
            may = shop.orders[name].may_go()
            limit = PATIENCE_DAYS + CADENCE_DAYS + 8
            if may is not None and (went_on - may).days > limit and not (name in held_orders and month == "2011-05"):
                pytest.fail(f"{rows} rows of {name} ({month}) may go since {may} and are there on {went_on}")
        with world.catalogue.read() as connection:
            forecast = simulate(connection, went_on, settings=world.settings)
        for code, count in forecast.classes["transaction"].longer.items():
            longer.setdefault(code, Counter())[went_on.isoformat()[:7]] = count
        before = after
        day = _next(went_on)

    end = still_there(world)
    never = {name for name, order in shop.orders.items() if order.ended is None}
    assert {name for name, _ in end} == never
    assert sum(end.values()) == sum(sum(shop.orders[name].rows.values()) for name in never)
    assert released
    assert audit_coverage(world.store).faults == []
    now = _noon(last)
    assert audit_retention(world.store, settings=world.settings, now=now).faults == []
    assert audit_keys(world.store, settings=world.settings, now=now).faults == []
    days = np.repeat(np.array(sorted(waited)), [waited[n] for n in sorted(waited)])
    print(f"\n{total} records of {len(shop.orders)} orders, {len(never)} never ended")
    print(f"destroyed {len(days)}, and {sum(waited_held.values())} of the month that was held; days past the floor:")
    print(f"median {np.median(days):.0f}, 95 % {np.percentile(days, 95):.0f}, longest {days.max()}")
    for code, months in longer.items():
        print(f"kept longer, {code}: at most {max(months.values())} records, in {len(months)} of the months looked at")
    close(world)


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=SHANGHAI).astimezone(UTC)


def _next(day: date) -> date:
    """The 20th of the next month."""
    first = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return first.replace(day=20)


def _beat(world: World, first: date, last: date) -> None:
    """The archive lives on between purges: something is on record every four days."""
    with world.catalogue.write() as connection:
        day = max(first, last - timedelta(days=75))
        while day <= last:
            events.append(connection, kind="beat", actor="system:test", subject="beat:1", body={}, at=_noon(day))
            day += timedelta(days=4)
