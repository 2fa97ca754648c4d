"""The catalogue from the objects alone: the same rows come back, whatever was cut off, or nothing changes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from errors import IntegrityError, StorageError, UsageError
from liucun.store import prepare_tables
from retention.audits.coverage import audit_coverage
from retention.catalogue import events, images
from retention.catalogue.engine import Catalogue
from retention.catalogue.key_use import retire
from retention.catalogue.tables import (
    batches,
    log_entries,
    log_leaves,
    meta,
    partitions,
    ranges,
    segment_places,
    segments,
    tombstones,
)
from retention.catalogue.tables import events as event_table
from retention.compaction.collect import collect
from retention.compaction.journal import join_entries
from retention.rebuilding.rebuild import Rebuilt, rebuild_catalogue
from retention.store import CustodianSettings, Store, StoreSettings
from retention.transparency import sequencer
from retention.transparency.verify import verify_log
from tests.retention.sealed_store import SealedStore, hours
from tests.retention.transparency.conftest import open_ticket
from tickets.tables import tickets

SECRET = "a passphrase of tests"
SETTINGS = StoreSettings(custodian=CustodianSettings(checkpoints="../notary"))
TABLES = (segments, segment_places, batches, partitions, ranges, log_leaves)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with three segments and two tickets, its log witnessed."""
    (tmp_path / "notary").mkdir()
    where = tmp_path / "store"
    Store.create(where, SETTINGS, SECRET)
    with Store.open(where, SETTINGS, SECRET) as store:
        prepare_tables(store.catalogue)
        for n in range(3):
            add(store, 10 + n)
            store.log.keep()
        open_ticket(sealed(store), 10)
        open_ticket(sealed(store), 120)
        with store.catalogue.write() as connection:
            first = connection.execute(sa.select(tickets.c.ticket_id).limit(1)).scalar_one()
            connection.execute(tickets.update().where(tickets.c.ticket_id == first).values(state="triage"))
            events.append(connection, kind="ticket.claimed", actor="a", subject=f"ticket:{first}", body={})
            retire(connection, "k-1", "P1")
            gone = {"purge": "P1", "key": "k-1"}
            events.append(connection, kind=events.DESTROYED, actor="a", subject="segment:older", body=gone)
        for name in ("deleted", "condemned"):
            store.objects.put(f"segments/user_log/2026-03/{name}-00.lcs", b"left by a crash")
            collect(store.catalogue, store.objects)
            later = datetime.now(UTC) + timedelta(days=2)
            with monkeypatch.context() as patched:
                if name == "condemned":
                    patched.setattr("retention.compaction.collect._delete", dies)
                with contextlib.suppress(OSError):
                    collect(store.catalogue, store.objects, now=later)
        store.log.keep()
    return where


def dies(*_: object) -> bool:
    """The process ends between the verdict and the deletion."""
    raise OSError


def sealed(store: Store) -> SealedStore:
    """The store as the tests' helpers know it."""
    return SealedStore(store.root, store.catalogue, store.objects, store.archive, store.bodies, store.period_keys)


def add(store: Store, rows: int) -> None:
    """Commit a batch."""
    sealed(store).add(hours(rows))


def contents(catalogue: Catalogue) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that a rebuilt catalogue must have again; events without those of rebuilding itself."""
    found = {}
    with catalogue.read() as connection:
        for table in (*TABLES, *(item.table for item in images.registered())):
            columns = [column for column in table.columns if column.name not in {"finished", "hint", "planned_at"}]
            if table is partitions:
                columns = [column for column in columns if column.name != "opened_at"]
            rows = connection.execute(sa.select(*columns)).all()
            found[table.name] = sorted(tuple(row) for row in rows)
        kept = sa.select(event_table).where(event_table.c.kind != "catalogue.rebuilt").order_by(event_table.c.id)
        found["events"] = [tuple(row) for row in connection.execute(kept)]
    return found


def before(root: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows as they are."""
    with Store.open(root, SETTINGS, SECRET) as store:
        prepare_tables(store.catalogue)
        return contents(store.catalogue)


def rebuild(root: Path) -> Rebuilt:
    """Rebuild."""
    return rebuild_catalogue(root, SETTINGS, SECRET, prepare=prepare_tables, actor="os:test", progress=lambda *_: None)


def remove(root: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (root / f"catalogue.db{suffix}").unlink(missing_ok=True)


def damage(root: Path) -> None:
    (root / "catalogue.db").write_bytes(b"SQLite format 3\x00" + b"\xff" * 8000)


@pytest.mark.parametrize("loss", [remove, damage, lambda root: None], ids=["gone", "damaged", "there"])
def test_every_row_comes_back(root: Path, loss: Callable[[Path], None]) -> None:
    old = before(root)
    loss(root)
    there = (root / "catalogue.db").exists()
    rebuilt = rebuild(root)
    assert rebuilt.restored.segments == 3
    assert rebuilt.restored.rows["tickets"] == 2
    assert (rebuilt.kept_aside is not None) == there
    with Store.open(root, SETTINGS, SECRET) as store:
        prepare_tables(store.catalogue)
        new = contents(store.catalogue)
        leaves = old.pop("log_leaves")
        assert new.pop("log_leaves")[: len(leaves)] == leaves
        assert new == old
        with store.catalogue.read() as connection:
            retired = connection.execute(sa.select(meta.c.value).where(meta.c.key == "retired:k-1")).scalars().all()
            condemned = connection.execute(
                sa.select(tombstones.c.object_name).where(tombstones.c.condemned_at.is_not(None))
            ).scalars()
            assert {Path(name).name.partition("-")[0] for name in condemned} == {"deleted", "condemned"}
        assert retired == ["P1"]
        assert verify_log(store.log).faults == []
        assert audit_coverage(store).ok
        add(store, 4)  # and it goes on
        store.log.keep()
        assert verify_log(store.log).anchored


def test_what_the_log_had_not_seen_is_taken_in_again(root: Path) -> None:
    """A batch whose commit was lost with the catalogue: its cursor is where it was, its object is an orphan."""
    store = Store.open(root, SETTINGS, SECRET)
    add(store, 7)  # committed, never numbered
    store.close()
    remove(root)
    rebuild(root)
    with Store.open(root, SETTINGS, SECRET) as store:
        add(store, 7)
        report = audit_coverage(store)
        assert report.ok
        # Beside the object that the fixture condemned and did not come to delete.
        assert [notice.kind for notice in report.notices if "condemned-00" not in notice.where] == ["orphan"]


def test_entries_that_were_joined_and_are_back_in_parts_stay(root: Path) -> None:
    """The joined object is lost, and a backup has its parts, which were condemned when they were joined."""
    entries = root / "objects" / "log" / "entries"
    parts = {path: path.read_bytes() for path in entries.iterdir()}
    with Store.open(root, SETTINGS, SECRET) as store:
        assert join_entries(store.log, least=2) == len(parts)
        for days in (0, 2):
            collect(store.catalogue, store.objects, now=datetime.now(UTC) + timedelta(days=days))
    (joined,) = entries.glob("000000000000-*")
    joined.write_bytes(bytes(100))
    for path, data in parts.items():
        path.write_bytes(data)
    remove(root)
    rebuild(root)
    with Store.open(root, SETTINGS, SECRET) as store:
        with store.catalogue.write() as connection:  # as an older program had restored them
            names = connection.execute(sa.select(log_entries.c.object_name)).scalars().all()
            condemned = connection.execute(sa.select(tombstones.c.object_name)).scalars().all()
            assert not {*names} & {*condemned}
            rows = [{"object_name": names[0], "seen_at": "2026-01-01", "condemned_at": "2026-01-01"}]
            connection.execute(tombstones.insert(), rows)
        for days in (0, 2, 4):
            collect(store.catalogue, store.objects, now=datetime.now(UTC) + timedelta(days=days))
        assert {path for path in parts if path.exists()} == {*parts}
        assert verify_log(store.log).faults == []


def test_sequencers_that_were_cut_off_leave_nothing_wrong(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise StorageError("The power went.", cure="-")

    store = Store.open(root, SETTINGS, SECRET)
    for rows in (5, 6):
        add(store, rows)
        with monkeypatch.context() as patched:
            patched.setattr(sequencer, "_enter", cut)
            with pytest.raises(StorageError):
                store.log.keep()
    store.close()
    # Two objects begin where the log ends, and the catalogue is lost before any of it was numbered.
    remove(root)
    rebuilt = rebuild(root)
    assert rebuilt.waiting == 4  # two segments and two batches, each once
    assert rebuilt.restored.segments == 5
    with Store.open(root, SETTINGS, SECRET) as opened:
        prepare_tables(opened.catalogue)
        assert verify_log(opened.log).faults == []
        assert audit_coverage(opened).ok


def test_a_log_with_a_hole_is_not_rebuilt_from(root: Path) -> None:
    objects = sorted((root / "objects" / "log" / "entries").iterdir())
    objects[1].unlink()
    data = (root / "catalogue.db").read_bytes()
    with pytest.raises(IntegrityError, match="do not add up"):
        rebuild(root)
    assert (root / "catalogue.db").read_bytes() == data
    assert not list(root.glob("*.rebuilding*"))


def test_nothing_to_rebuild_from(tmp_path: Path) -> None:
    where = tmp_path / "store"
    Store.create(where, StoreSettings(), SECRET)
    with pytest.raises(UsageError, match="log"):
        rebuild_catalogue(where, StoreSettings(), SECRET, prepare=prepare_tables, actor="a", progress=lambda *_: None)
    assert (where / "catalogue.db").exists()
