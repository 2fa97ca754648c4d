"""Period keys: made once, wrapped, rewrapped, destroyed, and gone from the disk."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import StorageError, UsageError
from retention.catalogue.journal import cut_journal
from retention.errors import KeyDestroyedError, KeyRefusedError, KeyUnknownError
from retention.keys import memory
from retention.keys.keyring import KeyRing
from retention.keys.periods import ALWAYS, PeriodKeys, place_of
from retention.keys.tables import metadata
from tests.retention.samples import CHEAP


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing.create(tmp_path / "ring.json", "passphrase", cost=CHEAP)


@pytest.fixture
def url(catalogue_url: str) -> str:
    return catalogue_url


def opened(url: str, ring: KeyRing) -> PeriodKeys:
    return PeriodKeys.open(url, ring, create=True)


def test_the_migration_makes_the_table_that_the_code_declares(url: str, ring: KeyRing) -> None:
    opened(url, ring).close()
    engine = sa.create_engine(url)
    for table in metadata.sorted_tables:
        found = {column["name"]: column["nullable"] for column in sa.inspect(engine).get_columns(table.name)}
        assert found == {column.name: column.nullable for column in table.columns}
    engine.dispose()


def test_a_key_is_made_once_for_each_class_and_month(url: str, ring: KeyRing) -> None:
    keys = opened(url, ring)
    key = keys.current("user_log", "2026-03")
    assert len(key.key) == 32
    assert keys.current("user_log", "2026-03") == keys.get(key.key_id) == key
    others = {keys.current("user_log", "2026-04").key, keys.current("content", "2026-03").key, key.key}
    assert len(others) == 3
    again = opened(url, ring)
    assert again.current("user_log", "2026-03") == again.get(key.key_id) == key
    keys.close()
    again.close()


def test_processes_that_race_get_the_same_key(url: str, ring: KeyRing, tmp_path: Path) -> None:
    opened(url, ring).close()
    program = (
        "import sys; from retention.keys.keyring import KeyRing; from retention.keys.periods import PeriodKeys; "
        "from pathlib import Path; sys.stdin.read(1); "
        "k = PeriodKeys.open(sys.argv[1], KeyRing.open(Path(sys.argv[2]), 'passphrase')); "
        "print(k.current('content', '2026-05').key_id)"
    )
    command = [sys.executable, "-c", program, url, str(tmp_path / "ring.json")]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    found = {racer.communicate("\n", timeout=60)[0] for racer in racers}
    assert len(found) == 1
    keys = PeriodKeys.open(url, ring)
    assert [record.key_id for record in keys.list()] == [found.pop().strip()]
    keys.close()


@pytest.mark.parametrize(
    "place", [("", "2026-01"), ("Log", "2026-01"), ("log", "2026-13"), ("log", "now"), ("a\x00", ALWAYS)]
)
def test_malformed_places_are_refused(url: str, ring: KeyRing, place: tuple[str, str]) -> None:
    keys = opened(url, ring)
    with pytest.raises(UsageError):
        keys.current(*place)
    keys.close()


def test_destroyed_is_gone_everywhere(url: str, ring: KeyRing, tmp_path: Path) -> None:
    keys = opened(url, ring)
    key = keys.current("content", "2026-03")
    with keys._database.read() as connection:
        wrapped = connection.execute(sa.text("SELECT wrapped FROM period_keys")).scalar_one()
    # A server's files are its own; what SQLite's hold can be looked into.
    files = list(tmp_path.glob("*.db*"))
    assert any(wrapped in file.read_bytes() for file in files) == (not url.startswith("postgresql"))
    keys.destroy(key.key_id)
    assert not any(wrapped in file.read_bytes() for file in tmp_path.glob("*.db*"))
    with pytest.raises(KeyDestroyedError, match=key.key_id):
        keys.get(key.key_id)
    with pytest.raises(KeyDestroyedError):
        keys.destroy(key.key_id)
    (record,) = keys.list()
    assert record.destroyed_at is not None
    late = keys.current("content", "2026-03")
    assert late.key_id != key.key_id
    assert late.key != key.key
    assert [r.generation for r in keys.list()] == [1, 2]
    keys.close()


def test_a_key_destroyed_by_another_process_is_soon_forgotten(
    url: str, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = opened(url, ring), opened(url, ring)
    key = ours.current("content", "2026-03")
    theirs.destroy(key.key_id)
    now = memory.time.monotonic()
    monkeypatch.setattr(memory.time, "monotonic", lambda: now + memory.FORGET_SECONDS + 1)
    with pytest.raises(KeyDestroyedError):
        ours.get(key.key_id)
    assert ours.current("content", "2026-03").key_id != key.key_id
    ours.close()
    theirs.close()


def test_a_key_that_nobody_asks_for_any_more_is_forgotten_by_itself(
    url: str, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(memory, "FORGET_SECONDS", 0.02)
    ours = opened(url, ring)
    key = ours.current("content", "2026-03")
    assert ours._memory._by_id
    begun = memory.time.monotonic()
    while ours._memory._by_id and memory.time.monotonic() < begun + 5:
        memory.time.sleep(0.01)
    assert not ours._memory._by_id
    assert not ours._memory._by_place
    assert ours._memory._sweeper is None, "nothing is left to be looked at"
    assert ours.get(key.key_id).key == key.key
    assert ours._memory._sweeper is not None
    ours.close()
    assert ours._memory._sweeper is None


@pytest.mark.parametrize("record_class", ["content", "user_log.kept", "user-log", "postings:content"])
@pytest.mark.parametrize("period", ["2026-03", "always"])
def test_an_id_says_what_its_key_is_for(url: str, ring: KeyRing, record_class: str, period: str) -> None:
    with contextlib.closing(opened(url, ring)) as keys:
        named = place_of(keys.current(record_class, period).key_id)
    assert named == (record_class.replace(":", "."), period)


def test_unknown_keys_and_missing_stores_are_named(url: str, ring: KeyRing) -> None:
    if url.startswith("sqlite"):
        with pytest.raises(KeyUnknownError, match="missing"):
            PeriodKeys.open(url, ring)
    keys = opened(url, ring)
    with pytest.raises(KeyUnknownError, match="nothing-here"):
        keys.get("nothing-here")
    with pytest.raises(KeyUnknownError):
        keys.destroy("nothing-here")
    keys.close()


def test_rotation_rewraps_without_changing_a_key(url: str, ring: KeyRing) -> None:
    keys = opened(url, ring)
    made = {month: keys.current("content", f"2026-0{month}") for month in range(1, 6)}
    destroyed = made.pop(3)
    keys.destroy(destroyed.key_id)
    old = ring.description.key_id
    ring.rotate()
    assert keys.rewrap(ring) == 4
    ring.forget(old)
    again = opened(url, ring)
    assert {month: again.current("content", f"2026-0{month}") for month in made} == made
    keys.close()
    again.close()


def test_another_key_ring_opens_nothing(url: str, ring: KeyRing, tmp_path: Path) -> None:
    keys = opened(url, ring)
    key = keys.current("content", "2026-03")
    other = opened(url, KeyRing.create(tmp_path / "other.json", "passphrase", cost=CHEAP))
    with pytest.raises(KeyRefusedError):
        other.get(key.key_id)
    with pytest.raises(KeyRefusedError):
        other.rewrap(ring)
    keys.close()
    other.close()


def test_swapped_rows_are_refused(url: str, ring: KeyRing) -> None:
    """A wrapped key is bound to its row, so nobody can hand out May's key as March's."""
    keys = opened(url, ring)
    march, may = keys.current("content", "2026-03"), keys.current("content", "2026-05")
    with keys._database.write() as connection:
        blob = connection.execute(
            sa.text("SELECT wrapped FROM period_keys WHERE key_id = :k"), {"k": may.key_id}
        ).scalar_one()
        connection.execute(
            sa.text("UPDATE period_keys SET wrapped = :w WHERE key_id = :k"), {"w": blob, "k": march.key_id}
        )
    fresh = opened(url, ring)
    with pytest.raises(KeyRefusedError):
        fresh.get(march.key_id)
    keys.close()
    fresh.close()


def test_no_secret_is_shown(url: str, ring: KeyRing) -> None:
    keys = opened(url, ring)
    key = keys.current("content", "2026-03")
    for shown in (repr(key), str(key), repr(keys), repr(vars(keys._memory)["_by_id"])):
        assert key.key.hex() not in shown
        assert repr(key.key) not in shown
    keys.close()


class _Refusing:
    """A database whose journal cannot be moved."""

    def __init__(self, says: str) -> None:
        self.says = says
        self.engine = self.connection = self.driver_connection = self

    def connect(self):
        return nullcontext(self)

    def execute(self, _statement: str):
        raise sqlite3.OperationalError(self.says)


def test_a_full_disk_while_the_journal_is_emptied_is_told_in_our_words() -> None:
    with pytest.raises(StorageError, match="disk is full") as told:
        cut_journal(_Refusing("database or disk is full"))  # type: ignore[arg-type]
    assert "run the same command again" in told.value.cure
    assert not cut_journal(_Refusing("database table is locked"))  # type: ignore[arg-type]
