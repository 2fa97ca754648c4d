"""Timed work: every step when it is due, none stopping the next, one worker at a time; an end leaves no lease."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from errors import BusyError, LiucunError, StorageError, UnreachableError
from liucun.cli import main_group
from liucun.commands import worker
from liucun.store import OpenStore, open_store
from liucun.timed_work import Schedule, Step, steps
from retention.catalogue.engine import Catalogue
from retention.catalogue.failures import ConflictError
from retention.catalogue.lease import DURATION, Lease
from retention.catalogue.migrate import migrate

SECRET = "a passphrase of tests"
NAMES = ["clocks", "outbox", "log", "retention", "compact", "review", "texts"]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with some segments that are worth merging."""
    monkeypatch.setenv("LIUCUN_PASSPHRASE", SECRET)
    where = tmp_path / "store"
    runner = CliRunner()
    assert runner.invoke(main_group, ["init", "--store", str(where)]).exit_code == 0
    for n in range(3):
        (tmp_path / f"in{n}.csv").write_text(f"event_time,user_id\n2026-03-0{n + 1}T08:00:00Z,u{n}\n")
    source = f"user_log:csv:{tmp_path}/in*.csv"
    assert runner.invoke(main_group, ["run", "--store", str(where), "--source", source]).exit_code == 0
    return where


def test_once_does_every_step(store: Path) -> None:
    done = CliRunner().invoke(main_group, ["worker", "--once", "--json", "--store", str(store)])
    assert done.exit_code == 0, done.output
    said = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
    assert [line["step"] for line in said] == NAMES
    assert [line["error"] for line in said] == [None] * len(NAMES)
    assert said[3]["figures"]["followed"] == 3
    assert said[4]["figures"]["merged"] == 3
    audit = CliRunner().invoke(main_group, ["audit", "all", "--json", "--store", str(store)])
    assert json.loads(audit.output)["ok"], audit.output


def test_a_step_that_went_on_past_failures_names_them_and_what_it_did(store: Path) -> None:
    with open_store(store, ()) as opened:
        went = Step("retention", 1.0, lambda _: {"certified": ["P1"], "failed": {"P2": "The disk is gone."}})
        (outcome,) = Schedule(opened, [went]).run_due()
    assert outcome.error == "P2: The disk is gone."
    assert outcome.figures["certified"] == ["P1"]


def test_a_step_that_fails_stops_no_other_and_is_tried_again(store: Path) -> None:
    now, ran = [0.0], []

    def fails(_: OpenStore) -> dict[str, object]:
        ran.append("fails")
        raise StorageError("The disk is full.", cure="Make room.")

    def works(_: OpenStore) -> dict[str, object]:
        ran.append("works")
        return {}

    with open_store(store, ()) as opened:
        schedule = Schedule(opened, [Step("fails", 3600, fails), Step("works", 10, works)], clock=lambda: now[0])
        first = list(schedule.run_due())
        assert [(o.step, o.error) for o in first] == [("fails", "The disk is full. Make room."), ("works", None)]
        assert schedule.pause() == 10
        assert list(schedule.run_due()) == []
        now[0] = 10
        assert [o.step for o in schedule.run_due()] == ["works"]
        now[0] = 301
        assert [o.step for o in schedule.run_due()] == ["fails", "works"]
    assert ran == ["fails", "works", "works", "fails", "works"]


def test_every_step_has_its_interval() -> None:
    assert [step.name for step in steps()] == NAMES
    assert all(step.every >= 5 for step in steps())


def test_one_holder_at_a_time_and_a_dead_one_is_followed(catalogue_url: str) -> None:
    catalogue = Catalogue.open(catalogue_url)
    migrate(catalogue)
    now = datetime(2026, 5, 1, tzinfo=UTC)
    one, other = Lease(catalogue, "worker"), Lease(catalogue, "worker")
    one.take(now=now)
    with pytest.raises(BusyError, match=r"held by .* until"):
        other.take(now=now + timedelta(seconds=60))
    one.take(now=now + timedelta(seconds=60))
    with pytest.raises(BusyError):
        other.take(now=now + DURATION)
    other.take(now=now + DURATION * 2)  # the first said nothing for too long
    with pytest.raises(BusyError):
        one.take(now=now + DURATION * 2)
    one.give_back()  # not his any more: changes nothing
    with pytest.raises(BusyError):
        one.take(now=now + DURATION * 2)
    other.give_back()
    one.take(now=now + DURATION * 2)
    catalogue.close()


def test_a_lease_that_cannot_be_renewed_now_ends_no_worker(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer in the way, the database away: it waits, says so once, and goes on."""
    answers: list[type[LiucunError] | None] = [None, ConflictError, UnreachableError, UnreachableError, None]
    take = Lease.take
    tried: list[type[LiucunError] | None] = []

    def now_and_then(lease: Lease) -> None:
        if lease.name == "worker":
            tried.append(answers[len(tried)] if len(tried) < len(answers) else None)
            if tried[-1] is not None:
                raise tried[-1]("Not now.", cure="Try again.")
            if len(tried) == len(answers) + 2:
                os.kill(os.getpid(), signal.SIGTERM)
        take(lease)

    monkeypatch.setattr(Lease, "take", now_and_then)
    monkeypatch.setattr(worker, "_PATIENCE", 0.01)
    done = CliRunner().invoke(main_group, ["worker", "--max-seconds", "120", "--json", "--store", str(store)])
    assert done.exit_code == 0, done.output
    said = [json.loads(line)["step"] for line in done.output.splitlines() if line.startswith("{")]
    assert said.count(NAMES[0]) == 1
    assert NAMES[1] in said, "the steps after the lost renewal are done when the lease is back"
    assert done.output.count("Waiting") == 2


def test_a_second_worker_is_told_and_a_stopped_one_leaves_no_lease(store: Path) -> None:
    command = [sys.executable, "-m", "liucun", "worker", "--json", "--store", str(store)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ, text=True)
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["step"] == "clocks"
        second = subprocess.run([*command, "--once"], capture_output=True, text=True, check=False, env=os.environ)
        assert second.returncode == 7, second.stderr
        assert "lease" in second.stderr
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(60) == 0
        assert time.monotonic() - began < 60
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
    again = subprocess.run([*command, "--once"], capture_output=True, text=True, check=False, env=os.environ)
    assert again.returncode == 0, again.stderr
