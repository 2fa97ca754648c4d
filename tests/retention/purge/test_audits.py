"""Each audit finds its planted fault, and nothing where nothing is wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from retention.audits.access import audit_access
from retention.audits.asked import Asked, outline, show_asked
from retention.audits.keys import audit_keys
from retention.audits.report import AuditReport, Severity, Span
from retention.audits.retention import audit_retention
from retention.catalogue.tables import events, log_leaves, retired_segments, segment_places, segments
from retention.errors import KeyDestroyedError
from retention.holds import place
from retention.holds.place import Matter
from retention.manifest import SegmentManifest
from retention.persons.requests import Kind, receive
from retention.policies.tables import policy_versions, subjects
from retention.purge.tables import purge_units, purges
from retention.query.errors import QueryInvalidError
from retention.query.render import renderer
from retention.query.run import run_query, seal_words
from tests.retention.policies.world import World, at, logs, order
from tests.retention.purge.destroying import approved, run


def found(report: AuditReport) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for finding in report.findings:
        if finding.severity is Severity.FAULT:
            kinds.setdefault(finding.kind, []).append(finding.where)
    return kinds


def notices(report: AuditReport) -> set[str]:
    return {finding.kind for finding in report.findings if finding.severity is Severity.NOTICE}


def retention(world: World, on: str) -> AuditReport:
    world.follow()
    return audit_retention(world.store, settings=world.settings, now=at(on))


def keys(world: World, on: str) -> AuditReport:
    world.follow()
    return audit_keys(world.store, settings=world.settings, now=at(on))


@pytest.fixture
def lawful(world: World) -> World:
    """One month destroyed as it should be, one kept."""
    world.ingest(logs("2024-02-01"))
    world.ingest(logs("2025-02-05"))
    made = approved(world, "2025-03-01")
    run(world, made.purge_id, "2025-03-08")
    return world


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


def ask(world: World, actor: str = "ann", purpose: str = "weekly check", basis: str | None = None) -> None:
    run_query(
        world.store,
        "SELECT * FROM user_logs",
        purpose=purpose,
        actor=actor,
        render=renderer("json", "UTC"),
        basis=basis,
    )


def record(world: World, kind: str, name: str, body: dict[str, object], on: str = "2025-03-03", hour: int = 12) -> None:
    with world.catalogue.write() as connection:
        from retention.catalogue.events import append

        append(connection, kind=kind, actor="eve", subject=f"query:{name}", body=body, at=at(on, hour))


def test_access_in_order(world: World) -> None:
    world.ingest(logs("2025-02-01", "2025-02-02"))
    ask(world)
    ask(world, "ben", basis="case 12")
    report = audit_access(world.store)
    assert found(report) == {}
    assert (report.checked["queries"], report.checked["rows_returned"], report.checked["answered"]) == (2, 4, 2)
    assert "weekly check" in str(report.checked["account ann"])
    assert "restricted_seen" in notices(report)
    assert audit_access(world.store, span=Span(until=at("2020-01-01"))).checked["queries"] == 0


@pytest.mark.parametrize(
    ("purpose", "basis", "restricted", "kind"),
    [
        ("", None, False, "no_purpose"),
        ("…", None, False, "no_purpose"),
        (" ", None, False, "no_purpose"),
        ("x", None, True, "no_ground"),
    ],
)
def test_a_query_without_a_purpose_or_ground(
    world: World, purpose: str, basis: str | None, restricted: bool, kind: str
) -> None:
    sealed = seal_words(world.store.bodies, "q1", "SELECT 1", purpose, basis)
    record(world, "query.started", "q1", {"sealed": sealed, "restricted": restricted})
    record(world, "query.answered", "q1", {"rows": 1})
    assert found(audit_access(world.store)) == {kind: ["query:q1"]}


def test_the_audit_tells_what_was_asked_and_names_nobody(world: World) -> None:
    world.ingest(logs("2025-02-01"))
    ask(world)
    with pytest.raises(QueryInvalidError):
        run_query(world.store, "SELECT x", purpose="typo", actor="ben", render=renderer("json", "UTC"))
    (table,) = [one for one in audit_access(world.store).tables if one.name == "asked"]
    assert [row[1:] for row in table.rows] == [
        ("ben", "SELECT x", "typo", "1", "未成功 1\nfailed"),
        ("ann", "SELECT * FROM user_logs", "weekly check", "1", "1"),
    ]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT count(*) FROM user_logs WHERE user_id = '张三' LIMIT 10",
         "SELECT count ( * ) FROM user_logs WHERE user_id = … LIMIT 10"),
        ("SELECT 1 -- 李四\n, 2 /* SECRET */", "SELECT 1 , 2"),
        ("SELECT 13800138000, E'SECRET\\'x', $$SECRET$$, $t$ SECRET $t$", "SELECT … , … , … , …"),
        ('SELECT user_id AS "SECRET 张三", order_id AS 张三 FROM x', "SELECT user_id AS … , order_id AS … FROM x"),
        ('SELECT "user_id", "SECRET" FROM x', "SELECT \"user_id\" , … FROM x"),
        ("SELECT 'SECRET", "SELECT …"),
        ("\udcff SECRET'", None),
        ("", ""),
    ],
)  # fmt: skip
def test_statements_without_their_values(sql: str, told: str | None) -> None:
    found = outline(sql)
    assert told is None or found == told
    assert "SECRET'" not in found
    assert len(outline(sql * 500)) <= 300


def test_the_newest_queries_are_listed_and_all_counted() -> None:
    report = AuditReport("access", at("2025-03-03"), Span())
    show_asked(report, (Asked(at("2025-03-03"), f"ann{n}", "SELECT 1", "x", 1) for n in range(1234)))
    (table,) = report.tables
    assert len(table.rows) == 200
    assert "the newest 200 of 1,234" in table.title


def test_what_was_asked_again_and_again_stands_in_one_row() -> None:
    report = AuditReport("access", at("2025-03-03"), Span())
    days = [f"2025-03-{n:02d}" for n in range(1, 31)]
    asked = [Asked(at(day, 9), "ann", f"SELECT {n + 1000}", "weekly " * 30, n or None) for n, day in enumerate(days)]
    show_asked(report, [*asked, Asked(at("2025-03-02"), "ann", "", "", 1)])
    (table,) = report.tables
    first, second = table.rows
    assert first[0] == "2025-03-01 09:00\n至 to 2025-03-30 09:00"
    assert first[1:3] == ("ann", "SELECT …")
    assert first[3].endswith("…")
    assert first[4:] == ("30", "435\n未成功 1\nfailed")
    assert second[2:] == ("–", "未写明 none stated", "1", "1")
    assert table.title == "查询内容,值已隐去 What was asked, values left out"


def test_the_program_s_own_queries_have_no_night_and_queries_without_a_purpose_are_counted(world: World) -> None:
    sealed = seal_words(world.store.bodies, "q1", "SELECT 1", "")
    record(world, "query.started", "q1", {"sealed": sealed}, hour=2)
    assert "at_night" in notices(audit_access(world.store))
    world.execute(events.update().where(events.c.subject == "query:q1").values(actor="system:review"))
    assert "at_night" not in notices(audit_access(world.store))
    (table,) = [one for one in audit_access(world.store).tables if one.name == "accounts"]
    assert table.rows[0][4] == "未写明 none stated (1)"


def test_records_of_access_that_were_tampered_with(world: World) -> None:
    record(world, "query.started", "bare", {})
    sealed = seal_words(world.store.bodies, "other", "SELECT 1", "x")
    record(world, "query.started", "moved", {"sealed": sealed})
    record(world, "query.started", "junk", {"sealed": "AAAA"})
    record(world, "query.answered", "alone", {"rows": 3})
    world.ingest(logs("2025-02-01"))
    world.execute(events.update().where(events.c.subject == "query:junk").values(body="{"))
    report = audit_access(world.store, now=at("2025-03-03", 13))
    assert found(report) == {
        "no_purpose": ["query:bare"],
        "record_changed": ["query:moved", "query:junk"],
        "not_announced": ["query:alone"],
    }
    assert "no_outcome" in notices(audit_access(world.store, now=at("2025-03-09")))


def test_unusual_access(world: World) -> None:
    for number in range(70):
        sealed = seal_words(world.store.bodies, f"q{number}", "SELECT 1", "x")
        record(world, "query.started", f"q{number}", {"sealed": sealed}, hour=23)
        record(world, "query.answered", f"q{number}", {"rows": 500_000 if number == 3 else 10}, hour=23)
    report = audit_access(world.store)
    assert found(report) == {}
    assert notices(report) == {"many_rows", "at_night", "burst"}
    assert json.dumps(report.as_json())


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


def test_a_plan_that_was_changed_after_its_certificate(lawful: World) -> None:
    lawful.execute(purge_units.update().values(expired_on="2025-02-28"))
    report = retention(lawful, "2025-03-09")
    assert set(found(report)) == {"certificate_differs"}
