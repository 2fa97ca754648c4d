"""Listings of articles: never sold, from the delisting; sold, not before the last of their orders; up, for good."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from retention.audits.retention import audit_retention
from retention.catalogue.tables import segments
from retention.manifest import SegmentManifest
from retention.policies.decisions import approve_end, propose_end, silent
from retention.policies.follow import blinder
from retention.policies.judge import UnitState, Verdict
from retention.policies.listings import ListingCount, count_listings, listing_name
from retention.policies.periods import CalendarPeriod, may_go_on
from retention.policies.prepare import prepare_policies
from retention.policies.simulate import simulate
from retention.policies.tables import articles, subjects, unit_segments
from retention.purge.errors import NothingDueError
from retention.purge.plan import approve
from retention.segments import open_segment
from tests.retention.policies.world import World, at, close, make_world, order
from tests.retention.purge.destroying import approved, beat, planned, run

KINDS = ("transaction",)


def listing(item: str, action: str, day: str | date, **more: Any) -> dict[str, Any]:
    """A record of an article that belongs to no order."""
    return {"event_time": at(day), "item_id": item, "event_action": action, "user_id": "shop", **more}


def put(world: World, *rows: dict[str, Any]) -> None:
    world.ingest(rows, "transaction")


def month(world: World, day: str, period: str) -> UnitState:
    return next(unit for unit in world.judge(day) if unit.periods == (period,))


def counted(world: World) -> ListingCount:
    world.follow()
    with world.catalogue.read() as connection:
        return count_listings(connection)


def test_one_that_never_sold_counts_from_its_delisting(world: World) -> None:
    put(world, listing("S1", "item.listed", "2021-01-05"))
    assert [reason.code for reason in world.one("2040-01-01").reasons] == ["open_subjects"]
    assert counted(world) == ListingCount(on_sale=1)
    put(world, listing("S1", " 下架 ", "2021-02-28"))
    assert counted(world) == ListingCount(never_sold=1)
    first = month(world, "2024-02-28", "2021-01")
    assert (str(first.counts_from), str(first.expires_on), first.verdict) == ("2021-02-28", "2024-02-29", Verdict.KEPT)
    assert {unit.verdict for unit in world.judge("2024-02-29")} == {Verdict.DUE}
    # Whatever is told of it later counts; put up again it is on sale.
    put(world, listing("S1", "item.price_changed", "2021-06-01"))
    assert str(month(world, "2024-05-31", "2021-01").counts_from) == "2021-06-01"
    put(world, listing("S1", "item.relisted", "2022-01-01"))
    assert month(world, "2040-01-01", "2021-01").counts_from is None
    put(world, listing("S1", "item.delisted", "2022-02-01"))
    assert str(month(world, "2024-05-31", "2021-01").counts_from) == "2022-02-01"


def test_one_that_sold_waits_for_the_last_order_that_ran_while_it_sold(world: World) -> None:
    put(world, listing("S1", "item.listed", "2021-01-05"), order("A", "created", "2021-01-20", item_id="S1"))
    put(world, listing("S1", "item.delisted", "2021-02-10"))
    assert counted(world) == ListingCount(waiting=1)
    assert month(world, "2040-01-01", "2021-02").counts_from is None
    # The completion names no article.
    put(world, order("A", "completed", "2021-03-15"))
    assert counted(world) == ListingCount(sold=1)
    assert str(month(world, "2024-01-01", "2021-02").counts_from) == "2021-03-15"
    put(world, order("A", "refund_requested", "2021-07-01"))
    assert str(month(world, "2024-01-01", "2021-02").expires_on) == "2024-07-02"
    # One that ended before it sold, and one that began after, are no matter; one that ran then may be its own.
    put(world, order("B", "completed", "2020-12-20"), order("C", "created", "2021-09-01"))
    assert str(month(world, "2024-01-01", "2021-02").counts_from) == "2021-07-01"
    put(world, order("D", "paid", "2021-01-25"))
    assert month(world, "2040-01-01", "2021-02").counts_from is None
    put(world, order("D", "completed", "2021-04-25"))
    assert str(month(world, "2024-01-01", "2021-02").counts_from) == "2021-07-01"


def test_an_order_that_was_taken_in_before_its_listing_counts_too(world: World) -> None:
    put(world, order("A", "completed", "2021-03-15", item_id="S1"))
    put(world, listing("S1", "off_shelf", "2021-02-10"))
    assert str(month(world, "2024-01-01", "2021-02").counts_from) == "2021-03-15"


def test_words_of_a_platform_s_own_and_words_that_take_nothing_down(world: World) -> None:
    for n, action in enumerate(["item.sold_out", "cancelled", "completed", "", "闭市"]):
        put(world, listing(f"S{n}", action, "2021-01-05"))
    put(world, listing("S9", "item.delisted", "2021-01-05", order_status="on_shelf"))
    assert counted(world) == ListingCount(on_sale=6)
    own = World(world.store, world.settings.model_copy(update={"delisting_words": ("闭市",)}))
    own.ingest([listing("S4", "闭市", "2021-02-05")], "transaction")
    assert counted(own) == ListingCount(on_sale=5, never_sold=1)


def test_an_order_called_like_a_listing_is_an_order(world: World) -> None:
    put(world, order(listing_name("S1").lstrip("\x00"), "completed", "2021-01-05"), listing("S1", "上架", "2021-01-06"))
    assert month(world, "2040-01-01", "2021-01").counts_from is None
    assert counted(world) == ListingCount(on_sale=1)


def decide(world: World, name: str, day: str) -> None:
    """Two people say that it ended on a day; approved on the next."""
    now = at(day) + timedelta(days=1)
    made = propose_end(
        world.store, "transaction", name, ended_on=date.fromisoformat(day), reason="店铺已关", actor="ann", now=now
    )
    approve_end(world.store, made, actor="ben", now=now)


def test_two_people_decide_about_one_whose_delisting_never_came(world: World) -> None:
    put(world, listing("S1", "item.listed", "2021-01-05"))
    world.follow()
    with world.catalogue.read() as connection:
        assert silent(connection, date(2024, 1, 1), 180) == []  # it is on sale
    decide(world, listing_name("S1"), "2021-05-01")
    assert counted(world) == ListingCount(never_sold=1)
    assert str(month(world, "2024-01-01", "2021-01").counts_from) == "2021-05-01"
    # An earlier end that arrives afterwards does not undo it, a later one prevails.
    put(world, listing("S1", "item.delisted", "2021-02-01"))
    assert str(month(world, "2024-01-01", "2021-01").counts_from) == "2021-05-01"
    put(world, listing("S1", "item.delisted", "2021-08-01"))
    assert str(month(world, "2024-01-01", "2021-01").counts_from) == "2021-08-01"


def test_one_that_two_people_closed_is_open_again_when_it_is_put_up(world: World) -> None:
    put(world, listing("S1", "item.listed", "2021-01-05"), order("A", "completed", "2021-01-20", item_id="S1"))
    world.follow()
    decide(world, listing_name("S1"), "2021-05-01")
    assert counted(world) == ListingCount(sold=1)
    put(world, listing("S1", "item.listed", "2021-09-01"))
    assert month(world, "2040-01-01", "2021-01").counts_from is None
    assert counted(world) == ListingCount(on_sale=1)
    put(world, listing("S1", "item.delisted", "2021-10-01"))
    assert str(month(world, "2040-01-01", "2021-01").counts_from) == "2021-10-01"


@pytest.mark.parametrize("delisted", [False, True])
def test_one_that_two_people_closed_waits_for_its_orders_too(world: World, *, delisted: bool) -> None:
    put(world, listing("S1", "item.listed", "2021-01-05"), order("A", "created", "2021-01-20", item_id="S1"))
    world.follow()
    decide(world, listing_name("S1"), "2021-05-01")
    if delisted:
        put(world, listing("S1", "item.delisted", "2021-02-10"))
    assert month(world, "2040-01-01", "2021-01").counts_from is None
    assert counted(world) == ListingCount(waiting=1)
    put(world, order("A", "completed", "2021-08-15"))
    assert str(month(world, "2023-01-01", "2021-01").counts_from) == "2021-08-15"
    assert counted(world) == ListingCount(sold=1)
    # An order that is opened again opens what it sold.
    put(world, order("A", "refund_requested", "2021-09-01"), order("A", "shipped", "2021-09-02"))
    assert month(world, "2040-01-01", "2021-01").counts_from is None
    assert counted(world) == ListingCount(waiting=1)
    # Two people close the order: the listing counts from then, without another record.
    decide(world, "A", "2022-03-01")
    with world.catalogue.read() as connection:
        ends = connection.execute(sa.select(subjects.c.ended_on).where(subjects.c.news_on < "2021-09-02")).scalars()
        assert sorted(ends)[-1] == "2022-03-01"
    assert str(month(world, "2023-01-01", "2021-01").counts_from) == "2022-03-01"


def test_nobody_sees_an_order_that_runs_again_beside_the_old_end_of_what_it_sold(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(world, listing("S1", "item.listed", "2021-01-05"), order("A", "completed", "2021-01-20", item_id="S1"))
    put(world, listing("S1", "item.delisted", "2021-02-10"))
    assert counted(world) == ListingCount(sold=1)
    put(world, order("A", "shipped", "2021-06-01"))

    class Stopped(Exception):
        """Whoever takes in the news is killed right after it."""

    def stop(*_: Any) -> None:
        raise Stopped

    monkeypatch.setattr("retention.policies.follow._close_with_tickets", stop)
    with pytest.raises(Stopped):
        world.follow()
    with world.catalogue.read() as connection:
        assert count_listings(connection) == ListingCount(waiting=1)


def test_a_division_takes_what_never_sold_and_leaves_what_is_up(world: World) -> None:
    put(world, listing("S1", "item.listed", "2021-01-05"), listing("S2", "item.listed", "2021-01-06"),
        {"event_time": at("2021-01-07"), "user_id": "nobody"}, order("A", "completed", "2021-01-08"))  # fmt: skip
    put(world, listing("S1", "item.delisted", "2021-02-10"))
    made = approved(world, "2024-05-01", classes=KINDS)
    assert sorted((unit.rows, unit.kept_rows) for unit in made.units) == [(1, 0), (4, 2)]
    run(world, made.purge_id, "2024-05-08")
    (left,) = world.judge("2024-05-08")
    (segment,) = left.segments
    assert counted(world) == ListingCount(on_sale=1)
    with world.catalogue.read() as connection:
        assert len(connection.execute(sa.select(articles)).all()) == 1
        data = connection.execute(sa.select(segments.c.manifest).where(segments.c.segment_id == segment)).scalar_one()
    manifest = SegmentManifest.from_bytes(data)
    rows = open_segment(world.store.archive, manifest).parquet().read().to_pylist()
    assert sorted(str(row["item_id"] or row["user_id"]) for row in rows) == ["S2", "nobody"]


def test_an_article_that_only_sold_is_forgotten_with_the_orders_of_its_months(world: World) -> None:
    put(world, order("OPEN", "created", "2020-11-30", item_id="S1"))
    put(world, order("A", "completed", "2021-01-08", item_id="S2"), order("B", "completed", "2021-01-31", item_id="S3"),
        order("LATE", "completed", "2022-08-01", item_id="S3"))  # fmt: skip
    made = approved(world, "2024-05-01", classes=KINDS)
    run(world, made.purge_id, "2024-05-08")
    with world.catalogue.read() as connection:
        sold = connection.execute(sa.select(articles.c.sold_from).order_by(articles.c.sold_from)).scalars().all()
    assert sold == ["2020-11-30", "2021-01-31"]


def test_what_was_taken_in_before_there_was_such_a_rule_is_read_anew(world: World) -> None:
    put(world, listing("S1", "item.listed", "2021-01-05"), order("A", "completed", "2021-01-08"))
    put(world, listing("S1", "item.delisted", "2021-02-10"))
    world.ingest([{"event_time": at("2021-01-05"), "user_id": "u"}])
    world.follow()
    world.execute(subjects.delete())
    for words in ("DROP TABLE retention_articles", "UPDATE alembic_version_policies SET version_num = '0002'"):
        world.execute(sa.text(words))
    prepare_policies(world.catalogue)
    with world.catalogue.read() as connection:
        assert len(connection.execute(sa.select(unit_segments.c.number)).all()) == 1
    assert {str(unit.counts_from) for unit in world.judge("2024-01-01") if unit.record_class == "transaction"} == {
        "2021-02-10"
    }


def test_simulate_counts_them(world: World) -> None:
    put(world, listing("S1", "item.listed", "2021-01-05"), listing("S2", "item.delisted", "2021-01-05"))
    world.follow()
    with world.catalogue.read() as connection:
        said = simulate(connection, date(2024, 6, 1)).as_json()
    checked = audit_retention(world.store, settings=world.settings, now=at("2024-06-01")).checked
    assert (checked["listings: on_sale"], checked["listings: never_sold"]) == (1, 1)
    assert said["listings"] == {"on_sale": 1, "never_sold": 1, "sold": 0, "waiting": 0}
    with world.catalogue.read() as connection:
        assert simulate(connection, date(2024, 6, 1)).classes["transaction"].longer == {"open_neighbour": 1}


@pytest.mark.parametrize("seed", range(3))
def test_over_years_none_goes_before_its_orders_and_all_go(tmp_path: Path, catalogue_url: str, seed: int) -> None:
    """Articles, orders of several of them with completions that name none, at random; a purge each quarter."""
    dice = random.Random(seed)
    world = make_world(tmp_path / "world", catalogue_url)
    first = [date(2020, 1, 31), date(2020, 2, 29), date(2020, 12, 31), date(2021, 2, 28)]
    least: dict[str, date] = {}
    taken_down: dict[str, date] = {}
    rows: list[dict[str, Any]] = []
    for n in range(6):
        up = dice.choice(first)
        down = up + timedelta(days=dice.choice([0, 1, 60, 366]))
        rows += [listing(f"S{n}", "item.listed", up), listing(f"S{n}", "item.delisted", down)]
        least[f"S{n}"] = taken_down[f"S{n}"] = down
    for n in range(8):
        item = dice.choice(sorted(least)[:4])  # the others never sell
        begun = taken_down[item] - timedelta(days=dice.choice([0, 3]))
        done = begun + timedelta(days=dice.choice([1, 40, 400]))
        rows += [
            order(f"O{n}", "created", begun.isoformat(), item_id=item),
            order(f"O{n}", "completed", done.isoformat()),
        ]
        least[item] = max(least[item], done)
    dice.shuffle(rows)
    for row in rows:
        world.ingest([row], "transaction", on="2023-06-01")
    gone: dict[str, date] = {}
    blind = blinder(world.store)
    for quarter in range(16):
        on = date(2023 + (quarter + 3) // 4, (quarter + 3) % 4 * 3 + 1, 7)
        try:
            made = planned(world, on.isoformat(), classes=KINDS)
        except NothingDueError:
            continue
        approve(world.store, made.purge_id, digest=None, actor="ben", now=at(on), settings=world.settings)
        then = on + timedelta(days=8)
        beat(world, on, then)
        run(world, made.purge_id, then.isoformat())
        world.follow()
        with world.catalogue.read() as connection:
            there = {bytes(one) for one in connection.execute(sa.select(subjects.c.blind)).scalars()}
        for name in least:
            if blind("transaction", listing_name(name)) not in there:
                gone.setdefault(name, then)
    assert set(gone) == set(least)
    for name, went in gone.items():
        assert went >= may_go_on(least[name], CalendarPeriod(3))
    close(world)


@pytest.fixture
def world(tmp_path: Path, catalogue_url: str) -> Iterator[World]:
    made = make_world(tmp_path / "world", catalogue_url)
    yield made
    close(made)
