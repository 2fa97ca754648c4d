"""The HTTP API: data and steps as in the console, nothing without a token, never a fault of ours on odd input."""

from __future__ import annotations

from typing import get_args

import pytest
import schemathesis
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from console.access.accounts import account_by
from console.access.roles import Right
from console.api.app import create_api
from console.api.models import AuditBody
from console.reading.audits import KINDS
from tests.console.running import state, trail
from tickets.bodies import ticket_context
from tickets.retaining import emptied_body
from tickets.tables import tickets

OPENAPI = create_api().openapi()


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: object, value: object) -> bytes:
    """Lines as they are, whatever they hold."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


SCHEMA = schemathesis.openapi.from_dict({**OPENAPI, "servers": [{"url": "/v1"}]})


@pytest.fixture
def head(console):
    return console.api("head")


@pytest.fixture
def reviewer(console):
    return console.api("reviewer")


def test_health_and_readiness_are_open(console) -> None:
    client = console.api(None)
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready"}
    assert client.get("/openapi.json").json()["info"]["title"].startswith("Liucun")


def test_findings_become_tickets_and_go_their_way(console, reviewer, head) -> None:
    finding = {
        "channel": "engine",
        "category": "gambling",
        "text": "图片:轮盘赌博广告",
        "engine": "vision-2",
        "score": 0.93,
    }
    made = reviewer.post("/findings", json={**finding, "content_id": "img-1", "url": "https://cdn.example/i/1"})
    assert made.status_code == 201
    number = made.json()["ticket_id"]
    again = reviewer.post("/findings", json={**finding, "content_id": "img-1"})
    assert again.json()["ticket_id"] == number, "the same content is one ticket"
    listed = reviewer.get("/tickets", params={"q": "img-1"}).json()
    assert (listed["total"], listed["items"][0]["ticket_id"]) == (1, number)
    assert (
        reviewer.post(f"/tickets/{number}/steps/confirm", json={"decision": "illegal", "reason": "x"}).status_code
        == 200
    )
    disposed = reviewer.post(f"/tickets/{number}/steps/dispose", json={"measure": "delete"}).json()
    assert disposed["state"] == "disposed"
    report = reviewer.post("/reports", json={"tickets": [number]}).json()["report_id"]
    assert reviewer.post(f"/reports/{report}/approve", json={}).status_code == 403
    assert head.post(f"/reports/{report}/approve", json={}).status_code == 200
    assert head.post(f"/reports/{report}/submit", json={"submission": "api"}).json()["state"] == "submitted"
    assert head.post(f"/reports/{report}/acknowledge", json={"receipt": "R"}).json()["state"] == "acknowledged"
    assert (
        reviewer.get(f"/reports/{report}/file", params={"form": "csv"}).headers["content-type"].startswith("text/csv")
    )
    with console.parts.catalogue.read() as connection:
        holder = account_by(connection, name="reviewer").actor
    exported = ("report.exported", holder)
    assert trail(console, f"report:{report}").count(exported) == 1
    prepares = {"Authorization": "Bearer " + console.token("reviewer", permissions=[Right.REPORTS_PREPARE])}
    assert console.client("/v1", headers=prepares).get(f"/reports/{report}/file").status_code == 403
    assert trail(console, f"report:{report}").count(exported) == 1
    assert reviewer.post(f"/tickets/{number}/steps/close", json={}).json()["state"] == "closed"


def test_personal_data_is_masked_without_a_purpose(console, reviewer) -> None:
    number = console.open_ticket()
    masked = reviewer.get(f"/tickets/{number}").json()
    assert masked["masked"]
    assert "13812345678" not in str(masked)
    opened = reviewer.get(f"/tickets/{number}", headers={"Liucun-Purpose": "verify the number"}).json()
    assert "13812345678" in opened["texts"][0]["text"]
    assert opened["user_id"] == "u00012345"
    assert "personal.revealed" in [event["kind"] for event in reviewer.get(f"/tickets/{number}").json()["timeline"]]


def test_a_ticket_whose_texts_were_destroyed_says_so(console, reviewer) -> None:
    number = console.open_ticket()
    assert reviewer.get(f"/tickets/{number}").json()["texts_destroyed_by"] is None
    assert "P-20" not in console.person("head").get(f"/tickets/{number}").text
    emptied = console.parts.bodies.seal(emptied_body("P-20"), ticket_context(number))
    one = tickets.c.ticket_id == number
    with console.parts.catalogue.write() as connection:
        whole = connection.execute(sa.select(tickets.c.body).where(one)).scalar_one()
        connection.execute(tickets.update().where(one).values(body=emptied))
    assert reviewer.get(f"/tickets/{number}").json()["texts_destroyed_by"] == "P-20"
    assert "已由销毁批次 P-20 销毁" in console.person("head").get(f"/tickets/{number}").text
    with console.parts.catalogue.write() as connection:
        connection.execute(tickets.update().where(one).values(body=whole))  # the store is the other tests', too


def test_states_rights_and_versions_are_told_apart(console, reviewer) -> None:
    number = console.open_ticket()
    version = reviewer.get(f"/tickets/{number}").json()["ticket"]["version"]
    step = f"/tickets/{number}/steps"
    assert reviewer.post(f"{step}/dispose", json={"measure": "delete"}).status_code == 409
    assert reviewer.post(f"{step}/claim", json={"version": version + 1}).status_code == 409
    assert reviewer.post(f"{step}/claim", json={"version": version}).status_code == 200
    assert reviewer.post(f"{step}/confirm", json={"reason": "x"}).status_code == 400
    assert reviewer.post(f"{step}/fly", json={}).status_code == 422
    assert reviewer.post(f"{step}/claim", json={"unknown": 1}).status_code == 422
    assert reviewer.get("/tickets/TNONE").status_code == 404
    error = reviewer.get("/tickets/TNONE").json()
    assert set(error) == {"error", "what", "cure"}


def test_the_next_ticket_is_taken(console, reviewer) -> None:
    number = console.open_ticket("出售军用地图", category="weapons", content_id="api-next")
    taken = reviewer.post("/tickets/next?category=weapons").json()["ticket"]
    assert (taken["ticket_id"], taken["assignee"]) == (number, "user:reviewer")
    assert reviewer.post("/tickets/next?category=weapons").json() == {"ticket": None}


def test_a_bulk_step_can_be_taken_back(console, reviewer) -> None:
    numbers = [console.open_ticket(f"bulk {n}", content_id=f"api-bulk-{n}") for n in range(2)]
    done = reviewer.post("/bulk", json={"action": "claim", "tickets": [*numbers, "TNONE"]}).json()
    assert sorted(done["done"]) == sorted(numbers)
    assert done["refused"][0][0] == "TNONE"
    assert sorted(reviewer.post("/bulk/undo", json={"token": done["token"]}).json()["done"]) == sorted(numbers)


def test_a_bulk_disposal_is_looked_at_before_and_is_final(console, reviewer) -> None:
    numbers = [console.open_ticket(f"many {n}", content_id=f"api-many-{n}") for n in range(3)]
    confirm = {"action": "confirm", "tickets": numbers[:2], "decision": "illegal", "reason": "违法"}
    assert len(reviewer.post("/bulk", json=confirm).json()["done"]) == 2
    asked = {"action": "dispose", "tickets": numbers, "measure": "delete", "reason": "依法"}
    shown = reviewer.post("/bulk", json={**asked, "preview": True}).json()
    assert (sorted(shown["done"]), shown["token"], shown["until"]) == (sorted(numbers[:2]), None, None)
    assert state(console, numbers[0]).state == "confirmed"
    assert reviewer.post("/bulk", json={**asked, "measure": None}).status_code == 400
    assert reviewer.post("/bulk", json={**asked, "tickets": []}).status_code == 422
    assert reviewer.post("/bulk", json={**asked, "measure": "behead"}).status_code == 422
    assert reviewer.post("/bulk", json={**asked, "effective_at": "2099-01-01T00:00:00Z"}).status_code == 400
    done = reviewer.post("/bulk", json=asked).json()
    assert (sorted(done["done"]), done["token"]) == (sorted(numbers[:2]), None)
    assert reviewer.post("/bulk", json=asked).json()["done"] == []
    assert state(console, numbers[0]).measure == "delete"
    assert console.api("auditor").post("/bulk", json={**asked, "preview": True}).status_code == 403


def test_a_program_decides_those_of_a_group_that_it_names(console, reviewer) -> None:
    text = "本店长期收购各类旧书旧报,上门取货,联系电话1390000{:04}"
    first, second, third = (console.open_ticket(text.format(n), content_id=f"api-group-{n}") for n in range(3))
    path, body = f"/tickets/{first}/steps/dismiss", {"reason": "无害", "group": True}
    assert reviewer.post(path, json={**body, "members": ["TNONE"]}).json()["many"]["refused"][0][0] == "TNONE"
    assert [state(console, number).state for number in (first, second)] == ["dismissed", "detected"]
    answer = reviewer.post(f"/tickets/{second}/steps/dismiss", json=body).json()
    assert sorted(answer["many"]["done"]) == sorted((second, third))


def test_a_token_made_for_some_rights_takes_no_other_step(console, head) -> None:
    """The desk, the reports and the register ask for the token's rights, not for those of its account alone."""
    with console.parts.catalogue.read() as connection:
        holder = account_by(connection, name="reviewer2").actor
    taken, free = (console.open_ticket(f"narrow {n}", content_id=f"narrow-{n}") for n in range(2))
    assert console.api("reviewer2").post(f"/tickets/{taken}/steps/claim", json={}).status_code == 200
    narrow = console.client(
        "/v1", headers={"Authorization": "Bearer " + console.token("head", permissions=[Right.TICKETS_WORK])}
    )
    for step in ("reverse", "report", "appeal-reject"):
        body = {"reason": "x", "receipt": "1"}
        answer = narrow.post(f"/tickets/{free}/steps/{step}", json=body)
        assert (answer.status_code, "lacks the right tickets.approve" in answer.json()["what"]) == (403, True), step
    assign = {"action": "assign", "tickets": [taken, free], "assignee": "head", "reason": "x"}
    answer = narrow.post("/bulk", json=assign).json()
    assert (answer["done"], [number for number, _ in answer["refused"]]) == ([free], [taken])
    assert state(console, taken).assignee == holder
    assert narrow.post("/findings", json={"channel": "human", "category": "gambling", "text": "x"}).status_code == 403
    assert head.post("/bulk", json=assign).json()["done"] == [taken, free], "the account itself may"


def test_audits_events_and_figures(console, head) -> None:
    assert head.get("/overview").json()["work"]["to_dispose"] >= 0
    assert isinstance(head.get("/coverage").json(), list)
    assert head.get("/rules").json()["rules"]
    number = head.post("/audits", json={"audit": "coverage"}).json()["report_id"]
    for _ in range(200):
        found = head.get(f"/audits/{number}").json()
        if found["ok"] is not None:
            break
    said = "passed" if found["body"]["checked"]["records"] else "nothing_to_check"
    assert (found["ok"], found["outcome"], found["body"]["outcome"]) == (True, said, said)
    assert head.get("/audits").json()[0]["outcome"] == said
    assert head.get("/events").status_code == 403
    trail = console.api("auditor").get("/events", params={"limit": 5}).json()
    assert len(trail) == 5
    assert (
        console.api("auditor").get("/events", params={"before": trail[-1]["id"], "limit": 1}).json()[0]["id"]
        < trail[-1]["id"]
    )


def test_every_audit_of_the_pages_is_one_of_the_interface() -> None:
    assert set(get_args(AuditBody.model_fields["audit"].annotation)) == set(KINDS)


def test_duties(head) -> None:
    made = head.post("/duties", json={"kind": "assessment", "title": "评估", "start": "2026-09-02T10:00:00+08:00"})
    assert made.status_code == 201
    assert made.json()["due_on"] == "2026-10-02"
    assert head.post(f"/duties/{made.json()['duty_id']}/complete", json={"receipt": "R"}).json()["state"] == "done"
    assert (
        head.post("/duties", json={"kind": "nonsense", "title": "x", "start": "2026-09-02T10:00:00Z"}).status_code
        == 400
    )


@SCHEMA.parametrize()
@settings(max_examples=12, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_input_makes_a_fault_of_ours(case, console) -> None:
    never_a_fault(case, console)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@SCHEMA.parametrize()
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
def test_no_input_makes_a_fault_of_ours_longer(case, console) -> None:
    never_a_fault(case, console)


def never_a_fault(case, console) -> None:
    """Call as the compliance head, who may do most: whatever is sent, the answer is none of 5xx."""
    token = console.everything = getattr(console, "everything", None) or console.token("head")
    answer = case.call(base_url=console.url + "/v1", headers={"Authorization": f"Bearer {token}"})
    case.validate_response(answer, checks=[schemathesis.checks.not_a_server_error])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"reason": "\\ud800"}',
        b'{"reason": "\\u0000"}',
        b'{"reach": 1e400}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
def test_broken_bodies_are_refused(console, reviewer, body: bytes) -> None:
    number = console.open_ticket()
    answer = reviewer.post(f"/tickets/{number}/steps/note", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
