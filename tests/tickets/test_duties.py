"""Duties beside tickets: their clocks, evidence that is kept whole, receipts, warnings."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from errors import BusyError, IntegrityError, LiucunError, NotPermittedError, UsageError
from retention.catalogue.engine import Catalogue
from retention.purge.beside import Turn
from tests.tickets.conftest import PlainBodies
from tests.tickets.people import AUDITOR, MING, WANG
from tickets.actors import Actor
from tickets.calendar.reading import shipped_calendar
from tickets.duties import DutyBook, get_duty, list_duties, overdue
from tickets.errors import TicketUnknownError, TransitionError
from tickets.evidence import MAX_FILE, add_evidence, open_evidence
from tickets.retaining_duties import DutyKeeper
from tickets.settings import CompanySettings, TicketSettings
from tickets.tables_sending import duties
from tickets.watch import Watch

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def book(catalogue: Catalogue, bodies: PlainBodies) -> DutyBook:
    return DutyBook(catalogue, bodies, shipped_calendar(), WANG)


def start(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("kind", "day", "due"),
    [
        ("incident", "2026-11-24T10:00", "2026-11-24T06:00:00.000000Z"),
        ("assessment", "2026-09-02", "2026-10-02T16:00:00.000000Z"),
        ("change_filing", "2026-09-02", "2026-10-02T16:00:00.000000Z"),
        ("renewal", "2025-01-21", "2024-10-23T16:00:00.000000Z"),
        ("annual_report", "2027-01-01", "2027-03-31T16:00:00.000000Z"),
        ("complaint_reply", "2026-11-24", "2026-12-09T16:00:00.000000Z"),
        ("data_leak", "2026-11-24T10:00", "2026-11-24T03:00:00.000000Z"),
        ("security_test", "2024-02-29", "2025-02-28T16:00:00.000000Z"),
        ("licence_shown", "2026-10-01", "2027-01-01T16:00:00.000000Z"),
    ],
)
def test_each_kind_counts_by_its_clock(book: DutyBook, kind: str, day: str, due: str) -> None:
    assert book.add(kind, "事项", start(day)).due_at == due


def test_evidence_is_kept_whole_and_the_receipt_closes(book: DutyBook, catalogue: Catalogue) -> None:
    duty = book.add("assessment", "直播功能评估", start("2026-11-20"))
    stored = book.evidence(duty.duty_id, "评估报告.pdf", b"%PDF content")
    with catalogue.read() as connection:
        assert open_evidence(connection, book.bodies, stored.id)[1] == b"%PDF content"
        assert get_duty(connection, book.bodies, duty.duty_id).files == (stored,)
    done = book.complete(duty.duty_id, "通管-7")
    assert (done.state, done.receipt, done.completed_by, done.overdue) == ("done", "通管-7", "wang", False)
    with pytest.raises(TransitionError, match="completed by wang"):
        book.complete(duty.duty_id, "again")


@pytest.mark.tampers
def test_changed_evidence_is_found_out(book: DutyBook, catalogue: Catalogue) -> None:
    duty = book.add("assessment", "t", start("2026-11-20"))
    stored = book.evidence(duty.duty_id, "a.txt", b"one")
    with catalogue.write() as connection:
        row = connection.execute(sa.text("SELECT body FROM ticket_files")).scalar_one()
        connection.execute(sa.text("UPDATE ticket_files SET body = :b"), {"b": bytes(row)[:-1] + b"x"})
    with catalogue.read() as connection, pytest.raises(IntegrityError):
        open_evidence(connection, book.bodies, stored.id)


@pytest.mark.parametrize(
    ("name", "content"), [("a", b""), ("../x", b"1"), (" ", b"1"), ("a", b"x" * (MAX_FILE + 1)), ("a" * 201, b"1")]
)
def test_files_that_are_none_are_refused(book: DutyBook, name: str, content: bytes) -> None:
    duty = book.add("assessment", "t", start("2026-11-20"))
    with pytest.raises(UsageError):
        book.evidence(duty.duty_id, name, content)


def test_what_is_not_there_and_who_may_not(book: DutyBook, catalogue: Catalogue, bodies: PlainBodies) -> None:
    with pytest.raises(UsageError, match="no duty of the kind"):
        book.add("party", "t", start("2026-11-20"))
    with pytest.raises(TicketUnknownError):
        book.complete("Y0", "r")
    with pytest.raises(UsageError, match="title"):
        book.add("incident", " ", start("2026-11-20"))
    for day in ("0001-01-01", "9999-12-31"):
        with pytest.raises(UsageError, match="beyond the calendar"):
            book.add("assessment", "t", start(day))
    for who in (MING, AUDITOR, Actor("none")):
        with pytest.raises(NotPermittedError):
            DutyBook(catalogue, bodies, shipped_calendar(), who).add("incident", "t", start("2026-11-20"))


def test_standing_duties_are_entered_once(book: DutyBook, catalogue: Catalogue) -> None:
    company = CompanySettings(name="c", licence_number="n", licence_expires_on=date(2027, 1, 21))
    clocks = {duty.clock for duty in book.standing(company, date(2026, 11, 24))}
    assert clocks == {"annual_report", "renewal", "licence_shown"}
    assert book.standing(company, date(2026, 12, 31)) == []
    assert [duty.clock for duty in book.standing(company, date(2027, 1, 1))] == ["annual_report", "licence_shown"]
    assert book.standing(CompanySettings(name="c"), date(2027, 4, 1)) == [], "without a number there is none to show"
    with catalogue.read() as connection:
        found = list_duties(connection, book.bodies)
    assert [duty.due_on for duty in found] == ["2026-03-31", "2026-10-23", "2027-01-01", "2027-03-31", "2027-04-01"]
    assert len(overdue(found, datetime(2026, 11, 24, tzinfo=UTC))) == 2


def test_titles_do_not_stand_in_plain(book: DutyBook, catalogue: Catalogue, tmp_path) -> None:
    book.add("incident", "张三账号泄露", start("2026-11-20"))
    with catalogue.read() as connection:
        assert "张三".encode() not in bytes(connection.execute(sa.text("SELECT title FROM duties")).scalar_one())


def test_duties_are_warned_of(book: DutyBook) -> None:
    incident = book.add("incident", "t", start("2026-10-12T10:00"))
    report = book.add("assessment", "t", start("2026-10-12"))
    for moment in ("2026-10-12T13:30", "2026-10-12T14:01", "2026-10-13T09:00", "2026-11-05T09:00", "2026-11-11T09:00"):
        watch = Watch(book.catalogue, book.bodies, shipped_calendar(), TicketSettings(), now=start(moment))
        watch.step()
    with book.catalogue.read() as connection:
        rows = connection.execute(sa.text("SELECT subject, step FROM ticket_warnings ORDER BY at")).all()
    found = [(row.subject, row.step) for row in rows if row.subject.startswith("duty:")]
    assert sorted(found) == sorted(
        [
            (f"duty:{incident.duty_id}", "1h"),
            (f"duty:{incident.duty_id}", "overdue"),
            *((f"duty:{report.duty_id}", step) for step in ("30d", "7d", "1d")),
        ]
    )


def test_a_file_that_comes_while_its_duty_is_sealed_anew_is_never_left_under_the_old_key(
    book: DutyBook, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    duty = book.add("assessment", "评估", start("2026-11-20"))
    with catalogue.read() as connection:
        made = DutyKeeper().prepare(connection, book.bodies, Turn("2029-12", [duty.duty_id]))
    failed: list[LiucunError] = []

    def seal_anew() -> None:
        try:
            with catalogue.write() as connection:
                made.write(connection)
        except LiucunError as error:
            failed.append(error)

    other = threading.Thread(target=seal_anew)

    def between(*given: Any) -> int:
        other.start()
        other.join(1)
        return add_evidence(*given)

    monkeypatch.setattr("tickets.duties.add_evidence", between)
    book.evidence(duty.duty_id, "报告.pdf", b"%PDF")
    other.join(60)
    assert len(failed) == 1
    assert isinstance(failed[0], BusyError)
    assert "2029-12" not in str(text_key(catalogue, duty.duty_id)), "it goes on lying under the key of its file"


def text_key(catalogue: Catalogue, duty_id: str) -> str | None:
    with catalogue.read() as connection:
        found = connection.execute(sa.select(duties.c.text_key).where(duties.c.duty_id == duty_id)).scalar_one()
    return None if found is None else str(found)
