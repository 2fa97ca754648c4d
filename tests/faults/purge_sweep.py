"""The life of a destruction under faults: planned, approved, waited for, carried out, certified.

``python -m tests.faults.purge_sweep`` (``make faults``) lets each operation of it fail in turn, as
``tests/faults/points.py`` describes. Right after each fault: what the catalogue offers can be read, what a unit says
is destroyed is gone with its key, nothing under hold, before its floor or still open is missing, a certificate says
what is so. Then the same commands go on to the end, and everything must be as if nothing had happened: the rows that
stay, the purges, the certificate, every audit without a fault, the log unbroken and witnessed. ``--every K`` takes
every Kth point only.

What is sealed in the database goes with the segments: of four tickets of one month two have run out, one is open, one
came under hold after the plan; a report and a message that never went out have run out whole.

The clock is the machine's: records are as old as they say because they were committed so long ago.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.faults.points import Life, main
from tests.faults.stores import create_store, open_store

WARM: Final = (
    "liucun.store",
    "retention.audits.coverage",
    "retention.audits.integrity",
    "retention.audits.keys",
    "retention.audits.retention",
    "retention.compaction.merge",
    "retention.holds.place",
    "retention.purge.upkeep",
    "retention.transparency.verify",
    "tickets.queue",
    "tickets.retaining",
    "tickets.retaining_filed",
)
PLANNED_BEFORE: Final = 9
"""Days ago that the first purge was planned and approved; its wait is over."""
STAY: Final = {"user_log": 5, "transaction": 5, "content": 1}
"""Records that nothing may take: held ones, young ones, orders that are open or ended late."""
GO: Final = {"user_log": 4, "transaction": 30, "content": 2}
"""Records of the first purge, and of the one that is planned (content)."""
BESIDE: Final = {"ticket_text": 2, "report": 1, "message": 1}
"""What goes of what is sealed in the database: the texts of tickets A and B, the report and the message about them."""
TEXTS: Final = {"A": False, "B": False, "C": True, "H": True}
"""Whose texts stay: C is open, H under hold."""


def prepare(folder: Path) -> None:
    """Years of records, holds, and a purge that another person approved nine days ago."""
    from retention.holds import place
    from retention.holds.place import Matter
    from retention.policies.settings import RetentionSettings
    from retention.purge.plan import approve, plan
    from tests.retention.policies.world import World, at, order
    from tests.retention.purge.destroying import beat

    create_store(folder)
    today = datetime.now(UTC).date()
    with open_store(folder) as store:
        world = World(_sealed(store), RetentionSettings())

        def logs(months: int, *accounts: str) -> list[dict[str, Any]]:
            day = _day(today, months)
            return [{"event_time": at(day), "user_id": name, "event_action": "login"} for name in accounts]

        for months, accounts in ((17, ("u1", "u2")), (16, ("u3",)), (15, ("u4", "held")), (14, ("u5",)), (3, ("u6",))):
            world.ingest(logs(months, *accounts))
        world.ingest(logs(17, "u7"))
        (by_segment,) = world.ingest(logs(13, "u8"))
        world.ingest(
            [{"event_time": at(_day(today, 14)), "user_id": "u1", "text": f"t{n}"} for n in range(2)], "content"
        )
        world.ingest([{"event_time": at(_day(today, 2)), "user_id": "u1", "text": "young"}], "content")
        old, late = _day(today, 44).isoformat(), _day(today, 20).isoformat()
        ended = [order(f"A{n:02}", word, old) for n in range(15) for word in ("paid", "completed")]
        world.ingest(
            [*ended, order("LATE", "paid", old), order("OPEN", "paid", old), order("OPEN", "shipped", old)],
            "transaction",
        )
        world.ingest([order("LATE", "completed", late), order("LATE", "delivered", late)], "transaction")
        for offset, name in enumerate(TEXTS):
            _ticket(store, name, offset, _day(today, 44), None if name == "C" else _day(today, 40))
        _filed(store, _day(today, 44))
        world.follow()
        before = today - timedelta(days=PLANNED_BEFORE)
        beat(world, before - timedelta(days=70), before, every=3)
        now = at(before)
        place.hold_segments_named(store, Matter("case 1", "a segment"), [by_segment.segment_id], actor="ann", now=now)
        # Not looked for yet: that is the first thing that the disturbed life does.
        place.hold_account(store, Matter("case 2", "an account"), "held", actor="ann", now=now)
        from retention.holds.service import examine

        examine(store, now=now)
        made = plan(
            store,
            reason="expired",
            actor="ann",
            now=now,
            settings=world.settings,
            classes=("user_log", "transaction", *BESIDE),
        )
        approve(store, made.purge_id, digest=made.plan_digest, actor="ben", now=now, settings=world.settings)
        place.hold_account(store, Matter("case 3", "an account"), "u5", actor="ann", now=now + timedelta(hours=1))
        place.hold_ticket(store, Matter("case 4", "a ticket"), _number(store, "H"), actor="ann", now=now)
        beat(world, before + timedelta(days=1), today - timedelta(days=1), every=3)


def live(folder: Path) -> None:
    """What is disturbed: ``liucun purge``, then a plan, its approval, and the end of the first certificate."""
    from liucun.keepers import load_keepers
    from retention.policies.settings import RetentionSettings
    from retention.purge.certificate import finish
    from retention.purge.plan import PLANNED, approve, list_purges, plan
    from retention.purge.upkeep import keep_up, witnessed_at

    load_keepers()
    settings = RetentionSettings()
    with open_store(folder) as store:
        now = datetime.now(UTC)
        done = keep_up(
            store,
            signers=store.log.signers,
            actor="worker",
            now=now,
            settings=settings,
            witnessed=witnessed_at(store.log),
        )
        done.raise_failed()
        store.log.keep()
        if len(list_purges(store.catalogue)) == 1:
            plan(store, reason="content", actor="ann", now=now, settings=settings, classes=("content",))
        for made in list_purges(store.catalogue):
            if made.state == PLANNED:
                approve(store, made.purge_id, digest=made.plan_digest, actor="ben", now=now, settings=settings)
        _, failed = finish(store, actor="worker", now=now + timedelta(days=settings.key_backup_days + 1))
        for error in failed.values():
            raise error


def left(folder: Path) -> str:
    """How far the first purge is, once everything that must hold at any moment does."""
    with open_store(folder) as store:
        _facts_agree(store)
        first = _purges(store)[0]
        _rows(store, certain={name: STAY[name] for name in STAY})
        return {"approved": "not begun", "running": "goes on"}.get(first.state, first.state)


def contents(folder: Path) -> str:
    """A digest of all that must be exact in the end, after every audit has passed."""
    from retention.audits.coverage import audit_coverage
    from retention.audits.integrity import audit_integrity
    from retention.audits.keys import audit_keys
    from retention.audits.retention import audit_retention
    from retention.catalogue.tables import events
    from retention.transparency.verify import verify_log

    with open_store(folder) as store:
        store.log.keep()
        for report in (
            audit_coverage(store),
            audit_integrity(store, threads=1),
            audit_keys(store),
            audit_retention(store),
        ):
            assert report.faults == [], (report.audit, report.faults[:3])
        verdict = verify_log(store.log)
        assert verdict.faults == [], verdict.faults[:3]
        assert verdict.anchored, (verdict.size, verdict.witnessed, verdict.unsequenced, store.log.warnings)
        _facts_agree(store)
        first, second = _purges(store)
        assert (first.state, second.state) == ("final", "approved"), (first.state, second.state)
        assert sorted(unit.state for unit in first.units) == ["dropped", *["shredded"] * 6], first.units
        rows = _rows(store, certain={**STAY, "content": STAY["content"] + GO["content"]}, exactly=True)
        texts = _texts(store)
        assert texts == {name: f"text {name}" if stays else "" for name, stays in TEXTS.items()}, texts
        assert _filed_gone(store) == {"report": True, "message": True}
        import sqlalchemy as sa

        with store.catalogue.read() as connection:
            kinds = sorted(connection.execute(sa.select(events.c.kind).where(events.c.kind.like("purge.%"))).scalars())
    shown = [(unit.record_class, unit.rows, unit.kept_rows, unit.state) for unit in first.units]
    return hashlib.sha256(repr((rows, sorted(shown), kinds, sorted(texts.items()))).encode()).hexdigest()


def _facts_agree(store: Any) -> None:
    """What is offered can be read; what is destroyed is gone, key and objects; a certificate says just that."""
    import sqlalchemy as sa

    from retention.errors import KeyDestroyedError
    from retention.keys.signing import load_verifiers
    from retention.purge.certificate import check_facts, verify_certificate
    from retention.purge.tables import purge_segments

    for purge in _purges(store):
        gone = {unit.key_id for unit in purge.units if unit.state == "shredded"}
        with store.catalogue.read() as connection:
            taken = connection.execute(
                sa.select(purge_segments).where(purge_segments.c.purge_id == purge.purge_id)
            ).all()
        for segment in taken:
            if segment.key_id not in gone:
                continue
            assert not store.objects.exists(segment.object_name), segment.object_name
            try:
                store.period_keys.get(segment.key_id)
            except KeyDestroyedError:
                continue
            raise AssertionError(f"{segment.key_id} is there")
        check_facts(store, purge.purge_id)
        _texts_agree(store, purge, gone)
        if purge.certificate is None:
            assert purge.state in ("planned", "approved", "running"), purge.state
            continue
        content = verify_certificate(store.archive.suite, purge, load_verifiers(store.period_keys))
        assert {unit["key"] for unit in content["destroyed"]} == gone
        assert content["records"] == sum(segment.rows for segment in taken) + sum(BESIDE.values())
        assert content["records"] == GO["user_log"] + GO["transaction"] + sum(BESIDE.values()), content["records"]


def _texts_agree(store: Any, purge: Any, gone: set[str]) -> None:
    """Texts are there until their unit is claimed, then only those that stay; what is there can be read."""
    states = {unit.record_class: unit.state for unit in purge.units}
    if not set(BESIDE) <= set(states):
        return
    begun = states["ticket_text"] != "planned"
    for name, text in _texts(store).items():
        assert text == (f"text {name}" if TEXTS[name] or not begun else ""), (name, text, states)
    for record_class, emptied in _filed_gone(store).items():
        assert emptied == (states[record_class] != "planned"), (record_class, emptied, states)
    import sqlalchemy as sa

    from tickets.tables import tickets

    with store.catalogue.read() as connection:
        used = set(connection.execute(sa.select(tickets.c.text_key).where(tickets.c.text_key.is_not(None))).scalars())
    assert not used & gone, used & gone


def _texts(store: Any) -> dict[str, str]:
    """What each ticket's text is, by its content; empty of one that was emptied."""
    import sqlalchemy as sa

    from tickets.queue import ticket_details
    from tickets.tables import tickets

    with store.catalogue.read() as connection:
        names = dict(connection.execute(sa.select(tickets.c.ticket_id, tickets.c.content_id)).all())
        found = ticket_details(connection, store.bodies, list(names))
    return {names[one.ticket.ticket_id]: "".join(text["text"] for text in one.texts) for one in found}


def _filed_gone(store: Any) -> dict[str, bool]:
    """Whether the report and the message are emptied; what is there can be opened."""
    import sqlalchemy as sa

    from tickets.messages import message_context
    from tickets.reports.register import report_context
    from tickets.tables_sending import outbox, reports

    with store.catalogue.read() as connection:
        report = connection.execute(sa.select(reports)).one()
        message = connection.execute(sa.select(outbox)).one()
    if report.body:
        store.bodies.open(report.body, report_context(report.report_id))
    if message.body:
        store.bodies.open(message.body, message_context(message.key))
    return {"report": report.texts_gone is not None, "message": message.texts_gone is not None}


def _ticket(store: Any, name: str, offset: int, day: date, closed: date | None) -> None:
    """A ticket that was opened on a day, and closed on another; its events have those days' times."""
    import sqlalchemy as sa

    from retention.catalogue import events
    from retention.catalogue.tables import events as table
    from retention.catalogue.tables import timestamp
    from tests.retention.policies.world import at
    from tickets.opening import ContentFinding, Hit, open_or_extend, prepare
    from tickets.tables import tickets

    hit = Hit("gambling/1", "gambling", None, 3, 0, 4, "text", 0.9, "test/1")
    text = f"text {name}"
    content = ContentFinding("chat", "chat#1", offset, name, "content", f"u{name}", "text", text, at(day), (hit,))
    ready = prepare(store.bodies, [content], now=at(day))
    with store.catalogue.write() as connection:
        last = connection.execute(sa.select(sa.func.max(table.c.id))).scalar_one() or 0
        open_or_extend(connection, ready)
        if closed is not None:
            mine = tickets.c.content_id == name
            number = connection.execute(sa.select(tickets.c.ticket_id).where(mine)).scalar_one()
            values = {"state": "closed", "closed_at": timestamp(at(closed))}
            connection.execute(tickets.update().where(mine).values(**values))
            events.append(connection, kind="ticket.closed", actor="ann", subject=f"ticket:{number}", body={})
    with store.catalogue.write() as connection:
        connection.execute(table.update().where(table.c.id > last).values(at=timestamp(at(day))))


def _filed(store: Any, day: date) -> None:
    """A report about tickets A and B that was acknowledged, and a message about A that never went out."""
    from retention.catalogue import events
    from retention.policies.settings import RetentionSettings
    from tests.retention.policies.world import World, at
    from tests.retention.purge.filing import message, reported

    world = World(store, RetentionSettings())
    reported(world, "R2020-000001", "AB", day.isoformat())
    message(world, "k1", "A", day.isoformat())
    with store.catalogue.write() as connection:
        # For the image of its rows.
        events.append(
            connection, kind="report.drafted", actor="ann", subject="report:R2020-000001", body={}, at=at(day)
        )


def _number(store: Any, name: str) -> str:
    import sqlalchemy as sa

    from tickets.tables import tickets

    with store.catalogue.read() as connection:
        return str(connection.execute(sa.select(tickets.c.ticket_id).where(tickets.c.content_id == name)).scalar_one())


def _rows(store: Any, *, certain: dict[str, int], exactly: bool = False) -> list[tuple[str, ...]]:
    """Every row that the catalogue offers; those that must stay are among them, each once."""
    import sqlalchemy as sa

    from retention.catalogue.tables import segments
    from retention.manifest import SegmentManifest
    from retention.segments import open_segment

    rows = []
    with store.catalogue.read() as connection:
        manifests = list(connection.execute(sa.select(segments.c.manifest)).scalars())
    for data in manifests:
        manifest = SegmentManifest.from_bytes(data)
        table = open_segment(store.archive, manifest).parquet().read()
        assert table.num_rows == manifest.rows
        rows += [
            (manifest.record_class, r["log_partition"], str(r["log_offset"]), r["user_id"] or "", r["order_id"] or "")
            for r in table.to_pylist()
        ]
    assert len(set(rows)) == len(rows), "a row is there twice"
    staying = {"u4", "held", "u5", "u6", "u8", "of-LATE", "of-OPEN"}
    for name, count in certain.items():
        found = [row for row in rows if row[0] == name and (name == "content" or row[3] in staying)]
        assert len(found) >= count, (name, len(found), count)
        if exactly:
            there = [row for row in rows if row[0] == name]
            assert len(there) == count, (name, there)
    return sorted(rows)


def _purges(store: Any) -> list[Any]:
    from retention.purge.plan import list_purges

    return list_purges(store.catalogue)


def _day(today: date, months: int) -> date:
    """The tenth of the month so many months ago."""
    number = today.year * 12 + today.month - 1 - months
    return date(number // 12, number % 12 + 1, 10)


def _sealed(store: Any) -> Any:
    from tests.retention.sealed_store import SealedStore

    return SealedStore(store.root, store.catalogue, store.objects, store.archive, store.bodies, store.period_keys)


LIFE: Final = Life(prepare, live, contents, left=left, warm=WARM, what="destruction")

if __name__ == "__main__":
    main(LIFE, "tests.faults.purge_sweep", __doc__ or "")
