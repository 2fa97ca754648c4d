"""People before the browser."""

from __future__ import annotations

from contextlib import contextmanager

from tests.console.conftest import PASSWORD

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@contextmanager
def person(browser, console, name: str, *, viewport=None, script: bool = True, keyboard: bool = False):
    """Somebody signed in; every error of the page's own script or policy fails the test."""
    context = browser.new_context(viewport=viewport or DESKTOP, java_script_enabled=script, locale="zh-CN")
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
    page.goto(f"{console.url}/sign-in")
    if keyboard:
        page.wait_for_function("document.activeElement.name === 'name'")
        page.keyboard.type(name)
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
    else:
        page.fill("[name=name]", name)
        page.fill("[name=password]", PASSWORD)
        page.click("button.main")
    page.wait_for_url(f"{console.url}/")
    try:
        yield page
    finally:
        context.close()
    assert not faults
