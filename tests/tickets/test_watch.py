"""The clocks' step with fake clocks: targets, silence of the platform, days 5, 8 and 9, the police, the horizon."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from retention.audits.gaps import Silence
from retention.catalogue import events as trail
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import events
from retention.persons.tables import person_requests
from retention.policies.prepare import prepare_policies
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, NOW, take
from tickets.calendar.reading import SHIPPED, read_calendar, shipped_calendar
from tickets.calendar.working_days import WorkingCalendar
from tickets.clocks import CLOCKS, DATA_LEAK, SECURITY_TEST, ClockKind, deadline
from tickets.outbox import list_outbox
from tickets.queue import Filters, Ticket, get_ticket, list_tickets, ticket_detail
from tickets.recount import recount
from tickets.service import Desk
from tickets.settings import MailSettings, PlatformSettings, TicketSettings
from tickets.states import Decision, Measure, Part, State
from tickets.steps.dating import due_columns
from tickets.tables import tickets as table
from tickets.watch import Watch

SHANGHAI = ZoneInfo("Asia/Shanghai")
MAIL = MailSettings(host="mail.invalid", recipients=("duty@example.cn",), escalation=("head@example.cn",))
SETTINGS = TicketSettings(mail=MAIL)


def look(desk: Desk, now: datetime, calendar: WorkingCalendar | None = None, settings: TicketSettings = SETTINGS):
    return Watch(desk.catalogue, desk.bodies, calendar or shipped_calendar(), settings, now=now).step()


def opened(desk: Desk) -> str:
    take(desk.catalogue, desk.bodies, CONTENT)
    with desk.catalogue.read() as connection:
        return list_tickets(connection)[0].ticket_id


def disposed(desk: Desk, effective: datetime) -> str:
    """A ticket whose measure took effect at a moment that tests choose freely, future included."""
    number = opened(desk)
    desk.confirm(number, Decision.ILLEGAL, "r")
    desk.dispose(number, Measure.DELETE, effective_at=datetime(2026, 11, 24, 1, tzinfo=UTC))
    columns = due_columns(Decision.ILLEGAL, None, effective, desk.calendar, desk.settings)
    with desk.catalogue.write() as connection:
        values = {**columns, "effective_at": effective.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        connection.execute(table.update().values(**values, police_due_at=None))
        trail.append(connection, kind="ticket.dated", actor="os:test", subject=f"ticket:{number}", body={})
    return number


def again(desk: Desk, number: str) -> Ticket:
    with desk.catalogue.read() as connection:
        return get_ticket(connection, number)


def steps_of(desk: Desk, number: str) -> list[str]:
    with desk.catalogue.read() as connection:
        timeline = ticket_detail(connection, desk.bodies, number).timeline
    return [event["step"] for event in timeline if event["kind"] == "clock.warned"]


def test_content_still_up_past_its_target_is_an_alarm_once(desk: Desk) -> None:
    number = opened(desk)
    assert look(desk, NOW + timedelta(minutes=29)).missed == 0
    assert look(desk, NOW + timedelta(minutes=31)).missed == 1
    assert look(desk, NOW + timedelta(minutes=32)).missed == 0
    with desk.catalogue.read() as connection:
        assert list_tickets(connection, Filters(missed=True))[0].ticket_id == number
        assert [entry.subject for entry in list_outbox(connection)].count("clock:missed") == 1
        kinds = list(connection.execute(sa.select(events.c.kind)).scalars())
    assert "ticket.target_missed" in kinds


def test_a_silent_platform_brings_the_ticket_back_under_to_dispose(desk: Desk) -> None:
    platform = replace(desk, settings=TicketSettings(platform=PlatformSettings(url="https://p.invalid/")))
    number = opened(desk)
    platform.confirm(number, Decision.ILLEGAL, "r")
    platform.dispose(number, Measure.DELETE)
    assert again(desk, number).part == Part.REPORT
    now = datetime.now(UTC)
    assert look(desk, now + timedelta(minutes=14)).unanswered == 0
    assert look(desk, now + timedelta(minutes=16)).unanswered == 1
    assert look(desk, now + timedelta(minutes=17)).unanswered == 0
    back = again(desk, number)
    assert (back.state, back.part) == (State.DISPOSED, Part.DISPOSE)
    with desk.catalogue.read() as connection:
        order = connection.execute(sa.text("SELECT order_id FROM disposal_orders")).scalar_one()
    after = platform.acknowledge_order(order)
    assert (after.part, after.effect) == (Part.REPORT, "acknowledged")


def test_warnings_on_days_5_8_and_9_then_overdue(desk: Desk) -> None:
    # Disposed on Monday 2026-11-23: day 5 is 11-30, day 8 is 12-03, day 9 is 12-04, day 10 is 12-07.
    number = disposed(desk, datetime(2026, 11, 23, 12, tzinfo=SHANGHAI))
    seen: dict[str, list[str]] = {}
    day = date(2026, 11, 24)
    while day <= date(2026, 12, 9):
        look(desk, datetime.combine(day, datetime.min.time(), SHANGHAI) + timedelta(hours=9))
        seen[day.isoformat()] = steps_of(desk, number)
        day += timedelta(days=1)
    assert seen["2026-11-29"] == []
    assert seen["2026-11-30"] == ["day5"]
    assert seen["2026-12-02"] == ["day5"]
    assert seen["2026-12-03"] == ["day5", "day8"]
    assert seen["2026-12-04"] == seen["2026-12-07"] == ["day5", "day8", "day9"]
    assert seen["2026-12-09"] == ["day5", "day8", "day9", "overdue"]


def test_who_slept_through_gets_the_most_serious_one(desk: Desk) -> None:
    number = disposed(desk, datetime(2026, 11, 23, 12, tzinfo=SHANGHAI))
    look(desk, datetime(2026, 12, 4, 9, tzinfo=SHANGHAI))
    assert steps_of(desk, number) == ["day9"]


def test_the_last_day_ends_at_close_of_business(desk: Desk) -> None:
    number = disposed(desk, datetime(2026, 11, 23, 12, tzinfo=SHANGHAI))
    look(desk, datetime(2026, 12, 7, 16, 59, tzinfo=SHANGHAI))
    assert steps_of(desk, number) == ["day9"]
    look(desk, datetime(2026, 12, 7, 17, 0, 1, tzinfo=SHANGHAI))
    assert steps_of(desk, number) == ["day9", "overdue"]


def test_a_reported_ticket_is_not_warned_of(desk: Desk) -> None:
    number = disposed(desk, datetime(2026, 11, 23, 12, tzinfo=SHANGHAI))
    desk.report(number, "R")
    look(desk, datetime(2026, 12, 20, tzinfo=SHANGHAI))
    assert steps_of(desk, number) == []


def test_the_police_clock_runs_from_confirmation(desk: Desk) -> None:
    number = opened(desk)
    due = datetime.fromisoformat(str(desk.confirm(number, Decision.ILLEGAL, "r").police_due_at))
    assert timedelta(hours=23, minutes=59) < due - datetime.now(UTC) <= timedelta(hours=24)
    for left in (timedelta(hours=7), timedelta(hours=5), timedelta(minutes=30), timedelta(seconds=-1)):
        look(desk, due - left)
    assert steps_of(desk, number) == ["6h", "1h", "overdue"]
    desk.report_to_police(number, "网安-1")
    look(desk, due + timedelta(days=1))
    assert steps_of(desk, number) == ["6h", "1h", "overdue"]


def test_an_automatic_block_starts_both_clocks(desk: Desk, catalogue: Catalogue, bodies: PlainBodies) -> None:
    blocked = datetime(2026, 11, 23, 15, 59, tzinfo=UTC)
    take(catalogue, bodies, replace(CONTENT, blocked_at=blocked))
    with catalogue.read() as connection:
        (ticket,) = list_tickets(connection)
    after = desk.confirm(ticket.ticket_id, Decision.ILLEGAL, "确认违法")
    assert (after.state, after.effect, after.due_on) == (State.DISPOSED, "blocked", "2026-12-07")
    assert datetime.fromisoformat(str(after.effective_at)) == blocked
    assert datetime.fromisoformat(str(after.police_due_at)) == blocked + timedelta(hours=24)


YEAR_2027 = """
[[year]]
year = 2027
notice = "test"
holidays = ["2027-01-01/2027-01-03 元旦", "2027-02-05/2027-02-11 春节"]
makeup = []
"""


@pytest.fixture
def next_calendar(tmp_path: Path) -> WorkingCalendar:
    path = tmp_path / "calendar.toml"
    text = SHIPPED.read_text(encoding="utf-8").replace('version = "2026.1"', 'version = "2027.1"')
    path.write_text(text + YEAR_2027, encoding="utf-8")
    return read_calendar(path)


def test_past_the_horizon_provisional_then_recounted_with_a_record(desk: Desk, next_calendar: WorkingCalendar) -> None:
    number = disposed(desk, datetime(2026, 12, 28, 12, tzinfo=SHANGHAI))
    before = again(desk, number)
    assert (before.due_on, before.due_provisional) == ("2027-01-07", True)
    assert look(desk, datetime(2026, 12, 29, tzinfo=UTC), next_calendar).recounted == 1
    after = again(desk, number)
    assert (after.due_on, after.due_provisional, after.calendar_version) == ("2027-01-12", False, "2027.1")
    assert after.effective_at == before.effective_at, "the start never moves"
    with desk.catalogue.read() as connection:
        timeline = ticket_detail(connection, desk.bodies, number).timeline
    (record,) = [event for event in timeline if event["kind"] == "ticket.due_recounted"]
    assert (record["due_before"], record["due_on"], record["calendar_before"]) == ("2027-01-07", "2027-01-12", "2026.1")
    assert recount(desk.catalogue, next_calendar, desk.settings, actor="system:clock") == []


def test_the_missing_calendar_is_an_alarm_from_november_once_a_week(desk: Desk, next_calendar) -> None:
    assert look(desk, datetime(2026, 10, 31, tzinfo=SHANGHAI)).warned == 0
    assert look(desk, datetime(2026, 11, 2, tzinfo=SHANGHAI)).warned == 1
    assert look(desk, datetime(2026, 11, 3, tzinfo=SHANGHAI)).warned == 0
    assert look(desk, datetime(2026, 11, 10, tzinfo=SHANGHAI)).warned == 1
    assert look(desk, datetime(2026, 11, 20, tzinfo=SHANGHAI), next_calendar).warned == 0


@pytest.mark.parametrize("year", [2026, 2027, 2028, 2031])
def test_the_stream_never_stops_for_a_missing_calendar(desk: Desk, year: int) -> None:
    number = disposed(desk, datetime(year, 12, 31, 23, 59, 59, tzinfo=SHANGHAI))
    look(desk, datetime(year + 1, 1, 1, tzinfo=SHANGHAI))
    ticket = again(desk, number)
    assert ticket.due_provisional
    assert ticket.due_on == "2027-01-12" if year == 2026 else ticket.due_on


@given(
    st.datetimes(datetime(2012, 1, 1), datetime(2026, 12, 15)),
    st.sampled_from([timedelta(), timedelta(microseconds=-1), timedelta(microseconds=1), timedelta(hours=12)]),
)
def test_midnight_in_shanghai_decides_for_every_day(moment: datetime, shift: timedelta) -> None:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=SHANGHAI) + shift
    columns = due_columns("illegal", None, midnight.astimezone(UTC), shipped_calendar(), TicketSettings())
    expected = shipped_calendar().count(midnight.date(), 10).due
    assert columns["due_on"] == expected.isoformat()
    assert str(columns["due_at"]) == f"{expected}T09:00:00.000000Z"


def test_every_kind_of_clock_has_its_recipient_basis_and_trigger() -> None:
    assert {clock.kind for clock in CLOCKS} >= set(ClockKind) - {ClockKind.MONTHS}
    assert all(clock.recipient and clock.basis and clock.trigger for clock in CLOCKS)
    leap = deadline(SECURITY_TEST, datetime(2024, 2, 29, 12, tzinfo=SHANGHAI), shipped_calendar())
    assert leap.due_on == date(2025, 2, 28)
    at = datetime(2026, 11, 24, tzinfo=UTC)
    assert deadline(DATA_LEAK, at, shipped_calendar()).due == at + timedelta(hours=1)


def test_an_authority_s_own_deadline_holds_when_it_is_earlier() -> None:
    effective = datetime(2026, 11, 23, 4, tzinfo=UTC)
    for own, due in (("2026-11-25T04:00:00.000000Z", "2026-11-25"), ("2027-01-25T04:00:00.000000Z", "2026-12-07")):
        columns = due_columns("illegal", own, effective, shipped_calendar(), TicketSettings())
        assert columns["due_on"] == due
    assert due_columns("harmful", None, effective, shipped_calendar(), TicketSettings())["due_at"] is None


def told(desk: Desk) -> list[str]:
    """Subjects of what was put out to people by clocks."""
    with desk.catalogue.read() as connection:
        return [entry.subject for entry in list_outbox(connection) if str(entry.subject).startswith("clock:")]


def test_a_silent_source_is_an_alarm_once_for_each_silence(desk: Desk) -> None:
    watch = Watch(desk.catalogue, desk.bodies, shipped_calendar(), SETTINGS, now=NOW)
    first = Silence("orders", NOW - timedelta(hours=9), timedelta(hours=1))
    long = Silence("x" * 200, NOW - timedelta(hours=9), timedelta(hours=1))
    assert watch.silent_sources([]) == 0
    assert watch.silent_sources([first, long]) == 2
    assert watch.silent_sources([first, long]) == 0
    assert set(told(desk)) == {"clock:source:silent"}
    later = Silence("orders", NOW - timedelta(hours=2), timedelta(minutes=30))
    assert watch.silent_sources([later]) == 1


def test_requests_of_persons_are_warned_of(desk: Desk) -> None:
    opened(desk)
    look(desk, NOW)
    prepare_policies(desk.catalogue)
    today = NOW.astimezone(SHANGHAI).date()
    with desk.catalogue.write() as connection:
        for name, state, left in (("Q1", "open", 8), ("Q2", "answered", 8), ("Q3", "open", 30)):
            row = {"kind": "deletion", "account_blind": "b", "sealed": b"-", "received_at": "-", "received_by": "-"}
            due = (today + timedelta(days=left)).isoformat()
            connection.execute(person_requests.insert().values(request_id=name, state=state, due_on=due, **row))
            trail.append(connection, kind="request.received", actor="os:test", subject=f"request:{name}", body={})
    given = []
    for day in range(12):
        for _ in range(2):
            look(desk, NOW + timedelta(days=day))
        with desk.catalogue.read() as connection:
            kinds = events.c.kind == "clock.warned", events.c.subject.like("request:%")
            rows = connection.execute(sa.select(events.c.subject, events.c.body).where(*kinds).order_by(events.c.id))
            given.append([(row.subject, json.loads(row.body)["step"]) for row in rows])
    assert given[-1] == [("request:Q1", step) for step in ("7d", "1d", "overdue")]
    assert [len(steps) for steps in given] == [0, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 3]
    assert told(desk).count("clock:person_request:overdue") >= 1
