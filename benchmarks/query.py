"""Questions to an archive of many records: one account's year, and counts by day: ``liucun bench query``.

The records are synthetic user logs, spread evenly over ``DAYS`` days, sealed by the product's own code at the size and
in the order that compaction gives them. The plain side reads the very same Parquet bytes, unencrypted, by DuckDB's own
reader with as many threads. Both sides are warm: the files lie in the system's cache.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.memory import peak_bytes
from retention.catalogue import progress as partitions
from retention.catalogue.commit import BatchCommit, commit_batch
from retention.compaction.merge import TARGET_ROWS
from retention.manifest import SegmentManifest, SegmentPlace
from retention.query.render import renderer
from retention.query.run import Answer, Limits, run_query
from retention.schema import RECORD_SCHEMA
from retention.segments import open_segment, write_segment
from retention.store import Store, StoreSettings

DAYS: Final = 400
BEGIN: Final = datetime(2025, 10, 1, tzinfo=UTC)
YEAR: Final = ("2025-11-01 00:00:00+08", "2026-11-01 00:00:00+08")
ROUNDS: Final = 5
LIMITS: Final = {"account_seconds": 0.5, "days_ratio": 1.6, "peak_megabytes": 1000}
_OF_YEAR: Final = f"event_time >= TIMESTAMPTZ '{YEAR[0]}' AND event_time < TIMESTAMPTZ '{YEAR[1]}'"
_LOOK_UP: Final = "SELECT * FROM user_logs WHERE {column} = '{value}' AND {year}"
_BY_DAY: Final = "SELECT event_time::DATE AS day, count(*) AS n FROM {view} WHERE {year} GROUP BY 1 ORDER BY 1"
_LINE: Final = 160
"""Bytes of a line, and of the range it takes in its source."""
_ACTIONS: Final = ("page.view", "login", "search", "cart.add", "comment.post", "order.view")
_AGENTS: Final = ("Chrome/124.0 Mobile", "Version/17.5 Mobile/15E148 Safari", "Chrome/125.0 Safari", "okhttp/4.12")


def measure(
    records: int,
    folder: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    segment_rows: int = TARGET_ROWS,
) -> dict[str, Any]:
    """Make the archive (or take the one in ``folder``), ask, and compare; a process of its own does the asking."""
    kept = folder is not None
    where = folder or Path(tempfile.mkdtemp(prefix="liucun-bench-"))
    try:
        if not (where / "done.json").exists():
            _make(where, records, progress, segment_rows)
        progress("asking")
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.query", str(where)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    finally:
        if not kept:
            shutil.rmtree(where)
    figures["targets"] = dict(LIMITS)
    figures["missed"] = [name for name, limit in LIMITS.items() if figures[name] > limit]
    figures["ok"] = not figures["missed"]
    return figures


def accounts_of(records: int) -> int:
    """Accounts of an archive of so many records: 50 records each on average, few with many, most with few."""
    return max(1000, records // 50)


def _make(where: Path, records: int, progress: Callable[[str], None], segment_rows: int) -> None:
    """Fill ``where`` with a store and, beside it, the plain files."""
    secret = secrets.token_urlsafe(16)
    began = time.monotonic()
    (where / "plain").mkdir(parents=True, exist_ok=True)
    Store.create(where / "store", StoreSettings(), secret)
    with Store.open(where / "store", StoreSettings(), secret) as store:
        with store.catalogue.write() as connection:
            partitions.add_partition(connection, source="bench", partition="bench#1", path="bench", generation=1)
        at = stored = 0
        for number, (period, table) in enumerate(_segments(records, segment_rows)):
            place = SegmentPlace("bench", "bench#1", at, at + _LINE * table.num_rows, table.num_rows)
            manifest = write_segment(
                store.archive,
                table,
                record_class="user_log",
                period=period,
                places=(place,),
                by_account=True,
                look_ups=True,
            )
            batch = BatchCommit("bench", "bench#1", at, place.end, table.num_rows, 0, 0, (manifest,))
            commit_batch(store.catalogue, batch)
            _plain(store, manifest, where / "plain" / f"{number:05d}.parquet")
            at, stored = place.end, stored + manifest.bytes_stored
            progress(f"{at // _LINE:,} of {records:,} records")
    body = {"secret": secret, "records": records, "bytes_stored": stored, "seconds": time.monotonic() - began}
    (where / "done.json").write_text(json.dumps(body))


def _plain(store: Store, manifest: SegmentManifest, path: Path) -> None:
    path.write_bytes(open_segment(store.archive, manifest).reader.readall())


def _segments(records: int, segment_rows: int) -> Iterator[tuple[str, pa.Table]]:
    """Months in order, each cut into segments of about ``segment_rows``."""
    rng = np.random.default_rng(1)
    zone = timedelta(hours=8)
    edges = [BEGIN]
    while edges[-1] < BEGIN + timedelta(days=DAYS):
        local = (edges[-1] + zone).replace(day=1, hour=0, minute=0) + timedelta(days=32)
        edges.append(min(local.replace(day=1) - zone, BEGIN + timedelta(days=DAYS)))
    accounts = accounts_of(records)
    offset, done = 0, timedelta()
    for first, last in itertools.pairwise(edges):
        done += last - first
        rows = round(records * (done / timedelta(days=DAYS))) - offset
        parts = max(1, round(rows / segment_rows))
        for part in range(parts):
            begin, end = rows * part // parts, rows * (part + 1) // parts
            span = (first + (last - first) * (begin / rows), first + (last - first) * (end / rows))
            yield f"{first + zone:%Y-%m}", _table(rng, end - begin, offset + begin, span, accounts)
        offset += rows


def _table(rng: np.random.Generator, rows: int, first: int, span: tuple[datetime, datetime], accounts: int) -> pa.Table:
    """Rows sorted by account and time; an account has a device and three addresses of its own."""
    low, high = (int(moment.timestamp() * 1e6) for moment in span)
    moments = np.sort(rng.integers(low, high, rows))
    # The square of an even draw: a tenth of the accounts make a third of the records.
    user = (accounts * rng.random(rows) ** 2).astype(np.int64)
    order = np.lexsort((moments, user))
    user, number = user[order], order.astype(np.int64)
    place = (user * 3 + rng.integers(0, 3, rows)) * 2654435761 % (1 << 32)
    users, device = _numbered("u", user), _numbered("d", user * 7919 % (1 << 40))
    dotted = [pa.array(place >> shift & 255).cast(pa.string()) for shift in (24, 16, 8, 0)]
    address = pc.binary_join_element_wise(*dotted, ".")
    action = _picked(rng, _ACTIONS, rows)
    url = pc.binary_join_element_wise("/item/", pa.array(rng.integers(0, 80_000, rows)).cast(pa.string()), "")
    times = pa.array(moments[order], pa.timestamp("us", tz="UTC"))
    bought = pa.array(rng.random(rows) > 0.1)
    orders = pc.if_else(bought, pa.scalar(None, pa.string()), _numbered("o", (first + number) * 7919))
    raw = pc.binary_join_element_wise(users, address, device, action, url, " ").cast(pa.binary())
    given: dict[str, Any] = {
        "log_source": pa.array(["bench"]).dictionary_encode().take(pa.array(np.zeros(rows, np.int32))),
        "log_partition": pa.array(["bench#1"]).dictionary_encode().take(pa.array(np.zeros(rows, np.int32))),
        "log_offset": pa.array((first + number) * _LINE),
        "log_length": pa.array(np.full(rows, _LINE, np.int32)),
        "event_ingested": times,
        "event_time": times,
        "event_action": action,
        "user_id": users,
        "source_ip": address,
        "source_port": pa.array(rng.integers(1024, 65536, rows).astype(np.int32)),
        "device_id": device,
        "order_id": orders,
        "url_original": url,
        "user_agent_original": _picked(rng, _AGENTS, rows),
        "http_response_status_code": pa.array(rng.choice(np.array([200, 200, 304, 404], np.int32), rows)),
        "raw": raw,
    }
    columns = [given.get(field.name, pa.nulls(rows, field.type)) for field in RECORD_SCHEMA]
    return pa.Table.from_arrays(columns, schema=RECORD_SCHEMA)


def _numbered(letter: str, numbers: Any) -> pa.Array:
    text = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 12, "0")
    return pc.binary_join_element_wise(letter, text, "")


def _picked(rng: np.random.Generator, words: tuple[str, ...], rows: int) -> pa.Array:
    return pa.array(words).take(pa.array(rng.integers(0, len(words), rows)))


def ask(where: Path) -> dict[str, Any]:
    """All questions, in this process."""
    body = json.loads((where / "done.json").read_text())
    records = body["records"]
    threads = len(os.sched_getaffinity(0))
    with Store.open(where / "store", StoreSettings(), body["secret"]) as store:
        found = {}
        asked = [
            (name, [_LOOK_UP.format(column=column, value=value, year=_OF_YEAR) for value in values])
            for name, column, values in _asked(accounts_of(records) // 4, _orders(where))
        ]
        first, _ = _clock(partial(_query, store, asked[0][1][0], threads))
        for name, texts in asked:
            found[name] = _timed([partial(_query, store, sql, threads) for sql in texts[1:]])
        peak_of_look_ups = _peak()
        sealed, plain = [], []
        view = f"read_parquet('{where / 'plain'}/*.parquet')"
        for turn in range(3):
            ours = _clock(lambda: _query(store, _BY_DAY.format(view="user_logs", year=_OF_YEAR), threads))
            peak = _peak()
            bare = _clock(lambda: _bare(_BY_DAY.format(view=view, year=_OF_YEAR), threads))
            if ours[1].data != bare[1]:
                raise RuntimeError("the counts by day differ from those of the plain files")
            if turn:
                sealed.append(ours[0])
                plain.append(bare[0])
    return {
        "records": records,
        "days": DAYS,
        "accounts": accounts_of(records),
        "segments": len(list((where / "plain").iterdir())),
        "bytes_stored": body["bytes_stored"],
        "sealing_seconds": round(body["seconds"]),
        "threads": threads,
        "first_account_seconds": round(first, 3),
        **{f"{name}_seconds": round(seconds, 3) for name, (seconds, _) in found.items()},
        **{f"{name}_rows": answer.rows for name, (_, answer) in found.items()},
        **{f"{name}_segments": answer.segments_read for name, (_, answer) in found.items()},
        **{f"{name}_blocks": answer.blocks_read for name, (_, answer) in found.items()},
        "days_seconds": round(statistics.median(sealed), 3),
        "days_plain_seconds": round(statistics.median(plain), 3),
        "days_ratio": round(statistics.median(s / p for s, p in zip(sealed, plain, strict=True)), 3),
        "look_ups_peak_megabytes": round(peak_of_look_ups),
        "peak_megabytes": round(peak),
    }


def _asked(middle: int, orders: list[str]) -> list[tuple[str, str, list[str]]]:
    """Questions, each with a value a round: what one round decrypted helps the next no more than it would a user.

    ``middle``: with the square of an even draw, an account of average activity; so are its neighbours.
    """
    accounts = [middle + 7 * number for number in range(ROUNDS + 1)]
    addresses = [account * 3 * 2654435761 % (1 << 32) for account in accounts]
    return [
        ("account", "user_id", [f"u{account:012d}" for account in accounts]),
        ("busiest", "user_id", [f"u{number:012d}" for number in range(ROUNDS + 1)]),
        ("address", "source_ip", [".".join(str(at >> shift & 255) for shift in (24, 16, 8, 0)) for at in addresses]),
        ("device", "device_id", [f"d{account * 7919 % (1 << 40):012d}" for account in accounts]),
        ("order", "order_id", orders),
        ("nobody", "user_id", [f"nobody{number}" for number in range(ROUNDS + 1)]),
    ]


def _orders(where: Path) -> list[str]:
    """Orders of a segment in the middle."""
    files = sorted((where / "plain").iterdir())
    column = pq.read_table(files[len(files) // 2], columns=["order_id"]).column(0)
    return [str(order) for order in column.drop_null()[: ROUNDS + 1]]


def _query(store: Store, sql: str, threads: int) -> Answer:
    return run_query(
        store,
        sql,
        purpose="benchmark",
        actor="os:bench",
        render=renderer("json", "Asia/Shanghai"),
        limits=Limits(threads=threads),
    )


def _bare(sql: str, threads: int) -> bytes:
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": str(threads)})
    connection.execute("SET TimeZone = 'Asia/Shanghai'").complete()
    table = connection.sql(sql).to_arrow_table()
    connection.close()
    return renderer("json", "Asia/Shanghai")(table).data


def _timed(actions: list[Callable[[], Answer]]) -> tuple[float, Answer]:
    """Median seconds, and the last answer."""
    rounds = [_clock(action) for action in actions]
    return statistics.median(seconds for seconds, _ in rounds), rounds[-1][1]


def _clock(action: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    answer = action()
    return time.perf_counter() - begin, answer


def _peak() -> float:
    """Megabytes that this process has held at most."""
    return peak_bytes() / 1e6


if __name__ == "__main__":
    print(json.dumps(ask(Path(sys.argv[1]))))
