"""The attacker: an administrator who owns the database, the objects, the key ring and its passphrase.

Only what the second custodian has seen is out of his reach. Each of his moves is tried twice: he changes the data
alone, and he also rewrites the log to fit, with the real signing keys.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
import sqlalchemy as sa

from errors import SettingsError
from liucun.store import TICKET_SCRIPTS
from retention.catalogue import events, images
from retention.catalogue.commit import add_segments
from retention.catalogue.migrate import migrate
from retention.catalogue.tables import (
    batches,
    checkpoints,
    image_shapes,
    log_entries,
    log_leaves,
    log_nodes,
    log_pending,
    partitions,
    retired_segments,
    segment_places,
    segments,
    timestamp,
)
from retention.catalogue.tables import events as event_table
from retention.errors import LogForkedError, RowsUnprovedError
from retention.lineage import descent, inherit, stored_manifests
from retention.manifest import SegmentManifest
from retention.schema import as_current
from retention.segments import open_segment, write_segment
from retention.transparency.note import Ed25519Signer
from retention.transparency.pinning import LIMIT, read_pins
from retention.transparency.sequencer import sequence
from tests.retention.sealed_store import hours, make_store
from tests.retention.transparency.conftest import Logged, keeper, open_ticket
from tickets.tables import tickets

HISTORY = {"log_forked", "log_rolled_back"}
THOROUGH = pytest.mark.parametrize("thorough", [False, True], ids=["data only", "log rewritten and signed anew"])


def rewrite_history(logged: Logged) -> None:
    """Make a new log, with the real keys, that fits what the catalogue says now."""
    with logged.store.catalogue.write() as connection:
        for table in (log_leaves, log_nodes, log_entries, checkpoints, log_pending):
            connection.execute(table.delete())
        for name in [*logged.store.objects.list("log/")]:
            logged.store.objects.delete(name)
        ids = connection.execute(sa.select(segments.c.segment_id).order_by(segments.c.committed_at)).scalars()
        events.queue(connection, events.SEGMENT, list(ids))
        numbers = connection.execute(sa.select(event_table.c.id).order_by(event_table.c.id)).scalars()
        events.queue(connection, events.EVENT, [str(number) for number in numbers])
    sequence(logged.log)


def manifests(logged: Logged) -> list[SegmentManifest]:
    """All manifests in order of their places."""
    with logged.store.catalogue.read() as connection:
        found = connection.execute(sa.select(segments.c.manifest)).scalars().all()
    return sorted((SegmentManifest.from_bytes(data) for data in found), key=lambda m: m.places[0].start)


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
            for number, subject in connection.execute(sa.select(event_table.c.id, event_table.c.subject)).all():
                connection.info.setdefault("liucun_events", []).append((number, subject))
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


def merge_by_hand(
    logged: Logged,
    before: list[SegmentManifest],
    change: Callable[[pa.Table], pa.Table],
    *,
    salts: bool = True,
    format_version: int = 3,
) -> SegmentManifest:
    """Merge segments as the program does, with a change of his on the way and counts that fit it, and log it."""
    archive, sources = logged.store.archive, []
    for one in before:
        sources.append(open_segment(archive, one))
    table = change(pa.concat_tables([as_current(one.parquet().read()) for one in sources]).unify_dictionaries())
    places = [place for one in before for place in one.places]
    places[-1] = replace(places[-1], rows=places[-1].rows - sum(one.rows for one in before) + table.num_rows)
    merged = write_segment(
        archive,
        table,
        record_class=before[0].record_class,
        period=before[0].period,
        places=tuple(places),
        replaces=tuple(one.segment_id for one in before),
        inherited=inherit(sources, stored_manifests(logged.store.catalogue)) if salts else None,
    )
    if format_version < 3:
        merged = replace(merged, format_version=format_version, rows_digest=None)
    with logged.store.catalogue.write() as connection:
        moment = timestamp()
        for one in before:
            row = connection.execute(sa.select(segments).where(segments.c.segment_id == one.segment_id)).one()._asdict()
            named = {name: value for name, value in row.items() if name in retired_segments.c}
            for changed in (segment_places, segments):
                connection.execute(changed.delete().where(changed.c.segment_id == one.segment_id))
            connection.execute(
                retired_segments.insert().values(
                    **named, state="replaced", successor=merged.segment_id, retired_at=moment
                )
            )
        add_segments(connection, (merged,), moment)
        connection.execute(
            batches.update()
            .where(batches.c.partition == places[-1].partition, batches.c.start == places[-1].start)
            .values(records=places[-1].rows)
        )
        events.append(connection, kind="segments.compacted", actor="system:compact",
                      subject=f"segment:{merged.segment_id}", body={})  # fmt: skip
    logged.log.keep()
    return merged


def somebody_else(table: pa.Table) -> pa.Table:
    """The rows with another account in the second one."""
    names = table.column("user_id").to_pylist()
    position = table.schema.get_field_index("user_id")
    changed = pa.array([names[0], "somebody else", *names[2:]], pa.string())
    return table.set_column(position, table.schema.field(position), changed)


def test_he_merges_segments_and_leaves_a_row_out(logged: Logged) -> None:
    """All his counts fit one another and the log; but not those of what he replaced, which the log has as well."""
    merge_by_hand(logged, manifests(logged)[:2], lambda table: table.slice(0, table.num_rows - 1))
    assert "merge_lost_rows" in logged.kinds()


@pytest.mark.parametrize(
    ("salts", "version", "kind"),
    [(True, 3, "rows_changed"), (False, 3, "rows_unproved"), (True, 1, "rows_changed"), (False, 1, "rows_unproved")],
)
def test_he_merges_segments_and_changes_a_row(logged: Logged, salts: bool, version: int, kind: str) -> None:
    """The numbers fit; what the manifests committed to, which he replaced and the log has, does not."""
    merge_by_hand(logged, manifests(logged)[:2], somebody_else, salts=salts, format_version=version)
    assert logged.kinds() == {kind}


def test_he_merges_what_was_merged_before_and_changes_a_row(logged: Logged) -> None:
    """Commitments go on through every merge: that of a forged one does not take their place."""
    first, second, third = manifests(logged)
    merged = merge_by_hand(logged, [first, second], lambda table: table)
    assert logged.audit().ok
    merge_by_hand(logged, [third, merged], somebody_else)
    assert logged.kinds() == {"rows_changed"}


def test_he_lets_segments_descend_from_themselves(logged: Logged) -> None:
    """The audit neither follows them round and round nor breaks off."""
    first, second, third = manifests(logged)
    changed = [
        replace(first, replaces=(first.segment_id,)),
        replace(second, replaces=(third.segment_id,), rows=third.rows, places=third.places),
        replace(third, replaces=(second.segment_id,)),
    ]
    with logged.store.catalogue.write() as connection:
        for one in changed:
            here = segments.c.segment_id == one.segment_id
            connection.execute(segments.update().where(here).values(manifest=one.to_bytes()))
    find = stored_manifests(logged.store.catalogue)
    for one in changed:
        with pytest.raises(RowsUnprovedError, match="twice"):
            descent(one, find)
    assert not logged.audit().ok


def test_any_number_of_merges_is_followed(logged: Logged) -> None:
    first = manifests(logged)[0]
    chain = {f"{n:032x}": replace(first, segment_id=f"{n:032x}", replaces=(f"{n - 1:032x}",)) for n in range(1, 3000)}
    chain[f"{0:032x}"] = replace(first, segment_id=f"{0:032x}")
    found = descent(chain[f"{2999:032x}"], lambda names: {name: chain[name] for name in names})
    assert [(item.segment_id, item.rows) for item in found.commitments] == [(f"{0:032x}", first.rows)]


def test_he_moves_a_row_into_the_place_of_another(logged: Logged) -> None:
    """Two rows of two segments change places: each commitment has its number of rows, and none its rows."""

    def swapped(table: pa.Table) -> pa.Table:
        order = list(range(table.num_rows))
        order[0], order[-1] = order[-1], order[0]
        position = table.schema.get_field_index("event_id")
        return table.set_column(position, table.schema.field(position), table.column("event_id").take(pa.array(order)))

    merge_by_hand(logged, manifests(logged)[:2], swapped)
    assert logged.kinds() == {"rows_changed"}


def test_he_calls_a_replaced_segment_something_else(logged: Logged) -> None:
    """What is gone was replaced or destroyed; there is no third."""
    merge_by_hand(logged, manifests(logged)[:2], lambda table: table)
    with logged.store.catalogue.write() as connection:
        connection.execute(retired_segments.update().values(state="moved"))
    assert logged.kinds() == {"destruction_unlogged"}


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


def test_he_edits_or_drops_an_event(logged: Logged) -> None:
    with logged.store.catalogue.write() as connection:
        connection.execute(event_table.update().where(event_table.c.id == 1).values(actor="os:somebody"))
        connection.execute(event_table.delete().where(event_table.c.id == 3))
    assert {"entry_changed", "entry_missing"} <= logged.kinds()


def test_he_empties_the_queue_of_the_log(logged: Logged) -> None:
    """An event that the log was never told of is a fault of its own."""
    open_ticket(logged.store, 5000)
    with logged.store.catalogue.write() as connection:
        connection.execute(log_pending.delete())
    assert "entry_unlogged" in logged.kinds()


def test_he_damages_the_entries_objects(logged: Logged) -> None:
    name = next(iter(logged.store.objects.list("log/entries/")))
    data = bytearray(logged.store.objects.read(name))
    data[-1] ^= 1
    logged.store.objects.delete(name)
    logged.store.objects.put(name, data)
    assert "entries_refused" in logged.kinds()


def test_he_replaces_the_whole_store_under_new_keys(logged: Logged, tmp_path: Path) -> None:
    """The custodian has never seen such a log, and says whose he has."""
    root = tmp_path / "other"
    root.mkdir()
    other = make_store(root)
    migrate(other.catalogue, room="tickets", script_location=TICKET_SCRIPTS)
    other.add(hours(20))
    sequence(keeper(other, None))
    verdict = Logged(other, keeper(other, logged.custodian), logged.custodian).audit()
    assert not verdict.anchored
    assert "custodian_stranger" in {notice.kind for notice in verdict.notices}
    # Also when he handed it over: the other log that the custodian holds is named.
    keeper(other, logged.custodian).keep()
    verdict = Logged(other, keeper(other, logged.custodian), logged.custodian).audit()
    assert "custodian_stranger" in {notice.kind for notice in verdict.notices}
    # Who keeps the archive's keys himself is told that it is another's.
    pins = tmp_path / "pins"
    pins.write_text("".join(f"{verifier.encode()}\n" for verifier in logged.log.verifiers))
    forged = keeper(other, logged.custodian)
    forged.pinned = read_pins(pins)
    verdict = Logged(other, forged, logged.custodian).audit()
    assert {fault.kind for fault in verdict.faults} == {"log_not_pinned"}
    assert not verdict.anchored
    logged.log.pinned = read_pins(pins)
    assert logged.audit().anchored
    other.catalogue.close()
    other.period_keys.close()


def test_he_signs_with_keys_of_his_own_under_the_logs_name(logged: Logged) -> None:
    """A name is no key."""
    (name,) = {verifier.name for verifier in logged.log.verifiers}
    logged.log.pinned = (Ed25519Signer(name, bytes(32)).verifier,)
    assert logged.kinds() == {"signature_not_pinned"}


def test_he_empties_the_signed_states_so_that_none_is_compared(logged: Logged) -> None:
    logged.log.pinned = logged.log.verifiers
    assert logged.audit().anchored
    with logged.store.catalogue.write() as connection:
        connection.execute(checkpoints.delete())
    assert {"log_not_pinned", "log_length"} <= logged.kinds()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\n", b"name+00000000+AA==\n", b"x" * (LIMIT + 1), None])
def test_a_file_of_keys_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "pins"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError):
        read_pins(path)
    names = [Ed25519Signer(name, bytes(32)).verifier.encode() for name in ("one/log", "other/log")]
    path.write_text("\n".join(names))
    with pytest.raises(SettingsError, match="several logs"):
        read_pins(path)


def test_without_a_custodian_nothing_is_anchored(logged: Logged) -> None:
    report = Logged(logged.store, keeper(logged.store, None), logged.custodian).audit()
    assert report.ok
    assert not report.anchored


def enter(connection: sa.Connection, manifest: SegmentManifest) -> None:
    """Enter a forged segment without a word to the log."""
    connection.execute(
        segments.insert().values(
            segment_id=manifest.segment_id,
            object_name=manifest.object_name,
            record_class=manifest.record_class,
            period=manifest.period,
            rows=manifest.rows,
            bytes_stored=manifest.bytes_stored,
            event_time_min=manifest.event_time_min,
            event_time_max=manifest.event_time_max,
            manifest=manifest.to_bytes(),
            committed_at="2026-03-01T00:00:00.000000Z",
        )
    )
    place = manifest.places[0]
    connection.execute(
        segment_places.insert().values(
            segment_id=manifest.segment_id,
            source=place.source,
            partition=place.partition,
            start=place.start,
            end=place.end,
            rows=place.rows,
        )
    )
