"""The next ticket: the most urgent that nobody has, another one for each who asks."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from errors import NotPermittedError
from retention.catalogue.engine import Catalogue
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, HIT, take
from tests.tickets.people import AUDITOR, HONG, MING, WANG, by
from tickets.queue import Filters, Ticket, list_tickets
from tickets.service import Desk
from tickets.states import Decision, Measure, Part, State
from tickets.steps.bulk import BulkAction


@pytest.fixture
def queue(catalogue: Catalogue, bodies: PlainBodies) -> list[Ticket]:
    """Twelve tickets in the queue's order; the first is graver than the rest."""
    contents = [replace(CONTENT, content_id=f"c{n}", text=f"第{n}条完全不同的内容 {n * 7919}") for n in range(12)]
    contents[7] = replace(contents[7], findings=(replace(HIT, severity=4),))
    take(catalogue, bodies, *contents)
    with catalogue.read() as connection:
        return list_tickets(connection, limit=100)


def number(ticket: Ticket | None) -> str:
    assert ticket is not None
    return ticket.ticket_id


def test_the_most_urgent_first_and_nobodys_but_free_ones(desk: Desk, queue: list[Ticket]) -> None:
    ming, hong = by(desk, MING), by(desk, HONG)
    assert queue[0].content_id == "c7"
    hong.claim(queue[1].ticket_id)
    taken = ming.claim_next()
    assert taken is not None
    assert (taken.ticket_id, taken.assignee, taken.state) == (queue[0].ticket_id, "ming", State.TRIAGE)
    assert taken.assigned_at
    assert number(hong.claim_next()) == queue[2].ticket_id
    ming.release(queue[0].ticket_id)
    assert number(hong.claim_next()) == queue[0].ticket_id, "what is given back stands first again"
    with pytest.raises(NotPermittedError):
        by(desk, AUDITOR).claim_next()


def test_filters_narrow_it_and_nothing_is_an_answer(desk: Desk, queue: list[Ticket]) -> None:
    ming = by(desk, MING)
    assert number(ming.claim_next(Filters(severity=3))) == queue[1].ticket_id
    assert ming.claim_next(Filters(category="drugs")) is None
    assert ming.claim_next(Filters(states=[State.CLOSED])) is None
    assert ming.claim_next(Filters(part=Part.REPORT)) is None
    assert number(ming.claim_next(Filters(assignee="hong"))) == queue[0].ticket_id, "whose it is, is left aside"
    rest = {number(ming.claim_next()) for _ in range(10)}
    assert rest == {ticket.ticket_id for ticket in queue[2:]}
    assert ming.claim_next() is None


def test_what_is_done_is_nobodys_work(desk: Desk, queue: list[Ticket]) -> None:
    ming, wang = by(desk, MING), by(desk, WANG)
    ming.bulk(BulkAction.DISMISS, [ticket.ticket_id for ticket in queue[1:]], reason="测试")
    assert number(wang.claim_next()) == queue[0].ticket_id
    assert wang.claim_next() is None
    wang.confirm(queue[0].ticket_id, Decision.ILLEGAL, "r")
    wang.dispose(queue[0].ticket_id, Measure.DELETE)
    wang.release(queue[0].ticket_id)
    assert number(ming.claim_next()) == queue[0].ticket_id, "what is to be reported is work, too"


def test_many_who_ask_at_once_get_one_each(desk: Desk, queue: list[Ticket]) -> None:
    got: list[str] = []
    start = threading.Barrier(8)

    def ask(name: str) -> None:
        start.wait()
        got.append(number(by(desk, replace(MING, name=name)).claim_next()))

    threads = [threading.Thread(target=ask, args=(f"r{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(ticket.ticket_id for ticket in queue[:8])
