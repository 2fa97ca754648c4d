"""The pages over HTTP, without script: one ticket by forms, from its opening to its appeal, and its links."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tests.console.running import state, trail


def test_a_ticket_s_whole_life(console) -> None:
    number = console.open_ticket()
    reviewer, head = console.person("reviewer"), console.person("head")
    path = f"/tickets/{number}"
    page = reviewer.get(path)
    assert page.status_code == 200
    assert reviewer.post(f"{path}/claim").status_code == 303
    assert reviewer.post(f"{path}/confirm", decision="illegal", reason="赌博引流").status_code == 303
    assert reviewer.post(f"{path}/dispose", measure="delete", reason="").status_code == 303
    found = state(console, number)
    assert found.state == "disposed"
    assert found.due_on
    days = reviewer.get(path).text
    assert days.count("<li class=") >= 10
    assert found.due_on in days
    draft = reviewer.post("/reports/draft", ticket=number)
    assert draft.status_code == 303
    report = draft.headers["location"]
    assert reviewer.post(f"{report}/approve").status_code == 403
    assert reviewer.get(f"{report}/file/json").headers["content-type"] == "application/json"
    assert reviewer.get(f"{report}/file/docx").content[:2] == b"PK"
    assert reviewer.get(f"{report}/file/exe").status_code == 404
    assert head.post(f"{report}/submit", submission="平台").status_code == 400
    assert head.post(f"{report}/approve").status_code == 303
    assert head.post(f"{report}/submit", submission="通信管理局报送平台").status_code == 303
    assert state(console, number).state == "reported"
    assert head.post(f"{report}/acknowledge", receipt="").status_code == 400
    assert head.post(f"{report}/acknowledge", receipt="HZ-1").status_code == 303
    assert reviewer.post(f"{path}/close").status_code == 303
    assert state(console, number).state == "closed"
    assert reviewer.post(f"{path}/appeal", reason="用户申诉").status_code == 303
    assert reviewer.post(f"{path}/reverse", reason="x").status_code == 403
    assert head.post(f"{path}/reverse", reason="误判").status_code == 303
    found = state(console, number)
    assert (found.state, found.correction_needed) == ("reversed", True)
    assert "更正" in head.get(report).text
    kinds = [kind for kind, _ in trail(console, f"ticket:{number}")]
    assert kinds[-1] == "ticket.reversed_after_report"
    assert {"ticket.claimed", "ticket.confirmed", "ticket.disposed", "ticket.reported", "ticket.closed"} <= set(kinds)
    assert all(actor.startswith(("user:", "system:")) for _, actor in trail(console, f"ticket:{number}"))


def test_nobody_approves_what_they_triaged(console) -> None:
    number = console.open_ticket()
    head = console.person("head")
    path = f"/tickets/{number}"
    head.post(f"{path}/confirm", decision="illegal", reason="x")
    head.post(f"{path}/dispose", measure="mask")
    report = head.post("/reports/draft", ticket=number).headers["location"]
    answer = head.post(f"{report}/approve")
    assert answer.status_code == 403
    assert "任何人都不能审批自己的决定" in answer.text


def test_a_milder_decision_waits_for_a_second_person(console) -> None:
    number = console.open_ticket()
    path = f"/tickets/{number}"
    reviewer, second = console.person("reviewer"), console.person("reviewer2")
    answer = reviewer.post(f"{path}/confirm", decision="violation", reason="轻微")
    assert answer.status_code == 303
    approval = re.search(r'name="approval" value="([^"]+)"', reviewer.get(path).text)[1]
    assert number in second.get("/queue").text
    assert reviewer.post(f"{path}/approve", approval=approval, reason="同意").status_code == 403
    assert second.post(f"{path}/approve", approval=approval, reason="同意").status_code == 303
    assert state(console, number).decision == "violation"


def test_what_was_typed_comes_back_when_a_step_fails(console) -> None:
    number = console.open_ticket()
    path = f"/tickets/{number}"
    reviewer, other = console.person("reviewer"), console.person("reviewer2")
    version = re.search(r'name="version" value="(\d+)"', reviewer.get(path).text)[1]
    assert other.post(f"{path}/claim").status_code == 303
    long = "很长的理由<b>" * 20
    answer = reviewer.post(f"{path}/dismiss", version=version, reason=long)
    assert answer.status_code == 409
    assert "很长的理由&lt;b&gt;" * 20 in answer.text
    assert "有人改动了这张工单" in answer.text
    taken = reviewer.post(f"{path}/claim")
    assert taken.status_code == 409
    assert "user:reviewer2" in taken.text
    assert reviewer.post(f"{path}/dispose", measure="delete", effective_at="yesterday", reason="x").status_code == 400
    assert reviewer.post(f"{path}/unheard-of").status_code == 404
    assert reviewer.post("/tickets/T0000/claim").status_code == 404


def test_markup_in_content_stays_text(console) -> None:
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(1)>{{ 7*7 }}'
    number = console.open_ticket(evil, content_id='"><b>')
    page = console.person("head").get(f"/tickets/{number}").text
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "{{ 7*7 }}" in page
    assert "<script>alert" not in console.person("head").get("/queue").text


def test_a_ticket_opened_by_hand(console) -> None:
    person = console.person("reviewer")
    given = {
        "channel": "authority",
        "category": "fraud",
        "text": "主管部门通知删除",
        "severity": "4",
        "reference": "通知〔2026〕1号",
    }
    due = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    answer = person.post("/open", **given, own_due_at=due, content_id="ad-1")
    assert answer.status_code == 303
    page = person.get(answer.headers["location"])
    assert "主管部门通知" in page.text
    wrong = person.post("/open", **(given | {"severity": "9"}))
    assert wrong.status_code == 400
    assert "主管部门通知删除" in wrong.text


def test_a_link_by_hand_is_made_and_taken_away(console) -> None:
    first, second = (
        console.open_ticket(f"各不相同的内容{n}", category="fraud", content_id=f"linked-{n}") for n in (1, 2)
    )
    person = console.person("reviewer")
    path = f"/tickets/{first}"
    person.post(f"{path}/link", other=second)
    page = person.get(path).text
    assert f'action="{path}/unlink"' in page
    assert f'name="other" value="{second}"' in page
    person.post(f"{path}/unlink", other=second)
    assert f'action="{path}/unlink"' not in person.get(path).text
    assert [kind for kind, _ in trail(console, f"ticket:{second}") if "link" in kind] == [
        "ticket.linked",
        "ticket.unlinked",
    ]
    program = console.api("reviewer")
    for step in ("link", "unlink"):
        assert program.post(f"/tickets/{first}/steps/{step}", json={"other": [second]}).status_code == 200, step
