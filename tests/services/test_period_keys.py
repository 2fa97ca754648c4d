"""Period keys in a PostgreSQL database: made once, destroyed for good, gone from its files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import BusyError
from retention.catalogue import engine
from retention.errors import KeyDestroyedError
from retention.keys.keyring import KeyRing
from retention.keys.periods import PeriodKeys
from tests.retention.samples import CHEAP
from tests.services import servers

pytestmark = pytest.mark.services


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing.create(tmp_path / "ring.json", "passphrase", cost=CHEAP)


def test_processes_that_race_get_the_same_keys(postgres_url: str, ring: KeyRing, tmp_path: Path) -> None:
    PeriodKeys.open(postgres_url, ring, create=True).close()
    program = (
        "import sys; from retention.keys.keyring import KeyRing; from retention.keys.periods import PeriodKeys;"
        "keys = PeriodKeys.open(sys.argv[1], KeyRing.open(__import__('pathlib').Path(sys.argv[2]), 'passphrase'));"
        "sys.stdin.read(1);"
        "print([keys.current('content', f'2026-{m:02}').key_id for m in range(1, 13)]); keys.close()"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, postgres_url, str(tmp_path / "ring.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = [process.communicate("x", timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert len(set(answers)) == 1
    keys = PeriodKeys.open(postgres_url, ring)
    assert len(list(keys.list())) == 12
    keys.close()


def test_a_destroyed_key_is_gone_from_the_data_files(
    postgres_url: str, postgres_admin: str, ring: KeyRing, tmp_path: Path
) -> None:
    """The write-ahead log still has it, as every backup does; the page on storage says how long it may."""
    keys = PeriodKeys.open(postgres_url, ring, create=True)
    key = keys.current("content", "2026-03")
    other = keys.current("content", "2026-04")
    with keys.database.read() as connection:
        where = str(connection.execute(sa.text("SELECT pg_relation_filepath('period_keys')")).scalar_one())
        rows = connection.execute(sa.text("SELECT key_id, wrapped FROM period_keys")).all()
    wrapped = {row.key_id: bytes(row.wrapped) for row in rows}
    files = (servers.folder() / "postgres" / "data" / where).parent
    if not files.is_dir():
        pytest.skip("the server's data files are out of reach of whoever runs the tests")

    def found(secret: bytes) -> bool:
        admin = sa.create_engine(postgres_admin, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
        with admin.connect() as connection:
            connection.exec_driver_sql("CHECKPOINT")
        admin.dispose()
        return any(secret in file.read_bytes() for file in files.iterdir() if file.is_file())

    assert found(wrapped[key.key_id])
    keys.destroy(key.key_id)
    assert not found(wrapped[key.key_id])
    assert found(wrapped[other.key_id])
    with pytest.raises(KeyDestroyedError):
        keys.get(key.key_id)
    assert keys.get(other.key_id) == other
    keys.close()


def test_a_reader_that_stands_in_the_way_is_told_of(
    postgres_url: str, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.3)
    keys = PeriodKeys.open(postgres_url, ring, create=True)
    key = keys.current("content", "2026-03")
    with keys.database.read() as reader:
        reader.execute(sa.text("SELECT * FROM period_keys"))
        with pytest.raises(BusyError):
            keys.destroy(key.key_id)
    with pytest.raises(KeyDestroyedError):
        keys.get(key.key_id)
    keys.empty_journal()
    keys.close()
