"""What was typed is never lost, and a day's work goes on by single keys: in a real browser."""

from __future__ import annotations

import pytest

from tests.browser.people import person
from tests.browser.test_life import opened, ticket
from tests.console.conftest import PASSWORD

pytestmark = pytest.mark.timeout(1200)
HALF = "写了一半的备注"


def note(page):
    return opened(page, "备注").locator("textarea")


def test_it_outlives_the_end_of_the_session(browser, console) -> None:
    number = console.open_ticket("兼职刷单 日结一", category="fraud", content_id="session")
    with person(browser, console, "reviewer") as page:
        page.goto(f"{console.url}/tickets/{number}")
        note(page).fill(HALF)
        page.context.clear_cookies()
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("[data-failed]")
        page.goto(f"{console.url}/sign-in?target=/tickets/{number}")
        page.fill("[name=name]", "reviewer")
        page.fill("[name=password]", PASSWORD)
        page.click("button.main")
        page.wait_for_url(f"**/tickets/{number}")
        assert page.locator("textarea[data-keep=note]").is_visible(), "its fold is open"
        assert note(page).input_value() == HALF
        page.keyboard.press("Escape")
        note(page).press("Control+Enter")
        page.wait_for_selector("[role=status]")
        assert note(page).input_value() == "", "sent with success, it does not come back"
        page.reload()
        assert note(page).input_value() == ""


def test_it_outlives_a_lost_connection_and_a_refusal_but_not_a_sign_out(browser, console) -> None:
    number = console.open_ticket("兼职刷单 日结二", category="fraud", content_id="connection")
    with person(browser, console, "reviewer") as page:
        address = f"{console.url}/tickets/{number}"
        page.goto(address)
        note(page).fill(HALF)
        page.route("**/note", lambda route: route.abort())
        note(page).press("Control+Enter")
        page.wait_for_url("chrome-error://**")
        page.unroute("**/note")
        page.goto(address)
        assert note(page).input_value() == HALF
        page.goto(f"{console.url}/queue")
        page.fill("input[name=reason]", "整批排除")
        page.click("button[value=dismiss]")
        page.wait_for_selector("[data-failed]")
        page.goto(f"{console.url}/queue")
        assert page.input_value("input[name=reason]") == "整批排除", "nothing was ticked: it was not sent with success"
        page.click("form[action='/sign-out'] button")
        page.wait_for_url("**/sign-in**")
        assert page.evaluate("sessionStorage.length") == 0


def test_a_days_work_by_single_keys(browser, console, pictures) -> None:
    numbers = [
        console.open_ticket(f"出售迷药 暗号{n}", category="drugs", severity=4, content_id=f"keys-{n}") for n in range(3)
    ]
    with person(browser, console, "reviewer", keyboard=True) as page:
        keys = page.keyboard
        page.goto(f"{console.url}/queue?category=drugs")
        pictures(page, "queue-next")
        keys.press("l")
        page.wait_for_url(f"**/tickets/{numbers[0]}")
        assert ticket(console, numbers[0]).assignee == "user:reviewer"
        pictures(page, "ticket-next")
        keys.press("n")
        page.wait_for_url(f"**/tickets/{numbers[1]}")
        keys.press("n")
        page.wait_for_url(f"**/tickets/{numbers[2]}")
        keys.press("p")
        page.wait_for_url(f"**/tickets/{numbers[1]}")
        keys.press("u")
        page.wait_for_url("**/queue?category=drugs")
        keys.press("l")
        page.wait_for_url(f"**/tickets/{numbers[1]}")
