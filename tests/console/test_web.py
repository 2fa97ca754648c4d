"""The pages over HTTP, without script: sign-in, forms, a ticket's whole life, masks, what must be refused."""

from __future__ import annotations

import contextlib
import json
import re
from datetime import UTC, datetime, timedelta

import httpx
import pyotp
import pytest
import sqlalchemy as sa

from console.web.headers import MAX_BODY
from retention.catalogue.tables import events
from tests.console.conftest import PASSWORD
from tests.console.running import TEXT, make_parts, running
from tickets.queue import get_ticket


def state(console, number: str):
    with console.parts.catalogue.read() as connection:
        return get_ticket(connection, number)


def trail(console, subject: str) -> list[tuple[str, str]]:
    with console.parts.catalogue.read() as connection:
        rows = connection.execute(
            sa.select(events.c.kind, events.c.actor).where(events.c.subject == subject).order_by(events.c.id)
        )
        return [tuple(row) for row in rows]


def test_the_first_run_from_link_to_overview(tmp_path) -> None:
    from console.access.first_run import setup_secret
    from console.tables import account_roles, accounts

    parts = make_parts(tmp_path / "store")
    with parts.catalogue.write() as connection:
        connection.execute(account_roles.delete())
        connection.execute(accounts.delete())
    with running(parts) as console:
        secret = setup_secret(parts.catalogue)
        visitor = console.visitor()
        assert "初始化链接" in visitor.get("/sign-in").text
        assert visitor.get("/setup?link=guess").status_code == 403
        page = visitor.get(f"/setup?link={secret}")
        assert page.status_code == 200
        fields = {"link": secret, "name": "root", "display_name": "管理员", "password": PASSWORD}
        weak = visitor.post("/setup", **(fields | {"password": "short", "again": "short"}))
        assert weak.status_code == 400
        assert 'value="root"' in weak.text, "what was typed stays"
        assert visitor.post("/setup", **fields, again="x").status_code == 400
        assert visitor.post("/setup", **fields, again=PASSWORD).status_code == 303
        assert visitor.post("/setup", **fields, again=PASSWORD).status_code == 403
        assert visitor.post("/sign-in", name="root", password=PASSWORD).status_code == 303
        assert visitor.get("/").status_code == 200
        assert visitor.get("/queue").status_code == 403
    parts.catalogue.close()
    parts.period_keys.close()


def test_headers_guard_every_answer(console) -> None:
    for path in ("/sign-in", "/nothing", "/static/console.css", "/v1/health", "/v1/tickets"):
        headers = console.visitor().get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers
    assert console.visitor().get("/sign-in").headers["cache-control"] == "no-store"


def test_no_page_has_inline_script_or_style(console) -> None:
    number = console.open_ticket()
    person = console.person("head")
    for path in (
        "/",
        "/queue",
        f"/tickets/{number}",
        "/rules",
        "/audit",
        "/reports",
        "/duties",
        "/me",
        "/me/totp",
        "/open",
    ):
        text = person.get(path).text
        assert not re.search(r"<style|<script(?! src)|\son\w+=|\sstyle=|javascript:", text), path


def test_cookies_are_closed(console) -> None:
    visitor = console.visitor()
    answer = visitor.post("/sign-in", name="head", password=PASSWORD)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert visitor.client.cookies["liucun_session"] not in answer.text


def test_the_session_s_secret_changes_with_sign_in_and_ends_with_sign_out(console) -> None:
    visitor = console.visitor()
    visitor.get("/sign-in")
    planted = visitor.client.cookies["liucun_session"]
    visitor.post("/sign-in", name="reviewer", password=PASSWORD)
    secret = visitor.client.cookies["liucun_session"]
    assert secret != planted
    other = console.client(cookies={"liucun_session": secret})
    assert other.get("/").status_code == 200
    assert console.client(cookies={"liucun_session": planted}).get("/").status_code == 401
    visitor.get("/")
    assert visitor.post("/sign-out").status_code == 303
    assert other.get("/").status_code == 401


def test_forms_from_elsewhere_are_refused(console) -> None:
    number = console.open_ticket()
    person, other = console.person("reviewer"), console.person("reviewer2")
    other.get("/me")
    person.get("/me")
    path = f"/tickets/{number}/note"
    assert person.post(path, token=other.token, reason="x").status_code == 403
    assert person.post(path, token="", reason="x").status_code == 403
    assert person.client.post(path, data={"reason": "x"}).status_code == 403
    assert person.post(path, reason="x", headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert person.post(path, reason="x", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert person.post(path, reason="x", headers={"Origin": console.url}).status_code == 303
    assert [kind for kind, _ in trail(console, f"ticket:{number}")].count("ticket.noted") == 1


def test_other_hosts_and_large_bodies_are_refused(console) -> None:
    client = console.client()
    assert client.get("/sign-in", headers={"Host": "evil.example"}).status_code == 421
    assert client.get("/v1/health", headers={"Host": "evil.example:80"}).status_code == 421
    assert client.get("/sign-in", headers={"Host": "localhost:1"}).status_code == 200
    assert console.client().post("/sign-in", content=b"x" * (MAX_BODY + 1)).status_code == 413

    def endless():
        for _ in range(MAX_BODY // (1 << 20) + 2):
            yield b"a=" + b"x" * (1 << 20)

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with contextlib.suppress(httpx.TransportError):  # the server may hang up before the last byte was sent
        assert client.post("/sign-in", content=endless(), headers=headers).status_code in {400, 413}


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"]
)
def test_sign_in_leads_nowhere_else(console, target: str) -> None:
    answer = console.visitor().post("/sign-in", name="reviewer", password=PASSWORD, target=target)
    assert answer.headers["location"] == "/"


def test_after_sign_in_the_wanted_page_opens(console) -> None:
    visitor = console.visitor()
    page = visitor.get("/queue?state=triage")
    assert page.status_code == 401
    assert 'value="/queue?state=triage"' in page.text
    answer = visitor.post("/sign-in", name="reviewer", password=PASSWORD, target="/queue?state=triage")
    assert answer.headers["location"] == "/queue?state=triage"


def test_wrong_passwords_say_the_same_and_lock(console) -> None:
    with console.parts.catalogue.read() as connection:
        known = connection.execute(sa.text("select name from console_accounts")).scalars().all()
    assert "reviewer2" in known
    said = set()
    for name in ["secadmin"] * 6 + ["unknown"]:
        answer = console.visitor().post("/sign-in", name=name, password="wrong")
        assert answer.status_code == 401
        said.add(re.search(r'role="alert">(.*?)</div>', answer.text, re.DOTALL)[1])
    assert len(said) == 1
    assert console.visitor().post("/sign-in", name="secadmin", password=PASSWORD).status_code == 401


def test_too_many_tries_from_one_address_are_slowed_down(console) -> None:
    from console.access.limits import Limiter

    # A clock that stands still: how fast this machine hashes must not matter.
    with running(console.parts, limiter=Limiter(clock=lambda: 0.0)) as limited:
        visitor = limited.visitor()
        visitor.get("/sign-in")
        codes = [visitor.post("/sign-in", name="nobody-there", password="x").status_code for _ in range(12)]
        assert codes[0] == 401
        assert codes[-1] == 429
        assert int(visitor.post("/sign-in", name="a", password="x").headers["retry-after"]) > 0


def test_english_by_a_switch(console) -> None:
    visitor = console.visitor()
    visitor.get("/sign-in")
    assert visitor.post("/language", language="en", target="/sign-in").status_code == 303
    page = visitor.get("/sign-in")
    assert 'lang="en"' in page.text
    assert visitor.post("/language", language="xx").status_code == 403


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
    assert person.post("/queue/bulk", action="claim").status_code == 400
    assert person.post("/queue/bulk", ticket=numbers, action="explode").status_code == 400


def test_search_filters_and_saved_views(console) -> None:
    number = console.open_ticket(content_id="article-77", user_id="seeker-9")
    person = console.person("reviewer")
    assert person.get(f"/queue?q={number.lower()}").headers["location"] == f"/tickets/{number}"
    assert number in person.get("/queue?q=article-77").text
    assert number in person.get("/queue?q=seeker-9").text
    assert number not in person.get("/queue?q=nobody").text
    assert number in person.get("/queue?state=detected&category=gambling&severity=3&channel=complaint").text
    assert number not in person.get("/queue?severity=1").text
    for wrong in ("state=x", "page=0", "page=999999999999", "due_by=2026-99", "severity=9"):
        assert person.get(f"/queue?{wrong}").status_code in {400}, wrong
    assert person.get("/queue?due_by=2026-02-31").status_code == 200
    person.get("/queue?category=gambling")
    assert person.post("/queue/views", name="赌博", query="category=gambling&evil=1").status_code == 303
    page = person.get("/queue")
    assert "/queue?category=gambling" in page.text
    assert "evil" not in page.text
    view = re.search(r'name="view_id" value="([^"]+)"', page.text)[1]
    assert person.post("/queue/views/drop", view_id=view).status_code == 303


def test_personal_data_is_masked_until_a_reason_is_given(console) -> None:
    number = console.open_ticket()
    path = f"/tickets/{number}"
    person = console.person("reviewer")
    page = person.get(path).text
    for hidden in ("13812345678", "王小明", "文三路100号", "u00012345"):
        assert hidden not in page
    assert "加微信领取彩金" in page
    assert "13812345678" not in person.get("/queue").text
    assert person.post(f"{path}/reveal", reason=" ").status_code == 400
    assert person.post(f"{path}/reveal", reason="核实号码").status_code == 303
    page = person.get(path).text
    for shown in ("13812345678", "王小明", "u00012345"):
        assert shown in page
    assert "13812345678" not in console.person("reviewer2").get(path).text
    assert ("personal.revealed", "user:reviewer") in trail(console, f"ticket:{number}")
    with console.parts.catalogue.read() as connection:
        bodies = (
            connection.execute(sa.select(events.c.body).where(events.c.kind == "personal.revealed")).scalars().all()
        )
    assert not any("核实号码" in body for body in bodies), "the reason stands sealed"


def test_an_auditor_sees_content_for_a_purpose_and_changes_nothing(console) -> None:
    number = console.open_ticket()
    path = f"/tickets/{number}"
    auditor = console.person("auditor")
    page = auditor.get(path).text
    assert "彩金" not in page
    assert "彩金" not in auditor.get("/queue").text
    for step in ("claim", "note", "dismiss", "close"):
        assert auditor.post(f"{path}/{step}", reason="x").status_code == 403
    assert auditor.post(f"{path}/reveal", reason="抽查 2026 年第四季度").status_code == 303
    assert "彩金" in auditor.get(path).text
    assert ("content.read", "user:auditor") in trail(console, f"ticket:{number}")


def test_an_administrator_reads_no_content(console) -> None:
    number = console.open_ticket()
    person = console.person("sysadmin")
    for path in (f"/tickets/{number}", "/queue", "/audit/events", "/reports"):
        assert person.get(path).status_code == 403


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


def test_accounts_are_made_reset_and_given_roles_by_different_people(console) -> None:
    system, security = console.person("sysadmin"), None
    made = system.post("/accounts", name="newbie", display_name="新人")
    temporary = re.search(r'class="secret mono">([^<]+)<', made.text)[1]
    assert system.post("/accounts", name="newbie").status_code == 400
    assert system.post("/accounts/newbie/roles", role=["reviewer"]).status_code == 403
    visitor = console.visitor()
    assert visitor.post("/sign-in", name="newbie", password=temporary).headers["location"] == "/sign-in/change"
    assert visitor.get("/").status_code == 401, "nothing before the change"
    visitor.get("/sign-in/change")
    assert visitor.post("/sign-in/change", old=temporary, new="weak", again="weak").status_code == 400
    changed = visitor.post("/sign-in/change", old=temporary, new=PASSWORD, again=PASSWORD)
    assert changed.status_code == 303
    assert "还没有角色" in visitor.get("/").text
    assert security is None


def test_a_second_factor_from_start_to_end(console) -> None:
    person = console.person("auditor")
    page = person.get("/me/totp")
    secret = re.search(r'class="secret mono">([A-Z2-7]+)<', page.text)[1]
    assert "<svg" in page.text
    assert person.post("/me/totp", code="000000").status_code == 400
    codes = person.post("/me/totp", code=pyotp.TOTP(secret).at(datetime.now(UTC) - timedelta(seconds=30)))
    recovery = re.findall(r"<li>([a-z2-9]{10})</li>", codes.text)
    assert len(recovery) == 10
    visitor = console.visitor()
    assert visitor.post("/sign-in", name="auditor", password=PASSWORD).headers["location"] == "/sign-in/code"
    assert visitor.get("/").status_code == 401
    visitor.get("/sign-in/code")
    assert visitor.post("/sign-in/code", code="123").status_code == 401
    assert visitor.post("/sign-in/code", code=recovery[0]).status_code == 303
    assert visitor.get("/").status_code == 200
    assert visitor.post("/me/totp/remove", code=recovery[1]).status_code == 303


def test_tokens_are_shown_once(console) -> None:
    person = console.person("reviewer")
    page = person.post("/me/tokens", name="脚本", days="7", permission=["queue.read"])
    token = re.search(r"lct_[\w-]{43}", page.text)[0]
    assert token not in person.get("/me").text
    answer = httpx.get(f"{console.url}/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["permissions"] == ["queue.read"]
    number = re.search(r'name="token_id" value="([^"]+)"', person.get("/me").text)[1]
    assert person.post("/me/tokens/revoke", token_id=number).status_code == 303
    assert httpx.get(f"{console.url}/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert person.post("/me/tokens", name="x", days="7", permission=["accounts.manage"]).status_code == 400
    assert person.post("/me/tokens", name="x", days="7", permission=["nonsense"]).status_code == 400


def test_an_audit_runs_in_the_background(console) -> None:
    person = console.person("head")
    assert person.post("/audit/run", audit="coverage").status_code == 303
    assert person.post("/audit/run", audit="nonsense").status_code == 400
    for _ in range(100):
        if "通过" in (page := person.get("/audit").text):
            break
    assert "完整性审计" in page
    report = re.search(r"/audit/reports/[0-9a-f]{16}", page)[0]
    assert person.get(report).status_code == 200
    assert person.get("/audit/reports/ffff").status_code == 400


def test_events_show_no_sealed_words(console) -> None:
    page = console.person("auditor").get("/audit/events?actor=reviewer")
    assert page.status_code == 200
    assert "reason_sealed" not in page.text
    assert "reviewer" in page.text


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


def test_live_counts(console) -> None:
    counts = console.person("reviewer").get("/live").json()
    assert counts["open"] == counts["dispose"] + counts["report"]
    assert console.person("sysadmin").get("/live").json() == {}


@pytest.mark.parametrize(
    "path", ["/tickets/%00", "/tickets/..%2F..", "/accounts/%F0%9F%98%80", "/queue?q=%00", "/rules?q=%ED%A0%80"]
)
def test_odd_addresses_are_answered_without_an_error_of_ours(console, path: str) -> None:
    for name in ("head", "sysadmin"):
        assert console.person(name).get(path).status_code < 500


def test_the_text_of_fixtures_holds_what_is_to_be_hidden() -> None:
    assert json.dumps(TEXT)
