"""Reports: from tickets to the authority and back, and what cannot be reported."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from errors import IntegrityError, NotPermittedError, SettingsError, UsageError
from tests.tickets.findings import CONTENT, take
from tests.tickets.people import LI, WANG, by
from tests.tickets.reporting import COMPANY, data_of, disposed, everything
from tickets.errors import ReportError, SecondPersonError
from tickets.queue import get_ticket, ticket_detail
from tickets.reports.filing import ReportBook
from tickets.reports.register import list_reports
from tickets.reports.templates import templates
from tickets.settings import CompanySettings
from tickets.states import State
from tickets.tables_sending import reports


def state(book: ReportBook, number: str) -> str:
    with book.catalogue.read() as connection:
        return get_ticket(connection, number).state


def test_many_tickets_in_one_report_from_draft_to_receipt(book: ReportBook) -> None:
    ids = disposed(book)
    draft = book.draft(ids, summary="三条赌博广告已删除。")
    assert (draft.state, draft.tickets) == ("draft", tuple(ids))
    assert draft.due_at == "2026-12-07T09:00:00.000000Z", "the earliest due date governs, at close of business"
    with pytest.raises(NotPermittedError):
        book.approve_report(draft.report_id)
    head = by(book, WANG)
    with pytest.raises(ReportError, match="not approved"):
        head.submit(draft.report_id, "平台")
    assert head.approve_report(draft.report_id).approved_by == "wang"
    head.submit(draft.report_id, "省通信管理局报送平台", receipt="SUB-1")
    assert {state(book, number) for number in ids} == {State.REPORTED}
    with pytest.raises(Exception, match="report as a whole"):
        head.acknowledge(ids[0], "HZ")
    assert head.acknowledge_report(draft.report_id, "HZ-2026-88").state == "acknowledged"
    assert {state(book, number) for number in ids} == {State.ACKNOWLEDGED}
    said = data_of(book, draft.report_id)
    assert (said["receipt"], said["approved_by"], said["counts"]["tickets"]) == ("HZ-2026-88", "wang", 3)
    assert said["tickets"][0]["days"] == "自 2026-11-23 次日起, 第 10 个工作日为 2026-12-07"
    assert len(said["tickets"][0]["evidence_sm3"][0]) == 64


def test_a_head_does_not_approve_what_they_triaged(book: ReportBook) -> None:
    head = by(book, WANG)
    ids = disposed(head, 1)
    draft = book.draft(ids)
    with pytest.raises(SecondPersonError):
        head.approve_report(draft.report_id)
    assert by(book, LI).approve_report(draft.report_id).state == "approved"


def test_a_rejected_report_reopens_with_the_original_date(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    head = by(book, WANG)
    first = book.draft([number])
    head.approve_report(first.report_id)
    head.submit(first.report_id, "邮寄")
    head.reject_report(first.report_id, "材料不全")
    with book.catalogue.read() as connection:
        ticket = get_ticket(connection, number)
    assert (ticket.state, ticket.due_on, ticket.report_id) == (State.DISPOSED, "2026-12-07", None)
    assert book.draft([number]).report_id == "R2026-000002"


def test_a_ticket_stands_in_one_live_report_only(book: ReportBook) -> None:
    ids = disposed(book, 2)
    draft = book.draft(ids)
    with pytest.raises(ReportError, match="stands in the report"):
        book.draft(ids[:1])
    book.withdraw(draft.report_id)
    assert book.draft(ids[:1]).state == "draft"


def test_what_changed_since_the_draft_is_not_approved(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    draft = book.draft([number])
    book.set_effective(number, datetime(2026, 11, 23, 2, tzinfo=UTC), "平台日志更早")
    with pytest.raises(ReportError, match="changed"):
        by(book, WANG).approve_report(draft.report_id)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"company": CompanySettings()}, "name, licence_number"),
        ({"recipient": "nobody"}, "no template"),
        ({"ids": []}, "No ticket is chosen"),
    ],
)
def test_reports_that_cannot_be_are_refused(book: ReportBook, change, word: str) -> None:
    ids = disposed(book, 1)
    with pytest.raises(UsageError, match=word):
        replace(book, company=change.get("company", COMPANY)).draft(
            change.get("ids", ids), recipient=change.get("recipient", "telecom")
        )


def test_undisposed_tickets_are_not_reported(book: ReportBook) -> None:
    take(book.catalogue, book.bodies, CONTENT)
    with pytest.raises(ReportError, match="not disposed of"):
        book.draft([everything(book)[0].ticket_id])


@pytest.mark.tampers
def test_a_changed_report_is_found_out(book: ReportBook) -> None:
    draft = book.draft(disposed(book, 1))
    with book.catalogue.write() as connection:
        body = book.bodies.seal(b'{"tickets": []}', f"report\x00{draft.report_id}".encode())
        connection.execute(reports.update().values(body=body))
    with pytest.raises(IntegrityError, match="was changed"):
        data_of(book, draft.report_id)


def test_own_templates_are_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    for text, word in (
        ("format = 1\n[template.x]\ntitle='a'\nrecipient='b'\nbasis=''\nlike='y'\n", "like 'y'"),
        ("format = 2\n", "format"),
        ("format = [", "TOML"),
    ):
        path.write_text(text, encoding="utf-8")
        templates.cache_clear()
        with pytest.raises(SettingsError, match=word):
            templates(path)


def test_the_register_lists_the_newest_first(book: ReportBook) -> None:
    numbers = [book.draft(disposed(book, 1)).report_id for _ in range(3)]
    with book.catalogue.read() as connection:
        assert [report.report_id for report in list_reports(connection)] == numbers[::-1]
        detail = ticket_detail(connection, book.bodies, everything(book)[0].ticket_id)
    assert "ticket.in_report" in {event["kind"] for event in detail.timeline}
