"""Decoding against its bare native stage: reading the same bytes with pyarrow.json.

Prints, for one run on one thread, records a second of ``pyarrow.json`` with every field's type declared and of the
whole decode stage (framing, typed columns, times, ``raw``, ``extra``, flags), for clean lines and with 1 % of bad ones,
and for the other formats. The ratios are what counts; absolute figures belong to the machine.
"""

from __future__ import annotations

import io
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.json as pj

from pipelines.batches import Place, RawBatch
from pipelines.decode import decoder
from pipelines.sources.spec import SourceSpec

RECORDS = 40_000
ROUNDS = 5
INGESTED = datetime(2026, 1, 1, tzinfo=UTC)
_START = datetime(2025, 6, 1, tzinfo=UTC)
_COMMENTS = (
    "质量很好,物流也快,下次还来",
    "衣服尺码偏小,客服态度不错",
    "和图片一样,老板很实在",
    "包装破了一角,里面没事",
)


def sample(count: int, seed: int = 1) -> bytes:
    """Orders, access lines and comments of about 350 bytes as ndjson."""
    rng = random.Random(seed)
    return b"".join(_line(rng, i) for i in range(count))


def _line(rng: random.Random, number: int) -> bytes:
    when = (_START + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
    user = f"u{rng.randrange(50_000):06d}"
    ip = f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}"
    base: dict[str, object] = {
        "event_time": when,
        "event_id": f"{rng.getrandbits(64):016x}",
        "user_id": user,
        "source_ip": ip,
    }
    kind = number % 3
    if kind == 0:
        quantity, price = rng.randrange(1, 9), rng.randrange(100, 99_999) / 100
        base |= {
            "event_action": "order_paid", "order_id": f"o{number:010d}", "item_id": f"i{rng.randrange(9_999):05d}",
            "counterparty_id": f"s{rng.randrange(999):04d}", "quantity": quantity, "unit_price": price,
            "amount": f"{quantity * price:.2f}", "currency": "CNY", "order_status": "paid", "source_port": 40_123,
            "session_id": f"{rng.getrandbits(48):012x}", "device_id": f"d{rng.randrange(99_999)}",
            "channel": "app", "coupon": rng.randrange(5), "warehouse": "杭州一仓",
        }  # fmt: skip
    elif kind == 1:
        base |= {
            "event_action": "view", "url_original": f"/item/{rng.randrange(9_999)}?from=search&page=2",
            "http_request_method": "GET", "http_response_status_code": 200, "http_version": "1.1",
            "http_response_body_bytes": rng.randrange(99_999), "session_id": f"{rng.getrandbits(48):012x}",
            "user_agent_original": "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile",
        }  # fmt: skip
    else:
        base |= {
            "event_action": "comment", "content_id": f"c{number:010d}", "content_type": "review",
            "text": "。".join(rng.choices(_COMMENTS, k=3)), "item_id": f"i{rng.randrange(9_999):05d}",
            "device_model_name": "Xiaomi 14", "stars": rng.randrange(1, 6),
        }  # fmt: skip
    return json.dumps(base, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _spoiled(data: bytes, seed: int = 2) -> bytes:
    rng = random.Random(seed)
    return b"".join(
        line[: len(line) // 2] + b"\n" if rng.random() < 0.01 else line for line in data.splitlines(keepends=True)
    )


def _access(count: int) -> bytes:
    line = '10.0.{}.{} - - [17/May/2025:10:05:{:02d} +0800] "GET /p/{} HTTP/1.1" 200 {} "https://e.cn/" "Mozilla/5.0"\n'
    return "".join(line.format(i % 256, i % 199, i % 60, i, i * 7) for i in range(count)).encode()


def _orders_csv(count: int) -> bytes:
    line = '{},85123A,"WHITE HANGING HEART, T-LIGHT",6,2010-12-01 08:26:00,2.55,17850,China\n'
    return (b"order_id,item_id,text,quantity,event_time,unit_price,user_id,Country\n") + "".join(
        line.format(i) for i in range(count)
    ).encode()


def _syslog(count: int) -> bytes:
    line = "<34>Oct 11 22:14:{:02d} host{} sshd[{}]: Failed password for root from 10.0.0.{} port 4022 ssh2\n"
    return "".join(line.format(i % 60, i % 9, i, i % 250) for i in range(count)).encode()


def best_seconds(action: Callable[[], object]) -> float:
    """The fastest of the rounds, after one that compiles and warms."""
    action()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def _decode(form: str, data: bytes) -> Callable[[], object]:
    spec = SourceSpec.model_validate(
        {"name": f"bench.{form}", "record_class": "user_log", "format": form, "paths": ("bench",)}
    )
    batch = RawBatch(Place(spec.name, "bench", 0, len(data)), data, first=True, last=True)
    made = decoder(spec)
    return lambda: made.decode(batch, INGESTED)


def measure(records: int = RECORDS) -> dict[str, float]:
    """Records a second of each stage; ``ratio`` is the time of decoding by that of pyarrow.json."""
    pa.set_cpu_count(1)
    clean = sample(records)
    table = pj.read_json(io.BytesIO(clean))
    options = pj.ParseOptions(explicit_schema=table.schema)
    read = pj.ReadOptions(use_threads=False, block_size=1 << 25)
    bare = best_seconds(lambda: pj.read_json(io.BytesIO(clean), read_options=read, parse_options=options))
    seconds = {
        "ndjson": best_seconds(_decode("ndjson", clean)),
        "ndjson, 1 % bad": best_seconds(_decode("ndjson", _spoiled(clean))),
        "csv": best_seconds(_decode("csv", _orders_csv(records))),
        "combined": best_seconds(_decode("combined", _access(records))),
        "syslog": best_seconds(_decode("syslog", _syslog(records))),
    }
    rates = {"pyarrow.json": records / bare} | {name: records / spent for name, spent in seconds.items()}
    return rates | {"ratio": seconds["ndjson"] / bare, "bytes": len(clean) / records}


def main() -> None:
    """Print the comparison."""
    found = measure()
    ratio, size = found.pop("ratio"), found.pop("bytes")
    print(f"{RECORDS:,} records, ndjson of {size:.0f} bytes each, one thread")
    for name, rate in found.items():
        print(f"{name:>16}  {rate:>11,.0f} records/s")
    print(f"decoding ndjson takes {ratio:.2f} x the time of pyarrow.json alone (target: at most 1.6)")


if __name__ == "__main__":
    main()
