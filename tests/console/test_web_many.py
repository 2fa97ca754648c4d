"""The pages over HTTP, without script: many tickets at once, from the queue or as a group, and what is taken back."""

from __future__ import annotations

import re

from console.web.many import REASONS
from tests.console.running import state
from tickets.evidence import list_evidence
from tickets.steps.refusals import Why
from tickets.tables import tickets


def test_a_bulk_step_and_its_undo(console) -> None:
    numbers = [console.open_ticket(f"高薪刷单日结{n}", category="fraud", content_id=f"bulk-{n}") for n in range(3)]
    person = console.person("reviewer")
    answer = person.post("/queue/bulk", ticket=numbers, action="claim", back="/queue?category=fraud")
    assert answer.headers["location"] == "/queue?category=fraud"
    assert all(state(console, n).assignee == "user:reviewer" for n in numbers)
    page = person.get("/queue?category=fraud")
    step = re.search(r'name="step" value="([^"]+)"', page.text)[1]
    assert person.post("/queue/undo", step=step).status_code == 303
    assert all(state(console, n).assignee is None for n in numbers)
    missing = person.post("/queue/bulk", ticket=numbers, action="dismiss", reason="", back="/queue")
    assert missing.status_code == 400
    assert missing.text.count(" checked") >= 3, "what was ticked stays ticked"
    for action in ("claim", "dispose", "release"):
        nothing = person.post("/queue/bulk", action=action)
        assert (nothing.status_code, "没有选中任何工单" in nothing.text) == (400, True)
    for step in ("link", "unlink"):
        assert person.post(f"/tickets/{numbers[0]}/{step}", other=" ").status_code == 400
    assert person.post(f"/tickets/{numbers[0]}/unlink", other="TNONE").status_code == 404
    assert person.post("/queue/bulk", ticket=numbers, action="explode").status_code == 400


def test_what_a_bulk_step_left_out_is_said_in_the_language_of_the_page(console) -> None:
    numbers = [console.open_ticket(f"代开发票加微{n}", category="fraud", content_id=f"left-{n}") for n in range(4)]
    other, person = console.person("reviewer2"), console.person("reviewer")
    other.post("/queue/bulk", ticket=numbers[:2], action="claim", back="/queue")
    person.post(f"/tickets/{numbers[2]}/confirm", decision="illegal", reason="确认")

    def said(action: str, **fields: str) -> str:
        person.post("/queue/bulk", ticket=[*numbers, "TNONE"], action=action, back="/queue", **fields)
        return re.search(r'<div class="note \w+" role="status">([^<]*)', person.get("/queue").text)[1]

    taken = said("claim")
    assert "已处理 2 张工单。" in taken
    assert re.search(r"3 张未处理：reviewer2 已于 \d{4}-\d\d-\d\d \d\d:\d\d 领取（2 张，如 T\w+）；没有这张工单", taken)
    below = said("confirm", decision="violation", reason="平台规则")
    assert "默认定性为“违法”，低于默认须另一人复核" in below
    person.post("/language", language="en", target="/queue")
    settled = said("confirm", decision="illegal", reason="确认")
    assert "it stands at “To dispose” and cannot become “To dispose”" in settled
    assert not re.search("[\u4e00-\u9fff]", settled.split("left out")[1].split(".")[0])


def test_many_are_disposed_of_after_a_look_at_what_it_would_do(console) -> None:
    numbers = [console.open_ticket(f"收购银行卡加微{n}", category="fraud", content_id=f"many-{n}") for n in range(4)]
    person = console.person("reviewer")
    person.post("/queue/bulk", ticket=numbers[:3], action="confirm", decision="illegal", reason="违法", back="/queue")
    asked = person.post("/queue/bulk", ticket=[*numbers, "TNONE"], action="dispose", back="/queue?category=fraud")
    assert asked.status_code == 200
    assert "将处置 3 张" in asked.text
    assert "，2 张不处理" in asked.text
    assert "处置下达后不能撤回。" in asked.text
    assert re.search(r"状态为“待研判”，只有已定性、待处置的工单可以处置</td><td class=\"num\">1</td>", asked.text)
    assert re.search(r"没有这张工单</td><td class=\"num\">1</td>", asked.text)
    assert {state(console, number).state for number in numbers} == {"confirmed", "detected"}, "nothing is done yet"
    named = re.search(r'name="tickets" value="([^"]+)"', asked.text)[1]
    assert sorted(named.split()) == sorted(numbers[:3])
    form = {"tickets": named, "back": "/queue?category=fraud"}
    wrong = person.post("/queue/dispose", **form, measure="", reason="按规定删除")
    assert (wrong.status_code, "按规定删除" in wrong.text) == (400, True), "what was typed is still there"
    assert person.post("/queue/dispose", **form, measure="delete", effective_at="morgen").status_code == 400
    done = person.post("/queue/dispose", **form, measure="delete", reason="按规定删除")
    assert (done.status_code, done.headers["location"]) == (303, "/queue?category=fraud")
    page = person.get("/queue?category=fraud").text
    assert "已处理 3 张工单。" in page
    assert 'name="step"' not in page, "there is no undo"
    assert [state(console, number).measure for number in numbers] == ["delete"] * 3 + [None]
    with console.parts.catalogue.read() as connection:
        for number in numbers[:3]:
            assert len(list_evidence(connection, [f"ticket:{number}"])) == 1
    again = person.post("/queue/dispose", **form, measure="suspend")
    assert again.status_code == 303
    assert "状态为“待上报”，只有已定性、待处置的工单可以处置（3 张" in person.get("/queue").text
    assert state(console, numbers[0]).measure == "delete"
    every = person.post("/queue/bulk", action="dispose-all", back="/queue?category=fraud&state=disposed")
    assert "没有可处置的工单。" in every.text
    assert 'action="/queue/dispose"' not in every.text
    assert console.person("auditor").post("/queue/dispose", **form, measure="delete").status_code == 403
    for nothing in ("", " ,，、 "):
        chosen = person.post("/queue/dispose", tickets=nothing, measure="delete")
        assert (chosen.status_code, "没有选中任何工单" in chosen.text) == (400, True)
    found = person.post("/queue/bulk", action="dispose-all", back="/queue?category=fraud&state=acknowledged")
    assert (found.status_code, "没有选中任何工单" in found.text) == (400, True)
    assert person.post("/queue/dispose", tickets="T1 " * 1_001, measure="delete").status_code == 400


def test_every_reason_to_leave_a_ticket_out_has_its_words() -> None:
    assert set(REASONS) == set(Why)
    for why, text in REASONS.items():
        assert set(re.findall(r"%\((\w+)\)", text)) == set(re.findall(r"{(\w+)}", why.value))


def group_listed(page: str) -> str:
    """The numbers that a ticket's page would send for its group."""
    (confirm, dismiss) = re.findall(r'name="group" value="([^"]+)"', page)
    assert confirm == dismiss
    assert all(f'href="/tickets/{number}"' in page for number in confirm.split())
    return confirm


def test_a_group_is_decided_as_it_was_listed_and_taken_back(console) -> None:
    person, text = console.person("reviewer"), "内部渠道代办各类许可证照三天出证 电话1390000{:04}"
    first, second, spoilt = (console.open_ticket(text.format(n)) for n in range(3))
    with console.parts.catalogue.write() as connection:
        connection.execute(tickets.update().where(tickets.c.ticket_id == spoilt).values(body=b"damaged"))
    page = person.get(f"/tickets/{first}").text
    assert "所列 2 张" in page, "a text that cannot be shown is not decided unseen"
    assert "内部渠道代办各类许可证照" in page.split("关联与账号历史", 1)[1]
    assert f'href="/tickets/{spoilt}"' in page, "a damaged ticket spoils no other one's page"
    group = group_listed(page)
    assert group.split() == [first, second]
    later = console.open_ticket(text.format(3))
    path = f"/tickets/{first}/confirm"
    refused = person.post(path, decision="violation", reason="轻", group=group)
    assert refused.status_code == 409
    assert "second person" in refused.text
    assert person.post(path, decision="illegal", reason="同一广告", group=group).status_code == 303
    states = [state(console, number).state for number in (first, second, spoilt, later)]
    assert states == ["confirmed", "confirmed", "detected", "detected"]
    page = person.get(f"/tickets/{first}").text
    assert "已处理 2 张工单" in page
    token = re.search(r'name="step" value="(B[0-9A-F]+)"', page)
    assert token
    assert person.post("/queue/undo", step=token[1]).status_code == 303
    assert state(console, second).state == "detected"
    assert person.post(path, decision="illegal", reason="同一广告", group="1").status_code == 303
    assert [state(console, number).state for number in (first, second)] == ["confirmed", "detected"]
    assert person.post(path, decision="illegal", reason="同一广告", group=group).status_code == 303
    assert person.post(path, decision="illegal", reason="同一广告", group="1").status_code == 409, "decided already"
