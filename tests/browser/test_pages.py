"""Every page at desktop and phone width, both languages: no serious accessibility fault, none wider than the screen."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi.routing import APIRoute

from console.web.pages import ROUTERS
from retention.disclosure import requests
from retention.disclosure.register import Case
from retention.disclosure.scope import Scope
from retention.disclosure.serving import issue_key
from tests.browser.people import DESKTOP, PHONE, person
from tests.console.running import TEXT
from tests.retention.sealed_store import SealedStore, hours

SERIOUS = {"serious", "critical"}
pytestmark = pytest.mark.timeout(1200)  # dozens of pages in a real browser: on a busy machine they take their time


@pytest.fixture(scope="module")
def filled(console):
    """Tickets in several states, a report, a duty, an audit."""
    from console.access.accounts import account_by
    from tickets.states import Decision, Measure

    with console.parts.catalogue.read() as connection:
        reviewer, head = (account_by(connection, name=name) for name in ("reviewer", "head"))
    desk = console.parts.desk(reviewer)
    for n, category in enumerate(("gambling", "fraud", "drugs", "pornography", "illicit_advertising") * 3):
        console.open_ticket(
            f"{TEXT} {n}", category=category, severity=1 + n % 4, content_id=f"p{n}", user_id=f"u{n % 3}0099"
        )
    number = console.open_ticket(content_id="shown")
    desk.claim(number)
    desk.note(number, "先看账号历史")
    desk.confirm(number, Decision.ILLEGAL, "赌博")
    desk.dispose(number, Measure.DELETE)
    report = console.parts.reports(reviewer).draft([number]).report_id
    duty = console.parts.duties(head).add("assessment", "直播新功能评估", datetime.now(UTC)).duty_id
    client = console.person("head")
    parts = console.parts
    store = SealedStore(parts.root, parts.catalogue, parts.objects, parts.archive, parts.bodies, parts.period_keys)
    store.add(hours(400), partition="web-01/access.log#1")
    for kind in ("coverage", "integrity", "retention", "keys", "access"):
        client.post("/audit/run", audit=kind)
    return {
        "ticket": f"/tickets/{number}",
        "report": f"/reports/{report}",
        "duty": f"/duties/{duty}",
        "disclosure": f"/disclosures/{disclosed(parts)}",
        "waiting": f"/disclosures/{disclosed(parts, approvers=1)}",
        **{f"audit-{kind}": audited(client, kind) for kind in ("coverage", "retention", "access")},
    }


def disclosed(parts, approvers: int = 2) -> str:
    """A request, approved by some, with a key when approved."""
    now, start = datetime.now(UTC), datetime(2026, 3, 1, tzinfo=UTC)
    accounts = tuple(f"user-{n:05}" for n in range(40))
    scope = Scope.of(("user_log",), accounts, ("event_action", "source_ip"), start, start + timedelta(days=31))
    case = Case("某市公安局网络安全保卫支队", "网安〔2026〕17号", "网络安全法 第三十条", "调查电信网络诈骗案")
    until = now + timedelta(days=30)
    number = requests.request(parts, case, scope, b"%PDF", expires_at=until, actor="user:reviewer", now=now)
    for name in ("head", "secadmin")[:approvers]:
        requests.approve(parts, number, actor=f"user:{name}", now=now)
    if approvers == 2:
        issue_key(parts, number, actor="user:head", now=now)
    return number


def audited(client, kind: str) -> str:
    """The page of an audit's report, once it is there."""
    for _ in range(300):
        text = client.get("/audit").text
        card = text.split(f'value="{kind}"')[0].rpartition("<section")[2]
        if f'value="{kind}"' in text and (found := re.search(r"/audit/reports/[0-9a-f]+", card)):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"the audit {kind} did not end")


PAGES = {
    "head": [
        "/",
        "/queue",
        "ticket",
        "/open",
        "/reports",
        "report",
        "/duties",
        "duty",
        "/rules",
        "/audit",
        "audit-coverage",
        "audit-retention",
        "audit-access",
        "/disclosures",
        "disclosure",
        "/review",
        "/search",
        "/me",
        "/me/totp",
        "/help/keys",
        "/nothing",
    ],
    "auditor": ["/", "ticket", "/audit/events", "disclosure"],
    "secadmin": ["/", "/disclosures", "waiting", "/accounts"],
    "reviewer": ["/", "/queue", "ticket", "/disclosures"],
    "sysadmin": ["/", "/accounts", "/accounts/reviewer"],
    "nobody": ["/"],
}


SEEN_ELSEWHERE = {"/sign-in", "/sign-in/sso", "/sign-in/sso/back", "/sign-in/code", "/sign-in/change", "/sign-in/enrol"}
NO_PAGE = re.compile(r"/live|/file|/files/|/document$|/evidence/")


def test_every_page_is_looked_at() -> None:
    """Pages of signing in are in tests of their own; files are no pages."""
    shown = {name for names in PAGES.values() for name in names}
    named = {"ticket": "/tickets/x", "report": "/reports/x", "duty": "/duties/x", "disclosure": "/disclosures/x"}
    paths = {named.get(name, "/audit/reports/x" if name.startswith("audit-") else name) for name in shown}
    for route in [r for router in ROUTERS for r in router.routes if isinstance(r, APIRoute) and "GET" in r.methods]:
        if route.path in SEEN_ELSEWHERE | {"/setup"} or NO_PAGE.search(route.path):
            continue
        assert any(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.path), path) for path in paths), route.path


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("who", list(PAGES))
def test_pages(browser, console, filled, pictures, who: str, size: str) -> None:
    found: list[str] = []
    with person(browser, console, who, viewport=DESKTOP if size == "desktop" else PHONE) as page:
        for name in PAGES[who]:
            page.goto(console.url + filled.get(name, name))
            found += look(page, f"{who} {name}")
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                found.append(f"{who} {name}: wider than the screen")
            pictures(page, f"{size}-{who}-{name.strip('/').replace('/', '-') or 'overview'}")
    assert not found, "\n".join(found)


def test_dark_and_english(browser, console, filled, pictures) -> None:
    found: list[str] = []
    with person(browser, console, "head") as page:
        page.emulate_media(color_scheme="dark")
        page.click("button[name=language]")
        for name in ("/", "/queue", "ticket", "report", "disclosure", "/audit", "audit-coverage", "/rules", "/duties"):
            page.goto(console.url + filled.get(name, name))
            found += look(page, f"dark {name}")
            pictures(page, f"dark-english-{name.strip('/') or 'overview'}")
    assert not found, "\n".join(found)


def test_pages_of_signing_in(browser, console, pictures) -> None:
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.goto(f"{console.url}/sign-in")
    found = look(page, "sign-in")
    page.fill("[name=name]", "head")
    page.fill("[name=password]", "wrong")
    page.click("button.main")
    found += look(page, "sign-in refused")
    pictures(page, "sign-in")
    context.close()
    assert not found, "\n".join(found)


def look(page, name: str) -> list[str]:
    """Serious faults that axe finds."""
    answer = Axe().run(page)
    return [
        f"{name}: {fault['id']}: {fault['nodes'][0]['html'][:160]} {fault['nodes'][0].get('failureSummary', '')[:200]}"
        for fault in answer.response["violations"]
        if fault["impact"] in SERIOUS
    ]
