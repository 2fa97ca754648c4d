"""The console on a real PostgreSQL: sign in, a ticket's whole life, every page and list, fifty people at once."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import APIRoute

from console.web.pages import ROUTERS
from retention.store import ArchiveSettings, KeySettings, StoreSettings
from tests.console.running import ROLES, Running, make_parts, running
from tests.console.test_disclosures import FORM
from tests.services import servers
from tickets.queue import get_ticket

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, postgres_admin: str) -> Iterator[Running]:
    """A console whose catalogue, tickets, accounts and keys' register are on PostgreSQL."""
    with servers.database(postgres_admin) as url, servers.database(postgres_admin) as keys:
        settings = StoreSettings(archive=ArchiveSettings(catalogue=url), keys=KeySettings(periods=keys))
        parts = make_parts(tmp_path_factory.mktemp("console") / "store", settings=settings)
        with running(parts) as found:
            yield found
        parts.catalogue.close()
        parts.period_keys.close()


def test_a_ticket_goes_its_way_and_back(console: Running) -> None:
    number = console.open_ticket(content_id="postgres")
    reviewer, head = console.person("reviewer"), console.person("head")
    for step, fields in (
        ("claim", {}),
        ("note", {"reason": "看过账号历史"}),
        ("confirm", {"decision": "illegal", "reason": "赌博引流"}),
        ("dispose", {"measure": "delete"}),
    ):
        assert reviewer.post(f"/tickets/{number}/{step}", **fields).status_code == 303, step
    report = reviewer.post("/reports/draft", ticket=number).headers["location"]
    assert reviewer.post(f"{report}/approve").status_code == 403
    for step, fields in (("approve", {}), ("submit", {"submission": "平台"}), ("acknowledge", {"receipt": "HZ-1"})):
        assert head.post(f"{report}/{step}", **fields).status_code == 303, step
    for form in ("docx", "pdf", "json", "csv"):
        assert head.get(f"{report}/file/{form}").status_code == 200
    assert head.post(f"/tickets/{number}/close").status_code == 303
    assert reviewer.post(f"/tickets/{number}/appeal", reason="误判").status_code == 303
    assert head.post(f"/tickets/{number}/reverse", reason="确属误判").status_code == 303
    with console.parts.catalogue.read() as connection:
        assert get_ticket(connection, number).state == "reversed"


def test_every_page_answers(console: Running) -> None:
    number = console.open_ticket(content_id="pages")
    head = console.person("head")
    duty = head.post("/duties", kind="assessment", title="评估", start="2026-09-02T10:00").headers["location"]
    document = {"document": ("x.pdf", b"%PDF", "application/pdf")}
    disclosure = head.post("/disclosures", files=document, **FORM).headers["location"]
    head.post("/queue/views", name="视图", query="part=dispose")
    for audit in ("coverage", "integrity", "retention", "keys", "access"):
        assert head.post("/audit/run", audit=audit).status_code == 303
    known = {
        "/tickets/{ticket_id}": f"/tickets/{number}",
        "/duties/{duty_id}": duty,
        "/disclosures/{number}": disclosure,
    }
    known |= {"/disclosures/{number}/document": f"{disclosure}/document"}
    wide = ["/queue?part=dispose&state=detected&category=gambling&severity=3&channel=complaint&q=u00012345"]
    wide += ["/queue?assignee=me&due_by=2027-01-01&missed=1&decision=illegal&page=2", "/rules?q=a", "/duties"]
    people = {name: console.person(name) for name in ROLES}
    seen = 0
    for route in [r for router in ROUTERS for r in router.routes if isinstance(r, APIRoute) and "GET" in r.methods]:
        path = known.get(route.path, route.path)
        if "{" in path or path.startswith(("/sign-in", "/setup")):
            continue
        for person in people.values():
            answer = person.get(path)
            assert answer.status_code in {200, 303, 403}, (path, answer.status_code)
            seen += answer.status_code == 200
    assert seen > 60
    for path in wide:
        assert head.get(path).status_code == 200, path
    assert people["auditor"].get("/audit/events?kind=ticket.opened&actor=head&subject=ticket:").status_code == 200


@pytest.mark.parametrize("path", ["/tickets", "/reports", "/duties", "/disclosures", "/audit/reports", "/accounts"])
def test_addresses_that_no_database_can_hold_are_no_fault_of_ours(console: Running, path: str) -> None:
    people = [console.person(name) for name in ("head", "sysadmin")]
    for word in ("%00", "a%00b", "%F0%9F%98%80" * 60, "%ED%A0%80", "..%2F..", "'%20OR%201=1--"):
        for person in people:
            assert person.get(f"{path}/{word}").status_code in {400, 403, 404, 405}, word
    for query in ("q=%00", "assignee=%00", "category=%00", "q=%F0%9F%98%80", "part=x"):
        assert people[0].get(f"/queue?{query}").status_code in {200, 400}, query
    auditor = console.person("auditor")
    for query in ("subject=%00", "actor=a%00", "kind=%00"):
        assert auditor.get(f"/audit/events?{query}").status_code in {200, 400}, query


def test_texts_that_no_database_can_hold_are_no_fault_of_ours(console: Running) -> None:
    number = console.open_ticket(content_id="texts")
    head = console.person("head")
    for text in ("a\x00b", "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"), "𠮷" * 5000, "\u202e"):
        files = {"document": ("x", b"x", "application/pdf")}
        duty = {"kind": "assessment", "title": text[:400], "start": "2026-09-02T10:00"}
        finding = {"channel": "complaint", "category": "fraud", "text": text, "content_id": text[:500]}
        for answer in (
            head.post(f"/tickets/{number}/note", reason=text),
            head.post("/open", **finding),
            head.post("/duties", **duty),
            head.post("/disclosures", files=files, **{**FORM, "reason": text}),
            head.post("/queue/views", name=text[:60], query="part=dispose"),
        ):
            assert answer.status_code in {303, 400}


def test_fifty_claim_at_once_and_each_ticket_goes_to_one(console: Running) -> None:
    numbers = [console.open_ticket(f"同时领取 {n} {n * 7919}", content_id=f"race-{n}") for n in range(5)]
    tokens = [console.token(name) for name in ("reviewer", "reviewer2", "head")]
    answers: list[tuple[str, int, str]] = []
    ready = threading.Barrier(50)

    def claim(n: int) -> None:
        headers = {"Authorization": f"Bearer {tokens[n % 3]}"}
        number = numbers[n % 5]
        with httpx.Client(base_url=console.url + "/v1", headers=headers, timeout=60) as client:
            ready.wait(30)
            answer = client.post(f"/tickets/{number}/steps/claim", json={})
            answers.append((number, answer.status_code, answer.text))

    threads = [threading.Thread(target=claim, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(answers) == 50
    assert {status for _, status, _ in answers} <= {200, 409}, Counter(status for _, status, _ in answers)
    refused = [text for _, status, text in answers if status == 409]
    assert all(re.search(r"claimed|taken|somebody|user:", text) for text in refused), refused[:1]
    with console.parts.catalogue.read() as connection:
        found = [get_ticket(connection, number) for number in numbers]
    assert all(ticket.assignee for ticket in found)
    assert Counter(number for number, status, _ in answers if status == 200).keys() == set(numbers)
