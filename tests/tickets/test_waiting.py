"""What waits for the police, a second person, an appeal or a correction; the police's hours in the queue's order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp
from tests.tickets.conftest import PlainBodies
from tests.tickets.people import HONG, MING, WANG, by
from tests.tickets.test_opening import CONTENT, take
from tickets.queue import Filters, count_tickets, list_tickets
from tickets.service import Desk
from tickets.states import Decision, Measure, Part, State, Waits
from tickets.tables import tickets


@pytest.fixture
def ids(catalogue: Catalogue, bodies: PlainBodies) -> list[str]:
    contents = [replace(CONTENT, content_id=f"c{n}", text=f"第{n}条完全不同的内容 {n * 7919}") for n in range(6)]
    take(catalogue, bodies, *contents)
    with catalogue.read() as connection:
        return [ticket.ticket_id for ticket in list_tickets(connection, limit=100)]


def shown(desk: Desk, **filters: object) -> list[str]:
    with desk.catalogue.read() as connection:
        chosen = Filters(**filters)  # type: ignore[arg-type]
        found = list_tickets(connection, chosen)
        assert chosen.part is not None or count_tickets(connection, chosen) == len(found)
        return [ticket.ticket_id for ticket in found]


@pytest.mark.tampers
def test_the_police_hours_count_before_the_ten_days(desk: Desk, ids: list[str]) -> None:
    for number in ids[:5]:
        desk.confirm(number, Decision.ILLEGAL, "r")
        desk.dispose(number, Measure.DELETE)
    now = datetime.now(UTC)
    due = {ids[0]: None, ids[1]: 9, ids[2]: 3, ids[3]: 20, ids[4]: 24 * 40}
    with desk.catalogue.write() as connection:
        for number, hours in due.items():
            at = None if hours is None else timestamp(now + timedelta(hours=hours))
            connection.execute(tickets.update().where(tickets.c.ticket_id == number).values(police_due_at=at))
    assert shown(desk, part=Part.REPORT) == [ids[2], ids[1], ids[3], ids[0], ids[4]], (
        "a later day of theirs is no hurry"
    )
    with desk.catalogue.read() as connection:
        pages = [list_tickets(connection, Filters(part=Part.REPORT), limit=2, offset=n)[:1] for n in range(5)]
    assert [page[0].ticket_id for page in pages] == shown(desk, part=Part.REPORT)
    desk.report_to_police(ids[2], "WA-1")
    assert shown(desk, part=Part.REPORT)[0] == ids[1]
    assert set(shown(desk, waits=Waits.POLICE)) == {ids[1], ids[3], ids[4]}


def test_what_waits_is_found(desk: Desk, ids: list[str]) -> None:
    ming, hong, wang = by(desk, MING), by(desk, HONG), by(desk, WANG)
    ming.confirm(ids[0], Decision.VIOLATION, "平台规则")
    assert shown(desk, waits=Waits.APPROVAL) == [ids[0]]
    for number in ids[1:4]:
        ming.confirm(number, Decision.ILLEGAL, "r")
        ming.dispose(number, Measure.DELETE)
    hong.appeal(ids[1], "误判")
    hong.appeal(ids[2], "误判")
    assert set(shown(desk, waits=Waits.APPEAL)) == {ids[1], ids[2]}
    assert shown(desk, waits=Waits.CORRECTION) == []
    wang.report(ids[1], "HZ-1")
    wang.reverse(ids[1], "确属误判")
    assert shown(desk, waits=Waits.CORRECTION) == [ids[1]]
    assert shown(desk, waits=Waits.APPEAL) == [ids[2]]
    assert shown(desk, waits=Waits.APPEAL, states=[State.REPORTED]) == []
