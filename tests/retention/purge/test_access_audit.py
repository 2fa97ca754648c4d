"""The audit of access finds each planted fault, and tells what was asked without a name."""

from __future__ import annotations

import json

import pytest

from retention.audits.access import audit_access
from retention.audits.asked import Asked, outline, show_asked
from retention.audits.report import AuditReport, Span
from retention.catalogue.tables import events
from retention.query.errors import QueryInvalidError
from retention.query.render import renderer
from retention.query.run import run_query, seal_words
from tests.retention.policies.world import World, at, logs
from tests.retention.purge.audited import found, notices


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
