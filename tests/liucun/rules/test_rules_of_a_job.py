"""Rules of a real job: shadow ones are counted; a damaged pack leaves the last good one in force, with an alarm."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from detectors.errors import PackError
from detectors.model.versions import POINTER
from liucun.doctor import examine
from liucun.rule_layers import MODELS, layers_at
from liucun.store import OpenStore, open_store
from pipelines.job import Job, JobOptions
from pipelines.rules_in_force import (
    LOADED,
    REFUSED,
    SHADOW,
    JobRules,
    let_go,
    rules_alarm,
    rules_in_force,
    shadow_totals,
)
from pipelines.sources.spec import parse_spec
from tests.liucun.rules.rule_store import line, liucun, own, recorded, run


def test_shadow_rules_are_counted_once_and_open_nothing(store: Path, tmp_path: Path) -> None:
    logs = tmp_path / "log.ndjson"
    logs.write_text("".join(line(n, "窗台花盆三号" if n % 2 else "很好") + "\n" for n in range(10)), encoding="utf-8")
    own(store, "own.s,fraud,窗台花盆三号,窗台花盆三号,shadow", "own.d,fraud,很好,很好,draft")
    first, again = run(store, logs), run(store, logs)
    assert first.summary.as_json()["shadow_findings"] == {"own.s": 5}
    assert (first.summary.tickets_opened, first.summary.findings.total()) == (0, 0)
    assert again.summary.as_json()["shadow_findings"] == {}
    with open_store(store, ()) as opened:
        assert shadow_totals(opened.catalogue) == {"own.s": 5}
        assert any("own.s 5" in one.what for one in examine(store))
        assert len(recorded(opened, SHADOW)) == 1
        assert len(recorded(opened, LOADED)) == 1, "the same rules are recorded once"


@contextmanager
def following(store: Path, logs: Path) -> Iterator[OpenStore]:
    """A job that follows a file in a thread of this process until the block ends."""
    with open_store(store, ()) as opened:
        job = Job(
            opened.store,
            [parse_spec(f"content:ndjson:{logs}", published=True)],
            JobOptions(follow=True, rules=JobRules.load(layers_at(store), opened.catalogue)),
        )
        failed: list[BaseException] = []

        def work() -> None:
            try:
                job.run()
            except BaseException as error:  # noqa: BLE001 - told by the test
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield opened
        finally:
            job.stop()
            thread.join(60)
        assert not failed, failed


def eventually(said: Callable[[], bool], act: Callable[[], None] = lambda: None) -> None:
    deadline = time.monotonic() + 60
    while not said():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        act()
        time.sleep(0.3)


def test_a_running_job_keeps_the_last_good_pack_and_raises_an_alarm(store: Path, tmp_path: Path) -> None:
    logs = tmp_path / "log.ndjson"
    logs.write_text(line(0, "很好") + "\n", encoding="utf-8")
    own(store, "own.a,fraud,暗号甲乙丙,暗号甲乙丙,live")
    written = iter(range(1, 1000))

    def publish(text: str = "很好") -> None:
        with logs.open("a", encoding="utf-8") as file:
            file.write(line(next(written), text) + "\n")

    def tickets(opened: OpenStore) -> int:
        return len(recorded(opened, "ticket.opened"))

    with following(store, logs) as opened:
        eventually(lambda: len(recorded(opened, LOADED)) == 1, publish)
        own(store, "own.a,fraud,暗号甲乙丙,暗号甲乙丙,live", "own.b,frauds,口令丁戊己,口令丁戊己,live")
        eventually(lambda: rules_alarm(opened.catalogue) is not None, publish)
        alarm = rules_alarm(opened.catalogue)
        assert alarm is not None
        assert (alarm.file, alarm.line) == ("rules/own.csv", 3)
        publish("暗号甲乙丙")
        publish("口令丁戊己")
        eventually(lambda: tickets(opened) == 1)
        own(store, "own.a,fraud,暗号甲乙丙,暗号甲乙丙,live", "own.b,fraud,口令丁戊己,口令丁戊己,live")
        eventually(lambda: rules_alarm(opened.catalogue) is None, publish)
        publish("口令丁戊己")
        eventually(lambda: tickets(opened) == 2)
        assert len(recorded(opened, REFUSED)) == 1


def test_a_worker_that_cannot_see_the_packs_goes_on_with_those_the_job_began_with(store: Path) -> None:
    own(store, "own.a,fraud,暗号甲乙丙,暗号甲乙丙,live")
    with open_store(store, ()) as opened:
        rules = pickle.loads(pickle.dumps(JobRules.load(layers_at(store), opened.catalogue)))
        (store / "rules").rename(store / "elsewhere")
        _, keywords = rules_in_force(rules).detectors(opened.catalogue)
        let_go(rules)
        alarm = rules_alarm(opened.catalogue)
    assert "own.a" in {rule.id for rule in keywords.packs.rules}
    assert alarm is not None
    assert alarm.in_force == keywords.version


def test_the_alarm_stands_in_the_run_report_and_in_doctor(store: Path, tmp_path: Path) -> None:
    logs = tmp_path / "log.ndjson"
    logs.write_text(line(0, "很好") + "\n", encoding="utf-8")
    own(store, "own.a,fraud,暗号甲乙丙,暗号甲乙丙,live")
    with following(store, logs) as opened:
        eventually(lambda: len(recorded(opened, LOADED)) == 1)
        own(store, "own.a,frauds,暗号甲乙丙,暗号甲乙丙,live")
        number = iter(range(1, 1000))

        def publish() -> None:
            with logs.open("a", encoding="utf-8") as file:
                file.write(line(next(number), "很好") + "\n")

        eventually(lambda: rules_alarm(opened.catalogue) is not None, publish)
    told = [one for one in examine(store) if one.check.startswith("rules")]
    assert {one.level for one in told} == {"failed", "warning"}
    assert any("rules/own.csv:2" in one.what and one.exit_code == 3 for one in told)
    assert any("stays in force" in one.what for one in told)
    with pytest.raises(PackError):
        JobRules.load(layers_at(store))
    said = liucun("run", "--source", f"content:ndjson:{logs}", "--published", store=store, code=3)
    assert "rules/own.csv:2" in said
    own(store, "own.a,fraud,暗号甲乙丙,暗号甲乙丙,live")
    liucun("run", "--source", f"content:ndjson:{logs}", "--published", "--json", store=store)
    assert [one.level for one in examine(store) if one.check.startswith("rules")] == ["ok"]


def test_a_job_does_not_begin_with_a_damaged_model(store: Path, tmp_path: Path) -> None:
    (store / MODELS).mkdir()
    (store / MODELS / POINTER).write_text("../elsewhere", encoding="utf-8")
    logs = tmp_path / "log.ndjson"
    logs.write_text(line(0, "很好") + "\n", encoding="utf-8")
    assert "names no model" in liucun("run", "--source", f"content:ndjson:{logs}", "--published", store=store, code=3)
