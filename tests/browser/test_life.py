"""The whole life of a ticket in a real browser: by mouse, by keyboard alone, and without script."""

from __future__ import annotations

import re

import pytest

from tests.browser.people import person
from tickets.queue import get_ticket

pytestmark = pytest.mark.timeout(1200)  # a whole life in a real browser: on a busy machine it takes its time


def ticket(console, number: str):
    with console.parts.catalogue.read() as connection:
        return get_ticket(connection, number)


def opened(page, title: str):
    """The form under a folded title."""
    fold = page.locator("details", has=page.locator("summary", has_text=re.compile(rf"^\s*{title}\s*\w?\s*$")))
    if fold.first.get_attribute("open") is None:
        fold.first.locator("summary").click()
    return fold.first


def test_by_mouse(browser, console, pictures) -> None:
    number = console.open_ticket(content_id="mouse")
    with person(browser, console, "reviewer") as page:
        page.click("nav a[href='/queue']")
        pictures(page, "life-queue")
        page.click(f"a[href='/tickets/{number}']")
        page.click("form[action$=claim] button")
        page.wait_for_selector("[role=status]")
        form = opened(page, "定性")
        form.locator("textarea").fill("赌博引流,证据充分")
        pictures(page, "life-confirm")
        form.locator("button.main").click()
        form = opened(page, "处置")
        form.locator("select").select_option("delete")
        form.locator("button.main").click()
        page.wait_for_selector(".days")
        assert page.locator(".days li").count() == 10
        pictures(page, "life-disposed")
        page.click("text=起草上报报告")
        page.wait_for_url("**/reports/R*")
        report = page.url
        assert page.locator("text=等待合规负责人批准").is_visible()
    with person(browser, console, "head") as page:
        page.goto(report)
        page.click("button:has-text('批准')")
        page.fill("[name=submission]", "通信管理局报送平台")
        page.click("text=登记报送")
        page.fill("form[action$=acknowledge] [name=receipt]", "HZ-2026-1")
        page.click("button:has-text('登记回执')")
        page.wait_for_selector("text=HZ-2026-1")
        pictures(page, "life-report")
        page.goto(f"{console.url}/tickets/{number}")
        page.click("button:has-text('办结')")
        page.wait_for_selector("[role=status]")
        assert ticket(console, number).state == "closed"
        form = opened(page, "登记申诉")
        form.locator("textarea").fill("用户称系误判")
        form.locator("button").click()
        form = opened(page, "决定申诉")
        form.locator("textarea").fill("复核后确属误判")
        form.locator("button.danger").click()
        page.wait_for_selector("text=须发更正报告")
        pictures(page, "life-reversed")
    assert ticket(console, number).state == "reversed"


def test_by_keyboard_alone(browser, console, pictures) -> None:
    for waiting in console_open(console):
        console.parts.desk(console_account(console, "reviewer2")).dismiss(waiting, "清空队列")
    number = console.open_ticket("网上真人百家乐,注册送彩金", content_id="keys", severity=4)
    with person(browser, console, "reviewer", keyboard=True) as page:
        keys = page.keyboard
        keys.press("g")
        keys.press("q")
        page.wait_for_url("**/queue")
        keys.press("?")
        page.wait_for_selector("dialog[open]")
        pictures(page, "keys-help")
        keys.press("Escape")
        keys.press("j")
        assert page.locator("tr.here").inner_text().startswith(number) or number in page.locator("tr.here").inner_text()
        keys.press("Enter")
        page.wait_for_url(f"**/tickets/{number}")
        keys.press("c")
        page.wait_for_selector("[role=status]")
        keys.press("y")
        page.wait_for_function("document.activeElement.matches('input[name=decision]')")
        keys.press("Tab")
        keys.type("赌博 c y d 这些字母只是文字")
        keys.press("Control+Enter")
        page.wait_for_selector(".tag:has-text('待处置')")
        keys.press("e")
        page.wait_for_function("document.activeElement.matches('select[name=measure]')")
        keys.press("Control+Enter")
        page.wait_for_selector(".days")
        keys.press("t")
        page.wait_for_url("**/reports/R*")
        report = page.url
    with person(browser, console, "head", keyboard=True) as page:
        page.goto(report)
        keys = page.keyboard
        keys.press("v")
        page.wait_for_selector("[name=submission]")
        keys.press("t")
        keys.type("报送平台")
        keys.press("Enter")
        page.wait_for_selector("form[action$=acknowledge]")
        keys.press("a")
        keys.type("HZ-2")
        keys.press("Enter")
        page.wait_for_selector("text=HZ-2")
        page.goto(f"{console.url}/tickets/{number}")
        keys.press("f")
        page.wait_for_selector("[role=status]")
        assert ticket(console, number).state == "closed"
        keys.press("s")
        keys.type("申诉")
        keys.press("Control+Enter")
        page.wait_for_selector(".tag:has-text('申诉中')")
        keys.press("s")
        page.wait_for_function("document.activeElement.matches('textarea')")
        keys.type("误判")
        keys.press("Control+Enter")
        page.wait_for_selector(".tag:has-text('须发更正报告')")
    assert ticket(console, number).state == "reversed"


def test_without_script(browser, console) -> None:
    number = console.open_ticket("买卖银行卡四件套", category="fraud", content_id="plain")
    with person(browser, console, "reviewer", script=False) as page:
        page.goto(f"{console.url}/queue?category=fraud")
        page.check(f"input[value='{number}']")
        page.click("button[value=claim]")
        page.wait_for_selector("[role=status]")
        page.click("[role=status] button")
        page.wait_for_selector("text=恢复原状")
        page.goto(f"{console.url}/tickets/{number}")
        form = opened(page, "排除")
        form.locator("textarea").fill("样例")
        form.locator("button").click()
        page.wait_for_selector("[role=status]")
    assert ticket(console, number).state == "dismissed"


def test_what_was_typed_outlives_a_reload(browser, console) -> None:
    number = console.open_ticket("兼职刷单 日结", category="fraud", content_id="typed")
    with person(browser, console, "reviewer") as page:
        page.goto(f"{console.url}/tickets/{number}")
        opened(page, "备注").locator("textarea").fill("写了一半")
        page.reload()
        assert opened(page, "备注").locator("textarea").input_value() == "写了一半"


def console_open(console) -> list[str]:
    from tickets.queue import Filters, list_tickets
    from tickets.states import State

    with console.parts.catalogue.read() as connection:
        return [t.ticket_id for t in list_tickets(connection, Filters(states=[State.DETECTED, State.TRIAGE]))]


def console_account(console, name: str):
    from console.access.accounts import account_by

    with console.parts.catalogue.read() as connection:
        return account_by(connection, name=name)
