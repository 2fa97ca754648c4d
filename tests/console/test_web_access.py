"""The pages over HTTP, without script: first run, sign-in, language, accounts, headers, what must be refused."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta

import httpx
import pyotp
import pytest
import sqlalchemy as sa

from console.web.headers import MAX_BODY
from tests.console.conftest import PASSWORD
from tests.console.running import make_parts, running, trail


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
        for shown in (page, weak):
            assert f'name="target" value="/setup?link={secret}"' in shown.text, "English, and the link is still there"
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
    refused = console.client().post("/v1/logs", content=b"x" * (MAX_BODY + 1))
    assert refused.status_code == 413
    assert set(refused.json()) == {"error", "what", "cure"}, "programs are answered in the form of all errors"

    def endless():
        for _ in range(MAX_BODY // (1 << 20) + 2):
            yield b"a=" + b"x" * (1 << 20)

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with contextlib.suppress(httpx.TransportError):  # the server may hang up before the last byte was sent
        assert client.post("/sign-in", content=endless(), headers=headers).status_code in {400, 413}


@pytest.mark.parametrize(
    "path", ["/tickets/%00", "/tickets/..%2F..", "/accounts/%F0%9F%98%80", "/queue?q=%00", "/rules?q=%ED%A0%80"]
)
def test_odd_addresses_are_answered_without_an_error_of_ours(console, path: str) -> None:
    for name in ("head", "sysadmin"):
        assert console.person(name).get(path).status_code < 500


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


def test_english_by_a_switch(console) -> None:
    visitor = console.visitor()
    visitor.get("/sign-in")
    assert visitor.post("/language", language="en", target="/sign-in").status_code == 303
    page = visitor.get("/sign-in")
    assert 'lang="en"' in page.text
    assert visitor.post("/language", language="xx").status_code == 403


def test_the_switch_of_language_keeps_filters_and_leads_back_from_a_failed_form(console) -> None:
    person = console.person("reviewer")
    assert (
        'name="target" value="/queue?category=gambling&amp;page=1"'
        in person.get("/queue?category=gambling&page=1").text
    )
    form = f"{console.url}/queue?state=triage"
    failed = person.post("/queue/bulk", headers={"Referer": form}, action="claim")
    assert failed.status_code >= 400
    assert 'name="target" value="/queue?state=triage"' in failed.text
    elsewhere = person.post("/queue/bulk", headers={"Referer": "https://elsewhere.example/away"}, action="claim")
    assert "away" not in elsewhere.text


def test_wrong_passwords_say_the_same_and_lock(console) -> None:
    with console.parts.catalogue.read() as connection:
        known = connection.execute(sa.text("select name from console_accounts")).scalars().all()
    assert "reviewer2" in known
    said = set()
    for name in ["secadmin"] * 6 + ["unknown"]:
        answer = console.visitor().post("/sign-in", name=name, password="wrong")
        assert answer.status_code == 401
        said.add(re.search(r'role="alert"[^>]*>(.*?)</div>', answer.text, re.DOTALL)[1])
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
