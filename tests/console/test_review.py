"""The page of human review: one sample after the other, by form alone; who may, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from tests.console.running import make_parts, running
from tests.retention.sealed_store import SealedStore
from tests.tickets.samples.conftest import texts
from tickets.samples.draw import Frame, draw
from tickets.samples.judge import list_samples

FRAME = (Frame("content", "text", ("app",)),)


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    parts = make_parts(tmp_path_factory.mktemp("review") / "store")
    store = SealedStore(parts.root, parts.catalogue, parts.objects, parts.archive, parts.bodies, parts.period_keys)
    store.add([{**row, "text": f"{row['text']} 电话13812345678"} for row in texts(60)], record_class="content")
    draw(parts, FRAME, date(2026, 3, 10), 6, actor="system:review", now=datetime(2026, 3, 12, tzinfo=UTC))
    with running(replace(parts)) as found:
        yield found
    parts.catalogue.close()
    parts.period_keys.close()


def form_of(html: str) -> tuple[str, str]:
    found = re.search(r'action="(/review/S[0-9a-f]+)".*?name="version" value="(\d+)"', html, re.DOTALL)
    assert found
    return found[1], found[2]


def test_one_after_the_other(console) -> None:
    person = console.person("reviewer")
    page = person.get("/review")
    assert page.status_code == 200
    assert "条评论" in page.text
    assert "13812345678" not in page.text, "personal data is masked"
    assert 'data-key="h"' in page.text
    address, version = form_of(page.text)
    assert person.post(address, verdict="illegal", version=version).status_code == 400
    assert person.post(address, verdict="maybe", version=version).status_code == 400
    assert person.post(address, verdict="illegal", category="nonsense", version=version).status_code == 400
    assert person.post(address, verdict="harmless", version=version).status_code == 303
    assert person.post(address, verdict="harmless", version=version).status_code in {400, 409}
    page = person.get("/review")
    second, version = form_of(page.text)
    assert second != address
    assert person.post(second, verdict="illegal", category="fraud", version=version).status_code == 303
    page = person.get("/review")
    assert "已判为漏检" in page.text
    ticket = re.search(r'href="/tickets/(T[0-9A-F]+)"', page.text)
    assert ticket
    assert person.get(f"/tickets/{ticket[1]}").status_code == 200
    assert "50.00%" in page.text, "one of two"
    with console.parts.catalogue.read() as connection:
        assert len(list_samples(connection)) == 4
    # A decided one can be looked at again.
    again = person.get(f"/review?sample={address.rpartition('/')[2]}")
    assert again.status_code == 200
    assert 'value="harmless"' not in again.text
    assert person.get("/review?sample=S0").status_code == 400


def test_who_may(console) -> None:
    head, auditor = console.person("head"), console.person("auditor")
    page = head.get("/review")
    address, version = form_of(page.text)
    assert auditor.get("/review").status_code == 403
    assert auditor.post(address, verdict="harmless", version=version).status_code == 403
    assert console.person("sysadmin").get("/review").status_code == 403
    assert "/review" in page.text
    assert "/review" not in auditor.get("/queue").text


def test_the_audit_of_samples_runs_in_the_console(console) -> None:
    auditor = console.person("auditor")
    assert auditor.post("/audit/run", audit="samples").status_code == 303
    for _ in range(100):
        page = auditor.get("/audit").text
        if "人工抽检审计" in page and "/audit/reports/" in page and "正在进行" not in page:
            break
    number = re.search(r"/audit/reports/([0-9a-f]+)", page)
    assert number
    shown = auditor.get(f"/audit/reports/{number[1]}")
    assert shown.status_code == 200
    assert "每周漏检率" in shown.text
