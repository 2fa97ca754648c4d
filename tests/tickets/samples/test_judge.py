"""Reviewing: a miss is a ticket in the same step, what is gone is set aside, and the rate follows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from errors import NotPermittedError, UsageError
from retention.audits.report import Span
from retention.persons.restriction import restrict
from tests.retention.sealed_store import SealedStore
from tests.tickets.samples.conftest import DAY, texts
from tickets.actors import Actor, Role
from tickets.calendar.reading import shipped_calendar
from tickets.errors import TicketChangedError
from tickets.queue import ticket_detail
from tickets.samples.audit import audit_samples, runs
from tickets.samples.draw import Frame, check, draw
from tickets.samples.judge import get_sample, judge, list_samples, next_shown, show
from tickets.samples.standing import standing
from tickets.service import Desk

FRAME = (Frame("content", "text", ("app",)),)
TENTH = date(2026, 3, 10)
NOW = datetime(2026, 3, 12, tzinfo=UTC)
ANN = Actor("account:ann", frozenset({Role.REVIEWER}))


@pytest.fixture
def drawn(store: SealedStore) -> SealedStore:
    store.add(texts(100), record_class="content")
    draw(store, FRAME, TENTH, 10, actor="system:review", now=NOW)
    return store


def decide(store: SealedStore, sample_id: str, category: str | None = None, actor: Actor = ANN, **more):
    return judge(store, store.bodies, sample_id, actor=actor, category=category, **more)


def test_a_miss_becomes_a_ticket_with_its_place_and_text(drawn: SealedStore) -> None:
    shown = next_shown(drawn, actor=ANN.name)
    assert shown is not None
    n = shown.sample.offset // 10
    assert (shown.text, shown.content_id, shown.user_id) == (f"第 {n} 条评论", f"c{n}", f"u{n % 20}")
    found = decide(drawn, shown.sample.sample_id, "fraud", version=shown.sample.version)
    assert (found.state, found.category, found.judged_by) == ("illegal", "fraud", "account:ann")
    assert found.ticket_id is not None
    with drawn.catalogue.read() as connection:
        detail = ticket_detail(connection, drawn.bodies, found.ticket_id)
    ticket = detail.ticket
    assert (ticket.state, ticket.category, ticket.channel) == ("detected", "fraud", "human")
    assert (ticket.source, ticket.partition, ticket.offset) == ("app", "app.log#1", shown.sample.offset)
    assert detail.texts[0]["text"] == shown.text
    following = next_shown(drawn, actor=ANN.name)
    assert following is not None
    assert following.sample.sample_id != shown.sample.sample_id
    # What was found since is no reason to doubt the draw.
    check(drawn, TENTH, actor="os:test")


def test_what_cannot_be_decided(drawn: SealedStore) -> None:
    with drawn.catalogue.read() as connection:
        one, two, *_ = list_samples(connection)
    with pytest.raises(NotPermittedError):
        decide(drawn, one.sample_id, actor=Actor("account:eve", frozenset({Role.AUDITOR})))
    with pytest.raises(UsageError, match="no category"):
        decide(drawn, one.sample_id, "nonsense")
    with pytest.raises(UsageError, match="no sample"):
        decide(drawn, "S' OR 1=1")
    decide(drawn, one.sample_id)
    with pytest.raises(TicketChangedError):
        decide(drawn, one.sample_id, version=one.version)
    with pytest.raises(UsageError, match="harmless already"):
        decide(drawn, one.sample_id)
    # Seen again, it was illegal after all; that is decided on its ticket from then on.
    assert decide(drawn, one.sample_id, "fraud").ticket_id
    with pytest.raises(UsageError, match="Dismiss the ticket"):
        decide(drawn, one.sample_id)
    assert get_now(drawn, two.sample_id).state == "waiting"


def get_now(store: SealedStore, sample_id: str):
    with store.catalogue.read() as connection:
        return get_sample(connection, sample_id)


def test_what_is_restricted_meanwhile_is_set_aside(drawn: SealedStore) -> None:
    with drawn.catalogue.read() as connection:
        one, two, *_ = list_samples(connection)
    first, second = (f"u{sample.offset // 10 % 20}" for sample in (one, two))
    restrict(drawn, first, ground="request", actor="os:test", now=NOW)
    shown = next_shown(drawn, actor=ANN.name)
    assert shown is not None
    assert shown.sample.sample_id != one.sample_id
    assert get_now(drawn, one.sample_id).state == "gone"
    if second != first:
        restrict(drawn, second, ground="request", actor="os:test", now=NOW)
        with pytest.raises(UsageError, match="restricted or destroyed"):
            decide(drawn, two.sample_id, "fraud")
        assert get_now(drawn, two.sample_id).state == "gone"
        assert show(drawn, two, actor=ANN.name) is None


def test_the_rate_by_day_week_and_type_and_its_audit(drawn: SealedStore) -> None:
    drawn.add(texts(50, day=DAY + timedelta(days=7)), record_class="content")
    draw(drawn, FRAME, TENTH + timedelta(days=7), 5, actor="system:review", now=NOW + timedelta(days=7))
    with drawn.catalogue.read() as connection:
        chosen = list_samples(connection)
    first = [one for one in chosen if one.day == "2026-03-10"]
    for one in first[:9]:
        decide(drawn, one.sample_id)
    ticket = decide(drawn, first[9].sample_id, "fraud").ticket_id
    assert ticket
    with drawn.catalogue.read() as connection:
        found = standing(connection)
    assert (found.total.reviewed, found.total.missed, found.waiting) == (10, 1, 5)
    assert found.by_day["2026-03-10"].rate == pytest.approx(0.1)
    assert found.by_day["2026-03-17"].rate is None
    assert set(found.by_week) == {"2026-03-09", "2026-03-16"}
    assert found.by_type["text"].rate == pytest.approx(0.1)
    assert len(found.undrawn) == 6
    report = audit_samples(drawn.catalogue, frames=FRAME, size=10, lag_hours=24, now=NOW + timedelta(days=30))
    kinds = [finding.kind for finding in report.findings]
    # Six days between the drawn ones, and those since: a stop is a fault, one a run of days.
    last = (NOW + timedelta(days=30 - 1 - 2)).date()
    since = (last - date(2026, 3, 17)).days
    assert since > 20
    assert [(one.where, one.detail) for one in report.findings if one.kind == "not_sampled"] == [
        ("days:2026-03-11..2026-03-16", "No sample of these 6 days was drawn."),
        (f"days:2026-03-18..{last}", f"No sample of these {since} days was drawn."),
    ]
    assert not report.ok
    assert {"missed", "not_reviewed"} <= set(kinds)
    assert report.checked["miss_rate"] == "10.000%"
    assert {one.name for one in report.tables} == {"miss_rate_by_week", "miss_rate_by_type", "miss_rate_by_day"}
    between = [("days:2026-03-11..2026-03-16", "fault")]
    off = [("review", "notice"), *between]
    for days, size, frames, wanted in (
        (1, 10, FRAME, between),
        (7, 10, FRAME, []),
        (1, 0, FRAME, off),
        (1, 10, (), off),
        (20, 10, FRAME, [(f"days:{DAY.date() + timedelta(days=20)}..{last}", "fault")]),
        (40, 10, FRAME, [("review", "notice")]),
    ):
        part = audit_samples(
            drawn.catalogue,
            frames=frames,
            size=size,
            lag_hours=24,
            span=Span(since=DAY + timedelta(days=days)),
            now=NOW + timedelta(days=8 if days < 8 and size and frames else 30),
        )
        found_here = [(one.where, one.severity) for one in part.findings if one.kind == "not_sampled"]
        assert found_here == wanted, (days, size)
        assert part.checked["days_sampled"] == int(days < 8)
    # A ticket that is dismissed was no miss.
    desk = Desk(drawn.catalogue, drawn.bodies, shipped_calendar(), "os:alice")
    desk.dismiss(ticket, reason="harmless after all")
    with drawn.catalogue.read() as connection:
        again = standing(connection)
    assert (again.total.reviewed, again.total.missed, again.tickets) == (10, 0, ())


def test_runs_of_days() -> None:
    assert list(runs([])) == []
    assert list(runs(["2026-03-01"])) == [("2026-03-01", "2026-03-01", 1)]
    assert list(runs(["2026-03-01", "2026-02-28", "2026-03-03", "2026-03-04", "2026-03-06"])) == [
        ("2026-02-28", "2026-03-01", 2), ("2026-03-03", "2026-03-04", 2), ("2026-03-06", "2026-03-06", 1),
    ]  # fmt: skip


def test_an_audit_without_samples_says_why(store: SealedStore) -> None:
    def why(**given) -> str:
        (found,) = audit_samples(store.catalogue, lag_hours=6, **given).findings
        assert found.severity == "notice"
        return found.detail

    assert "no source declares" in why(frames=(), size=50)
    assert "size is 0" in why(frames=FRAME, size=0)
    assert "no day was drawn yet" in why(frames=FRAME, size=50)


def test_no_text_lies_in_the_tables(drawn: SealedStore) -> None:
    with drawn.catalogue.read() as connection:
        for name in ("samples", "sample_days", "sample_strata"):
            rows = connection.execute(sa.text(f"SELECT * FROM {name}")).all()
            assert rows
            assert "评论" not in repr(rows)
