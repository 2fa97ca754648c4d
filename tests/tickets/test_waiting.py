"""What waits for the police, a second person, an appeal or a correction; the police's hours in the queue's order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from errors import UsageError
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, take
from tests.tickets.people import HONG, MING, WANG, by
from tickets.queue import Filters, count_tickets, list_tickets, tickets_by_id
from tickets.service import Desk
from tickets.states import Channel, Decision, Measure, Part, State, Waits
from tickets.steps.opening import ManualFinding
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


@pytest.mark.tampers
def test_what_is_due_by_a_day_is_due_to_anybody(desk: Desk, ids: list[str]) -> None:
    """The authority's day, the police's hours and an order's own deadline, each at the edge of a Shanghai day."""
    police, authority, own, later, told, merged = ids
    for number in (police, authority, later, told):
        desk.confirm(number, Decision.ILLEGAL, "r")
        desk.dispose(number, Measure.DELETE)
    desk.report_to_police(told, "WA-1")
    desk.merge([merged], own, "同一事")
    rows = {
        police: {"due_on": "2027-03-20", "police_due_at": "2027-03-05T15:59:59.000000Z"},
        authority: {"due_on": "2027-03-05", "police_due_at": None},
        own: {"own_due_at": "2027-03-05T09:00:00.000000Z"},
        later: {"due_on": "2027-03-06", "police_due_at": "2027-03-05T16:00:01.000000Z"},
        told: {"due_on": "2027-03-06", "police_due_at": "2027-03-01T00:00:00.000000Z"},
        merged: {"own_due_at": "2027-03-05T09:00:00.000000Z", "police_due_at": "2027-03-01T00:00:00.000000Z"},
    }
    with desk.catalogue.write() as connection:
        for number, values in rows.items():
            connection.execute(tickets.update().where(tickets.c.ticket_id == number).values(**values))
    assert shown(desk, due_by="2027-03-04") == []
    assert shown(desk, due_by="2027-03-05") == [own, police, authority], "own is not disposed of: it stands first"
    assert set(shown(desk, due_by="2027-03-06")) == {own, authority, police, later, told}
    assert shown(desk, due_by="2027-03-05", part=Part.DISPOSE) == [own]
    assert shown(desk, due_by="9999-12-31") == shown(desk, states=[State.DISPOSED, State.TRIAGE, State.DETECTED])
    assert shown(desk, due_by="0001-01-01") == []
    with pytest.raises(UsageError, match="is no day"):
        shown(desk, due_by="2027-02-30")


@pytest.mark.tampers
def test_what_was_reported_is_due_no_more_but_for_the_police(desk: Desk, ids: list[str]) -> None:
    by_hand = desk.open_manual(
        ManualFinding(Channel.AUTHORITY, "gambling", "通知要求处置", own_due_at=datetime(2099, 1, 5, 4, tzinfo=UTC))
    ).ticket_id
    assert shown(desk, due_by="2099-01-05") == [by_hand]
    desk.confirm(by_hand, Decision.ILLEGAL, "r")
    desk.dispose(by_hand, Measure.DELETE)
    assert shown(desk, due_by="2099-01-04") == [by_hand], "its ten days and the police's hours come before"
    desk.report(by_hand, "HZ-1")
    with desk.catalogue.read() as connection:
        (one,) = tickets_by_id(connection, [by_hand])
        assert one.due_on is not None
    assert one.tells_police
    assert shown(desk, due_by="2099-01-05") == [by_hand] == shown(desk, waits=Waits.POLICE)
    desk.report_to_police(by_hand, "WA-1")
    assert shown(desk, due_by="2099-01-05") == shown(desk, waits=Waits.POLICE) == []


@pytest.mark.tampers
def test_nobody_waits_to_tell_the_police_of_what_is_none_of_theirs(desk: Desk, ids: list[str]) -> None:
    """A clock that was started runs on in the row; while the ticket is merged, dismissed or not 违法, nobody waits."""
    for number in ids[:4]:
        desk.confirm(number, Decision.ILLEGAL, "r")
    desk.merge([ids[1]], ids[0], "同一事")
    with desk.catalogue.write() as connection:
        for number, values in ((ids[2], {"state": "dismissed", "part": 2}), (ids[3], {"decision": "harmful"})):
            connection.execute(tickets.update().where(tickets.c.ticket_id == number).values(**values))
    with desk.catalogue.read() as connection:
        assert [one.tells_police for one in tickets_by_id(connection, ids[:4])] == [True, False, False, False]
    assert shown(desk, waits=Waits.POLICE) == shown(desk, due_by="2099-01-05") == [ids[0]]
