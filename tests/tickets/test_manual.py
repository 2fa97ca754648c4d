"""Tickets opened by hand: complaints, orders with their own deadline, verdicts of engines; appeals and their ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from errors import NotPermittedError, UsageError
from retention.catalogue.engine import Catalogue
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, take
from tests.tickets.people import AUDITOR, HONG, MING, WANG, by
from tickets.clocks import SHANGHAI
from tickets.errors import SecondPersonError, TransitionError
from tickets.queue import Filters, get_ticket, list_tickets, ticket_detail
from tickets.service import Desk
from tickets.settings import PlatformSettings, TicketSettings
from tickets.states import Channel, Decision, Measure, Part, State
from tickets.steps.opening import ManualFinding
from tickets.summary import ticket_summary
from tickets.weights import WEIGHTS, reach_level, weight_of

NOW = datetime.now(UTC)
ORDER = ManualFinding(
    Channel.AUTHORITY,
    "article15_6",
    "关于某谣言的处置通知",
    severity=4,
    reference="网信办〔2026〕7号",
    own_due_at=NOW + timedelta(hours=6),
)


def test_an_order_carries_its_own_deadline_to_the_report(desk: Desk) -> None:
    opened = desk.open_manual(ORDER)
    assert opened.channel == "authority"
    assert datetime.fromisoformat(str(opened.own_due_at)) == ORDER.own_due_at
    desk.confirm(opened.ticket_id, Decision.ILLEGAL, "按通知处置")
    disposed = desk.dispose(opened.ticket_id, Measure.DELETE)
    assert disposed.due_at == opened.own_due_at, "earlier than ten working days"
    with desk.catalogue.read() as connection:
        detail = ticket_detail(connection, desk.bodies, opened.ticket_id)
    assert detail.details["reference"] == "网信办〔2026〕7号"
    assert detail.details["by"] == "os:alice"


def test_an_order_s_deadline_tightens_the_target_of_disposal(desk: Desk) -> None:
    opened = desk.open_manual(replace(ORDER, own_due_at=datetime.now(UTC) + timedelta(minutes=5)))
    assert opened.dispose_by == opened.own_due_at


def test_an_engine_s_verdict_is_one_ticket_with_the_text_s(
    desk: Desk, catalogue: Catalogue, bodies: PlainBodies
) -> None:
    take(catalogue, bodies, CONTENT)
    verdict = ManualFinding(
        Channel.ENGINE,
        "pornography",
        "image: nudity",
        severity=4,
        source="s",
        content_id="c1",
        engine="img-2",
        score=0.97,
    )
    found = desk.open_manual(verdict)
    with catalogue.read() as connection:
        (only,) = list_tickets(connection)
        detail = ticket_detail(connection, bodies, found.ticket_id)
    assert (only.ticket_id, only.findings, only.category) == (found.ticket_id, 2, "pornography")
    assert [entry["text"] for entry in detail.texts] == [CONTENT.text, "image: nudity"]


def test_two_complaints_without_an_id_are_two_tickets(desk: Desk) -> None:
    complaint = ManualFinding(Channel.COMPLAINT, "abuse", "他骂我")
    assert desk.open_manual(complaint).ticket_id != desk.open_manual(complaint).ticket_id


@pytest.mark.parametrize(
    "change",
    [
        {"channel": Channel.KEYWORD},
        {"category": "party"},
        {"text": " "},
        {"text": "x" * 100_001},
        {"severity": 0},
        {"severity": 9},
        {"score": float("nan")},
        {"score": 1.5},
        {"reach": -1},
        {"reach": 1 << 63},
        {"event_time": NOW + timedelta(days=1)},
        {"blocked_at": NOW + timedelta(days=1)},
        {"own_due_at": NOW.replace(tzinfo=None)},
        {"own_due_at": datetime(1, 1, 1, tzinfo=SHANGHAI)},
        {"own_due_at": datetime(9999, 12, 31, 23, tzinfo=UTC)},
        {"event_time": datetime(1, 1, 1, tzinfo=SHANGHAI)},
        {"blocked_at": datetime(1, 1, 1, tzinfo=SHANGHAI)},
        {"url": "x" * 3000},
        {"content_id": "x" * 3000},
        {"user_id": "x" * 3000},
        {"source": "x" * 129},
        {"subtype": "x" * 65},
        {"details": {"a": "x" * 200_000}},
    ],
)
def test_what_cannot_be_is_refused(desk: Desk, change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        desk.open_manual(replace(ORDER, **change))
    with desk.catalogue.read() as connection:
        assert list_tickets(connection) == []


def test_hostile_text_is_taken_as_it_is(desk: Desk) -> None:
    text = "\x00\ud800'; DROP TABLE tickets; --\u202e😀{{7*7}}"
    opened = desk.open_manual(replace(ORDER, text=text))
    with desk.catalogue.read() as connection:
        assert ticket_detail(connection, desk.bodies, opened.ticket_id).texts[0]["text"] == text.replace(
            "\ud800", "\ufffd"
        )


def test_who_may_not_work_may_not_open(desk: Desk) -> None:
    with pytest.raises(NotPermittedError):
        by(desk, AUDITOR).open_manual(ORDER)


def test_reach_and_severity_and_age_decide_the_order(desk: Desk, catalogue: Catalogue, bodies: PlainBodies) -> None:
    contents = [replace(CONTENT, content_id=f"r{reach}", reach=reach) for reach in (0, 100, 1_000_000)]
    take(catalogue, bodies, *contents)
    later = datetime(2026, 11, 24, 0, 1, tzinfo=UTC)
    with catalogue.read() as connection:
        assert [t.content_id for t in list_tickets(connection, now=later)] == ["r1000000", "r100", "r0"]
        number = list_tickets(connection, Filters(content_id="r0"))[0].ticket_id
    desk.set_reach(number, 10**9)
    with catalogue.read() as connection:
        assert list_tickets(connection, now=later)[0].content_id == "r0"
        summary = ticket_summary(connection)
    assert (summary.to_dispose, summary.to_report) == (3, 0)
    assert all(weight_of(s, r) in WEIGHTS for s in range(6) for r in (0, 1, 9, 10, 10**15))
    assert reach_level(0) == 1


def disposed(desk: Desk) -> str:
    number = desk.open_manual(ORDER).ticket_id
    desk.confirm(number, Decision.ILLEGAL, "r")
    desk.dispose(number, Measure.DELETE)
    return number


def test_an_appeal_is_decided_by_somebody_else_and_restores(desk: Desk) -> None:
    platform = TicketSettings(platform=PlatformSettings(url="https://p.invalid/"))
    wang, ming = (replace(by(desk, who), settings=platform) for who in (WANG, MING))
    number = disposed(wang)
    assert ming.appeal(number, "申诉").appealed_at
    with pytest.raises(TransitionError, match="appeal"):
        ming.appeal(number, "again")
    with pytest.raises(NotPermittedError):
        ming.reverse(number, "成立")
    with pytest.raises(SecondPersonError, match="own triage"):
        wang.reverse(number, "成立")
    after = replace(wang, actor=replace(WANG, name="li")).reverse(number, "成立")
    assert (after.state, after.appealed_at, after.correction_needed) == (State.REVERSED, None, False)
    with desk.catalogue.read() as connection:
        kinds = [event.get("measure") for event in ticket_detail(connection, desk.bodies, number).timeline]
    assert "restore" in kinds


def test_a_ticket_under_appeal_is_not_closed(desk: Desk) -> None:
    number = disposed(desk)
    desk.report(number, "R")
    desk.acknowledge(number, "HZ")
    desk.appeal(number, "申诉")
    with pytest.raises(TransitionError, match="appeal"):
        desk.close(number)
    desk.reject_appeal(number, "不成立")
    assert desk.close(number).state == State.CLOSED


def test_moving_the_time_later_takes_two(desk: Desk, catalogue: Catalogue, bodies: PlainBodies) -> None:
    take(catalogue, bodies, CONTENT)
    with catalogue.read() as connection:
        number = list_tickets(connection)[0].ticket_id
    first = datetime(2026, 11, 24, 2, tzinfo=UTC)
    by(desk, MING).confirm(number, Decision.ILLEGAL, "r")
    by(desk, MING).dispose(number, Measure.DELETE, effective_at=first)
    waiting = by(desk, MING).set_effective(number, first + timedelta(hours=1), "平台日志")
    assert datetime.fromisoformat(str(waiting.effective_at)) == first
    with pytest.raises(NotPermittedError):
        by(desk, HONG).approve(str(waiting.pending), "同意")
    after = by(desk, WANG).approve(str(waiting.pending), "核对过平台日志")
    assert datetime.fromisoformat(str(after.effective_at)) == first + timedelta(hours=1)
    earlier = by(desk, MING).set_effective(number, first - timedelta(hours=1), "更早")
    assert datetime.fromisoformat(str(earlier.effective_at)) == first - timedelta(hours=1)
    with catalogue.read() as connection:
        assert get_ticket(connection, number).part == Part.REPORT
