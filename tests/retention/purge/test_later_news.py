"""Destroyed records that later ones tell of: who is accused, and who is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from retention.catalogue.tables import retired_segments
from retention.manifest import SegmentManifest
from retention.policies.tables import subjects
from tests.retention.policies.world import World, at, order
from tests.retention.purge.audited import found, retention
from tests.retention.purge.destroying import approved, run


def misjudged(world: World, day: str, on: str) -> World:
    """January 2022 destroyed as if its orders had ended on a day, whatever later records tell; April is kept by C."""
    world.follow()
    c = subjects.c
    names = ("news_on", "ended_at", "ended_on", "open_at")
    with world.catalogue.read() as connection:
        true = connection.execute(sa.select(subjects).where(c.record_class == "transaction")).all()
    bent = {"news_on": day, "ended_at": f"{day}T04:00:00.000000Z", "ended_on": day, "open_at": None}
    world.execute(subjects.update().where(c.first_on < "2022-02").values(bent))
    run(world, approved(world, on).purge_id, on[:8] + "08")
    for row in true:
        world.execute(
            subjects.update().where(c.blind == row.blind).values({name: getattr(row, name) for name in names})
        )
    return world


def late_order(*more: dict[str, object]) -> list[list[dict[str, object]]]:
    return [
        [order("A", "paid", "2022-01-05"), order("B", "completed", "2022-01-06")],
        [*more, order("C", "paid", "2022-04-21")],
    ]


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (order("A", "completed", "2022-04-20"), "kept them to 2025-04-21"),
        (order("A", "shipped", "2022-04-20"), "had not ended"),
    ],
)
def test_an_order_that_ended_later_than_its_destroyed_records(
    world: World, later: dict[str, object], said: str
) -> None:
    """Its first records were three years old, so that their manifest accuses nobody; its completion does."""
    for rows in late_order(later):
        world.ingest(rows, "transaction")
    misjudged(world, "2022-01-06", "2025-02-01")
    report = retention(world, "2025-02-11")
    assert [f.kind for f in report.faults] == ["early"]
    assert "1 of transaction 2022-01 went on 2025-02-08" in report.faults[0].detail
    assert said in report.faults[0].detail
    assert report.checked["ends_compared"] == 1


def test_the_month_of_a_later_record_accuses_though_the_index_is_bent_and_news_came_since(world: World) -> None:
    for rows in late_order(order("A", "completed", "2022-04-20")):
        world.ingest(rows, "transaction")
    misjudged(world, "2022-01-06", "2025-02-01")
    world.execute(subjects.update().values(ended_on="2022-01-05", news_on="2022-01-05"))
    world.ingest([order("A", "refunded", "2025-02-11")], "transaction")
    report = retention(world, "2025-02-12")
    (fault,) = report.faults
    assert "kept them to 2025-04-02 at least" in fault.detail


def test_a_lawful_destruction_is_not_accused_by_what_came_in_since(world: World) -> None:
    """B's own month went when it had run out, C keeps the next one; then B comes back from after-sales."""
    world.ingest([order("B", "completed", "2022-01-06")], "transaction")
    world.ingest([order("B", "refunded", "2022-02-03"), order("C", "paid", "2022-02-04")], "transaction")
    run(world, approved(world, "2025-02-05").purge_id, "2025-02-12")
    report = retention(world, "2025-02-14")
    assert found(report) == {}
    assert report.checked["ends_compared"] == 1
    world.ingest([order("B", "refunded", "2025-02-14"), order("B", "paid", "2025-02-14")], "transaction")
    assert found(retention(world, "2025-02-15")) == {}


def test_records_with_implausible_times_accuse_nobody_and_hide_nothing(world: World) -> None:
    """They count from their ingest within the month; which day that was, the manifest does not tell."""
    far = order("A", "completed", "2022-01-05") | {"event_ingested": at("2022-01-05")}
    world.ingest([far, order("B", "completed", "2022-01-06")], "transaction")
    run(world, approved(world, "2025-01-10").purge_id, "2025-01-17")
    r = retired_segments.c
    with world.catalogue.read() as connection:
        manifest = SegmentManifest.from_bytes(connection.execute(sa.select(r.manifest)).scalar_one())
    # Of these bounds only those within the month count; without any, the month's first day does.
    for low, high, early in (
        ("1970-01-01", "2099-01-01", None),
        ("1970-01-01", "2022-01-20", "2025-01-21"),
        ("2022-01-20", "2099-01-01", "2025-01-21"),
    ):
        bent = replace(manifest, event_time_min=f"{low}T00:00:00.000000Z", event_time_max=f"{high}T00:00:00.000000Z")
        world.execute(retired_segments.update().values(manifest=bent.to_bytes()))
        faults = retention(world, "2025-01-19").faults
        assert [early in fault.detail for fault in faults if early] == ([True] if early else []), faults
        assert bool(faults) == bool(early)
