"""Writes a benchmark's records to Kafka, in a process of its own: in one burst, or at a steady rate.

    python -m benchmarks.flink_records burst KAFKA TOPIC PARTITIONS RECORDS     "ready", waits for a line, releases all
    python -m benchmarks.flink_records steady KAFKA TOPIC PARTITIONS RATE SECONDS

A burst is one transaction: readers see nothing of it until it is committed, and then all of it, so that what is
measured is a job that is warm and has a backlog. In both, one record in ``ILLEGAL_EVERY`` breaks the law, each of
another account; in the steady stream its ``content_id`` is the moment at which it was handed to the client, in
nanoseconds since 1970.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from typing import Any, Final

from confluent_kafka import Producer

from benchmarks.traffic import lines

ILLEGAL_EVERY: Final = 500
_ILLEGAL: Final = "稳赚不赔的百家乐平台，加微信 abc12345 领彩金"
_FLUSH_SECONDS: Final = 120.0
_STEPS: Final = 50
"""Steps a second in which a steady stream is written."""


def producer(kafka: str, **config: Any) -> Producer:
    """A producer that loses and doubles nothing."""
    return Producer(
        {"bootstrap.servers": kafka, "enable.idempotence": True, "linger.ms": 20, "batch.size": 1 << 20, **config}
    )


def write(writer: Producer, topic: str, partition: int, value: str | bytes) -> None:
    """Write one record; waits where the client's queue is full."""
    while True:
        try:
            writer.produce(topic, value, partition=partition)
        except BufferError:
            writer.poll(0.05)
        else:
            return


def flush(writer: Producer) -> None:
    """Wait until the brokers have everything.

    Raises:
        RuntimeError: they did not take it.
    """
    if left := writer.flush(_FLUSH_SECONDS):
        raise RuntimeError(f"Kafka did not take {left} records within {_FLUSH_SECONDS:.0f} s")


def spread(kafka: str, topic: str, partitions: int, records: int) -> None:
    """Write records evenly over the partitions, visible at once."""
    writer = producer(kafka)
    for number, line in enumerate(lines(records)):
        write(writer, topic, number % partitions, line)
    flush(writer)


def burst(kafka: str, topic: str, partitions: int, records: int) -> None:
    """Write records in one transaction, say ``ready``, and commit it when a line comes in."""
    writer = producer(kafka, **{"transactional.id": f"bench-{secrets.token_hex(6)}", "transaction.timeout.ms": 600_000})
    writer.init_transactions(_FLUSH_SECONDS)
    writer.begin_transaction()
    for number, line in enumerate(lines(records, seed=2)):
        value = _illegal(f"burst-{number}") if number % ILLEGAL_EVERY == 0 else line
        write(writer, topic, _partition(number, partitions), value)
    flush(writer)
    print("ready", flush=True)
    sys.stdin.readline()
    writer.commit_transaction(_FLUSH_SECONDS)


def steady(kafka: str, topic: str, partitions: int, rate: float, seconds: float) -> None:
    """Write about ``rate`` records a second."""
    writer = producer(kafka)
    ordinary = list(lines(20_000, seed=3))
    began, written = time.monotonic(), 0
    while (now := time.monotonic() - began) < seconds:
        due = int(now * rate)
        for number in range(written, due):
            illegal = number % ILLEGAL_EVERY == 0
            value = _illegal(str(time.time_ns())) if illegal else ordinary[number % len(ordinary)]
            write(writer, topic, _partition(number, partitions), value)
        written = due
        writer.poll(0)
        time.sleep(max(0.0, 1 / _STEPS - (time.monotonic() - began - now)))
    flush(writer)
    print(json.dumps({"records": written, "illegal": -(-written // ILLEGAL_EVERY)}), flush=True)


def _partition(number: int, partitions: int) -> int:
    # Not number % partitions: those that break the law would always meet the same one.
    return (number + number // ILLEGAL_EVERY) % partitions


def _illegal(content_id: str) -> str:
    post = {"content_id": content_id, "user_id": f"u-{content_id}", "text": f"{_ILLEGAL} {content_id[-6:]}"}
    return json.dumps(post, ensure_ascii=False)


def main() -> None:
    """Run one of the two writers."""
    mode, kafka, topic, partitions, *rest = sys.argv[1:]
    if mode == "burst":
        burst(kafka, topic, int(partitions), int(rest[0]))
    else:
        steady(kafka, topic, int(partitions), float(rest[0]), float(rest[1]))


if __name__ == "__main__":
    main()
