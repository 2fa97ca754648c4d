"""One measure on many confirmed tickets: evidence first, one order a ticket, nothing twice, no undo."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from errors import BusyError, NotPermittedError, StorageError, UsageError
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import batches, events, segments
from retention.lookups.opened import OpenedSegments
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, take
from tests.tickets.people import AUDITOR, HONG, MING, ROOT, WANG, by
from tickets.archived import take_out
from tickets.messages import message_context
from tickets.queue import Ticket, list_tickets, ticket_detail, tickets_by_id
from tickets.service import Desk
from tickets.settings import TicketSettings
from tickets.states import Decision, Measure, Part, State
from tickets.steps import many_disposed
from tickets.steps.bulk import BulkAction, BulkResult
from tickets.tables import tickets
from tickets.tables_sending import orders, outbox

PLATFORM = TicketSettings.model_validate({"platform": {"url": "https://platform.example/orders"}})


@pytest.fixture
def ids(catalogue: Catalogue, bodies: PlainBodies) -> list[str]:
    contents = [replace(CONTENT, content_id=f"c{n}", text=f"第{n}条完全不同的内容 {n * 7919}") for n in range(12)]
    take(catalogue, bodies, *contents)
    with catalogue.read() as connection:
        return sorted(ticket.ticket_id for ticket in list_tickets(connection, limit=100))


@pytest.fixture
def platform(desk: Desk) -> Desk:
    return replace(desk, settings=PLATFORM, actor=MING)


def confirm(desk: Desk, ids: list[str]) -> None:
    done = desk.bulk(BulkAction.CONFIRM, ids, decision=Decision.ILLEGAL, reason="违法")
    assert len(done.done) == len(ids)


def dispose(desk: Desk, ids: list[str], measure: Measure = Measure.DELETE, **more: object) -> BulkResult:
    return desk.bulk(BulkAction.DISPOSE, ids, measure=measure, **more)  # type: ignore[arg-type]


def read(desk: Desk, ids: list[str]) -> list[Ticket]:
    with desk.catalogue.read() as connection:
        return tickets_by_id(connection, ids)


def count(desk: Desk, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
    with desk.catalogue.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table).where(*conditions)).scalar_one()


def evidence(desk: Desk, number: str) -> dict[str, object]:
    assert desk.archive is not None
    (taken,) = take_out(desk.catalogue, desk.bodies, desk.archive, number, actor="wang", purpose="核对")
    found: dict[str, object] = json.loads(taken.content)
    return found


def test_every_confirmed_ticket_is_ordered_once_with_its_evidence(platform: Desk, ids: list[str]) -> None:
    confirm(platform, ids[:10])
    done = dispose(platform, [*ids, "T-none"], reason="依法删除")
    assert set(done.done) == set(ids[:10])
    assert (done.token, done.until) == (None, None), "there is no undo"
    refused = dict(done.refused)
    assert refused["T-none"] == "there is no such ticket"
    assert "only what is confirmed" in refused[ids[10]]
    assert len(refused) == 3
    for ticket in read(platform, ids[:10]):
        assert (ticket.state, ticket.part, ticket.measure) == (State.DISPOSED, Part.REPORT, "delete")
        assert (ticket.effect, ticket.effective_at, ticket.due_on is not None) == ("ordered", None, True)
    assert count(platform, orders) == count(platform, outbox) == 10
    assert count(platform, segments) == 1, "one segment holds the evidence of all"
    with platform.catalogue.read() as connection:
        detail = ticket_detail(connection, platform.bodies, ids[0])
        assert [note["text"] for note in detail.notes] == ["违法", "依法删除"]
        said = next(event for event in detail.timeline if event["kind"] == "ticket.disposed")
        rows = connection.execute(sa.select(outbox.c.key, outbox.c.body, outbox.c.subject)).all()
        named = dict(connection.execute(sa.select(orders.c.order_id, orders.c.ticket_id)).all())
        kinds = dict(connection.execute(sa.select(events.c.kind, sa.func.count()).group_by(events.c.kind)).all())
    assert kinds["ticket.disposed"] == kinds["ticket.ordered"] == kinds["evidence.kept"] == 10
    assert said["bulk"] is True
    assert len(said["evidence_sm3"]) == 64
    messages = [json.loads(platform.bodies.open(row.body, message_context(row.key))) for row in rows]
    assert {message["order"]: message["ticket"] for message in messages} == named
    package = evidence(platform, ids[0])
    assert (package["ticket"], package["decision"]) == (ids[0], "illegal")


def test_a_repetition_orders_nothing_twice(platform: Desk, ids: list[str]) -> None:
    confirm(platform, ids[:4])
    assert len(dispose(platform, ids[:4] * 2).done) == 4, "a number that is named twice is one"
    again = dispose(platform, ids[:4], Measure.SUSPEND)
    assert again.done == ()
    assert {why for _, why in again.refused} == {"it is disposed: only what is confirmed can be disposed of"}
    assert count(platform, orders) == 4
    assert count(platform, segments) == 1
    assert {ticket.measure for ticket in read(platform, ids[:4])} == {"delete"}


def test_what_was_reported_and_sent_back_is_not_disposed_of_anew(platform: Desk, ids: list[str]) -> None:
    confirm(platform, ids[:1])
    dispose(platform, ids[:1])
    wang = by(platform, WANG)
    wang.report(ids[0], "HZ-1")
    assert dispose(platform, ids[:1]).done == ()
    before = wang.reject(ids[0], "退回补充")
    assert dispose(platform, ids[:1]).done == ()
    assert read(platform, ids[:1]) == [before]


def test_a_preview_changes_nothing_and_asks_for_no_measure(platform: Desk, ids: list[str]) -> None:
    confirm(platform, ids[:5])
    events_before = count(platform, events)
    shown = platform.preview(BulkAction.DISPOSE, ids)
    assert (len(shown.done), len(shown.refusals), shown.token) == (5, 7, None)
    assert count(platform, events) == events_before
    assert count(platform, segments) == 0
    assert set(platform.preview(BulkAction.CONFIRM, ids, decision=Decision.ILLEGAL).done) == set(ids[5:])
    assert set(platform.preview(BulkAction.CLAIM, ids).done) == set(ids)
    assert set(dispose(platform, ids).done) == set(shown.done)


def test_without_a_platform_a_person_states_what_was_done(desk: Desk, ids: list[str]) -> None:
    confirm(desk, ids[:4])
    moment = datetime.now(UTC)
    with pytest.raises(UsageError, match="future"):
        dispose(desk, ids[:2], effective_at=moment + timedelta(hours=1))
    with pytest.raises(UsageError, match="no zone"):
        dispose(desk, ids[:2], effective_at=datetime(2026, 1, 1))
    early = dispose(desk, ids[:2], effective_at=datetime(2001, 1, 1, tzinfo=UTC))
    assert early.done == ()
    assert "nothing can have been done about it before" in early.refused[0][1]
    assert len(dispose(desk, ids[:2], effective_at=moment).done) == len(dispose(desk, ids[2:4]).done) == 2
    found = read(desk, ids[:4])
    assert {ticket.effect for ticket in found} == {"stated"}
    assert found[0].effective_at == found[0].ordered_at == moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert count(desk, orders) == 0


def test_what_was_merged_goes_with_its_ticket(platform: Desk, ids: list[str]) -> None:
    platform.merge(ids[1:3], ids[0], "同一事")
    platform.merge([ids[4]], ids[3], "同一事")
    confirm(platform, [ids[0], ids[3], ids[5]])
    done = dispose(platform, ids[:6])
    assert set(done.done) == {ids[0], ids[3], ids[5]}
    assert {why for number, why in done.refused} == {"it is merged: only what is confirmed can be disposed of"}
    for number in ids[:6]:
        assert evidence(platform, number)["ticket"] == number
    with platform.catalogue.read() as connection:
        rows = connection.execute(sa.select(outbox.c.key, outbox.c.body)).all()
    said = [json.loads(platform.bodies.open(row.body, message_context(row.key))) for row in rows]
    merged = {one["ticket"]: {part["ticket"] for part in one["merged"]} for one in said}
    assert merged == {ids[0]: set(ids[1:3]), ids[3]: {ids[4]}, ids[5]: set()}


def test_nothing_is_disposed_of_when_the_evidence_cannot_be_written(
    platform: Desk, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm(platform, ids)
    assert platform.archive is not None

    def full(*_: object) -> None:
        raise StorageError("The disk is full.", cure="-")

    monkeypatch.setattr(type(platform.archive.objects), "put", full)
    with pytest.raises(StorageError):
        dispose(platform, ids)
    assert {ticket.state for ticket in read(platform, ids)} == {State.CONFIRMED}
    assert count(platform, orders) == count(platform, outbox) == count(platform, batches) == 0
    with pytest.raises(UsageError, match="without the archive"):
        dispose(replace(platform, archive=None), ids)


@pytest.mark.tampers
def test_what_changes_while_its_evidence_is_sealed_is_judged_and_sealed_anew(
    platform: Desk, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is given more findings, one is taken back to triage, one is disposed of by somebody else."""
    confirm(platform, ids[:6])
    sealing = Desk._seal
    hong = by(platform, HONG)
    turns: list[tuple[str, ...]] = []

    def overtaken(self: Desk, *numbers: str):
        sealed = sealing(self, *numbers)
        turns.append(numbers)
        if len(turns) == 1:
            monkeypatch.setattr(Desk, "_seal", sealing)
            hong.dispose(ids[0], Measure.MASK)
            monkeypatch.setattr(Desk, "_seal", overtaken)
            with self.catalogue.write() as connection:
                take_on = tickets.update().where(tickets.c.ticket_id == ids[1])
                connection.execute(take_on.values(findings=9, version=tickets.c.version + 1))
        return sealed

    monkeypatch.setattr(Desk, "_seal", overtaken)
    done = dispose(platform, ids[:6])
    assert set(done.done) == set(ids[1:6])
    assert [set(numbers) for numbers in turns] == [set(ids[:6]), set(ids[1:6])]
    assert read(platform, ids[:1])[0].measure == "mask"
    assert count(platform, orders) == 6
    for number in ids[:6]:
        evidence(platform, number)


@pytest.mark.tampers
def test_what_goes_on_changing_is_left_as_it_was(
    platform: Desk, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm(platform, ids[:3])
    sealing = Desk._seal

    def overtaken(self: Desk, *numbers: str):
        sealed = sealing(self, *numbers)
        with self.catalogue.write() as connection:
            changed = tickets.update().where(tickets.c.ticket_id == ids[0])
            connection.execute(changed.values(version=tickets.c.version + 1))
        return sealed

    monkeypatch.setattr(Desk, "_seal", overtaken)
    with pytest.raises(BusyError, match="every time"):
        dispose(platform, ids[:3])
    assert {ticket.state for ticket in read(platform, ids[:3])} == {State.CONFIRMED}
    assert count(platform, orders) == 0


def test_two_who_dispose_of_the_same_at_once_order_each_once(platform: Desk, ids: list[str]) -> None:
    confirm(platform, ids)
    start = threading.Barrier(3)
    done: list[str] = []

    def work(person: Desk, order: list[str]) -> None:
        start.wait()
        done.extend(dispose(person, order).done)

    desks = (platform, by(platform, HONG), by(platform, replace(MING, name="lan")))
    threads = [
        threading.Thread(target=work, args=(person, ids if n % 2 else ids[::-1])) for n, person in enumerate(desks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == ids
    assert count(platform, orders) == count(platform, outbox) == len(ids)


def test_who_may_not_dispose_may_not_in_bulk_nor_look(platform: Desk, ids: list[str]) -> None:
    confirm(platform, ids[:1])
    for who in (AUDITOR, ROOT):
        with pytest.raises(NotPermittedError):
            dispose(by(platform, who), ids)
        with pytest.raises(NotPermittedError):
            by(platform, who).preview(BulkAction.DISPOSE, ids)


def test_wrong_use_is_said(platform: Desk, ids: list[str]) -> None:
    with pytest.raises(UsageError, match="needs a measure"):
        platform.bulk(BulkAction.DISPOSE, ids)
    with pytest.raises(UsageError, match="Only a disposal"):
        platform.bulk(BulkAction.CLAIM, ids, measure=Measure.DELETE)
    with pytest.raises(UsageError, match="longer than"):
        dispose(platform, ids, reason="长" * 10_001)
    assert many_disposed._TRIES > 1


def test_a_decision_beside_a_dismissal_confirms_nothing(platform: Desk, ids: list[str]) -> None:
    """The page's form sends the chosen decision along with every button."""
    done = platform.bulk(BulkAction.DISMISS, ids[:1], decision=Decision.ILLEGAL, reason="无害")
    assert done.done == (ids[0],)
    (ticket,) = read(platform, ids[:1])
    assert (ticket.state, ticket.decision, ticket.police_due_at) == (State.DISMISSED, None, None)


def test_a_thousand_in_time(catalogue: Catalogue, bodies: PlainBodies, platform: Desk) -> None:
    """A bound with room for a busy machine; `liucun bench tickets` holds the two seconds at 200,000 tickets."""
    contents = [replace(CONTENT, content_id=f"m{n}", text=f"第{n}条内容 {n * 7919}") for n in range(1_000)]
    take(catalogue, bodies, *contents)
    with catalogue.read() as connection:
        numbers = [ticket.ticket_id for ticket in list_tickets(connection, limit=1_000)]
    confirm(platform, numbers)
    assert platform.archive is not None
    fresh = replace(platform, archive=replace(platform.archive, opened=OpenedSegments()))
    begun, used = time.perf_counter(), time.process_time()
    assert len(dispose(fresh, numbers, reason="依法删除").done) == 1_000
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    assert count(platform, orders) == count(platform, outbox) == 1_000
    assert min(seconds, cpu * 1.5) < 6, (seconds, cpu)


def test_a_time_beyond_the_calendar_is_refused(desk: Desk, ids: list[str]) -> None:
    first = datetime.fromisoformat("0001-01-01T00:00+08:00")
    confirm(desk, ids[:2])
    with pytest.raises(UsageError, match="beyond the calendar"):
        dispose(desk, ids[:1], effective_at=first)
    with pytest.raises(UsageError, match="beyond the calendar"):
        desk.dispose(ids[0], Measure.DELETE, effective_at=first)
    desk.dispose(ids[0], Measure.DELETE)
    with pytest.raises(UsageError, match="beyond the calendar"):
        desk.set_effective(ids[0], first, "改正")
