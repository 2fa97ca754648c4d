"""Offsets of a topic: none is unaccounted for, and where there is no message, the audit says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from retention.audits.coverage import audit_coverage
from retention.audits.monitoring import Monitoring
from retention.audits.report import Finding, Severity
from retention.catalogue import events, progress
from retention.catalogue.commit import BatchCommit, commit_batch
from retention.catalogue.declarations import DeclaredSource
from retention.catalogue.tables import events as table
from tests.retention.sealed_store import SealedStore, hours, make_store

PARTITION = "posts/0#1"


@pytest.fixture
def store(tmp_path: Path) -> SealedStore:
    """Ten messages at the offsets 0, 10 … 90 of a topic, whose batch noted 90 offsets without one."""
    made = make_store(tmp_path)
    made.add(hours(10), source="k", partition=PARTITION)
    with made.catalogue.write() as connection:
        progress.hint_partition(connection, "k", PARTITION, json.dumps({"high": 100, "topic_id": None}))
        note(connection, 0, 100, 90, [[1, 10], [11, 20]])
    return made


def note(connection: sa.Connection, start: int, end: int, offsets: int, ranges: list[list[int]]) -> None:
    body = {"source": "k", "start": start, "end": end, "offsets": offsets, "ranges": ranges}
    events.append(connection, kind="source.holes", actor="system:kafka", subject=f"partition:{PARTITION}", body=body)


def found(store: SealedStore, *, gapless: bool = False) -> dict[str, Finding]:
    monitoring = Monitoring(sources=(DeclaredSource("k", "user_log", {"text": True}, gapless=gapless),))
    report = audit_coverage(store, monitoring=monitoring)
    return {finding.kind: finding for finding in report.findings if finding.kind.startswith("offsets")}


def test_offsets_without_a_message_are_told_and_a_fault_where_there_may_be_none(store: SealedStore) -> None:
    (told,) = found(store).values()
    assert (told.kind, told.where, told.severity) == ("offsets_without_message", f"k:{PARTITION}", Severity.NOTICE)
    assert "90 offsets have no message: [1, 10), [11, 20)" in told.detail
    assert found(store, gapless=True)["offsets_without_message"].severity is Severity.FAULT


def test_an_offset_that_is_neither_record_nor_hole_is_a_fault(store: SealedStore) -> None:
    with store.catalogue.write() as connection:
        connection.execute(table.delete().where(table.c.kind == "source.holes"))
        note(connection, 0, 100, 89, [[1, 10]])
    lost = found(store)["offsets_unaccounted"]
    assert (lost.where, lost.severity) == (f"k:{PARTITION} [0, 100)", Severity.FAULT)
    assert "1 are nowhere" in lost.detail


def test_a_hole_where_every_offset_has_its_message_is_a_contradiction(store: SealedStore) -> None:
    whole = BatchCommit("k", PARTITION, 100, 102, records=0, headers=1, blanks=1, segments=())
    commit_batch(store.catalogue, whole)
    assert "offsets_unaccounted" not in found(store)
    with store.catalogue.write() as connection:
        note(connection, 100, 102, 1, [[100, 101]])
    assert "1 too many" in found(store)["offsets_unaccounted"].detail


def test_the_beginning_of_an_account_and_the_bytes_of_files_are_no_holes(store: SealedStore) -> None:
    store.add(hours(3), source="app", partition="app.log#1")
    with store.catalogue.write() as connection:
        progress.add_partition(connection, source="k", partition="posts/1#1", path="posts/1", generation=1)
        progress.hint_partition(connection, "k", "posts/1#1", json.dumps({"high": 5, "topic_id": None}))
        body = {"source": "k", "start": 5}
        subject = "partition:posts/1#1"
        events.append(connection, kind="source.begins", actor="system:kafka", subject=subject, body=body)
    commit_batch(store.catalogue, BatchCommit("k", "posts/1#1", 0, 5, records=0, headers=0, blanks=0, segments=()))
    assert set(found(store)) == {"offsets_without_message"}
