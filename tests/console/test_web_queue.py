"""The pages over HTTP, without script: the queue's order, the next ticket, search, filters and saved views."""

from __future__ import annotations

import re

from tests.console.running import state


def test_one_after_the_other_in_the_order_of_the_view(console) -> None:
    numbers = [
        console.open_ticket(f"代练上分包赢{n}", category="abuse", severity=1, content_id=f"next-{n}") for n in range(4)
    ]
    person, other, auditor = console.person("reviewer"), console.person("reviewer2"), console.person("auditor")

    def beside(visitor, number: str) -> dict[str, str]:
        found = re.findall(r'href="/tickets/(\w+)" data-key="([np])"', visitor.get(f"/tickets/{number}").text)
        return {key: at for at, key in found}

    for visitor in (person, other, auditor):
        visitor.get("/queue?category=abuse")
    assert beside(person, numbers[0]) == {"n": numbers[1]}
    assert beside(person, numbers[1]) == {"p": numbers[0], "n": numbers[2]}, "who passes over a ticket goes on"
    other.post(f"/tickets/{numbers[2]}/claim")
    assert beside(person, numbers[1]) == {"p": numbers[0], "n": numbers[3]}
    assert beside(auditor, numbers[1]) == {"p": numbers[0], "n": numbers[2]}, "who only reads sees every one"
    person.post(f"/tickets/{numbers[1]}/dismiss", reason="无害")
    assert beside(person, numbers[1]) == {"n": numbers[0]}, "after a decision the most urgent of the view follows"
    assert 'href="/queue?category=abuse" data-key="u"' in person.get(f"/tickets/{numbers[0]}").text
    assert numbers[2] not in person.get("/queue?category=abuse&assignee=-").text
    person.get("/queue?category=abuse&q=secret-account")
    assert "secret" not in person.client.cookies["liucun_view"]


def test_the_next_ticket_is_claimed_and_opened(console) -> None:
    numbers = [
        console.open_ticket(f"收购驾驶证分数{n}", category="incitement", content_id=f"take-{n}") for n in range(2)
    ]
    view = "/queue?category=incitement"
    person, other = console.person("reviewer"), console.person("reviewer2")
    assert person.post("/queue/next", back=view).headers["location"] == f"/tickets/{numbers[0]}"
    assert other.post("/queue/next", back=view).headers["location"] == f"/tickets/{numbers[1]}"
    assert [state(console, number).assignee for number in numbers] == ["user:reviewer", "user:reviewer2"]
    assert person.post("/queue/next", back=view).headers["location"] == view
    assert "没有待领取的工单" in person.get(view).text


def test_search_filters_and_saved_views(console) -> None:
    number = console.open_ticket(content_id="article-77", user_id="seeker-9")
    person = console.person("reviewer")
    assert person.get(f"/queue?q={number.lower()}").headers["location"] == f"/tickets/{number}"
    assert number in person.get("/queue?q=article-77").text
    assert number in person.get("/queue?q=seeker-9").text
    assert number not in person.get("/queue?q=nobody").text
    assert number in person.get("/queue?state=detected&category=gambling&severity=3&channel=complaint").text
    assert number not in person.get("/queue?severity=1").text
    assert number not in person.get("/queue?waits=police").text
    person.post(f"/tickets/{number}/confirm", decision="illegal", reason="赌博")
    assert re.search(rf"{number}.*?公安 <time", person.get("/queue?waits=police").text, re.DOTALL)
    assert number in person.get("/queue?due_by=9999-12-31").text
    for wrong in ("state=x", "page=0", "page=999999999999", "due_by=2026-99", "due_by=2026-02-31", "severity=9"):
        assert person.get(f"/queue?{wrong}").status_code == 400, wrong
    person.get("/queue?category=gambling")
    assert person.post("/queue/views", name="赌博", query="category=gambling&evil=1").status_code == 303
    page = person.get("/queue")
    assert "/queue?category=gambling" in page.text
    assert "evil" not in page.text
    view = re.search(r'name="view_id" value="([^"]+)"', page.text)[1]
    assert person.post("/queue/views/drop", view_id=view).status_code == 303
