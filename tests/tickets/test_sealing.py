"""Evidence: a copy of the content lies in the archive, proved, before a measure is ordered; else nothing is done."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow.dataset as ds
import pytest
import sqlalchemy as sa

from errors import BusyError, StorageError, UsageError
from retention.audits.coverage import audit_coverage
from retention.audits.integrity import audit_integrity
from retention.catalogue.tables import segments
from retention.manifest import SegmentManifest
from retention.row_proofs import verify_row
from retention.segments import open_segment
from tests.retention.sealed_store import hours
from tests.retention.transparency.conftest import Logged, logged
from tickets.actors import Actor, Role
from tickets.archived import SOURCE, read_package
from tickets.calendar.reading import shipped_calendar
from tickets.evidence import list_evidence, open_evidence
from tickets.opening import ContentFinding, Hit, open_or_extend, prepare
from tickets.queue import Filters, list_tickets
from tickets.sealing import commit_evidence, seal_evidence
from tickets.service import Desk
from tickets.states import Decision, Measure, State

__all__ = ["logged"]
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def desk(logged: Logged) -> Desk:
    store = logged.store
    who = Actor("ming", frozenset({Role.REVIEWER}))
    return Desk(store.catalogue, store.bodies, shipped_calendar(), who, archive=store.archive)


def ids(desk: Desk) -> list[str]:
    with desk.catalogue.read() as connection:
        return [ticket.ticket_id for ticket in list_tickets(connection, Filters(), limit=50)]


def kept(desk: Desk, number: str) -> list[dict[str, Any]]:
    """The packages of a ticket, read back from the archive and compared with their digests."""
    assert desk.archive is not None
    archive = desk.archive
    with desk.catalogue.read() as connection:
        found = []
        for file in list_evidence(connection, [f"ticket:{number}"]):
            _, content = open_evidence(
                connection, desk.bodies, file.id, archived=lambda p, o: read_package(connection, archive, p, o)
            )
            found.append(json.loads(content))
        return found


def manifests(desk: Desk) -> list[SegmentManifest]:
    with desk.catalogue.read() as connection:
        rows = connection.execute(sa.select(segments.c.manifest).where(segments.c.record_class == "evidence"))
        return [SegmentManifest.from_bytes(bytes(row.manifest)) for row in rows]


def objects(desk: Desk) -> int:
    assert desk.archive is not None
    return len([name for name in desk.archive.objects.list("segments/evidence") if name])


def test_a_disposal_seals_the_record_its_place_and_its_proof_first(desk: Desk, logged: Logged) -> None:
    number = ids(desk)[0]
    desk.confirm(number, Decision.ILLEGAL, "赌博")
    assert not kept(desk, number), "a decision alone seals nothing"
    desk.dispose(number, Measure.DELETE)
    (package,) = kept(desk, number)
    (copy,) = package["records"]
    assert package["ticket"] == number
    assert copy["record"]["raw"] == {"$b64": "MTIzNDU2Nzg5"}, "the line as it came"
    assert copy["record"]["log_offset"] == package["place"]["offset"]
    (found,) = package["findings"]
    assert (found["version"], found["field"], found["start"], found["end"]) == ("test/1", "text", 0, 2)
    proof = package["segments"][copy["segment"]]
    assert json.loads(proof["manifest"])["segment_id"] == copy["segment"]
    assert proof["log"]["checkpoint"], "the log had numbered the segment"
    (manifest,) = manifests(desk)
    (row,) = open_segment(logged.store.archive, manifest).prove([0], ["raw", "event_id"])
    verify_row(logged.store.archive.suite, row, bytes.fromhex(manifest.rows_root or ""))
    assert json.loads(row.shown["raw"][0]) == package
    assert row.shown["event_id"][0].decode() == number


def test_audits_account_for_evidence_like_for_anything_else(desk: Desk, logged: Logged) -> None:
    for number in ids(desk)[:2]:
        desk.confirm(number, Decision.ILLEGAL, "r")
        desk.dispose(number, Measure.DELETE)
    logged.log.keep()
    assert not audit_coverage(logged.store).faults
    assert not audit_integrity(logged.store).faults
    assert logged.kinds() == set()


def test_what_was_merged_is_sealed_and_reached_with_it(desk: Desk) -> None:
    first, other, third = ids(desk)
    desk.merge([other], first, "同一文案")
    desk.confirm(first, Decision.ILLEGAL, "r")
    desk.dispose(first, Measure.DELETE)
    assert len(kept(desk, first)) == len(kept(desk, other)) == 1
    assert not kept(desk, third)
    (manifest,) = manifests(desk)
    assert sorted(place.partition for place in manifest.places) == sorted(f"ticket:{n}" for n in (first, other))


def test_a_block_that_is_confirmed_is_sealed_by_the_confirmation(desk: Desk, logged: Logged) -> None:
    hit = Hit("gambling/1", "gambling", None, 5, 0, 2, "赌球", 0.9, "test/1")
    content = ContentFinding(
        "app", "app.log#1", 40, "c-9", "user_log", "u4", "text", "赌球上分", NOW, (hit,), blocked_at=NOW
    )
    with desk.catalogue.write() as connection:
        open_or_extend(connection, prepare(logged.store.bodies, [content], now=NOW))
        number = next(t.ticket_id for t in list_tickets(connection) if t.content_id == "c-9")
    assert desk.confirm(number, Decision.ILLEGAL, "r").state == State.DISPOSED
    (package,) = kept(desk, number)
    assert package["blocked_at"] == "2026-03-02T09:00:00.000000Z"
    assert package["records"][0]["record"]["log_offset"] == 40


def test_without_the_archive_s_word_nothing_is_disposed_of(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    number = ids(desk)[0]
    desk.confirm(number, Decision.ILLEGAL, "r")
    assert desk.archive is not None

    def full(*_: object) -> None:
        raise StorageError("The disk is full.", cure="Make room.")

    monkeypatch.setattr(type(desk.archive.objects), "put", full)
    with pytest.raises(StorageError, match="full"):
        desk.dispose(number, Measure.DELETE)
    with desk.catalogue.read() as connection:
        assert [t.state for t in list_tickets(connection) if t.ticket_id == number] == ["confirmed"]
    assert not manifests(desk)


def test_a_record_that_cannot_be_read_holds_no_disposal_up(desk: Desk, logged: Logged) -> None:
    number = ids(desk)[0]
    for name in list(logged.store.objects.list("segments/user_log")):
        logged.store.objects.delete(name)
    desk.confirm(number, Decision.ILLEGAL, "r")
    assert desk.dispose(number, Measure.DELETE).state == State.DISPOSED
    (package,) = kept(desk, number)
    assert all("missing" in copy for copy in package["records"])
    assert package["texts"][0]["text"] == "赌球上分", "the text as the detectors saw it"


def test_a_refused_step_leaves_no_object(desk: Desk) -> None:
    number = ids(desk)[0]
    before = objects(desk)
    with pytest.raises(Exception, match="cannot be disposed of"):
        desk.dispose(number, Measure.DELETE)
    assert objects(desk) == before


def test_two_who_seal_the_same_ticket_at_once(desk: Desk) -> None:
    number = ids(desk)[0]
    assert desk.archive is not None
    one, other = (seal_evidence(desk.catalogue, desk.bodies, desk.archive, [number]) for _ in range(2))
    with desk.catalogue.write() as connection:
        commit_evidence(connection, one, "ming")
    with pytest.raises(BusyError), desk.catalogue.write() as connection:
        commit_evidence(connection, other, "hong")
    assert len(manifests(desk)) == 1


def test_evidence_is_listed_with_its_place(desk: Desk) -> None:
    number = ids(desk)[0]
    desk.confirm(number, Decision.ILLEGAL, "r")
    desk.dispose(number, Measure.MASK)
    with desk.catalogue.read() as connection:
        files = list_evidence(connection, [f"ticket:{number}"])
    assert [file.place for file in files] == [f"ticket:{number}@0"]


def test_evidence_that_is_gone_says_so(desk: Desk) -> None:
    assert desk.archive is not None
    with desk.catalogue.read() as connection, pytest.raises(UsageError, match="no longer in the archive"):
        read_package(connection, desk.archive, "ticket:T-0", 0)


def test_evidence_answers_queries_by_the_columns_of_its_record(desk: Desk, logged: Logged) -> None:
    number = ids(desk)[0]
    desk.confirm(number, Decision.ILLEGAL, "r")
    desk.dispose(number, Measure.DELETE)
    (manifest,) = manifests(desk)
    found = open_segment(logged.store.archive, manifest).fragment().to_table(filter=ds.field("log_source") == SOURCE)
    (row,) = found.to_pylist()
    extra = dict(row["extra"])
    assert (row["event_id"], row["event_action"], row["text"]) == (number, "evidence.sealed", "赌球上分")
    assert (extra["record_class"], extra["record_source"]) == ("user_log", "app")
    assert row["user_id"] in {one["user_id"] for one in hours(10)} | {"u1"}


def test_records_that_lie_far_apart_are_found_as_well(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickets.archived._MOST_RANGES", 1)
    monkeypatch.setattr("tickets.archived._PLACES", 1)
    first, *others = ids(desk)
    desk.merge(others, first, "同一文案")
    desk.confirm(first, Decision.ILLEGAL, "r")
    desk.dispose(first, Measure.DELETE)
    for number in (first, *others):
        (package,) = kept(desk, number)
        assert [copy["record"]["log_offset"] for copy in package["records"]] == [package["place"]["offset"]]
