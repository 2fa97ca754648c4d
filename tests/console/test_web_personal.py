"""The pages over HTTP, without script: personal data is masked, and who may look behind the mask for what reason."""

from __future__ import annotations

import json

import sqlalchemy as sa

from retention.catalogue.tables import events
from tests.console.running import TEXT, trail


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


def test_events_show_no_sealed_words(console) -> None:
    page = console.person("auditor").get("/audit/events?actor=reviewer")
    assert page.status_code == 200
    assert "reason_sealed" not in page.text
    assert "reviewer" in page.text


def test_the_text_of_fixtures_holds_what_is_to_be_hidden() -> None:
    assert json.dumps(TEXT)
