"""Whom a report goes to: that to the telecom authority ends the ten days; the police and others have their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.tickets.people import WANG, by
from tests.tickets.reporting import data_of, disposed, sent
from tickets.errors import ReportError
from tickets.queue import get_ticket, ticket_detail
from tickets.reports.filing import ReportBook
from tickets.settings import TicketSettings
from tickets.states import Decision, State


def test_the_police_have_their_own_report(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    draft = book.draft([number], recipient="police")
    head = by(book, WANG)
    head.approve_report(draft.report_id)
    head.submit(draft.report_id, "网安支队")
    with book.catalogue.read() as connection:
        ticket = get_ticket(connection, number)
    assert ticket.police_reported_at
    assert ticket.state == State.DISPOSED, "the ten days run on"
    assert book.draft([number]).recipient == "telecom"


def test_only_a_report_to_the_telecom_authority_ends_the_ten_days_of_what_is_illegal(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    draft = book.draft([number], recipient="cyberspace")
    assert draft.due_at is None, "no day is set for it"
    book.withdraw(draft.report_id)
    first = sent(book, [number], "cyberspace")
    with book.catalogue.read() as connection:
        ticket = get_ticket(connection, number)
        kinds = [event["kind"] for event in ticket_detail(connection, book.bodies, number).timeline]
    assert (ticket.state, ticket.reported_at) == (State.DISPOSED, None), "the ten days run on"
    assert "ticket.also_reported" in kinds
    with pytest.raises(ReportError, match="stands in the report"):
        book.draft([number], recipient="cyberspace")
    second = sent(book, [number], "telecom")
    said = data_of(book, second)["tickets"][0]["other_reports"]
    assert said.startswith("网信部门 20")
    head = by(book, WANG)
    head.reject_report(first, "退回补充")
    head.acknowledge_report(second, "HZ-1")
    with book.catalogue.read() as connection:
        assert get_ticket(connection, number).state == State.ACKNOWLEDGED
    again = sent(book, [number], "cyberspace")
    head.acknowledge_report(again, "WX-1")
    with book.catalogue.read() as connection:
        assert get_ticket(connection, number).receipt == "HZ-1"


def test_what_is_harmful_goes_to_the_authority_that_is_competent_for_it(book: ReportBook) -> None:
    milder = TicketSettings.model_validate({"defaults": {"gambling": "harmful"}})
    (number,) = disposed(replace(book, settings=milder), 1, decision=Decision.HARMFUL)
    sent(book, [number], "cyberspace")
    with book.catalogue.read() as connection:
        assert get_ticket(connection, number).state == State.REPORTED


def test_a_draft_to_another_body_outlives_the_report_to_the_telecom_authority(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    draft = book.draft([number], recipient="cyberspace")
    sent(book, [number], "telecom")
    head = by(book, WANG)
    head.approve_report(draft.report_id)
    head.submit(draft.report_id, "平台")
    again = book.draft([number], recipient="police")
    head.reverse(number, "误判")
    with pytest.raises(ReportError, match="changed"):
        head.approve_report(again.report_id)
