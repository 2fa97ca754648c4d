"""Compaction: the same rows in fewer segments, provably; collection: only what nothing names, and only in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa

from errors import IntegrityError
from retention.audits.coverage import audit_coverage
from retention.audits.integrity import audit_integrity
from retention.catalogue.commit import add_segments
from retention.catalogue.naming import TombstoneError
from retention.catalogue.tables import retired_segments, segments, timestamp
from retention.compaction.collect import collect
from retention.compaction.journal import join_entries
from retention.compaction.merge import compact, plan
from retention.keys.periods import place_of
from retention.lineage import descent, stored_manifests
from retention.manifest import SegmentManifest, SegmentPlace
from retention.placing import Apart
from retention.schema import RECORD_SCHEMA, NewerSchemaError
from retention.segments import open_segment, write_segment
from retention.transparency.keeping import LogKeeper
from retention.transparency.verify import verify_log
from tests.retention.sealed_store import SealedStore, hours, records

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def quiet(_what: str, _done: int, _total: int) -> None:
    """No progress."""


def log_of(store: SealedStore) -> LogKeeper:
    """The store's log, without a custodian."""
    return LogKeeper(store.catalogue, store.objects, store.period_keys, store.archive.suite)


def all_rows(store: SealedStore) -> pa.Table:
    """Every row, in the order of the sources."""
    with store.catalogue.read() as connection:
        found = connection.execute(sa.select(segments.c.manifest)).scalars().all()
    parts = [open_segment(store.archive, SegmentManifest.from_bytes(m)).parquet().read() for m in found]
    table = pa.concat_tables(parts).unify_dictionaries()
    keys = pa.table({"p": table["log_partition"].cast(pa.string()), "o": table["log_offset"]})
    return table.take(pc.sort_indices(keys, sort_keys=[("p", "ascending"), ("o", "ascending")]))


@pytest.fixture
def busy(sealed: SealedStore) -> Iterator[SealedStore]:
    """Six segments of one month from two partitions, one of another month, one of another class."""
    for n in range(3):
        sealed.add(hours(40 + n))
        sealed.add(hours(30 + n), partition="b.log#1")
    sealed.add(hours(10), period="2026-04")
    sealed.add(hours(10), record_class="content")
    log_of(sealed).keep()
    return sealed


def test_the_same_rows_in_one_segment_sorted_by_account(busy: SealedStore) -> None:
    before = all_rows(busy)
    groups = plan(busy.catalogue)
    assert [(g.record_class, g.period, len(g.manifests)) for g in groups] == [("user_log", "2026-03", 6)]
    done = compact(busy.catalogue, busy.archive, groups, progress=quiet)
    assert (done.groups, done.replaced, done.rows, done.overtaken) == (1, 6, groups[0].rows, 0)
    assert all_rows(busy).to_pylist() == before.to_pylist()
    with busy.catalogue.read() as connection:
        merged = connection.execute(
            sa.select(segments.c.manifest).where(segments.c.segment_id == done.segments[0])
        ).scalar_one()
        retired = connection.execute(sa.select(retired_segments)).all()
    manifest = SegmentManifest.from_bytes(merged)
    assert set(manifest.replaces) == {row.segment_id for row in retired}
    assert {(row.state, row.successor) for row in retired} == {("replaced", manifest.segment_id)}
    users = open_segment(busy.archive, manifest).parquet().read(columns=["user_id"])["user_id"].to_pylist()
    assert users == sorted(users)
    log = log_of(busy)
    log.keep()
    for report in (audit_coverage(busy), audit_integrity(busy)):
        assert report.ok, report.findings
        assert report.notices == []
    assert verify_log(log).faults == []
    assert plan(busy.catalogue) == []


def test_what_a_destruction_carried_over_is_merged_with_its_like_alone(sealed: SealedStore) -> None:
    """Under the same kind of key, so that it goes when it was to go; what a hold kept stays as it is."""
    place = SegmentPlace
    begin = 0

    def carried(key_class: str, month: str) -> None:
        nonlocal begin
        places = (place("app", "app.log#1", begin, begin + 50, 5),)
        table = pa.Table.from_batches([records(hours(5), source="app", partition="app.log#1", begin=begin)])
        manifest = write_segment(
            sealed.archive, table, record_class="user_log", period="2026-03", places=places,
            sealed_under=(key_class, month),
        )  # fmt: skip
        begin += 50
        with sealed.catalogue.write() as connection:
            add_segments(connection, (manifest,), timestamp(NOW))

    kinds = [("user_log", "2026-03"), ("user_log.kept", "2027-05"), ("user_log.kept", "2027-06")]
    for kind in [*kinds, ("user_log.held", "2026-04"), ("user_log.open", "2026-04")]:
        carried(*kind)
        carried(*kind)
    sealed.period_keys.renew(*kinds[0])
    carried(*kinds[0])
    groups = plan(sealed.catalogue)
    assert [(len(group.manifests), group.sealed_under) for group in groups] == [
        (3, None),
        (2, kinds[1]),
        (2, kinds[2]),
        (2, ("user_log.open", "2026-04")),
    ]
    before = all_rows(sealed)
    done = compact(sealed.catalogue, sealed.archive, groups, progress=quiet)
    assert all_rows(sealed).to_pylist() == before.to_pylist()
    found = stored_manifests(sealed.catalogue)(done.segments)
    assert [place_of(found[name].key_id) for name in done.segments] == [
        *kinds,
        ("user_log.open", "2026-04"),
    ]


def test_records_sealed_before_there_were_commitments_are_named(sealed: SealedStore) -> None:
    """They are merged all the same, come under a commitment then, and an audit says what nothing shows of them."""
    for _ in range(2):
        manifest = sealed.add(hours(10))
        old = replace(manifest, format_version=1, rows_digest=None)
        with sealed.catalogue.write() as connection:
            here = segments.c.segment_id == manifest.segment_id
            connection.execute(segments.update().where(here).values(manifest=old.to_bytes()))
    sealed.add(hours(5))
    (group,) = plan(sealed.catalogue)
    (first,) = compact(sealed.catalogue, sealed.archive, [group], progress=quiet).segments
    report = audit_integrity(sealed)
    assert report.ok
    assert [(notice.kind, notice.detail.split()[0]) for notice in report.notices] == [("rows_uncommitted", "20")]
    find = stored_manifests(sealed.catalogue)
    merged = find([first])[first]
    assert [(item.segment_id == first, item.rows) for item in descent(merged, find).commitments] == [
        (False, 5),
        (True, 20),
    ]
    # From then on they are under it.
    sealed.add(hours(7))
    assert compact(sealed.catalogue, sealed.archive, plan(sealed.catalogue), progress=quiet).rows == 32
    assert audit_integrity(sealed).ok


def test_an_object_that_was_written_wrong_replaces_nothing(busy: SealedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new object is read back before its sources are given up."""
    put = busy.objects.put

    def torn(name: str, data: bytearray) -> None:
        data = bytearray(data)
        data[len(data) // 2] ^= 1
        put(name, data)

    monkeypatch.setattr(busy.objects, "put", torn)
    with pytest.raises(IntegrityError, match="Merging 6 segments"):
        compact(busy.catalogue, busy.archive, plan(busy.catalogue), progress=quiet)
    with busy.catalogue.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(retired_segments)).scalar_one() == 0


def test_parts_that_share_their_places_are_not_merged() -> None:
    places = [SegmentPlace("s", "p", *span, 1) for span in ((0, 10), (10, 20), (5, 6), (19, 30), (20, 30))]
    apart = Apart()
    assert [apart.take([place]) for place in places] == [True, True, False, False, True]
    assert not apart.take([SegmentPlace("s", "q", 0, 9, 1), places[0]])
    assert apart.take([SegmentPlace("s", "q", 0, 9, 1)])


def test_targets_bound_a_merge(busy: SealedStore) -> None:
    groups = plan(busy.catalogue, target_rows=100)
    assert [group.rows for group in groups] == [70, 72, 74]
    assert plan(busy.catalogue, target_rows=20) == []


def test_a_damaged_segment_is_not_merged_away(busy: SealedStore) -> None:
    (group,) = plan(busy.catalogue)
    path = busy.objects.root / group.manifests[2].object_name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError):
        compact(busy.catalogue, busy.archive, [group], progress=quiet)
    with busy.catalogue.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(retired_segments)).scalar_one() == 0


def test_two_compactions_at_once(busy: SealedStore) -> None:
    groups = plan(busy.catalogue)
    first = compact(busy.catalogue, busy.archive, groups, progress=quiet)
    second = compact(busy.catalogue, busy.archive, groups, progress=quiet)
    assert (first.groups, second.groups, second.overtaken) == (1, 0, 1)
    report = audit_coverage(busy)
    assert report.ok
    assert [notice.kind for notice in report.notices] == ["orphan"]


def test_a_compaction_that_dies_before_its_commit_leaves_an_orphan(
    busy: SealedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = all_rows(busy).num_rows

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("retention.compaction.merge._commit", die)
        compact(busy.catalogue, busy.archive, plan(busy.catalogue), progress=quiet)
    assert all_rows(busy).num_rows == before
    done = compact(busy.catalogue, busy.archive, plan(busy.catalogue), progress=quiet)
    assert done.groups == 1
    assert all_rows(busy).num_rows == before


def test_collection_waits_for_its_time(busy: SealedStore) -> None:
    compact(busy.catalogue, busy.archive, plan(busy.catalogue), progress=quiet)
    log_of(busy).keep()
    busy.objects.put("segments/user_log/2026-03/abandoned-00.lcs", b"left by a crash")
    replaced = datetime.now(UTC)
    first = collect(busy.catalogue, busy.objects, now=replaced)
    assert (first.orphans, first.replaced, first.waiting) == (0, 0, 7)
    second = collect(busy.catalogue, busy.objects, now=replaced + DAY / 2)
    assert (second.orphans, second.replaced, second.waiting) == (0, 0, 7)
    third = collect(busy.catalogue, busy.objects, now=replaced + DAY + timedelta(minutes=1))
    assert (third.orphans, third.replaced, third.waiting) == (1, 6, 0)
    with busy.catalogue.read() as connection:
        named = set(connection.execute(sa.select(segments.c.object_name)).scalars())
    assert set(busy.objects.list("segments/")) == named
    log = log_of(busy)
    log.keep()
    assert audit_coverage(busy).findings == []
    assert verify_log(log).faults == []
    assert collect(busy.catalogue, busy.objects, now=replaced + 3 * DAY).orphans == 0


def test_a_commit_that_names_a_condemned_object_fails(busy: SealedStore) -> None:
    """A batch that waited longer than the grace period is tried again under a new name."""
    (group,) = plan(busy.catalogue)
    slow = group.manifests[0]
    name = "segments/user_log/2026-03/slow-00.lcs"
    busy.objects.put(name, b"written, not committed yet")
    collect(busy.catalogue, busy.objects, now=NOW)
    collect(busy.catalogue, busy.objects, now=NOW + 2 * DAY)
    assert not busy.objects.exists(name)
    late = SegmentManifest.from_bytes(slow.to_bytes().replace(slow.object_name.encode(), name.encode()))
    with pytest.raises(TombstoneError), busy.catalogue.write() as connection:
        add_segments(connection, (late,), timestamp())


def test_an_orphan_that_comes_back_is_deleted_again(busy: SealedStore) -> None:
    """A replica or a folder put back must not stop the collection for good."""
    name = "segments/user_log/2026-03/back-00.lcs"
    busy.objects.put(name, b"left by a crash")
    for days in (0, 2):
        collect(busy.catalogue, busy.objects, now=NOW + days * DAY)
    assert not busy.objects.exists(name)
    busy.objects.put(name, b"left by a crash")
    assert collect(busy.catalogue, busy.objects, now=NOW + 3 * DAY).orphans == 1
    assert not busy.objects.exists(name)
    assert collect(busy.catalogue, busy.objects, now=NOW + 4 * DAY).orphans == 0


def test_an_object_that_got_its_name_in_time_is_kept(busy: SealedStore) -> None:
    manifest = plan(busy.catalogue)[0].manifests[0]
    with busy.catalogue.read() as connection:
        row = connection.execute(sa.select(segments).where(segments.c.segment_id == manifest.segment_id)).one()
    with busy.catalogue.write() as connection:
        connection.execute(sa.text("PRAGMA foreign_keys=OFF")) if connection.dialect.name == "sqlite" else None
        connection.execute(segments.update().where(segments.c.segment_id == row[0]).values(object_name="elsewhere"))
    assert collect(busy.catalogue, busy.objects, now=NOW).waiting == 1
    with busy.catalogue.write() as connection:
        connection.execute(
            segments.update().where(segments.c.segment_id == row[0]).values(object_name=manifest.object_name)
        )
    assert collect(busy.catalogue, busy.objects, now=NOW + 2 * DAY).orphans == 0
    assert busy.objects.exists(manifest.object_name)


def test_a_collection_that_dies_after_deleting_goes_on(busy: SealedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    busy.objects.put("segments/user_log/2026-03/abandoned-00.lcs", b"left by a crash")
    collect(busy.catalogue, busy.objects, now=NOW)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("retention.compaction.collect._record", die)
        collect(busy.catalogue, busy.objects, now=NOW + 2 * DAY)
    done = collect(busy.catalogue, busy.objects, now=NOW + 3 * DAY)
    assert done.waiting == 0
    assert audit_coverage(busy).findings == []


def test_the_logs_objects_are_joined(busy: SealedStore) -> None:
    log = log_of(busy)
    for _ in range(20):
        busy.add(hours(2))
        log.keep()
    before = verify_log(log)
    assert join_entries(log) >= 20
    assert join_entries(log) == 0
    after = verify_log(log)
    assert after.faults == []
    assert after.size == before.size
    done = collect(busy.catalogue, busy.objects, now=NOW)
    assert done.waiting >= 20
    assert collect(busy.catalogue, busy.objects, now=NOW + 2 * DAY).orphans >= 20
    log.keep()
    assert verify_log(log).faults == []


def test_merging_leaves_no_plaintext(busy: SealedStore, tmp_path: Path) -> None:
    compact(busy.catalogue, busy.archive, plan(busy.catalogue), progress=quiet)
    for path in busy.objects.root.rglob("*"):
        if path.is_file():
            assert b"user_id" not in path.read_bytes()


def before_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store write as a version did that had one column less."""
    older = pa.schema([field for field in RECORD_SCHEMA if field.name != "host_name"])
    monkeypatch.setattr("tests.retention.sealed_store.RECORD_SCHEMA", older)
    monkeypatch.setattr("retention.segments.RECORD_SCHEMA", older)


def test_segments_from_before_a_column_was_added_merge_with_those_after(
    sealed: SealedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        before_a_column(patched)
        sealed.add(hours(20))
    sealed.add([{**row, "host_name": "new"} for row in hours(10)])
    log_of(sealed).keep()
    done = compact(sealed.catalogue, sealed.archive, plan(sealed.catalogue), progress=quiet)
    assert (done.groups, done.rows) == (1, 30)
    assert all_rows(sealed)["host_name"].to_pylist() == [None] * 20 + ["new"] * 10


def test_a_version_that_lacks_a_column_does_not_merge_it_away(
    sealed: SealedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in (10, 20):
        sealed.add(hours(count))
    log_of(sealed).keep()
    older = pa.schema([field for field in RECORD_SCHEMA if field.name != "host_name"])
    monkeypatch.setattr("retention.schema.RECORD_SCHEMA", older)
    with pytest.raises(NewerSchemaError, match="host_name"):
        compact(sealed.catalogue, sealed.archive, plan(sealed.catalogue), progress=quiet)
    assert all_rows(sealed).num_rows == 30
