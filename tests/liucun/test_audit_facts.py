"""What a report's clauses say beside the audits: tickets and their days, duties, destructions, rules of one's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner

from liucun.audit_facts import duties_of, facts_of
from liucun.cli import main_group
from liucun.store import OpenStore, open_store
from retention.audits.clauses import clauses
from tickets.opening import ContentFinding, Hit, open_or_extend, prepare
from tickets.tables import tickets

LONG_AGO, LATER = "2026-01-05T04:00:00.000000Z", "2026-01-09T04:00:00.000000Z"


def opened_tickets(opened: OpenStore, count: int) -> list[str]:
    hit = Hit("gambling/1", "gambling", None, 3, 0, 2, "赌球", 0.9, "test/1")
    at = datetime(2026, 1, 4, tzinfo=UTC)
    found = [
        ContentFinding("app", "chat#1", n, f"c{n}", "content", "u", "text", f"赌球 {n}", at, (hit,))
        for n in range(count)
    ]
    with opened.catalogue.write() as connection:
        open_or_extend(connection, prepare(opened.bodies, found, now=at))
        return [str(one) for one in connection.execute(tickets.select().order_by(tickets.c.offset)).scalars()]


def test_an_empty_store_has_nothing_to_say_and_says_so(store: Path) -> None:
    with open_store(store, ()) as opened:
        facts = facts_of(opened)
        assert set(facts) == {name for clause in clauses() for name in clause.facts}
        assert facts["tickets"].startswith("工单 tickets 0; 认定违法 illegal 0")
        assert facts["own_rules"] == "未载入自备名单 no list of one's own is loaded"
        assert facts["measures"] == "处置措施 measures: 没有 none"
        assert duties_of(opened)["incident"] == "网络安全事件报告: 未登记 none entered"


def test_tickets_from_confirmation_to_report_are_counted_with_what_is_late(store: Path) -> None:
    with open_store(store, ()) as opened:
        numbers = opened_tickets(opened, 8)
        disposed = {"decision": "illegal", "effective_at": LONG_AGO, "measure": "delete", "due_at": LATER}
        states: list[dict[str, str]] = [
            {},
            {"state": "dismissed"},
            {"state": "confirmed", "decision": "illegal", "police_due_at": LATER},
            {"state": "disposed", **disposed},
            {"state": "disposed", **disposed, "due_at": "2999-01-01T00:00:00.000000Z"},
            {
                "state": "reported", **disposed, "reported_at": LONG_AGO,
                "police_due_at": LONG_AGO, "police_reported_at": LATER,
            },
            {"state": "reported", **disposed, "reported_at": "2026-02-01T00:00:00.000000Z", "channel": "authority"},
            {"state": "reversed", **disposed, "measure": "warn"},
        ]  # fmt: skip
        with opened.catalogue.write() as connection:
            for number, values in zip(numbers, states, strict=True):
                if values:
                    connection.execute(tickets.update().where(tickets.c.ticket_id == number).values(**values))
        facts = facts_of(opened)
    assert facts["tickets"] == (
        "工单 tickets 8; 认定违法 illegal 5, 已处置 disposed 4, 已上报 reported 2 (其中逾期 late 1), "
        "未上报 not yet 2 (其中已逾期 overdue 1)"
    )
    assert facts["police"] == (
        "应向公安报告 due to the police 2, 逾期报告 late 1, 未报告 not yet 1 (其中已逾期 overdue 1)"
    )
    assert facts["orders"] == "主管部门通知 instructions 1, 已处置 acted on 1"
    assert facts["measures"] == "处置措施 measures: 删除 delete 4, 警示 warn 1"


def test_duties_say_what_is_overdue_first_and_how_many_more_there_are(store: Path) -> None:
    def duty(*words: str) -> dict[str, str]:
        result = CliRunner().invoke(main_group, ["duties", *words, "--store", str(store), "--json"])
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.output))

    starts = ["2098-01-01", "2026-03-01", "2026-01-01", "2026-02-01", "2025-12-01"]
    made = [duty("add", "--kind", "change_filing", "--title", "t", "--start", day) for day in starts]
    duty("complete", made[-1]["duty_id"], "--receipt", "r1")
    with open_store(store, ()) as opened:
        said = duties_of(opened)["change_filing"]
    assert said == (
        "变更备案: 应于 2026-01-31 前, 已逾期 overdue; 应于 2026-03-03 前, 已逾期 overdue; "
        "应于 2026-03-31 前, 已逾期 overdue; 另有 2 项 more"
    )
    for one in made[1:4]:
        duty("complete", one["duty_id"], "--receipt", "r2")
    with open_store(store, ()) as opened:
        said = duties_of(opened)["change_filing"]
    assert said.startswith("变更备案: 应于 2098-01-31 前, 待办 open; ")
    assert "逾期办结 done late, 证据 0 份 files" in said


def test_rules_of_one_s_own_are_counted(store: Path) -> None:
    (store / "rules").mkdir(exist_ok=True)
    head = "#! category=prohibited_goods\n#! basis=x\n#! author=a\n#! since=2026-01-01\n#! severity=2\n"
    rule = "id,words,hits\nown.telecom.001,出租电话线路,出租电话线路\n"
    (store / "rules" / "own.csv").write_text(head + rule, encoding="utf-8")
    with open_store(store, ()) as opened:
        assert facts_of(opened)["own_rules"] == "自备规则 rules of one's own: 1 条在运行 live"


def test_of_an_empty_store_every_form_says_that_there_was_nothing_to_check(store: Path, tmp_path: Path) -> None:
    def asked(*words: str) -> str:
        return CliRunner().invoke(main_group, ["audit", *words, "--store", str(store)]).output

    page = tmp_path / "retention.html"
    lines = asked("retention", "--html", str(page)).splitlines()
    assert lines[0].endswith(": 没有可检查的内容 NOTHING TO CHECK")
    text = page.read_text(encoding="utf-8")
    assert "没有可检查的内容 NOTHING TO CHECK" in text
    assert "PASSED" not in text
    assert json.loads(asked("retention", "--json"))["outcome"] == "nothing_to_check"
    verdicts = [line for line in asked("all").splitlines() if line.endswith(("CHECK", "PASSED", "FOUND"))]
    # Keys are there from the beginning.
    assert {line.split(":")[0].split()[-1]: line.split(": ")[1].split()[0] for line in verdicts} == {
        "Coverage": "没有可检查的内容", "Integrity": "没有可检查的内容", "Retention": "没有可检查的内容",
        "Access": "没有可检查的内容", "Keys": "通过", "samples": "没有可检查的内容",
    }  # fmt: skip


def test_the_report_as_json_holds_each_clause_as_it_stands(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    CliRunner().invoke(main_group, ["audit", "all", "--store", str(store), "--report", str(file)])
    shown = json.loads(file.read_text(encoding="utf-8"))
    stands = {one["clause"]: one["stands"] for one in shown["clauses"]}
    assert len(stands) == len(clauses())
    assert "工单 tickets 0" in stands["9"]
    assert "integrity" in stands["16(9)"]
    assert stands["13"] == "—"
