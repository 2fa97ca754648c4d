"""What operators watch: every metric documented, shown by the command that owns it, and no personal data in logs."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from errors import LiucunError, StorageError, UnreachableError, UsageError
from liucun.commands import run
from liucun.watching import meters as measuring
from liucun.watching.catalogue import METRICS
from liucun.watching.meters import Meters
from liucun.watching.run import RunMeters, Said
from liucun.watching.server import shown
from liucun.watching.store import days_left
from pipelines.logs import JsonLines, error_fields
from pipelines.summary import RunSummary
from tickets.calendar.reading import shipped_calendar

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "docs" / name for name in ("operations.md", "operations.zh-CN.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_metric_is_documented(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown_there = set(re.findall(r"`(liucun_\w+)`", text))
    assert {metric.shown for metric in METRICS} == shown_there, "missing, or documented and gone"


def test_rules_and_dashboard_name_only_metrics_that_there_are() -> None:
    known = {metric.shown for metric in METRICS}
    known |= {f"{m.name}_{end}" for m in METRICS if m.kind == "histogram" for end in ("bucket", "sum", "count")}
    files = [*(ROOT / "deploy" / "monitoring").rglob("*.yml"), *(ROOT / "deploy" / "monitoring").rglob("*.json")]
    named = {name for file in files for name in re.findall(r"\bliucun_\w+", file.read_text(encoding="utf-8"))}
    assert named, "there are no rules"
    assert named - known == set()


@pytest.mark.parametrize(
    ("due", "left"),
    [
        (None, "none"),
        ("2026-11-24", "overdue"),
        ("2026-11-25", "0"),
        ("2026-11-26", "1"),
        ("2026-11-28", "3"),  # a Saturday: over by the Monday at the latest
        ("2026-12-09", "10"),
        ("2026-12-10", "more"),
    ],
)
def test_working_days_left(due: str | None, left: str) -> None:
    assert days_left(due, date(2026, 11, 25), shipped_calendar()) == left


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_the_server_for_monitors(tmp_path: Path) -> None:
    meters = Meters("worker", tmp_path)
    meters.add("liucun_step_failures", 2, "clocks")
    broken: list[LiucunError] = []

    def ready() -> None:
        if broken:
            raise broken[0]

    address = f"127.0.0.1:{free_port()}"
    with shown(address, meters, ready), httpx.Client(base_url=f"http://{address}") as client:
        assert 'liucun_step_failures_total{step="clocks"} 2.0' in client.get("/metrics").text
        assert "liucun_disk_free_bytes" in client.get("/metrics").text
        assert client.get("/health").text == "ok\n"
        assert client.get("/ready").status_code == 200
        broken.append(StorageError("The disk is full.", cure="-"))
        assert client.get("/ready").status_code == 503
        assert client.get("/").status_code == 404
        assert client.post("/metrics").status_code == 501
        with pytest.raises(UnreachableError), shown(address, meters, ready):
            pass
    for wrong in ("9464", "host:", "h:99999", ":1"):
        with pytest.raises(UsageError), shown(wrong, meters, ready):
            pass
    meters.close()


def test_a_clock_that_jumps_is_said_and_counted(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(measuring, "CLOCK_SECONDS", 0.01)
    meters = Meters("worker", tmp_path)
    real = time.time
    time_now = {"moved": 0.0}
    monkeypatch.setattr(measuring.time, "time", lambda: real() + time_now["moved"])
    with caplog.at_level(logging.ERROR, logger="liucun.watching"):
        for jump in (-3600.0, 0.0):
            time_now["moved"] = jump
            until = real() + 5
            count = len(caplog.records)
            while len(caplog.records) == count and real() < until:
                time.sleep(0.01)
    assert [("-3600" in r.getMessage(), "+3600" in r.getMessage()) for r in caplog.records] == [
        (True, False),
        (False, True),
    ]
    assert meters.registry.get_sample_value("liucun_clock_jumps_total") == 2
    meters.close()


def test_a_source_that_can_be_read_again_is_no_problem_any_more(tmp_path: Path) -> None:
    meters = RunMeters(tmp_path)
    broken = {"shop": 2}
    meters.problems = lambda: dict(broken)
    meters.round(RunSummary(), 0)
    assert meters.registry.get_sample_value("liucun_source_problems", {"source": "shop"}) == 2
    broken.clear()
    meters.round(RunSummary(), 0)
    assert not meters.registry.get_sample_value("liucun_source_problems", {"source": "shop"})
    meters.close()


@pytest.mark.parametrize("told", [True, False])
def test_a_problem_is_said_once(caplog, *, told: bool) -> None:
    """A supervisor tells it as soon as it knows; of other runs it is said after the round."""
    job = SimpleNamespace(problems=["posts: there is no such topic (yet)"])
    said = Said(job, json=True, told=told)
    with caplog.at_level(logging.WARNING, logger="liucun.run"):
        said.round(RunSummary(), 0)
        said.round(RunSummary(), 0)
    assert len(caplog.records) == (0 if told else 1)


def test_what_a_supervisor_tells_is_json_where_that_is_wished(caplog, capsys, monkeypatch) -> None:
    monkeypatch.setenv("LIUCUN_LOG", "json")
    with caplog.at_level(logging.WARNING, logger="liucun.run"):
        run._tell_problem("the job restarted: 50 %s of it")
    assert [record.getMessage() for record in caplog.records] == ["the job restarted: 50 %s of it"]
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("LIUCUN_LOG", "text")
    run._tell_problem("the job restarted")
    assert capsys.readouterr().err == "liucun: the job restarted\n"


def test_logs_hold_no_words_of_foreign_errors() -> None:
    try:
        int("13812345678 is no number")
    except ValueError as error:
        record = logging.LogRecord(
            "liucun.run", logging.ERROR, __file__, 1, "a step failed", (), (ValueError, error, error.__traceback__)
        )
        foreign = logging.LogRecord("urllib3", logging.WARNING, __file__, 1, "retry of /13812345678", (), None)
        ours = error_fields(StorageError("The disk is full.", cure="Free some."))
    for one in (record, foreign):
        line = JsonLines("run").format(one)
        assert "13812345678" not in line
        assert json.loads(line)["log.logger"] == one.name
    assert json.loads(JsonLines("run").format(record))["error.type"] == "ValueError"
    assert ours["error.message"] == "The disk is full. Free some."


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store, its environment with JSON logs, and a log file that is half broken and full of people."""
    folder = tmp_path_factory.mktemp("watched")
    env = {**os.environ, "LIUCUN_PASSPHRASE": "a passphrase", "LIUCUN_LOG": "json", "PYTHONWARNINGS": "ignore"}
    root = folder / "store"
    subprocess.run([sys.executable, "-m", "liucun", "init", "--store", root], env=env, check=True, capture_output=True)
    lines = [json.dumps({"content_id": f"c{n}", "user_id": "13812345678", "text": "加微信领取彩金"}) for n in range(50)]
    (folder / "posts.ndjson").write_text("\n".join([*lines, "broken 13812345678"]) + "\n", encoding="utf-8")
    return folder, root, env


def start(store, *words: str):
    folder, root, env = store
    port = free_port()
    command = [sys.executable, "-m", "liucun", *words, "--metrics", f"127.0.0.1:{port}", "--store", str(root)]
    with (folder / f"{words[0]}.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=log)
    return process, httpx.Client(base_url=f"http://127.0.0.1:{port}"), folder / f"{words[0]}.log"


def wait_for(client: httpx.Client, words: str) -> str:
    until = time.monotonic() + 90
    text = ""
    while time.monotonic() < until:
        try:
            text = client.get("/metrics").text
            if words in text:
                return text
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{words!r} was not shown:\n{text}")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("run", "--follow", "--published", "--source"), 'liucun_records_total{record_class="content"} 50.0'),
        (("worker",), 'liucun_step_timestamp_seconds{step="log"}'),
        (("serve", "--port", "0"), "liucun_store_readable 1.0"),
    ],
)
def test_long_running_commands_show_their_metrics_and_log_no_person(store, words, wanted) -> None:
    folder = store[0]
    if words[0] == "run":
        words = (*words, f"content:ndjson:{folder}/*.ndjson")
    process, client, log = start(store, *words)
    try:
        text = wait_for(client, wanted)
        mine = {"run": {"run"}, "worker": {"worker", "store"}, "serve": {"store"}}[words[0]] | {"all"}
        optional = {
            "liucun_key_horizon_days",
            "liucun_oldest_unindexed_seconds",
            "liucun_outbox_messages",
            "liucun_commit_timestamp_seconds",
        }
        for metric in METRICS:
            if metric.where in mine and metric.name not in optional:
                assert f"# HELP {metric.shown} " in text, metric.name
        assert client.get("/ready").status_code == 200
        if words[0] == "run":
            assert 'liucun_unparsed_records_total{reason="' in text
            assert "liucun_batch_seconds_bucket" in text
            assert 'liucun_findings_total{category="' in text
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in {0, -signal.SIGTERM}
    finally:
        process.kill()
        process.wait()
        client.close()
    said = log.read_text(encoding="utf-8")
    assert "13812345678" not in said
    assert "彩金" not in said
    for line in said.splitlines():
        assert {"@timestamp", "log.level", "message"} <= set(json.loads(line)), line


def test_a_command_that_ends_in_an_error_says_so_in_json(store) -> None:
    _, root, env = store
    done = subprocess.run(
        [sys.executable, "-m", "liucun", "worker", "--metrics", "nowhere", "--store", root],
        env=env,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 2
    last = json.loads(done.stderr.decode().splitlines()[-1])
    assert last["error.type"] == "UsageError"
