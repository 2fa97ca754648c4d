"""Findings become tickets: one a content, extended until disposal, linked afterwards, in the batch's transaction."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import events
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, HIT, NOW, take
from tickets.opening import OpenedCounts, open_or_extend, prepare
from tickets.queue import list_tickets, ticket_detail
from tickets.service import Desk
from tickets.states import Decision, Measure
from tickets.tables import metadata, tickets


def test_migration_makes_the_tables_that_the_code_declares(catalogue: Catalogue) -> None:
    inspector = sa.inspect(catalogue.engine)
    for table in metadata.sorted_tables:
        found = {column["name"]: column for column in inspector.get_columns(table.name)}
        assert set(found) == {column.name for column in table.columns}
        assert {n for n, c in found.items() if not c["nullable"]} == {c.name for c in table.columns if not c.nullable}
        made = (index for index in inspector.get_indexes(table.name) if "duplicates_constraint" not in index)
        assert {index["name"] for index in made} == {i.name for i in table.indexes}


def test_many_hits_in_one_content_are_one_ticket(catalogue: Catalogue, bodies: PlainBodies) -> None:
    worse = replace(HIT, rule="drugs.001", category="drugs", severity=4)
    title = replace(CONTENT, field="title", text="also", findings=(worse,))
    assert take(catalogue, bodies, CONTENT, title) == OpenedCounts(1, 0)
    with catalogue.read() as connection:
        (ticket,) = list_tickets(connection)
        detail = ticket_detail(connection, bodies, ticket.ticket_id)
    assert (ticket.category, ticket.severity, ticket.findings) == ("drugs", 4, 2)
    assert [entry["field"] for entry in detail.texts] == ["text", "title"]
    assert detail.user_id == "u1"


def test_content_without_an_id_is_its_place(catalogue: Catalogue, bodies: PlainBodies) -> None:
    here, there = replace(CONTENT, content_id=None), replace(CONTENT, content_id=None, offset=99)
    assert take(catalogue, bodies, here, there) == OpenedCounts(2, 0)
    assert take(catalogue, bodies, here) == OpenedCounts(0, 1)


def test_findings_extend_until_disposal_and_then_open_a_linked_ticket(
    catalogue: Catalogue, bodies: PlainBodies, desk: Desk
) -> None:
    take(catalogue, bodies, CONTENT)
    assert take(catalogue, bodies, replace(CONTENT, offset=20)) == OpenedCounts(0, 1)
    with catalogue.read() as connection:
        (first,) = list_tickets(connection)
    assert first.findings == 2
    desk.confirm(first.ticket_id, Decision.ILLEGAL, "赌博")
    desk.dispose(first.ticket_id, Measure.DELETE)
    assert take(catalogue, bodies, replace(CONTENT, offset=30)) == OpenedCounts(1, 0)
    with catalogue.read() as connection:
        second = next(t for t in list_tickets(connection) if t.ticket_id != first.ticket_id)
        detail = ticket_detail(connection, bodies, second.ticket_id)
    assert second.linked_to == first.ticket_id
    assert second.sequence == 2
    assert detail.texts[0]["text"] == CONTENT.text


def test_numbers_follow_from_the_content_alone(catalogue: Catalogue, bodies: PlainBodies) -> None:
    take(catalogue, bodies, CONTENT)
    with catalogue.read() as connection:
        (before,) = list_tickets(connection)
    with catalogue.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    take(catalogue, bodies, CONTENT)
    with catalogue.read() as connection:
        assert list_tickets(connection)[0].ticket_id == before.ticket_id


def test_a_rolled_back_batch_opens_nothing(catalogue: Catalogue, bodies: PlainBodies) -> None:
    prepared = prepare(bodies, [CONTENT], now=NOW)
    with pytest.raises(RuntimeError), catalogue.write() as connection:
        open_or_extend(connection, prepared)
        raise RuntimeError
    with catalogue.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tickets)).scalar_one() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one() == 0


def test_every_ticket_has_its_event(catalogue: Catalogue, bodies: PlainBodies) -> None:
    take(catalogue, bodies, *(replace(CONTENT, content_id=f"c{n}") for n in range(1200)))
    take(catalogue, bodies, *(replace(CONTENT, content_id=f"c{n}", offset=9) for n in range(600, 1300)))
    with catalogue.read() as connection:
        kinds = connection.execute(sa.select(events.c.kind, sa.func.count()).group_by(events.c.kind)).all()
    assert {row.kind: row[1] for row in kinds} == {"ticket.opened": 1300, "ticket.extended": 600}


def test_no_text_and_no_account_stand_in_plain(catalogue: Catalogue, bodies: PlainBodies, tmp_path) -> None:
    take(catalogue, bodies, replace(CONTENT, text="机密内容", user_id="account-4711"))
    catalogue.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert "机密内容".encode() not in stored
    assert b"account-4711" not in stored
