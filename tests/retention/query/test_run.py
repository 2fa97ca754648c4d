"""Queries over sealed segments: answers, pruning, the record of who asked."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errors import IntegrityError
from retention.catalogue.tables import events
from retention.query.errors import QueryInterruptedError, QueryInvalidError, QueryRefusedError, QueryTimeoutError
from retention.query.render import renderer
from retention.query.run import Answer, Limits, open_words, run_query
from retention.query.sealed import SegmentRow, surviving
from retention.schema import RECORD_SCHEMA, RecordClass
from tests.retention.sealed_store import START, SealedStore, hours, records


def ask(sealed: SealedStore, sql: str, **options: Any) -> Answer:
    return run_query(
        sealed, sql, purpose="test", actor="os:tester", render=renderer("json", "Asia/Shanghai"), **options
    )


def rows(sealed: SealedStore, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ask(sealed, sql).data)
    return found


def test_every_view_is_there_before_there_are_records(sealed: SealedStore) -> None:
    for record_class in RecordClass:
        assert rows(sealed, f"SELECT count(*) AS n FROM {record_class.view}") == [{"n": 0}]
        described = rows(sealed, f"DESCRIBE {record_class.view}")
        assert [row["column_name"] for row in described] == RECORD_SCHEMA.names


def test_answers_equal_those_over_the_plain_rows(sealed: SealedStore) -> None:
    given_rows = [{**row, "amount": n % 7, "extra": [("k", f"v{n % 3}")]} for n, row in enumerate(hours(200))]
    for begin in range(0, 200, 40):
        sealed.add(given_rows[begin : begin + 40], record_class="transaction")
    plain = pa.Table.from_batches([records(given_rows, source="app", partition="app.log#1", begin=0)])
    direct = duckdb.connect()
    direct.execute("SET TimeZone = 'Asia/Shanghai'").complete()
    direct.register("transactions", plain)
    for sql in (
        "SELECT user_id, count(*)::INT AS n, sum(amount) AS total FROM transactions GROUP BY 1 ORDER BY 1",
        "SELECT event_id FROM transactions WHERE event_time >= '2026-03-05' AND user_id = 'u3' ORDER BY 1",
        "SELECT event_time::DATE AS day, count(*)::INT AS n FROM transactions GROUP BY ALL ORDER BY 1",
        "SELECT extra['k'] AS k, min(log_offset)::INT AS first FROM transactions GROUP BY 1 ORDER BY 1",
        "SELECT count(*)::INT AS n FROM transactions WHERE amount > 3 AND log_source = 'app' AND error_code IS NULL",
        "SELECT event_id FROM transactions WHERE event_time BETWEEN '2026-03-02' AND '2026-03-03' ORDER BY event_time",
        "SELECT a.event_id FROM transactions a JOIN transactions b USING (log_offset) WHERE b.event_time < '2026-03-02'"
        " ORDER BY 1",
    ):
        expected = direct.sql(sql).to_arrow_table()
        assert json.loads(ask(sealed, sql).data) == json.loads(renderer("json", "Asia/Shanghai")(expected).data), sql
    direct.close()


def test_only_segments_of_the_class_and_time_are_opened(sealed: SealedStore) -> None:
    for day in range(8):
        sealed.add(hours(24, first=START + timedelta(days=day)))
    sealed.add(hours(5), record_class="content", source="forum")
    assert ask(sealed, "SELECT count(*) FROM content").segments_read == 1
    assert ask(sealed, "SELECT count(*) FROM transactions").segments_read == 0
    everything = ask(sealed, "SELECT count(*) AS n FROM user_logs")
    assert (everything.segments_read, json.loads(everything.data)) == (8, [{"n": 192}])
    narrow = ask(sealed, "SELECT count(*) AS n FROM user_logs WHERE event_time >= TIMESTAMPTZ '2026-03-08 00:00:00Z'")
    assert (narrow.segments_read, json.loads(narrow.data)) == (1, [{"n": 24}])
    assert ask(sealed, "SELECT count(*) FROM user_logs WHERE event_time < '2020-01-01'").segments_read == 0


def test_rows_without_a_time_are_never_pruned_away(sealed: SealedStore) -> None:
    sealed.add([*hours(3), {"user_id": "timeless"}])
    sealed.add([{"user_id": "timeless"}, {"user_id": "timeless"}])
    assert rows(sealed, "SELECT count(*) AS n FROM user_logs WHERE event_time IS NULL") == [{"n": 3}]
    assert rows(
        sealed, "SELECT count(*) AS n FROM user_logs WHERE event_time IS NULL OR event_time > '2030-01-01'"
    ) == [{"n": 3}]
    sql = "SELECT count(*) AS n FROM user_logs WHERE NOT coalesce(event_time > '2020-01-01', false)"
    assert rows(sealed, sql) == [{"n": 3}]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    spans=st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 99), st.integers(0, 99)).map(sorted)), max_size=150),
    low=st.integers(-5, 105),
    width=st.integers(0, 40),
    form=st.integers(0, 3),
)
def test_pruning_keeps_every_segment_that_may_match(
    spans: list[list[int] | None], low: int, width: int, form: int
) -> None:
    import pyarrow.dataset as ds

    def moment(hour: int) -> str:
        return (START + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    segments = [
        SegmentRow(str(n), "user_log", 1, *((None, None) if span is None else map(moment, span)))
        for n, span in enumerate(spans)
    ]
    column, kind = ds.field("event_time"), RECORD_SCHEMA.field("event_time").type
    first, last = (pa.scalar(START + timedelta(hours=hour), kind) for hour in (low, low + width))
    inside = (column >= first) & (column <= last)
    condition = [inside, inside & (ds.field("user_id") == "event_time"), inside | column.is_null(), column.is_null()][
        form
    ]
    kept = {row.segment_id for row in surviving(segments, condition)}
    for n, span in enumerate(spans):
        overlaps = span is not None and span[0] <= low + width and span[1] >= low
        if form < 3 and overlaps:
            assert str(n) in kept
        if span is None and form >= 2:
            assert str(n) in kept
        if form < 2 and not overlaps:
            assert str(n) not in kept


def test_the_record_holds_no_word_of_the_query_in_plain(sealed: SealedStore) -> None:
    sealed.add(hours(3))
    answer = run_query(
        sealed,
        "SELECT * FROM user_logs WHERE user_id = 'Zhang San'",
        purpose="complaint of Li Si",
        actor="os:auditor",
        render=renderer("csv", "UTC"),
    )
    with sealed.catalogue.read() as connection:
        found = connection.execute(sa.select(events).where(events.c.subject == f"query:{answer.query_id}")).all()
    assert [(row.kind, row.actor) for row in found] == [
        ("query.started", "os:auditor"),
        ("query.answered", "os:auditor"),
    ]
    for row in found:
        assert "Zhang" not in row.body
        assert "Li Si" not in row.body
    assert open_words(sealed.bodies, answer.query_id, json.loads(found[0].body)["sealed"]) == {
        "sql": "SELECT * FROM user_logs WHERE user_id = 'Zhang San'",
        "purpose": "complaint of Li Si",
    }
    body = json.loads(found[1].body)
    assert (body["rows"], body["format"], body["bytes"]) == (0, "csv", len(answer.data))
    assert body["digest"] == sealed.archive.suite.hash(answer.data).hex() == answer.digest
    with pytest.raises(IntegrityError):
        open_words(sealed.bodies, "another", json.loads(found[0].body)["sealed"])


def test_nothing_is_handed_out_when_it_cannot_be_recorded(sealed: SealedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from errors import BusyError
    from retention.catalogue import events as trail
    from retention.query import run

    real = trail.append

    def full(connection: sa.Connection, **values: Any) -> int:
        if values["kind"] == "query.answered":
            raise BusyError("The catalogue is held.", cure="Wait.")
        return real(connection, **values)

    monkeypatch.setattr(run.events, "append", full)
    with pytest.raises(BusyError):
        ask(sealed, "SELECT 1")


def test_a_damaged_segment_is_named_not_answered_around(sealed: SealedStore) -> None:
    manifest = sealed.add(hours(2000))
    path = sealed.root / "objects" / manifest.object_name
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=manifest.segment_id):
        ask(sealed, "SELECT * FROM user_logs")


def test_a_destroyed_key_is_named(sealed: SealedStore) -> None:
    from retention.errors import KeyDestroyedError

    manifest = sealed.add(hours(3))
    sealed.period_keys.destroy(manifest.key_id)
    with pytest.raises(KeyDestroyedError):
        ask(sealed, "SELECT * FROM user_logs")


def test_an_interrupt_stops_the_query_and_is_recorded(sealed: SealedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    real = threading.Thread.join
    calls = iter(range(10_000))

    def join(self: threading.Thread, timeout: float | None = None) -> None:
        real(self, timeout)
        if self.name == "query" and next(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", join)
    with pytest.raises(QueryInterruptedError):
        ask(sealed, "SELECT sum(a.range) FROM range(1_000_000_000) a, range(1_000_000) b")
    monkeypatch.undo()
    assert rows(sealed, "SELECT count(*) AS n FROM audit_events WHERE kind = 'query.failed'") == [{"n": 1}]


@pytest.mark.parametrize("refusals", [2, 1_000_000])
def test_what_stopped_a_query_is_told_though_duckdb_is_still_busy(
    sealed: SealedStore, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    from retention.query import run

    class Busy:
        """A connection that refuses to be closed at first."""

        def __init__(self, **limits: Any) -> None:
            self.real, self.left = sandbox(**limits), refusals

        def close(self) -> None:
            self.left -= 1
            if self.left >= 0:
                raise duckdb.Error("Resource In Use Error: connection is busy with another call")
            self.real.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

    sandbox = run.sandbox
    monkeypatch.setattr(run, "sandbox", Busy)
    monkeypatch.setattr(run, "FAILED_SECONDS", 0.5)
    with pytest.raises(QueryTimeoutError):
        ask(sealed, "SELECT sum(a.range) FROM range(1_000_000_000) a, range(1_000_000) b", limits=Limits(seconds=0.2))


def test_a_program_ends_cleanly_after_a_query_that_left_work_behind(sealed: SealedStore) -> None:
    # Arrow reads ahead on threads of its own; one that outlives the interpreter would abort the process.
    for day in range(30):
        sealed.add(hours(300, first=START + timedelta(days=day)))
    url = sealed.catalogue.engine.url.render_as_string(hide_password=False)
    program = f"""
import sys
from pathlib import Path
from retention.catalogue.engine import Catalogue
from retention.crypto.bodies import BodyCipher
from retention.crypto.suites import suite
from retention.keys.keyring import KeyRing
from retention.keys.periods import PeriodKeys
from retention.objects.local import LocalObjects
from retention.query.render import renderer
from retention.query.run import run_query
from retention.segments import Archive
from tests.retention.sealed_store import SealedStore
root = Path({str(sealed.root)!r})
ring = KeyRing.open(root / "keyring.json", "a passphrase of tests")
keys = PeriodKeys.open(f"sqlite:///{{root / 'periods.db'}}", ring)
objects, chosen = LocalObjects(root / "objects"), suite()
store = SealedStore(root, Catalogue.open({url!r}), objects,
                    Archive(objects, keys, chosen), BodyCipher.from_period_keys(keys, chosen, "bodies"), keys)
answer = run_query(store, "SELECT raw FROM user_logs LIMIT 1", purpose="p", actor="a", render=renderer("json", "UTC"))
sys.stdout.buffer.write(answer.data)
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
        assert (done.returncode, json.loads(done.stdout)) == (0, [{"raw": "MTIzNDU2Nzg5"}]), done.stderr


@pytest.mark.parametrize(
    "sql", ["SELECT 'infinity'::TIMESTAMP AS t", "SELECT DATE '20000-01-01' AS t", "SELECT '\ud800' AS t"]
)
@pytest.mark.parametrize("name", ["json", "csv", "table"])
def test_values_that_no_format_has_are_a_typed_error_on_record(sealed: SealedStore, sql: str, name: str) -> None:
    with pytest.raises((QueryInvalidError, QueryRefusedError)):
        run_query(sealed, sql, purpose="test", actor="os:test", render=renderer(name, "Asia/Shanghai"))
    with sealed.catalogue.read() as connection:
        newest = connection.execute(sa.select(events.c.kind).order_by(events.c.id.desc()).limit(1)).scalar_one()
    assert newest == "query.failed"
