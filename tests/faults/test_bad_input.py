"""Bad input, end to end: every line is in the archive, in ``unparsed`` with a reason where it could not be read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest

from liucun.store import prepare_tables
from pipelines.job import Job, JobOptions
from pipelines.sources.spec import parse_spec
from pipelines.summary import RunSummary
from retention.audits.coverage import audit_coverage
from retention.query.run import Rendered, run_query
from retention.store import Store, StoreSettings

PASSPHRASE = "a passphrase for tests"


@pytest.fixture
def store(tmp_path: Path):
    root = tmp_path / "store"
    Store.create(root, StoreSettings(), PASSPHRASE)
    with Store.open(root, StoreSettings(), PASSPHRASE) as opened:
        prepare_tables(opened.catalogue)
        yield opened


def run(store: Store, *specs: str) -> tuple[RunSummary, list[str]]:
    job = Job(store, [parse_spec(spec, published=True) for spec in specs], JobOptions())
    return job.run(), job.problems


def ask(store: Store, sql: str) -> list[dict[str, object]]:
    held: list[pa.Table] = []

    def keep(table: pa.Table) -> Rendered:
        held.append(table)
        return Rendered(b"", "none")

    run_query(store, sql, purpose="test", actor="os:test", render=keep)
    return held[0].to_pylist()


def everything(store: Store) -> bytes:
    """All raw bytes of the archive, in order of place."""
    found = ask(
        store,
        "SELECT log_partition, log_offset, raw FROM content UNION ALL "
        "SELECT log_partition, log_offset, raw FROM transactions UNION ALL "
        "SELECT log_partition, log_offset, raw FROM unparsed ORDER BY 1, 2",
    )
    return b"\n".join(bytes(row["raw"]) for row in found)  # type: ignore[arg-type]


GOOD = b'{"event_time":"2026-11-20T10:00:00+08:00","content_id":"c1","text":"good"}'

LINES: dict[bytes, str | None] = {
    GOOD: None,
    b'{"text":"\xff\xfe broken"}': "invalid_utf8",
    b'{"text":"nul \x00 byte"}': "nul_byte",
    b'["a", "list"]': "json_not_an_object",
    b'"a string"': "json_not_an_object",
    b'{"text":"a","text":"b"}': "duplicate_key",
    b'{"text":"cut off': "truncated",
    b"no json at all": "not_json",
    b'{"event_time":"soon","text":"x"}': "unreadable_time",
    b'{"event_time":"2026-11-20 10:00:00","text":"no zone"}': None,
    b'{"event_time":"1970-01-01T00:00:00Z","text":"old"}': None,
    b'{"event_time":"2999-01-01T00:00:00Z","text":"far"}': None,
}


def test_ndjson_lines_of_every_kind(store: Store, tmp_path: Path) -> None:
    data = b"\n".join(LINES) + b"\n"
    (tmp_path / "a.ndjson").write_bytes(data)
    summary, problems = run(store, f"content:ndjson:{tmp_path}/a.ndjson")
    assert problems == []
    assert summary.records_in == len(LINES)
    unparsed = {bytes(r["raw"]): r["error_code"] for r in ask(store, "SELECT raw, error_code FROM unparsed")}
    assert unparsed == {line: reason for line, reason in LINES.items() if reason}
    assert everything(store) == data[:-1]
    flags = {r["text"]: r["flags"] for r in ask(store, "SELECT text, flags FROM content WHERE flags IS NOT NULL")}
    assert flags == {"no zone": "zone_assumed", "old": "time_implausible", "far": "time_implausible"}
    # What is implausible counts from ingest: no archive month of 1970 or 2999 exists.
    assert not [name for name in store.objects.list("segments/") if "/1970" in name or "/2999" in name]
    assert audit_coverage(store).ok


def test_a_line_of_twenty_megabytes(store: Store, tmp_path: Path) -> None:
    long = b'{"text":"' + b"x" * (20 << 20) + b'"}'
    (tmp_path / "a.ndjson").write_bytes(GOOD + b"\n" + long + b"\n" + GOOD + b"\n")
    summary, _ = run(store, f"content:ndjson:{tmp_path}/a.ndjson")
    assert summary.records_in == 3
    assert ask(store, "SELECT max(octet_length(raw)) AS n FROM content") == [{"n": len(long)}]


def test_a_truncated_gz_and_an_empty_file(store: Store, tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(GOOD.replace(b"c1", f"c{n}".encode()) + b"\n" for n in range(20_000)))
    (tmp_path / "a.ndjson.gz").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "empty.ndjson").touch()
    summary, problems = run(store, f"content:ndjson:{tmp_path}/*.ndjson*")
    assert summary.records_in > 5_000
    assert summary.unparsed.total() <= 1, "only the record that was cut through"
    assert any("ends too early" in problem for problem in problems)
    assert audit_coverage(store).ok


def test_csv_rows_that_do_not_fit(store: Store, tmp_path: Path) -> None:
    data = b'order_id,item_id,amount\n1,a,2.50\n2,b\n3,c,1,extra\n4,"two\nlines, one\nrecord",9.99\n\n5,d,"abc"\n'
    (tmp_path / "a.csv").write_bytes(data)
    summary, _ = run(store, f"transaction:csv:{tmp_path}/a.csv")
    assert summary.records_in == 5
    assert summary.skipped == 2
    assert dict(summary.unparsed) == {"column_count": 2}
    kept = ask(store, "SELECT order_id, item_id, amount, flags FROM transactions ORDER BY order_id")
    assert [(r["order_id"], r["item_id"]) for r in kept] == [("1", "a"), ("4", "two\nlines, one\nrecord"), ("5", "d")]
    assert kept[2]["flags"] is not None
    assert "value_kept_as_text" in str(kept[2]["flags"])


def test_one_stray_quote_does_not_swallow_a_file(store: Store, tmp_path: Path) -> None:
    lines = [b"order_id,item_id"] + [f"{n},item {n}".encode() for n in range(5_000)]
    lines[3] = b'2,"stray'
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines) + b"\n")
    summary, _ = run(store, f"transaction:csv:{tmp_path}/a.csv")
    assert summary.records_in == 5_000
    assert summary.records["transaction"] >= 3_900
    assert summary.unparsed.total() >= 1


def test_a_folder_that_cannot_be_read_is_said(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(GOOD + b"\n")
    (tmp_path / "loop.ndjson").symlink_to("loop.ndjson")
    summary, problems = run(store, f"content:ndjson:{tmp_path}/*.ndjson", f"content:ndjson:{tmp_path}/none/*.ndjson")
    assert summary.records_in == 1
    assert any("loop.ndjson" in problem for problem in problems)
    assert any("does not exist" in problem for problem in problems)


def test_no_plaintext_is_on_the_disk(store: Store, tmp_path: Path) -> None:
    secrets = {"account": "u-4711-secret", "order": "order-8812-secret", "text": "出售冰毒 联系方式 secret-handle"}
    record = {"event_time": "2026-11-20T10:00:00+08:00", "user_id": secrets["account"], "order_id": secrets["order"]}
    lines = [
        json.dumps({**record, "content_id": f"c{n}", "text": secrets["text"]}, ensure_ascii=False) for n in range(50)
    ]
    lines.append('{"broken-line-secret": ')
    (tmp_path / "a.ndjson").write_text("\n".join(lines), encoding="utf-8")
    summary, _ = run(store, f"content:ndjson:{tmp_path}/a.ndjson")
    assert summary.tickets_opened == 50
    ask(store, f"SELECT * FROM content WHERE user_id = '{secrets['account']}'")
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert len(files) > 5
    stored = b"".join(path.read_bytes() for path in files)
    for word in (*secrets.values(), "broken-line-secret", "冰毒", PASSPHRASE):
        assert word.encode() not in stored, f"{word!r} stands in the store in plain"
