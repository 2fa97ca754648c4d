"""The commands of retention, from end to end on one store."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from errors import LiucunError
from liucun.cli import main_group

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    lines = [
        {"event_time": "2025-01-05T12:00:00+08:00", "order_id": "A", "order_status": "completed", "user_id": "alice"},
        {"event_time": "2025-01-06T12:00:00+08:00", "order_id": "B", "order_status": "paid", "user_id": "bob"},
    ]
    (folder / "orders.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    runner = CliRunner()
    root = folder / "store"
    for words in (
        ["init", "--store", str(root)],
        ["run", "--source", f"transaction:ndjson:{folder}/orders.ndjson", "--store", str(root), "--json"],
    ):
        done = runner.invoke(main_group, words, env={"LIUCUN_PASSPHRASE": "a passphrase for tests"})
        assert done.exit_code == 0, (done.output, done.exception)
    return root


@pytest.fixture
def run(store: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "a passphrase for tests")

    def call(*words: str, fails: int = 0, as_json: bool = True) -> Any:
        given = [*words, "--store", str(store), *(["--json"] if as_json else [])]
        done = CliRunner().invoke(main_group, given)
        code = done.exit_code
        if isinstance(done.exception, LiucunError):
            code = done.exception.exit_code
        elif isinstance(done.exception, click.ClickException):
            code = 2
        assert code == fails, (done.output, done.exception)
        if fails:
            return str(done.exception)
        return json.loads(done.stdout) if as_json else done.stdout

    return call


def test_policies_and_simulation(run: Run) -> None:
    shown = run("retention", "show")
    assert shown["classes"]["transaction"]["policy"]["floor"] == "P3Y"
    assert {floor["rank"] for floor in shown["floors"]} == {"licence", "law", "rule", "regulation"}
    found = run("retention", "simulate", "--at", "2030-01-01", "--units")
    (unit,) = found["units"]
    assert (unit["verdict"], unit["reasons"][0]["code"], unit["records"]) == ("kept", "open_subjects", 2)
    assert found["classes"]["transaction"]["kept_longer_than_needed"] == {"open_neighbour": 1}
    assert "未完结" in run("retention", "simulate", "--at", "2030-01-01", as_json=False)
    run("retention", "simulate", "--at", "soon", fails=2)


def test_a_floor_cannot_be_passed_under_and_one_person_is_not_two(run: Run) -> None:
    assert "电子商务法" in run("retention", "propose", "transaction", "--floor", "P2Y", "--basis", "x", fails=9)
    assert "15(3)" in run("retention", "propose", "user_log", "--floor", "P365D", "--basis", "x", fails=9)
    run("retention", "propose", "user_log", "--floor", "a year", "--basis", "x", fails=2)
    made = run("retention", "propose", "user_log", "--floor", "P2Y", "--basis", "x")
    run("retention", "approve", "user_log", str(made["version"]), fails=9)
    run("retention", "withdraw", "user_log", str(made["version"]), as_json=False)


def test_silent_orders_are_decided_by_two(run: Run) -> None:
    (silent,) = run("retention", "silent", "--days", "30")
    assert silent["records"] == 1
    said = run(
        "retention", "decide", "transaction", silent["blind"], "--hash", "--ended-on", "2025-02-01", "--reason", "x",
        as_json=False,
    )  # fmt: skip
    run("retention", "confirm", said.split()[-1], fails=9, as_json=False)


def test_listings_are_decided_by_their_article(run: Run) -> None:
    words = ["--ended-on", "2025-02-01", "--reason", "x"]
    run("retention", "decide", "transaction", "S1", "--listing", *words, fails=2, as_json=False)
    run("retention", "decide", "user_log", "S1", "--listing", *words, fails=2, as_json=False)
    run("retention", "decide", "transaction", "S1", "--listing", "--hash", *words, fails=2, as_json=False)
    assert "商品信息" not in run("retention", "simulate", "--at", "2030-01-01", as_json=False)
    assert run("retention", "simulate", "--at", "2030-01-01")["listings"]["on_sale"] == 0


def test_holds(run: Run, tmp_path: Path) -> None:
    made = run("hold", "add", "--matter", "case 12", "--reason", "x", "--account", "alice")
    assert (made["segments"], made["rows"], made["kind"]) == (1, 1, "account")
    sql = "SELECT log_source, log_partition, log_offset FROM transactions WHERE user_id = 'bob'"
    other = run("hold", "add", "--matter", "case 13", "--reason", "x", "--query", sql)
    assert [hold["matter"] for hold in run("hold", "list")] == ["case 12", "case 13"]
    run("hold", "add", "--matter", "x", "--reason", "x", fails=2)
    run("hold", "add", "--matter", "x", "--reason", "x", "--account", "a", "--since", "2025-01-01", fails=2)
    proof = tmp_path / "order.pdf"
    proof.write_bytes(b"released")
    for hold in (made, other):
        run("hold", "release", hold["hold_id"], "--reason", "over", "--proof", str(proof))
    assert run("hold", "list") == []
    assert {hold["state"] for hold in run("hold", "list", "--all")} == {"released"}


def test_a_purge_of_a_young_archive(run: Run) -> None:
    assert run("purge", "--dry-run") == {"due": [], "divided": [], "held": []}
    run("purge", "--plan", "x", fails=2)
    assert run("purge")["certified"] == []
    assert run("purge", "--list") == []
    assert run("purge", "--reshred") == {"keys": []}
    run("purge", "--approve", "P0", fails=2)
    run("purge", "--cancel", "P0", fails=2)
    run("purge", "--cancel", "P0", "--reason", "x", fails=2)
    run("purge", "--plan", "x", "--dry-run", fails=2)
    run("purge", "--certificate", "P0", fails=2)


def test_restriction_and_queries(run: Run) -> None:
    ask = ("query", "SELECT user_id FROM transactions ORDER BY 1", "--purpose", "test")
    run("restrict", "alice", "--ground", "art. 47")
    run("restrict", "alice", "--ground", "again", fails=2)
    run("restrict", "alice", fails=2)
    run("restrict", fails=2)
    assert run(*ask) == [{"user_id": "bob"}]
    assert len(run(*ask, "--restricted", "--basis", "art. 45")) == 2
    run(*ask, "--restricted", fails=2)
    run(*ask, "--basis", "x", fails=2)
    assert [item["account"] for item in run("restrict", "--list")] == ["alice"]
    run("restrict", "alice", "--lift", "--ground", "withdrawn")
    assert len(run(*ask)) == 2


def test_requests(run: Run, tmp_path: Path) -> None:
    made = run("requests", "add", "copy", "bob", "--text", "all of it")
    assert (made["days_left"], made["state"]) == (15, "open")
    target = tmp_path / "copy.zip"
    found = run("requests", "export", made["request_id"], "--output", str(target))
    assert (found["records"], found["files"]) == ({"transaction": 1}, 1)
    assert target.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(target) as opened:
        assert json.loads(opened.read("data/transaction.json"))[0]["order_id"] == "B"
    run("requests", "export", made["request_id"], "--output", str(target), fails=2)
    (item,) = run("requests", "outlook", made["request_id"])
    assert (item["record_class"], item["statutory"]) == ("transaction", True)
    run("requests", "answer", made["request_id"], "--outcome", "granted", "--text", "sent")
    run("requests", "answer", made["request_id"], "--outcome", "granted", "--text", "sent", fails=2)
    assert run("requests", "list") == []
    assert len(run("requests", "list", "--all")) == 1


@pytest.mark.parametrize(
    "words",
    [
        "retention|silent|--days|800000",
        "retention|silent|--days|0",
        "retention|approve|user_log|99999999999999999999999",
        "retention|approve|user_log|0",
        "retention|propose|user_log|--floor|P3Y|--basis| ",
        "retention|propose|user_log|--floor|P3Y|--basis|\udcff",
        "retention|decide|transaction|B|--ended-on|2025-02-01|--reason| ",
        "hold|add|--matter|m|--reason|r|--since|0001-01-01",
        "hold|add|--matter|m|--reason|r|--until|9999-12-31T23:59:59-12:00",
        "hold|add|--matter|\udcff|--reason|r|--account|a",
        "hold|add|--matter|m|--reason|r|--query|SELECT 'a' AS log_source, 'b' AS log_partition, 'x' AS log_offset",
        "hold|list|--matter|\udcff",
        "purge|--plan| ",
        "purge|--plan|x|--class|wishes",
        "purge|--dry-run|--class|wishes",
        "restrict|\udcff|--ground|x",
        "requests|add|copy|\udcff",
        "requests|add|copy|a|--received|0001-01-01T00:00:00+14:00",
        "requests|answer|\udcff|--outcome|granted|--text|x",
        "disclose|approve|\udcff",
        "disclose|keys|\udcff",
        "audit|coverage|--since|0001-01-01",
        "audit|access|--until|9999-12-31T23:59:59-12:00",
    ],
)
def test_bad_input_is_said_and_changes_nothing(run: Run, words: str) -> None:
    asked = words.split("|")
    before = run("query", "SELECT count(*) AS n FROM audit_events WHERE kind NOT LIKE 'query.%'", "--purpose", "x")
    takes_json = asked[0] != "retention" or asked[1] != "decide"
    run(*asked, fails=2, as_json=takes_json)
    after = run("query", "SELECT count(*) AS n FROM audit_events WHERE kind NOT LIKE 'query.%'", "--purpose", "x")
    assert before == after


def test_a_file_may_be_called_in_other_bytes(run: Run, tmp_path: Path) -> None:
    """A name on the disk is no text of a record."""
    path = tmp_path / "order\udcff.pdf"
    path.write_bytes(b"released")
    made = run("hold", "add", "--matter", "case 14", "--reason", "x", "--account", "alice")
    run("hold", "release", made["hold_id"], "--reason", "over", "--proof", str(path))


def test_audits(run: Run) -> None:
    for name in ("retention", "keys", "access"):
        report = run("audit", name)
        assert report["ok"], report["findings"]
        assert report["audit"] == name
    run("query", "SELECT 1", "--purpose", "a check")
    assert run("audit", "access")["checked"]["queries"] > 0
