"""``liucun rules`` from end to end: real packs, a real store, a real archive, a real running job."""

from __future__ import annotations

import io
import json
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from console.reading.rules import Tried, backtests
from detectors.errors import PackError
from detectors.keywords.lint import HARMLESS_LIMIT
from detectors.model.versions import POINTER
from liucun.cli import main
from liucun.commands.rules import DEFAULT_RATE
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
from retention.catalogue.tables import events

PASSPHRASE = "correct horse battery staple"
OWN = "id,category,words,hits,state\n"


def liucun(*args: object, store: Path | None = None, code: int = 0) -> Any:
    """Run a command as the program does; its JSON where it prints any, else its text."""
    where = ["--store", str(store)] if store else []
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        patch.setattr(sys, "argv", ["liucun", *map(str, args), *where])
        main()
    assert left.value.code == code, out.getvalue() + err.getvalue()
    return json.loads(out.getvalue()) if "--json" in args else out.getvalue() + err.getvalue()


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("LIUCUN_STORE", str(tmp_path / "no store"))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    liucun("init", store=root)
    (root / "rules").mkdir()
    return root


def own(store: Path, *rows: str) -> None:
    (store / "rules" / "own.csv").write_text(OWN + "".join(row + "\n" for row in rows), encoding="utf-8")


def line(number: int, text: str, hour: int = 10) -> str:
    return json.dumps(
        {"event_time": f"2026-11-20T{hour:02}:00:00+08:00", "content_id": f"c{number}", "text": text},
        ensure_ascii=False,
    )


def test_the_rate_in_the_help_is_the_one_that_lint_uses() -> None:
    assert DEFAULT_RATE == HARMLESS_LIMIT


def test_the_packs_that_ship_are_without_fault_and_pass_their_examples() -> None:
    linted = liucun("rules", "lint", "--json")
    assert linted["ok"]
    assert linted["findings"] == []
    tested = liucun("rules", "test", "--json")
    assert tested["ok"]
    assert tested["examples"] >= tested["rules"] > 50


def test_list_shows_own_rules_over_those_that_ship(store: Path) -> None:
    own(store, "own.a,fraud,垫付本金,垫付本金,live", "own.b,fraud,跑分平台,跑分平台,draft")
    settings = store / "liucun.toml"
    settings.write_text(
        settings.read_text("utf-8") + '\n[detect]\ndisable = ["abuse.*"]\nshadow = ["own.b"]\n', "utf-8"
    )
    listed = liucun("rules", "list", "--json", store=store)
    rules = {rule["rule"]: rule for rule in listed["rules"]}
    assert {"rule", "category", "subtype", "severity", "state", "version", "pack"} <= rules["own.a"].keys()
    assert (rules["own.a"]["state"], rules["own.a"]["pack"]) == ("live", "rules/own.csv")
    assert (rules["own.b"]["state"], rules["own.b"]["written_state"]) == ("shadow", "draft")
    assert {r["state"] for name, r in rules.items() if name.startswith("abuse.")} == {"draft"}
    only = liucun("rules", "list", "--json", "--state", "shadow", store=store)
    assert [rule["rule"] for rule in only["rules"]] == ["own.b"]
    assert "own.b" in liucun("rules", "list", store=store)


def test_lint_names_file_line_and_cure_and_exits_1(store: Path) -> None:
    own(store, "own.a,fraud,质量,质量,draft", "own.b,frauds,跑分平台,跑分平台,live")
    linted = liucun("rules", "lint", "--json", store=store, code=1)
    found = {(f["file"], f["line"]): f for f in linted["findings"]}
    assert "harmless texts" in found["rules/own.csv", 2]["what"]
    assert "unknown" in found["rules/own.csv", 3]["what"]
    assert all(f["cure"] for f in linted["findings"])
    assert not linted["ok"]
    text = liucun("rules", "lint", store / "rules" / "own.csv", code=1)
    assert "rules/own.csv:3: The category 'frauds' is unknown." in text
    assert "Use one of gambling" in text
    liucun("rules", "list", store=store, code=3)


def test_lint_measures_on_texts_of_the_operator(store: Path, tmp_path: Path) -> None:
    own(store, "own.a,fraud,暗号甲乙,暗号甲乙,live")
    liucun("rules", "lint", store / "rules", store=store)
    csv, text = tmp_path / "good.csv", tmp_path / "good.txt"
    csv.write_text("id,comment\n1,暗号甲乙\n2,好\n", encoding="utf-8")
    text.write_text("好\n暗号甲乙\n", encoding="utf-8")
    for sample in (f"{csv}:comment", text):
        linted = liucun("rules", "lint", store / "rules", "--benign", sample, "--json", store=store, code=1)
        assert "1 of 2 harmless texts" in linted["findings"][0]["what"]
        assert linted["harmless"][str(sample)] == 2
    liucun("rules", "lint", store / "rules", "--benign", text, "--max-rate", "0.5", store=store)
    assert "cannot be read" in liucun("rules", "lint", "--benign", tmp_path / "none.txt", store=store, code=2)


def test_test_names_the_example_that_fails(store: Path) -> None:
    own(store, "own.a,fraud,垫付本金,垫付|垫付本金,draft")
    tested = liucun("rules", "test", store / "rules", "--json", store=store, code=1)
    assert tested["failed"] == [{"rule": "own.a", "file": "rules/own.csv", "line": 2, "text": "垫付", "must": "hit"}]
    assert "垫付" in liucun("rules", "test", "--rule", "own.a", store=store, code=1)
    liucun("rules", "test", "--rule", "none", store=store, code=2)


def test_import_writes_drafts_with_provenance_once(store: Path, tmp_path: Path) -> None:
    words = tmp_path / "Public List.txt"
    words.write_bytes("开云体育投注\n质量\n好\n".encode("gb18030"))
    made = liucun(
        "rules", "import", words, "--category", "gambling", "--source", "https://example.org/list", "--license", "MIT",
        "--author", "ann", "--json", store=store,
    )  # fmt: skip
    assert (made["rules"], made["refused"]) == (1, {"harmless text": 1, "one character": 1})
    listed = liucun("rules", "list", "--state", "draft", "--json", store=store)
    assert [rule["pack"] for rule in listed["rules"]] == ["rules/public_list.csv"]
    pack = next(pack for pack in listed["packs"] if pack["pack"] == "rules/public_list.csv")
    assert (pack["source"], pack["author"], pack["license"]) == ("https://example.org/list", "ann", "MIT")
    assert pack["digest"].startswith("sha256:")
    assert pack["format"] == "words, gb18030"
    liucun("rules", "lint", store=store)
    assert "exists already" in liucun("rules", "import", words, "--category", "gambling", store=store, code=2)
    assert sorted(path.name for path in (store / "rules").iterdir()) == ["public_list.csv"]


def test_import_of_nothing_worth_a_rule_writes_nothing(store: Path, tmp_path: Path) -> None:
    words = tmp_path / "list.txt"
    words.write_text("质量\n好\n", encoding="utf-8")
    made = liucun("rules", "import", words, "--category", "gambling", "--json", store=store, code=1)
    assert made["pack"] is None
    assert not list((store / "rules").iterdir())
    assert "unknown" in liucun("rules", "import", words, "--category", "games", store=store, code=2)
    assert "cannot be read" in liucun("rules", "import", tmp_path, "--category", "fraud", store=store, code=2)


def run(store: Path, logs: Path, **options: Any) -> Job:
    with open_store(store, ()) as opened:
        job = Job(
            opened.store,
            [parse_spec(f"content:ndjson:{logs}", published=True)],
            JobOptions(rules=JobRules.load(layers_at(store), opened.catalogue), **options),
        )
        job.run()
        return job


def recorded(opened: OpenStore, kind: str) -> list[tuple[str, dict[str, Any]]]:
    with opened.catalogue.read() as connection:
        rows = connection.execute(
            sa.select(events.c.subject, events.c.body).where(events.c.kind == kind).order_by(events.c.id)
        )
        return [(subject, json.loads(body)) for subject, body in rows]


def test_backtest_shows_what_drafts_would_have_found_and_is_recorded(store: Path, tmp_path: Path) -> None:
    logs = tmp_path / "log.ndjson"
    texts = ["暗号甲乙丙，加我 13800138000", "代开发票，税点低", "很好", "暗号甲乙丙"]
    logs.write_text("".join(line(n, text, 10 + n) + "\n" for n, text in enumerate(texts)), encoding="utf-8")
    own(store, "own.a,fraud,暗号甲乙丙,暗号甲乙丙,draft")
    opened_by_run = run(store, logs).summary.tickets_opened
    args = ("rules", "backtest", "--since", "2026-11-20", "--until", "2026-11-20T13:00", "--purpose", "try drafts")
    assert "is declared to publish" in liucun(*args, store=store, code=2)
    found = liucun(*args, "--published", "--json", store=store)
    assert (found["texts"], found["candidate"], found["today"], found["only_candidate"]) == (3, 2, 1, 1)
    rules = {rule["rule"]: rule for rule in found["rules"]}
    assert (rules["own.a"]["state"], rules["own.a"]["candidate"], rules["own.a"]["new"]) == ("draft", 1, 1)
    assert rules["own.a"]["examples"] == ["【暗号甲乙丙】，加我 1*****…"]
    other = tmp_path / "new.csv"
    other.write_text(OWN + "new.a,fraud,很好,很好,draft\n", encoding="utf-8")
    found = liucun("rules", "backtest", other, *args[2:], "--published", "--rule", "new.a", "--json", store=store)
    assert [(rule["rule"], rule["new"]) for rule in found["rules"]] == [("new.a", 1)]
    assert "13800138000" not in liucun(*args, "--published", store=store)
    assert "purpose" in liucun(*args[:-1], " ", "--published", store=store, code=2)
    with open_store(store, ()) as opened:
        answered = recorded(opened, "query.answered")
        assert [subject for subject, _ in answered][1] == f"query:{found['queries'][0]}"
        assert len(recorded(opened, "ticket.opened")) == opened_by_run, "a backtest opens nothing"
        with opened.catalogue.read() as connection:
            shown = backtests(connection)
    assert len(shown) == 3
    first = shown[-1]
    assert (first.texts, first.candidate, first.today, first.only_candidate, first.further) == (3, 2, 1, 1, 0)
    assert first.rules[0] == Tried("own.a", candidate=1, today=0, new=1)


def test_a_span_too_large_for_memory_is_read_in_parts(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = tmp_path / "log.ndjson"
    texts = ["暗号甲乙丙" if n % 3 else "很好" for n in range(48)]
    logs.write_text("".join(line(n, text, n % 24) + "\n" for n, text in enumerate(texts)), encoding="utf-8")
    own(store, "own.a,fraud,暗号甲乙丙,暗号甲乙丙,draft")
    run(store, logs)
    args = ("rules", "backtest", "--since", "2026-11-20", "--until", "2026-11-21", "--purpose", "x", "--published")
    whole = liucun(*args, "--json", store=store)
    monkeypatch.setattr("liucun.rule_backtest.PART_BYTES", 400)
    parts = liucun(*args, "--json", store=store)
    assert len(whole["queries"]) == 1 < len(parts["queries"])
    for name in ("texts", "candidate", "today", "only_candidate"):
        assert parts[name] == whole[name]
    assert (whole["texts"], whole["candidate"]) == (48, 32)


def test_text_declared_private_is_never_backtested(store: Path, tmp_path: Path) -> None:
    logs = tmp_path / "log.ndjson"
    logs.write_text(line(1, "代开发票，税点低") + "\n", encoding="utf-8")
    settings = store / "liucun.toml"
    settings.write_text(
        settings.read_text("utf-8")
        + f'\n[[source]]\nname = "chat"\nrecord_class = "content"\nformat = "ndjson"\npaths = ["{logs}"]\n'
        + "published = { text = false }\n",
        "utf-8",
    )
    liucun("run", "--source", "chat", "--json", store=store)
    found = liucun("rules", "backtest", "--since", "2026-11-01", "--purpose", "x", "--published", "--json", store=store)
    assert found["texts"] == 0


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


def test_detect_uses_the_store_s_rules(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own(store, "own.a,fraud,暗号甲乙丙,暗号甲乙丙,live", "own.d,fraud,很好,很好,draft", "own.s,fraud,口令,口令,shadow")

    def rules(where: Path | None) -> list[str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("暗号甲乙丙，今天天气很好，口令\n".encode())))
        return [finding["rule"] for finding in liucun("detect", "--json", store=where)["findings"]]

    assert rules(store) == ["own.a"]
    assert rules(None) == []


def test_a_job_does_not_begin_with_a_damaged_model(store: Path, tmp_path: Path) -> None:
    (store / MODELS).mkdir()
    (store / MODELS / POINTER).write_text("../elsewhere", encoding="utf-8")
    logs = tmp_path / "log.ndjson"
    logs.write_text(line(0, "很好") + "\n", encoding="utf-8")
    assert "names no model" in liucun("run", "--source", f"content:ndjson:{logs}", "--published", store=store, code=3)
