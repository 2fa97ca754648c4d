"""What the tests of reports share: a company, disposed tickets, reports that went out, and how their files are read."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import docx

from tests.tickets.findings import CONTENT, take
from tests.tickets.people import WANG, by
from tickets.queue import list_tickets
from tickets.reports.filing import ReportBook
from tickets.reports.register import open_report
from tickets.settings import CompanySettings
from tickets.states import Decision, Measure

COMPANY = CompanySettings(
    name="留存科技有限公司",
    licence_number="粤B2-20260001",
    domains=("shop.example.cn", "m.shop.example.cn"),
    access_provider="中国电信",
    reporter="王芳",
    phone="020-00000000",
)
EFFECTIVE = datetime(2026, 11, 23, 3, tzinfo=UTC)


def disposed(
    book: ReportBook, count: int = 3, text: str = "赌场 开户送彩金", decision: Decision = Decision.ILLEGAL
) -> list[str]:
    known = {ticket.ticket_id for ticket in everything(book)}
    contents = [replace(CONTENT, content_id=f"c{len(known)}-{n}", text=text, reach=1200) for n in range(count)]
    take(book.catalogue, book.bodies, *contents)
    ids = sorted(ticket.ticket_id for ticket in everything(book) if ticket.ticket_id not in known)
    for number in ids:
        book.confirm(number, decision, "赌博广告")
        book.dispose(number, Measure.DELETE, effective_at=EFFECTIVE)
    return ids


def everything(book: ReportBook):
    with book.catalogue.read() as connection:
        return list_tickets(connection, limit=1000)


def data_of(book: ReportBook, number: str):
    with book.catalogue.read() as connection:
        return open_report(connection, book.bodies, number)


def sent(book: ReportBook, ids: list[str], recipient: str, **more) -> str:
    draft = book.draft(ids, recipient=recipient, **more)
    head = by(book, WANG)
    head.approve_report(draft.report_id)
    head.submit(draft.report_id, "平台")
    return draft.report_id


def text_of(content: bytes) -> str:
    document = docx.Document(io.BytesIO(content))
    cells = (cell.text for table in document.tables for row in table.rows for cell in row.cells)
    return "\n".join([*(p.text for p in document.paragraphs), *cells])
