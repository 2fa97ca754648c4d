"""The attacker: an administrator who owns the database, the objects, the key ring and its passphrase.

Only what the second custodian has seen is out of his reach. Each of his moves is tried twice: he changes the data
alone, and he also rewrites the log to fit, with the real signing keys.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
import sqlalchemy as sa

from retention.catalogue import events, images
from retention.catalogue.tables import (
    batches,
    image_shapes,
    log_leaves,
    partitions,
    retired_segments,
    segment_places,
    segments,
)
from retention.catalogue.tables import events as event_table
from retention.errors import LogForkedError
from retention.segments import open_segment, write_segment
from tests.retention.sealed_store import hours
from tests.retention.transparency.attacking import HISTORY, THOROUGH, enter, manifests, rewrite_history
from tests.retention.transparency.conftest import Logged
from tickets.tables import tickets


def test_an_honest_store_passes_and_is_anchored(logged: Logged) -> None:
    report = logged.audit()
    assert report.ok, report.findings
    assert report.anchored
    assert report.checked["log_entries"] == report.checked["log_witnessed"] == 9
    tables = [item.table.name for item in images.registered() if item.prefix == "ticket"]
    assert {"tickets", "findings", "ticket_notes"} <= set(tables)
    assert report.checked["imaged_rows"] == 3 * len(tables)


@THOROUGH
def test_he_deletes_a_segment(logged: Logged, thorough: bool) -> None:
    gone = manifests(logged)[1]
    with logged.store.catalogue.write() as connection:
        connection.execute(segment_places.delete().where(segment_places.c.segment_id == gone.segment_id))
        connection.execute(segments.delete().where(segments.c.segment_id == gone.segment_id))
    logged.store.objects.delete(gone.object_name)
    if thorough:
        rewrite_history(logged)
    assert logged.kinds() & ({*HISTORY} if thorough else {"entry_missing"})


@THOROUGH
def test_he_deletes_a_segment_and_renumbers_the_rest(logged: Logged, thorough: bool) -> None:
    """So that the coverage audit sees no gap."""
    _, gone, moved = manifests(logged)
    shift = gone.places[0].end - gone.places[0].start
    place = replace(moved.places[0], start=moved.places[0].start - shift, end=moved.places[0].end - shift)
    table = open_segment(logged.store.archive, moved).parquet().read()
    offsets = pa.array([n - shift for n in table.column("log_offset").to_pylist()], pa.int64())
    position = table.schema.get_field_index("log_offset")
    changed = table.set_column(position, table.schema.field(position), offsets).cast(table.schema)
    forged = write_segment(logged.store.archive, changed, record_class="user_log", period="2026-03", places=(place,))
    with logged.store.catalogue.write() as connection:
        for old in (gone, moved):
            connection.execute(segment_places.delete().where(segment_places.c.segment_id == old.segment_id))
            connection.execute(segments.delete().where(segments.c.segment_id == old.segment_id))
            connection.execute(batches.delete().where(batches.c.start == old.places[0].start))
        enter(connection, forged)
        connection.execute(
            batches.insert().values(
                source=place.source,
                partition=place.partition,
                start=place.start,
                end=place.end,
                records=place.rows,
                headers=0,
                blanks=0,
                committed_at="2026-03-01T00:00:00.000000Z",
            )
        )
        connection.execute(partitions.update().values(cursor=place.end))
    if thorough:
        rewrite_history(logged)
    kinds = logged.kinds()
    assert kinds & HISTORY if thorough else {"entry_missing", "entry_unlogged"} <= kinds


@THOROUGH
def test_he_seals_changed_content_anew(logged: Logged, thorough: bool) -> None:
    old = manifests(logged)[0]
    table = open_segment(logged.store.archive, old).parquet().read()
    position = table.schema.get_field_index("user_id")
    names = pa.array(["somebody else"] * table.num_rows, table.schema.field(position).type)
    changed = table.set_column(position, table.schema.field(position), names)
    forged = write_segment(logged.store.archive, changed, record_class="user_log", period="2026-03", places=old.places)
    assert forged.segment_id == old.segment_id
    with logged.store.catalogue.write() as connection:
        connection.execute(segment_places.delete().where(segment_places.c.segment_id == old.segment_id))
        connection.execute(segments.delete().where(segments.c.segment_id == old.segment_id))
        enter(connection, forged)
    logged.store.objects.delete(old.object_name)
    if thorough:
        rewrite_history(logged)
    assert logged.kinds() & ({*HISTORY} if thorough else {"entry_changed"})


def test_he_puts_last_weeks_database_back(logged: Logged, tmp_path: Path) -> None:
    logged.store.catalogue.close()
    copy = tmp_path / "last-week.db"
    shutil.copy(logged.store.root / "catalogue.db", copy)
    logged.store.add(hours(5))
    logged.log.keep()
    logged.store.catalogue.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{logged.store.root / 'catalogue.db'}{suffix}").unlink(missing_ok=True)
    shutil.copy(copy, logged.store.root / "catalogue.db")
    report = logged.audit()
    assert "log_rolled_back" in {fault.kind for fault in report.faults}
    assert not report.anchored
    # Nor does the archive go on from there, not even with new records.
    logged.store.add(hours(7))
    with pytest.raises(LogForkedError, match="rolled back"):
        logged.log.keep()


def test_he_forks_the_log(logged: Logged) -> None:
    """Two histories from one past: one shown to the custodian, one kept."""
    with logged.store.catalogue.read() as connection:
        newest = connection.execute(sa.select(sa.func.max(event_table.c.id))).scalar_one()
    with logged.store.catalogue.write() as connection:
        connection.execute(event_table.update().where(event_table.c.id == newest).values(actor="os:nobody"))
    rewrite_history(logged)
    assert logged.kinds() >= {"log_forked"}
    logged.store.add(hours(7))
    with pytest.raises(LogForkedError, match="another log"):
        logged.log.keep()


@THOROUGH
def test_he_changes_a_tickets_time(logged: Logged, thorough: bool) -> None:
    with logged.store.catalogue.write() as connection:
        connection.execute(tickets.update().values(detected_at="2026-03-20T00:00:00.000000Z"))
    kinds = logged.kinds()
    assert "row_changed" in kinds
    if thorough:
        with logged.store.catalogue.write() as connection:
            connection.execute(event_table.update().values(images=None, payload=None))
            told = connection.execute(sa.select(event_table.c.id, event_table.c.subject)).all()
            last = {subject: number for number, subject in told}
            for subject, image in images.images(connection, last).items():
                chosen = event_table.update().where(event_table.c.id == last[subject])
                connection.execute(chosen.values(payload=images.canonical(image)))
            events.queue(connection, events.EVENT, [str(number) for number, _ in told])
        rewrite_history(logged)
        assert logged.kinds() & HISTORY


def test_he_puts_rows_beside_an_event_that_has_its_number(logged: Logged) -> None:
    """The rows of a numbered event are nobody's word: its digests, which the log has, are what counts."""
    with logged.store.catalogue.write() as connection:
        connection.execute(tickets.update().values(detected_at="2026-03-20T00:00:00.000000Z"))
        subjects = [f"ticket:{name}" for name in connection.execute(sa.select(tickets.c.ticket_id)).scalars()]
        for subject, image in images.images(connection, subjects).items():
            newest = sa.select(sa.func.max(event_table.c.id)).where(event_table.c.subject == subject).scalar_subquery()
            connection.execute(
                event_table.update().where(event_table.c.id == newest).values(payload=orjson.dumps(image))
            )
    assert {"row_changed", "payload_unlogged"} <= logged.kinds()


@pytest.mark.parametrize("columns", ['["nope"]', "[", None])
def test_he_makes_the_columns_of_images_unreadable(logged: Logged, columns: str | None) -> None:
    with logged.store.catalogue.write() as connection:
        connection.execute(tickets.update().values(detected_at="2026-03-20T00:00:00.000000Z"))
        if columns is None:
            connection.execute(image_shapes.delete())
        else:
            connection.execute(image_shapes.update().values(columns=columns))
    assert "shape_missing" in logged.kinds()
    assert ("shape_changed" in logged.kinds()) is (columns is not None)


def test_he_calls_a_deletion_lawful(logged: Logged) -> None:
    gone = manifests(logged)[1]
    with logged.store.catalogue.write() as connection:
        row = connection.execute(sa.select(segments).where(segments.c.segment_id == gone.segment_id)).one()._asdict()
        for table in (segment_places, segments):
            connection.execute(table.delete().where(table.c.segment_id == gone.segment_id))
        kept = {name: value for name, value in row.items() if name in retired_segments.c}
        moment = row["committed_at"]
        connection.execute(
            retired_segments.insert().values(**kept, state="destroyed", retired_at=moment, object_deleted_at=moment)
        )
    logged.store.objects.delete(gone.object_name)
    assert "destruction_unlogged" in logged.kinds()


@pytest.mark.parametrize(
    "damage",
    [
        event_table.update().where(event_table.c.images.is_not(None)).values(images="[{"),
        log_leaves.update().where(log_leaves.c.type == events.EVENT, log_leaves.c.index > 2).values(ref="x1"),
    ],
)
def test_what_he_makes_unreadable_is_a_finding(logged: Logged, damage: sa.Update) -> None:
    with logged.store.catalogue.write() as connection:
        if "log_leaves" in str(damage):
            damage = damage.where(log_leaves.c.index == sa.select(sa.func.max(log_leaves.c.index)).scalar_subquery())
        connection.execute(damage)
    assert logged.kinds() & {"entry_changed", "entry_missing"}


def test_he_deletes_a_ticket_or_slips_one_in(logged: Logged) -> None:
    with logged.store.catalogue.read() as connection:
        row = connection.execute(sa.select(tickets).limit(1)).one()._asdict()
    with logged.store.catalogue.write() as connection:
        connection.execute(tickets.insert().values({**row, "ticket_id": "T1", "content_key": "0" * 64}))
    assert "row_unlogged" in logged.kinds()
    with logged.store.catalogue.write() as connection:
        connection.execute(sa.text("PRAGMA defer_foreign_keys=ON"))
        connection.execute(tickets.delete().where(tickets.c.ticket_id.in_(["T1", row["ticket_id"]])))
        for table in ("findings", "ticket_sketches", "ticket_bands", "ticket_texts"):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE ticket_id = :t"), {"t": row["ticket_id"]})
    assert "row_changed" in logged.kinds()
