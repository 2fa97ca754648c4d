"""Proofs on the command line: made, taken away, and checked without the store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from errors import CheckFailedError, LiucunError, SettingsError, StorageError, UsageError
from liucun.cli import main_group
from liucun.pins import pins_of_environment
from liucun.store import open_store
from retention.catalogue.tables import segments


def call(*words: object) -> Result:
    return CliRunner().invoke(main_group, [str(word) for word in words])


def test_what_an_inspector_takes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "a passphrase of tests")
    store, keys = tmp_path / "store", tmp_path / "keys"
    assert call("init", "--store", store).exit_code == 0
    (tmp_path / "in.csv").write_text("event_time,user_id\n2026-03-01T08:00:00Z,u1\n2026-04-01T08:00:00Z,u2\n")
    assert call("run", "--store", store, "--source", f"user_log:csv:{tmp_path}/in.csv").exit_code == 0
    with open_store(store, ()) as opened:
        keys.write_text("".join(f"{verifier.encode()}\n" for verifier in opened.store.log.verifiers))
        with opened.catalogue.read() as connection:
            name = connection.execute(segments.select()).first().segment_id  # type: ignore[union-attr]
            size = connection.exec_driver_sql("SELECT min(size) FROM checkpoints").scalar_one()
    for words in (["completeness"], ["segment", name], ["event", 1], ["consistency", size]):
        out = tmp_path / words[0]
        made = call("prove", *words, "--out", out, "--store", store, "--json")
        assert made.exit_code == 0, made.output
        assert json.loads(made.output)["bytes"] == out.stat().st_size
        seen = call("verify", out, "--keys", keys, "--json")
        assert seen.exit_code == 0, seen.output
        assert json.loads(seen.output)["trusted"]
        assert "HOLDS" in call("verify", out).output
    assert json.loads(call("verify", tmp_path / "completeness", "--json").output)["rows"] == {
        "user_log": {"2026-03": 1, "2026-04": 1}
    }
    for option in ("--extract", "--password-file", "--private-key"):
        unused = call("verify", tmp_path / "completeness", option, tmp_path / "unused")
        assert isinstance(unused.exception, UsageError)
        assert option in str(unused.exception)
    for content in ("", " \n\n", "no key\n", keys.read_text() + "{}\n", "\x00\xff"):
        (tmp_path / "no-keys").write_text(content)
        refused = call("verify", tmp_path / "completeness", "--keys", tmp_path / "no-keys")
        assert isinstance(refused.exception, UsageError), "never checked by the file's own keys instead"
        assert "no-keys" in str(refused.exception)
    (tmp_path / "bad").write_bytes((tmp_path / "completeness").read_bytes().replace(b'"user_log', b'"user_lag'))
    assert isinstance(call("verify", tmp_path / "bad").exception, CheckFailedError)
    for words in (["consistency", tmp_path / "keys"], ["consistency", tmp_path / "nothing"], ["segment", "x"]):
        refused = call("prove", *words, "--out", tmp_path / "no", "--store", store)
        assert isinstance(refused.exception, LiucunError), refused.output
        assert not (tmp_path / "no").exists()
    monkeypatch.setenv("LIUCUN_LOG_KEYS", str(keys))
    assert [verifier.encode() for verifier in pins_of_environment()] == keys.read_text().split()
    monkeypatch.setenv("LIUCUN_LOG_KEYS", str(tmp_path / "nothing"))
    with pytest.raises(SettingsError):
        pins_of_environment()
    refused = call("serve", "--store", store, "--port", "0")
    assert isinstance(refused.exception, SettingsError), "it does not serve audits that would compare with nothing"
    again = call("prove", "completeness", "--out", tmp_path / "completeness", "--store", store)
    assert isinstance(again.exception, UsageError)
    with open_store(store, ()) as opened, opened.catalogue.read() as connection:
        kinds = connection.exec_driver_sql("SELECT count(*) FROM events WHERE kind = 'log.proved'").scalar_one()
    assert kinds == 4
    monkeypatch.setattr("retention.catalogue.events.append", _refused)
    assert isinstance(call("prove", "completeness", "--out", tmp_path / "no", "--store", store).exception, StorageError)
    assert not (tmp_path / "no").exists(), "nothing is taken away of which the log does not know"


def test_a_query_s_receipt_and_its_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "a passphrase of tests")
    store, answer, taken = tmp_path / "store", tmp_path / "answer.csv", tmp_path / "receipt.json"
    assert call("init", "--store", store).exit_code == 0
    (tmp_path / "in.csv").write_text("event_time,user_id\n2026-03-01T08:00:00Z,u1\n2026-04-01T08:00:00Z,u2\n")
    assert call("run", "--store", store, "--source", f"user_log:csv:{tmp_path}/in.csv").exit_code == 0
    words = ("query", "SELECT user_id FROM user_logs ORDER BY 1", "--purpose", "complaint 17", "--store", store)
    done = call(*words, "--output", answer, "--receipt", taken)
    assert done.exit_code == 0, done.exception
    seen = call("verify", taken, "--answer", answer, "--json")
    assert seen.exit_code == 0, seen.exception
    query = json.loads(seen.output)["query"]
    assert (query["purpose"], query["rows"], query["answer_matches"]) == ("complaint 17", 2, True)
    assert query["archive_size"] > 0
    assert "complaint 17" in call("verify", taken).output
    again = tmp_path / "again.json"
    assert call("prove", "query", query["query_id"], "--out", again, "--store", store).exit_code == 0
    assert json.loads(call("verify", again, "--json").output)["query"]["sql"] == words[1]
    (tmp_path / "other").write_bytes(answer.read_bytes() + b"u3\n")
    assert isinstance(call("verify", taken, "--answer", tmp_path / "other").exception, CheckFailedError)
    for wrong in (
        (*words, "--receipt", taken),
        (*words, "--output", tmp_path / "one", "--receipt", tmp_path / "one"),
        ("prove", "query", "nothing", "--out", tmp_path / "no", "--store", store),
        ("verify", answer, "--answer", answer),
    ):
        assert isinstance(call(*wrong).exception, LiucunError), wrong
    assert not (tmp_path / "no").exists()
    assert not (tmp_path / "one").exists()


def _refused(*_given: object, **_more: object) -> None:
    raise StorageError("The disk is full.", cure="Make room.")


def test_who_only_reads_is_told_of_a_custodian_with_a_damaged_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command did stands; the log is not continued, and the audit has it as a finding."""
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "a passphrase of tests")
    store, notary = tmp_path / "store", tmp_path / "notary"
    notary.mkdir()
    assert call("init", "--store", store).exit_code == 0
    with (store / "liucun.toml").open("a") as file:
        file.write(f'\n[custodian]\ncheckpoints = "{notary}"\n')
    (tmp_path / "in.csv").write_text("event_time,user_id\n2026-03-01T08:00:00Z,u1\n")
    assert call("run", "--store", store, "--source", f"user_log:csv:{tmp_path}/in.csv").exit_code == 0
    (folder,) = notary.iterdir()
    (folder / "keys").write_text("nothing+00000000+AA==\n")
    shown = call("keys", "list", "--store", store)
    assert shown.exit_code == 0, shown.exception
    assert "warning" in shown.stderr
    assert call("audit", "integrity", "--store", store).exit_code == 1
