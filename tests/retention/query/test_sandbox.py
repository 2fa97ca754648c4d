"""What a query may not do, each refused by its own kind of error."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import LiucunError
from retention.query.errors import (
    QueryInvalidError,
    QueryRefusedError,
    QueryTimeoutError,
    QueryTooLargeError,
)
from retention.query.render import renderer
from retention.query.run import Answer, Limits, run_query
from tests.retention.sealed_store import SealedStore, hours


def ask(sealed: SealedStore, sql: str, *, purpose: str = "test", limits: Limits | None = None) -> Answer:
    return run_query(
        sealed, sql, purpose=purpose, actor="os:tester", render=renderer("json", "Asia/Shanghai"), limits=limits
    )


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{there}/out.csv'",
        "COPY user_logs TO '{there}/out.parquet'",
        "EXPORT DATABASE '{there}/export'",
        "ATTACH '{there}/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA enable_profiling",
        "SET threads = 64",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "CALL pragma_version()",
        "CREATE TABLE mine AS SELECT * FROM user_logs",
        "CREATE TEMP TABLE mine AS SELECT 1",
        "CREATE MACRO f(x) AS x",
        "DROP VIEW user_logs",
        "DELETE FROM user_logs",
        "INSERT INTO user_logs VALUES (1)",
        "UPDATE user_logs SET user_id = 'x'",
        "CHECKPOINT",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW user_logs",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_parquet('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM read_csv('https://localhost/x.csv')",
        "",
        " ; ",
        "-- nothing",
        "SELECT '\x00'",
        "SELECT " + "1," * 60_000 + "1",
    ],
)
def test_what_does_more_than_read_is_refused(sealed: SealedStore, tmp_path: Path, sql: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(QueryRefusedError):
        ask(sealed, sql.replace("{there}", str(tmp_path)))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1",
        "SELECT",
        "SELECT * FROM nowhere",
        "SELECT nothing FROM user_logs",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM sealed",  # a Python variable of the caller
        "SELECT getenv('HOME')",
        "SELECT CAST('x' AS INTEGER)",
        "SELECT sum(user_id) FROM user_logs",
        "SELECT * FROM user_logs WHERE event_time > 'yesterday'",
        "SELECT (((",
        "SELECT '",
    ],
)
def test_sql_that_cannot_run_says_why(sealed: SealedStore, sql: str) -> None:
    sealed.add(hours(2))
    with pytest.raises(QueryInvalidError, match="cannot be run"):
        ask(sealed, sql)


@pytest.mark.parametrize("purpose", ["", "  \n", "\u200b", ". -", "x" * 1001])
def test_a_query_needs_a_purpose(sealed: SealedStore, purpose: str) -> None:
    with pytest.raises(QueryRefusedError, match="purpose"):
        ask(sealed, "SELECT 1", purpose=purpose)


def test_memory_is_bounded_and_nothing_is_spilled(
    sealed: SealedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    with pytest.raises(QueryTooLargeError, match="memory"):
        ask(sealed, "SELECT list(range) FROM range(1_000_000_000)", limits=Limits(memory_bytes=128 << 20))
    assert set(tmp_path.iterdir()) == before


def test_a_large_result_is_refused(sealed: SealedStore) -> None:
    with pytest.raises(QueryTooLargeError, match="larger than 4 MiB"):
        ask(sealed, "SELECT * FROM range(1_000_000_000_000)", limits=Limits(result_bytes=4 << 20))


def test_a_query_without_end_is_stopped(sealed: SealedStore) -> None:
    with pytest.raises(QueryTimeoutError, match="longer than"):
        ask(sealed, "SELECT sum(a.range) FROM range(1_000_000_000) a, range(1_000_000) b", limits=Limits(seconds=0.2))


def test_every_refusal_is_recorded(sealed: SealedStore) -> None:
    with pytest.raises(LiucunError):
        ask(sealed, "SELECT * FROM read_csv('/etc/passwd')")
    answer = ask(sealed, "SELECT kind FROM audit_events WHERE kind LIKE 'query%' ORDER BY id")
    assert answer.data.decode().count("query.") == 3
    assert '"query.failed"' in answer.data.decode()
