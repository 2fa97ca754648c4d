"""A message that kills the worker's process, on the real Flink: it is archived as it came, all others as ever.

The fault is planted in a copy of the program, which the workers run. Two lanes: the death of one lane's worker ends the
other's with the job, again and again, and nothing of the other is held against its messages.
"""

from __future__ import annotations

import json
import threading
from contextlib import closing
from pathlib import Path

import pytest

from retention.catalogue import attempts, progress
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.catalogue.retrying import retried
from tests.services.flink_trial import Cluster, Trial, copied_program, create_topic, produce, record, worker_pool
from tests.services.test_poison import DECODE, bytes_of

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]
PARTITIONS, COUNT, DEADLY = 2, 600, 401


def deadly_program(folder: Path) -> Path:
    """The program whose decoding ends the process, as a fault in native code does, on one message."""
    decode = copied_program(folder) / "pipelines" / "stages" / "decode.py"
    text = decode.read_text(encoding="utf-8")
    assert DECODE in text
    fault = '    if b"deadly" in raw.data:\n        __import__("os")._exit(139)\n'
    decode.write_text(text.replace(DECODE, fault + DECODE), encoding="utf-8")
    return folder


def with_a_deadly_one(number: int) -> bytes:
    fields = json.loads(record(number))
    if number == DEADLY:
        fields["note"] = "deadly"
    return json.dumps(fields, ensure_ascii=False).encode()


def test_a_message_that_kills_its_worker_is_kept_and_holds_up_nothing(tmp_path: Path) -> None:
    cluster = Cluster.running()
    topic = create_topic(cluster.kafka, PARTITIONS)
    with Trial(cluster, tmp_path / "store", topic) as trial:
        trial.create()
        trial.code = deadly_program(tmp_path / "faulty")
        produce(cluster.kafka, topic, range(COUNT), partitions=PARTITIONS, make=with_a_deadly_one)
        with worker_pool(trial):
            trial.start()
            summary = trial.finish(1000)
        assert summary["records_in"] == COUNT
        assert summary["records"] == {"content": COUNT - 1, "unparsed": 1}
        (kept,) = trial.ask("SELECT error_code, raw FROM unparsed")
        assert kept["error_code"] == "program_fault"
        assert bytes_of(kept["raw"]) == with_a_deadly_one(DEADLY)
        (rest,) = trial.ask("SELECT count(DISTINCT content_id) AS n, count(DISTINCT log_offset) AS o FROM content")
        assert rest == {"n": COUNT - 1, "o": COUNT // PARTITIONS}
        (opened,) = trial.ask("SELECT count(*) AS n FROM tickets")
        assert opened == {"n": COUNT // 100}
        for audit in ("coverage", "integrity"):
            assert trial.call("audit", audit)["ok"]
    assert any("is archived unread: 3 workers died over it, one by one" in line for line in trial.log), trial.log
    log = (tmp_path / "workers.log").read_text(encoding="utf-8")
    assert log.count("is archived unread") == 1
    assert "deadly" not in log, "a log never quotes a message"


def test_marks_on_postgres_count_every_reader_and_go_with_the_commit(postgres_url: str) -> None:
    """Readers that begin at once, a commit that meets them, and one that takes its mark back."""
    with closing(Catalogue.open(postgres_url)) as catalogue:
        migrate(catalogue)
        with catalogue.write() as connection:
            for partition in ("t/0#1", "t/1#1"):
                progress.add_partition(connection, source="k", partition=partition, path=partition, generation=1)

        def begin(partition: str, start: int, *, narrowed: bool = False, records: int = 9) -> None:
            with catalogue.write(row_locks=True) as connection:
                attempts.begin(connection, "k", partition, start, start + 9, records=records, narrowed=narrowed)

        def at_once(count: int) -> None:
            threads = [
                threading.Thread(target=retried, args=(catalogue, lambda: begin("t/0#1", 0))) for _ in range(count)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        def tries(partition: str = "t/0#1") -> int | None:
            with catalogue.read() as connection:
                mark = attempts.attempt(connection, "k", partition)
            return None if mark is None else mark.tries

        at_once(5)
        assert tries() == 5
        with catalogue.write(row_locks=True) as connection:
            attempts.take_back(connection, "k", "t/0#1", 0, narrowed=False)
        assert tries() == 4
        begin("t/1#1", 0, narrowed=True, records=1)
        with catalogue.read() as connection:
            assert attempts.others_at_work(connection, "k", "t/1#1")
            assert attempts.others_at_work(connection, "k", "t/0#1") is False, "one that is alone waits for this"
            assert connection.execute(attempts.suspect()).scalar_one() == 2

        def commit() -> None:
            with catalogue.write() as connection:
                attempts.passed(connection, "k", "t/0#1", 9, suspect=None)

        committing = threading.Thread(target=retried, args=(catalogue, commit))
        committing.start()
        at_once(3)
        committing.join()
        retried(catalogue, commit)
        assert tries() is None
        with catalogue.read() as connection:
            assert not attempts.others_at_work(connection, "k", "t/1#1")
