"""Every page at desktop and phone width, both languages: no serious accessibility fault, none wider than the screen."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.people import DESKTOP, PHONE, person
from tests.console.running import TEXT

SERIOUS = {"serious", "critical"}


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
    from datetime import UTC, datetime

    duty = console.parts.duties(head).add("assessment", "直播新功能评估", datetime.now(UTC)).duty_id
    client = console.person("head")
    client.post("/audit/run", audit="coverage")
    return {"ticket": f"/tickets/{number}", "report": f"/reports/{report}", "duty": f"/duties/{duty}"}


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
        "/me",
        "/me/totp",
        "/help/keys",
        "/nothing",
    ],
    "auditor": ["/", "ticket", "/audit/events"],
    "sysadmin": ["/", "/accounts", "/accounts/reviewer"],
    "nobody": ["/"],
}


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
        for name in ("/", "/queue", "ticket", "report"):
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
