"""A message on which the program itself fails, on the real Flink: it is archived as it came, all others as ever.

The fault is planted in a copy of the program, which the workers run.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.services.flink_trial import Cluster, Trial, copied_program, create_topic, produce, record, worker_pool

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]
PARTITIONS, POISON = 2, (1017, 1018, 4404)
DECODE = "    return decoder(specs[raw.place.source]).decode(raw, datetime.now(UTC))\n"
DETECT = "    for field, texts in sorted(decoded.published.items()):\n"

EXTRA = 'str(decoded.records.column("extra").to_pylist())'


def with_faults(folder: Path) -> Path:
    """The program with a fault in each stage, met on messages of their own."""
    stages = copied_program(folder) / "pipelines" / "stages"
    for file, line, fault in (
        ("decode.py", DECODE, '    if b"poison-decode" in raw.data:\n        raise ZeroDivisionError\n'),
        ("detect.py", DETECT, f"    if 'poison-detect' in {EXTRA}:\n        raise ZeroDivisionError\n"),
    ):
        text = (stages / file).read_text(encoding="utf-8")
        assert line in text
        (stages / file).write_text(text.replace(line, fault + line), encoding="utf-8")
    return folder


def poisoned(number: int) -> bytes:
    fields = json.loads(record(number))
    if number in POISON:
        fields["note"] = "poison-detect" if number == POISON[-1] else "poison-decode"
    return json.dumps(fields, ensure_ascii=False).encode()


def test_a_poisoned_message_is_kept_and_holds_up_nothing(tmp_path: Path) -> None:
    cluster = Cluster.running()
    topic = create_topic(cluster.kafka, PARTITIONS)
    numbers = range(6000)
    with Trial(cluster, tmp_path / "store", topic) as trial:
        trial.create()
        trial.code = with_faults(tmp_path / "faulty")
        produce(cluster.kafka, topic, numbers, partitions=PARTITIONS, make=poisoned)
        with worker_pool(trial):
            trial.start()
            summary = trial.finish(600)
        assert summary["records_in"] == len(numbers)
        assert summary["records"] == {"content": len(numbers) - len(POISON), "unparsed": len(POISON)}
        kept = trial.ask("SELECT error_code, raw FROM unparsed ORDER BY log_partition, log_offset")
        assert {row["error_code"] for row in kept} == {"program_fault"}
        assert sorted(bytes_of(row["raw"]) for row in kept) == sorted(poisoned(number) for number in POISON)
        (rest,) = trial.ask("SELECT count(DISTINCT content_id) AS n FROM content")
        assert rest == {"n": len(numbers) - len(POISON)}
        (opened,) = trial.ask("SELECT count(*) AS n FROM tickets")
        assert opened == {"n": len(numbers) // 100}
        for audit in ("coverage", "integrity"):
            assert trial.call("audit", audit)["ok"]
    log = (tmp_path / "workers.log").read_text(encoding="utf-8")
    assert "is archived unread: ZeroDivisionError" in log
    assert "poison-decode" not in log, "a log never quotes a message"


def bytes_of(shown: str) -> bytes:
    """Bytes as a query's JSON shows them."""
    return base64.b64decode(shown)
