"""Duties with their evidence, and records of data provided: three years from the event, then destroyed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from errors import UsageError
from retention.audits.keys import audit_keys
from retention.audits.retention import audit_retention
from retention.catalogue.tables import events, timestamp
from retention.crypto.bodies import DUTIES
from retention.disclosure.errors import DisclosureStateError
from retention.disclosure.prepare import prepare_disclosure
from retention.disclosure.register import Case, document, list_disclosures
from retention.disclosure.requests import refuse, request
from retention.disclosure.retaining import seal_disclosures_lacking
from retention.disclosure.scope import Scope
from retention.disclosure.tables import accounts, disclosures
from retention.errors import KeyDestroyedError
from retention.holds import place
from retention.holds.place import Matter
from retention.policies.judge import UnitState, Verdict
from retention.policies.model import shipped_matrix
from retention.purge import filed_rows
from retention.purge.beside import Turn, sealed_beside
from retention.purge.errors import NothingDueError, PurgeStateError
from retention.purge.filed_rows import seal_lacking_rows
from tests.retention.policies.world import World, at, close, make_world
from tests.retention.purge.destroying import approved, planned, run
from tests.retention.purge.filing import with_queue
from tests.tickets.people import WANG
from tickets.calendar.reading import shipped_calendar
from tickets.duties import DutyBook, duty_context, get_duty, list_duties
from tickets.errors import TransitionError
from tickets.evidence import open_evidence
from tickets.retaining_duties import DUTY, DutyKeeper, seal_duties_lacking
from tickets.tables_sending import duties
from tickets.tables_work import files

CLASSES = ("duty", "disclosure")
MATTER = Matter("case 12", "lawsuit of a buyer")


@pytest.fixture
def world(tmp_path: Path, catalogue_url: str) -> Iterator[World]:
    made = with_queue(make_world(tmp_path / "world", catalogue_url))
    prepare_disclosure(made.catalogue)
    yield made
    close(made)


def duty(world: World, title: str, day: str, done: str | None) -> str:
    """An assessment with a file, entered on a day and completed on another."""
    book = DutyBook(world.catalogue, world.store.bodies, shipped_calendar(), WANG)
    entered = book.add("assessment", title, at(day))
    book.evidence(entered.duty_id, f"{title}.pdf", f"%PDF {title}".encode())
    moment = timestamp(at(day))
    key = world.store.bodies.text_key(day[:7], DUTIES)
    # As if it had been written then.
    bodies = world.store.bodies
    sealed = bodies.seal(title.encode(), duty_context(entered.duty_id), under=key)
    subject = files.c.subject == f"duty:{entered.duty_id}"
    values = {"created_at": moment, "title": sealed, "text_key": key, "started_at": moment}
    if done is not None:
        values |= {"state": "done", "completed_at": timestamp(at(done)), "receipt": "r"}
    world.execute(duties.update().where(duties.c.duty_id == entered.duty_id).values(**values))
    with world.catalogue.read() as connection:
        file = connection.execute(sa.select(files).where(subject)).one()
    context = f"evidence\x00{file.subject}\x00{file.name}\x00{moment}\x00{file.sha256}".encode()
    body = bodies.seal(f"%PDF {title}".encode(), context, under=key)
    world.execute(files.update().where(subject).values(at=moment, body=body))
    _past(world, day)
    return entered.duty_id


def disclosed(world: World, account: str, day: str) -> str:
    """A request about an account, entered on a day, that expires thirty days later."""
    scope = Scope.of(("user_log",), (account,), ("source_ip",), at("2020-01-01"), at("2020-02-01"))
    case = Case("某市公安局", "17", "网络安全法", "调查")
    until = at(day) + timedelta(days=30)
    made = request(world.store, case, scope, b"%PDF case", expires_at=until, actor="user:ann", now=at(day))
    _past(world, day)
    return made


def _past(world: World, day: str) -> None:
    # The purge's clock is compared with the events': they have the machine's time.
    world.execute(events.update().where(events.c.at > "2026-06").values(at=timestamp(at(day))))


def state(world: World, day: str, record_class: str) -> UnitState:
    return next(unit for unit in world.judge(day) if unit.record_class == record_class)


def faults(world: World, day: str) -> set[str]:
    found = audit_retention(world.store, settings=world.settings, now=at(day)).faults
    return {fault.kind for fault in found + audit_keys(world.store, settings=world.settings, now=at(day)).faults}


def test_the_law_keeps_them_for_three_years(world: World) -> None:
    for name in CLASSES:
        policy = shipped_matrix().policies[name]
        assert (str(policy.floor), policy.counted_from.value, policy.rank.value) == ("P3Y", "event_time", "law")
        assert any(
            str(floor.period) == "P3Y" and floor.rank.value == "law" for floor in shipped_matrix().floors_of(name)
        )


def test_a_duty_goes_with_its_evidence_three_years_after_it_was_done(world: World) -> None:
    first = duty(world, "直播评估", "2021-12-20", "2022-01-10")
    second = duty(world, "支付评估", "2021-12-28", None)
    assert state(world, "2030-01-01", "duty").counts_from is None  # an open one stays
    world.execute(
        duties.update()
        .where(duties.c.duty_id == second)
        .values(state="done", completed_at=timestamp(at("2022-02-28")), receipt="r")
    )
    kept = state(world, "2025-02-28", "duty")
    assert (kept.rows, str(kept.counts_from), str(kept.expires_on)) == (2, "2022-02-28", "2025-03-01")
    with pytest.raises(NothingDueError):
        planned(world, "2025-02-28", classes=CLASSES)
    with world.catalogue.read() as connection:
        before = connection.execute(sa.select(files)).all()
    made = approved(world, "2025-03-02", classes=CLASSES)
    done = run(world, made.purge_id, "2025-03-09")
    assert json.loads(str(done.certificate))["records"] == 2
    book = DutyBook(world.catalogue, world.store.bodies, shipped_calendar(), WANG)
    with world.catalogue.read() as connection:
        shown = get_duty(connection, book.bodies, first)
        assert shown.texts_gone == made.purge_id
        assert made.purge_id in shown.title
        assert len(list_duties(connection, book.bodies, state=None)) == 2
        assert (shown.receipt, len(shown.files)) == ("r", 1)
        with pytest.raises(UsageError, match="destroyed"):
            open_evidence(connection, book.bodies, shown.files[0].id)
    for file in before:
        context = f"evidence\x00{file.subject}\x00{file.name}\x00{file.at}\x00{file.sha256}".encode()
        with pytest.raises(KeyDestroyedError):
            book.bodies.open(file.body, context)
    with pytest.raises(TransitionError, match="destroyed"):
        book.evidence(first, "more.pdf", b"x")
    assert faults(world, "2025-03-09") == set()


def test_what_must_stay_is_sealed_anew_with_its_files(world: World) -> None:
    duty(world, "直播评估", "2021-12-20", "2022-01-10")
    late = duty(world, "支付评估", "2021-12-28", None)
    made = approved(world, "2025-05-01", classes=CLASSES)
    assert [(unit.rows, unit.kept_rows) for unit in made.units] == [(2, 1)]
    run(world, made.purge_id, "2025-05-08")
    bodies = world.store.bodies
    with world.catalogue.read() as connection:
        shown = get_duty(connection, bodies, late)
        assert shown.title == "支付评估"
        assert open_evidence(connection, bodies, shown.files[0].id)[1] == "%PDF 支付评估".encode()
    assert state(world, "2025-05-08", "duty").key_id == bodies.text_key("2025-05", "duty")
    assert faults(world, "2025-05-08") == set()


def test_a_disclosure_counts_from_its_expiry_and_a_hold_on_its_account_keeps_it(world: World) -> None:
    first, second = disclosed(world, "u1", "2022-01-10"), disclosed(world, "u2", "2022-01-10")
    kept = state(world, "2025-02-09", "disclosure")
    assert (kept.rows, str(kept.counts_from), str(kept.expires_on)) == (2, "2022-02-09", "2025-02-10")
    place.hold_account(world.store, MATTER, "u2", actor="ann", now=at("2025-02-01"))
    assert state(world, "2025-03-01", "disclosure").verdict is Verdict.HELD
    made = approved(world, "2025-05-01", classes=CLASSES)
    run(world, made.purge_id, "2025-05-08")
    shown = {one.disclosure_id: one for one in list_disclosures(world.store)}
    assert (shown[second].case.authority, shown[second].scope.accounts) == ("某市公安局", ("u2",))
    assert document(world.store, second, actor="user:ben", now=at("2025-05-09")) == b"%PDF case"
    gone = shown[first]
    assert (gone.texts_gone, gone.scope.accounts, gone.requested_by) == (made.purge_id, (), "user:ann")
    assert json.loads(json.dumps(gone.as_json()))["texts_gone"] == made.purge_id
    with pytest.raises(DisclosureStateError, match="destroyed"):
        document(world.store, first, actor="user:ben", now=at("2025-05-09"))
    with world.catalogue.read() as connection:
        assert set(connection.execute(sa.select(accounts.c.disclosure_id)).scalars()) == {second}
    assert refuse(world.store, first, reason="late", actor="user:ben", now=at("2025-05-09")).state == "refused"
    assert faults(world, "2025-05-09") == set()


def test_what_is_from_before_there_were_such_keys_gets_them(world: World) -> None:
    duty(world, "直播评估", "2021-12-20", "2022-01-10")
    disclosed(world, "u1", "2022-01-10")
    for table in (duties, disclosures):
        world.execute(table.update().values(text_key=None))
    world.execute(accounts.delete())
    assert not [unit for unit in world.judge("2030-01-01") if unit.record_class in CLASSES]
    assert seal_duties_lacking(world.catalogue, world.store.bodies) == (1, [])
    assert seal_disclosures_lacking(world.catalogue, world.store.bodies) == (1, [])
    assert seal_duties_lacking(world.catalogue, world.store.bodies) == (0, [])
    assert seal_disclosures_lacking(world.catalogue, world.store.bodies) == (0, [])
    assert {state(world, "2025-01-10", name).rows for name in CLASSES} == {1}
    with world.catalogue.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(accounts)).scalar_one() == 1


def test_a_file_that_no_duty_names_under_a_key_keeps_the_key(world: World) -> None:
    """Whatever put it there: a value says itself what sealed it, and nothing is shredded that it needs."""
    duty(world, "直播评估", "2021-12-20", "2022-01-10")
    other = duty(world, "支付评估", "2022-03-01", None)
    key = world.store.bodies.text_key("2021-12", DUTIES)
    body = world.store.bodies.seal(b"%PDF", b"evidence", under=key)
    world.execute(files.update().where(files.c.subject == f"duty:{other}").values(body=body))
    with world.catalogue.read() as connection:
        assert sealed_beside(connection, key, DUTIES) == 3
        assert sealed_beside(connection, "", DUTIES) == sealed_beside(connection, "钥" * 300, DUTIES) == 0
    made = approved(world, "2025-03-02", classes=CLASSES)
    with pytest.raises(PurgeStateError, match="seals 1 segments, tickets, files or filed papers"):
        run(world, made.purge_id, "2025-03-09")
    assert world.store.bodies.open(body, b"evidence") == b"%PDF"
    assert "early" not in faults(world, "2025-03-09")


def test_sealing_anew_reads_bodies_once(world: World) -> None:
    number = duty(world, "直播评估", "2021-12-20", None)
    seen: list[str] = []
    sa.event.listen(world.catalogue.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    with world.catalogue.read() as connection:
        made = DutyKeeper().prepare(connection, world.store.bodies, Turn("2025-03", [number]))
    assert any("ticket_files.body" in statement for statement in seen)
    seen.clear()
    with world.catalogue.write() as connection:
        made.write(connection)
    # The events' images of the rows, as they are now, are another matter.
    read = [one for one in seen if one.startswith("SELECT") and " AS _key" not in one and "FROM event" not in one]
    assert read
    assert not [
        one for one in read if "ticket_files.body" in one or "duties.title" in one.replace("(duties.title)", "")
    ]


@pytest.mark.parametrize("page", [1, 2, 500])
def test_damaged_ones_keep_nobody_waiting(world: World, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr("retention.purge.filed_rows._LOOK_UP", page)
    names = [duty(world, f"评估 {n}", f"2021-12-{n + 1:02}", None) for n in range(6)]
    world.execute(duties.update().values(text_key=None))
    world.execute(duties.update().where(duties.c.duty_id.in_(names[:4])).values(title=b"damaged"))
    bodies = world.store.bodies
    wrong = [f"duty:{name}" for name in names[:4]]
    filed = (world.catalogue, bodies, DUTY, DutyKeeper())
    assert seal_lacking_rows(*filed, subject="duty", kind="duty.texts_kept", most=1) == (1, wrong)
    assert seal_duties_lacking(world.catalogue, bodies) == (1, wrong)
    assert seal_duties_lacking(world.catalogue, bodies) == (0, wrong)


def test_what_somebody_else_sealed_or_delivered_meanwhile_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [duty(world, f"评估 {n}", f"2021-12-{n + 1:02}", None) for n in range(3)]
    world.execute(duties.update().values(text_key=None))
    meanwhile = duties.update().where(duties.c.duty_id == names[0]).values(text_key="k-elsewhere", title=b"sealed")
    emptied = duties.update().where(duties.c.duty_id == names[1]).values(title=b"")
    looked = filed_rows._lacking

    def late(*given: Any) -> Any:
        found = looked(*given)
        world.execute(meanwhile)
        world.execute(emptied)
        return found

    monkeypatch.setattr(filed_rows, "_lacking", late)
    assert seal_duties_lacking(world.catalogue, world.store.bodies) == (1, [])
    with world.catalogue.read() as connection:
        kinds = sa.select(events.c.subject).where(events.c.kind == "duty.texts_kept")
        assert connection.execute(kinds).scalars().all() == [f"duty:{names[2]}"]
