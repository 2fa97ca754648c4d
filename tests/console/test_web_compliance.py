"""The pages over HTTP, without script: audits in the background, duties with evidence, backtests of rules."""

from __future__ import annotations

import re

from retention.catalogue import events


def test_an_audit_runs_in_the_background(console) -> None:
    person = console.person("head")
    assert person.post("/audit/run", audit="coverage").status_code == 303
    assert person.post("/audit/run", audit="nonsense").status_code == 400
    for _ in range(100):
        if "没有可检查的内容" in (page := person.get("/audit").text):
            break
    assert "完整性审计" in page
    report = re.search(r"/audit/reports/[0-9a-f]{16}", page)[0]
    shown = person.get(report)
    assert shown.status_code == 200
    # What was found is said in Chinese, in the report's own words beside it; to a reader of English in those alone.
    assert '<span class="tag ">没有可检查的内容</span>' in shown.text
    assert '<span class="tag good">通过</span>' not in shown.text
    assert "没有在运行的检测器" in shown.text
    assert "No live detector for" in shown.text
    person.post("/language", language="en", target="/audit")
    shown = person.get(report)
    assert '<span class="tag ">Nothing to check</span>' in shown.text
    assert "没有在运行的检测器" not in shown.text
    assert "No live detector for" in shown.text
    assert person.get("/audit/reports/ffff").status_code == 400


def test_duties_with_evidence_and_receipt(console) -> None:
    person = console.person("head")
    answer = person.post("/duties", kind="assessment", title="新功能评估", start="2026-09-02T10:00")
    assert answer.status_code == 303
    path = answer.headers["location"]
    page = person.get(path).text
    assert "2026-10-02" in page or "2026-10-03" in page
    sent = person.post(f"{path}/evidence", files={"file": ("报告.pdf", b"%PDF-1.7 x", "application/pdf")})
    assert sent.status_code == 303
    link = re.search(rf"{path}/files/\d+", person.get(path).text)[0]
    assert person.get(link).content == b"%PDF-1.7 x"
    assert person.get(link).headers["content-disposition"].startswith("attachment")
    assert person.post(f"{path}/complete", receipt="").status_code == 400
    assert person.post(f"{path}/complete", receipt="R-9").status_code == 303
    assert person.post("/duties", kind="x", title="y", start="").status_code == 400


def test_the_rules_page_shows_what_backtests_found(console) -> None:
    person = console.person("secadmin")
    assert "还没有回测" in person.get("/rules").text
    found = {"texts": 12_345, "candidate": 30, "today": 20, "both": 18, "only_candidate": 12, "only_today": 2}
    body = {
        **{"since": "2026-11-01T00:00:00.000000Z", "until": "2026-11-08T00:00:00.000000Z", "class": "content"},
        **{"field": "text", "candidate_version": "rules-new", "today_version": "rules-old", "found": found},
        **{"rules": [{"rule": "own.a", "candidate": 12, "today": 0, "new": 12}], "further_rules": 3, "queries": 1},
    }
    with console.parts.catalogue.write() as connection:
        events.append(connection, kind="rules.backtested", actor="user:secadmin", subject="rules", body=body)
    page = person.get("/rules").text
    for word in ("rules-new", "12,345", "own.a", "2026-11-01", "4 条"):
        assert word in page, word
    assert "规则回测" in console.person("auditor").get("/audit/events").text
