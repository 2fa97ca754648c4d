"""A real browser (the system's Chromium) before a running console; pictures of every page are kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.console.running import make_parts, running

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PICTURES = Path(os.environ.get("LIUCUN_PICTURES", "build/pictures"))


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def browser():
    """The browser, without a window; skipped visibly where there is none (`make test-browser` installs it)."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium here; `make test-browser` installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    parts = make_parts(tmp_path_factory.mktemp("console") / "store")
    with running(parts) as found:
        yield found
    parts.catalogue.close()
    parts.period_keys.close()


@pytest.fixture
def pictures():
    """Keeps a picture of a page under a name."""
    PICTURES.mkdir(parents=True, exist_ok=True)

    def keep(page, name: str) -> None:
        page.screenshot(path=str(PICTURES / f"{name}.png"), full_page=True)

    return keep
