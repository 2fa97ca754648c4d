"""Reversals after a report: every body that was told is told of it, and until then a correction is needed."""

from __future__ import annotations

import pytest

from errors import NotPermittedError
from tests.tickets.people import WANG, by
from tests.tickets.reporting import data_of, disposed, sent, text_of
from tickets.errors import ReportError, TransitionError
from tickets.queue import get_ticket
from tickets.reports.export import Format, export
from tickets.reports.filing import ReportBook
from tickets.states import State


def test_a_reversal_after_the_report_goes_out_as_a_correction(book: ReportBook) -> None:
    ids = disposed(book, 2)
    head = by(book, WANG)
    first = book.draft(ids)
    head.approve_report(first.report_id)
    head.submit(first.report_id, "平台")
    head.acknowledge_report(first.report_id, "HZ-1")
    book.appeal(ids[0], "账号主人申诉")
    assert head.reverse(ids[0], "申诉成立").correction_needed
    with pytest.raises(ReportError, match="needs no correction"):
        book.draft([ids[1]], corrects=first.report_id)
    correction = book.draft([ids[0]], corrects=first.report_id, summary="误判, 已恢复。")
    head.approve_report(correction.report_id)
    head.submit(correction.report_id, "平台")
    with book.catalogue.read() as connection:
        ticket = get_ticket(connection, ids[0])
    assert (ticket.state, ticket.correction_needed) == (State.REVERSED, False)
    text = text_of(export(data_of(book, correction.report_id), Format.DOCX))
    assert first.report_id in text
    assert "撤销处置并恢复" in text


def test_every_body_that_was_told_is_told_of_a_reversal(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    out = {to: sent(book, [number], to) for to in ("police", "cyberspace", "telecom")}
    head = by(book, WANG)
    assert head.reverse(number, "误判").correction_needed
    for count, (to, first) in enumerate(out.items(), 1):
        sent(book, [number], to, corrects=first)
        with book.catalogue.read() as connection:
            assert get_ticket(connection, number).correction_needed == (count < 3)
        with pytest.raises(ReportError, match=r"needs no correction|stands in"):
            book.draft([number], recipient=to, corrects=first)


def test_what_only_the_police_were_told_is_corrected_there(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    first = sent(book, [number], "police")
    assert by(book, WANG).reverse(number, "误判").correction_needed
    sent(book, [number], "police", corrects=first)
    with book.catalogue.read() as connection:
        assert not get_ticket(connection, number).correction_needed


def needed(book: ReportBook, number: str) -> bool:
    with book.catalogue.read() as connection:
        return get_ticket(connection, number).correction_needed


def test_who_was_told_outside_is_told_of_a_reversal_and_that_is_recorded(book: ReportBook) -> None:
    """Neither the correction of a report made here nor anything else takes the place of it."""
    (number,) = disposed(book, 1)
    head = by(book, WANG)
    first = sent(book, [number], "police")
    head.report(number, "传真 17")
    assert "公安机关" not in (data_of(book, first)["tickets"][0]["other_reports"] or "")
    with pytest.raises(TransitionError, match="No correction"):
        head.correct_outside(number, "传真 18")
    assert head.reverse(number, "误判").correction_needed
    with pytest.raises(ReportError, match=r"cannot be corrected|no report"):
        book.draft([number], corrects="R2026-999999")
    second = sent(book, [number], "police", corrects=first)
    assert needed(book, number), "the telecom authority was told by fax, and does not know yet"
    assert "电信" in data_of(book, second)["tickets"][0]["other_reports"]
    with pytest.raises(NotPermittedError):
        book.correct_outside(number, "传真 18")
    assert not head.correct_outside(number, "传真 18").correction_needed
    with pytest.raises(TransitionError, match="No correction"):
        head.correct_outside(number, "传真 18")
    head.reject_report(second, "退回补充")
    assert needed(book, number), "the police sent the correction back"


def test_a_report_that_is_sent_back_after_the_reversal_has_nothing_to_correct(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    out = {to: sent(book, [number], to) for to in ("police", "cyberspace", "telecom")}
    head = by(book, WANG)
    head.reverse(number, "误判")
    sent(book, [number], "telecom", corrects=out["telecom"])
    head.reject_report(out["cyberspace"], "不属我部")
    assert needed(book, number), "the police are not told yet"
    head.reject_report(out["police"], "退回")
    assert not needed(book, number)
