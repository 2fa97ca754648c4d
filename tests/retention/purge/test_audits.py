"""The audits of retention and of keys find each planted fault, and nothing where nothing is wrong."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from retention.audits.keys import audit_keys
from retention.catalogue.tables import log_leaves, retired_segments, segment_places, segments
from retention.errors import KeyDestroyedError
from retention.holds import place
from retention.holds.place import Matter
from retention.persons.requests import Kind, receive
from retention.policies.tables import policy_versions
from retention.purge.tables import purge_units, purges
from tests.retention.policies.world import World, at, logs, order
from tests.retention.purge.audited import found, keys, notices, retention
from tests.retention.purge.destroying import approved, run


def test_nothing_is_wrong(lawful: World) -> None:
    report = retention(lawful, "2025-03-09")
    assert found(report) == {}
    assert report.checked["destroyed_records"] == 1
    assert report.checked["user_log: kept"] == 1
    assert report.checked["certificates"] == 1
    assert found(keys(lawful, "2025-03-09")) == {}
    assert notices(keys(lawful, "2025-03-09")) == {"backup_may_hold_key"}


def test_an_early_deletion_of_an_object(lawful: World) -> None:
    with lawful.catalogue.read() as connection:
        row = connection.execute(sa.select(segments.c.segment_id, segments.c.object_name)).one()
    lawful.store.objects.delete(row.object_name)
    assert found(retention(lawful, "2025-03-09")) == {"early": [f"segment:{row.segment_id}"]}


def test_an_object_that_was_put_back(world: World) -> None:
    """By a restored backup of the objects, say; the certificate and what is there must agree."""
    (manifest,) = world.ingest(logs("2024-02-01"))
    data = (world.store.root / "objects" / manifest.object_name).read_bytes()
    run(world, approved(world, "2025-03-01").purge_id, "2025-03-08")
    assert found(retention(world, "2025-03-09")) == {}
    (world.store.root / "objects" / manifest.object_name).write_bytes(data)
    assert found(retention(world, "2025-03-09")) == {"object_returned": [f"segment:{manifest.segment_id}"]}


def test_an_early_destruction_by_the_book(lawful: World) -> None:
    """Certificate and all, but before the law's floor: the plan is not believed."""
    lawful.execute(retired_segments.update().values(retired_at="2025-01-20T00:00:00.000000Z"))
    assert set(found(retention(lawful, "2025-03-09"))) == {"early"}


def test_an_early_destruction_of_a_unit_that_is_called_divided(lawful: World) -> None:
    """The floor is counted from the month's first day then, whatever the plan's rows say."""
    lawful.execute(purge_units.update().values(kept_rows=1, expired_on="2024-02-01"))
    with lawful.catalogue.read() as connection:
        where = f"segment:{connection.execute(sa.select(retired_segments.c.segment_id)).scalar_one()}"
    for went, early in (("2025-02-01", True), ("2025-02-02", False)):
        lawful.execute(retired_segments.update().values(retired_at=f"{went}T04:00:00.000000Z"))
        assert found(retention(lawful, "2025-03-09")).get("early") == ([where] if early else None)


def test_an_early_destruction_by_one_person_is_both(lawful: World) -> None:
    lawful.execute(purges.update().values(approved_by=None))
    lawful.execute(purge_units.update().values(expired_on="2025-03-09"))
    assert found(retention(lawful, "2025-03-09")).keys() >= {"early", "one_person"}


def test_an_early_destruction_of_a_key(lawful: World) -> None:
    with lawful.catalogue.read() as connection:
        name = connection.execute(sa.select(segments.c.segment_id)).scalar_one()
    (living,) = [r for r in lawful.store.period_keys.list() if r.destroyed_at is None and r.record_class == "user_log"]
    lawful.store.period_keys.destroy(living.key_id)
    assert found(retention(lawful, "2025-03-09")) == {"early": [f"segment:{name}"]}
    assert found(keys(lawful, "2025-03-09")) == {
        "key_lost": [f"key:{living.key_id}"],
        "key_destroyed_unrecorded": [f"key:{living.key_id}"],
    }
    with pytest.raises(KeyDestroyedError):
        lawful.store.period_keys.get(living.key_id)


def test_segments_taken_out_without_a_purge_or_without_a_trace(lawful: World) -> None:
    with lawful.catalogue.write() as connection:
        row = connection.execute(sa.select(segments)).one()
        connection.execute(segment_places.delete())
        connection.execute(segments.delete())
        connection.execute(log_leaves.insert().values(index=0, type="segment", ref=row.segment_id, hash=b"x"))
    assert found(retention(lawful, "2025-03-09")) == {"vanished": [f"segment:{row.segment_id}"]}
    with lawful.catalogue.write() as connection:
        values = {c.name: getattr(row, c.name) for c in segments.c if c.name in retired_segments.c}
        connection.execute(
            retired_segments.insert().values(**values, state="destroyed", retired_at="2030-01-01T00:00:00.000000Z")
        )
    assert found(retention(lawful, "2030-03-09")) == {"destroyed_without_purge": [f"segment:{row.segment_id}"]}


def test_a_late_deletion(world: World) -> None:
    (manifest,) = world.ingest(logs("2024-02-01"))
    assert found(retention(world, "2025-05-29")) == {}
    assert found(retention(world, "2025-05-30")) == {"late": [f"unit:{manifest.key_id}"]}
    assert found(keys(world, "2025-05-30")) == {"key_past_period": [f"key:{manifest.key_id}"]}
    place.hold_segments_named(
        world.store, Matter("case", "x"), [manifest.segment_id], actor="ann", now=at("2025-05-30")
    )
    assert found(retention(world, "2025-05-30")) == {}
    assert notices(retention(world, "2025-05-30")) == {"kept_past_ceiling"}
    assert found(keys(world, "2025-05-30")) == {}


def test_a_late_order_and_a_silent_one(world: World) -> None:
    world.ingest([order("A", "completed", "2022-01-05")], "transaction")
    world.ingest([order("B", "paid", "2022-02-05")], "transaction")
    report = retention(world, "2025-06-01")
    assert set(found(report)) == {"late"}
    assert "silent_orders" in notices(report)
    assert report.checked["silent_orders"] == 1


def test_a_key_that_seals_nothing(world: World) -> None:
    key = world.store.period_keys.current("user_log", "2020-05")
    with world.store.period_keys.database.write() as connection:
        connection.execute(sa.text("UPDATE period_keys SET created_at = '2020-05-02T00:00:00.000000Z'"))
    world.ingest(logs("2025-05-05"))
    assert found(keys(world, "2025-06-01")) == {"key_past_period": [f"key:{key.key_id}"]}


def test_a_key_brought_back(lawful: World) -> None:
    with lawful.store.period_keys.database.write() as connection:
        connection.execute(sa.text("UPDATE period_keys SET wrapped = x'00', destroyed_at = NULL WHERE wrapped IS NULL"))
    assert set(found(keys(lawful, "2025-03-09"))) == {"key_returned"}


def test_a_key_that_is_unknown(world: World) -> None:
    (manifest,) = world.ingest(logs("2025-05-05"))
    world.follow()
    with world.store.period_keys.database.write() as connection:
        connection.execute(sa.text("DELETE FROM period_keys WHERE key_id = :k"), {"k": manifest.key_id})
    assert found(audit_keys(world.store, now=at("2025-06-01"))) == {"key_unknown": [f"key:{manifest.key_id}"]}


def test_a_policy_under_the_floor_that_was_written_past_the_program(world: World) -> None:
    world.execute(
        policy_versions.insert().values(
            record_class="transaction", version=9, floor="P1Y", ceiling="P1Y", counted_from="transaction_completion",
            basis="x", rank="design", state="approved", proposed_by="x", proposed_at="x", in_force_from="2020-01-01",
        )
    )  # fmt: skip
    assert set(found(retention(world, "2025-06-01"))) == {"policy_under_floor"}


def test_one_person_and_a_changed_certificate(lawful: World) -> None:
    lawful.execute(purges.update().values(approved_by=purges.c.planned_by))
    assert set(found(retention(lawful, "2025-03-09"))) == {"one_person"}
    lawful.execute(purges.update().values(certificate="{}"))
    assert set(found(retention(lawful, "2025-03-09"))) == {"one_person", "certificate_refused"}


def test_a_request_past_its_day_and_a_purge_that_waits(world: World) -> None:
    world.ingest(logs("2024-02-01"))
    receive(world.store, Kind.ACCESS, "u0", text="x", actor="ann", now=at("2025-02-01"), settings=world.settings)
    approved(world, "2025-03-01")
    report = retention(world, "2025-03-20")
    assert set(found(report)) == {"request_overdue"}
    assert "purge_waits" in notices(report)


def test_destructions_and_holds_stand_in_the_report_with_who_decided(lawful: World) -> None:
    world = lawful
    place.hold_account(world.store, Matter("case 12", "lawsuit of a buyer"), "u0", actor="ann", now=at("2025-03-09"))
    report = retention(world, "2025-03-09")
    tables = {table.name: table.rows for table in report.tables}
    (row,) = tables["purges"]
    assert row[0].endswith("\n已出证明 certified")
    assert row[1] == "用户日志 2024-02"
    assert row[2] == "ann 2025-03-01 12:00\nben 2025-03-01 12:00"
    assert row[3].startswith("2025-03-08 ")
    assert row[4] == f"{report.checked['destroyed_records']}"
    ((_, kind, placed, released, digest),) = tables["holds"]
    assert (kind, placed, released, digest) == ("账号 accounts", "ann 2025-03-09 12:00", "保全中 in force", "—")


def test_a_plan_that_was_changed_after_its_certificate(lawful: World) -> None:
    lawful.execute(purge_units.update().values(expired_on="2025-02-28"))
    report = retention(lawful, "2025-03-09")
    assert set(found(report)) == {"certificate_differs"}
