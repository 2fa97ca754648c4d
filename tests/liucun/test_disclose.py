"""A disclosure by the command line: asked for, approved by two others, exported, and checked by who receives it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from console.access.roles import Role
from console.access.tokens import issue
from console.migrate import SCRIPTS as CONSOLE_SCRIPTS
from liucun.cli import main_group
from liucun.store import open_store
from retention.catalogue.migrate import migrate
from retention.catalogue.tables import events
from tests.console.conftest import make_account

SECRET = "a passphrase of tests"
PASSWORD = "correct horse battery staple 7"
LINES = "event_time,user_id,source_ip,text\n" + "".join(
    f"2026-03-{day:02d}T08:00:00Z,u{day % 3},10.0.0.{day},hello {day}\n" for day in range(1, 29)
)
As = Callable[..., Result]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main_group, [str(argument) for argument in arguments])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a month of records."""
    monkeypatch.setenv("LIUCUN_PASSPHRASE", SECRET)
    monkeypatch.setenv("LIUCUN_STORE", str(tmp_path / "store"))
    (tmp_path / "in.csv").write_text(LINES)
    (tmp_path / "case.pdf").write_bytes(b"%PDF-1.7 a case document")
    (tmp_path / "password").write_text(PASSWORD + "\n")
    assert call("init").exit_code == 0
    assert call("run", "--source", f"user_log:csv:{tmp_path}/in.csv", "--not-published").exit_code == 0
    return tmp_path / "store"


@pytest.fixture
def acting(store: Path, monkeypatch: pytest.MonkeyPatch) -> As:
    """Calls a command with the token of an account: rui asks, sun and he approve and hand out, aud audits."""
    people = {"rui": Role.REVIEWER, "sun": Role.SECURITY_ADMIN, "he": Role.COMPLIANCE_HEAD, "aud": Role.AUDITOR}
    with open_store(store, ()) as opened:
        migrate(opened.catalogue, room="console", script_location=CONSOLE_SCRIPTS)
        tokens = {
            name: issue(opened.catalogue, make_account(opened.catalogue, name, role), name="cli", days=1)
            for name, role in people.items()
        }

    def by(name: str, *arguments: object) -> Result:
        monkeypatch.setenv("LIUCUN_TOKEN", tokens[name])
        return call(*arguments)

    return by


def asked(acting: As, folder: Path) -> str:
    """A request for two of three accounts, half a month and two columns."""
    options = {
        "authority": ["某市公安局"], "case": ["2026-7"], "basis": ["刑事诉讼法 第五十四条"], "reason": ["case"],
        "document": [folder / "case.pdf"], "class": ["user_log"], "account": ["u1", "u2"],
        "field": ["source_ip", "event_action"], "since": ["2026-03-01"], "until": ["2026-03-15"],
    }  # fmt: skip
    given = [word for name, values in options.items() for value in values for word in (f"--{name}", value)]
    result = acting("rui", "disclose", "request", *given, "--json")
    assert result.exit_code == 0, result.output
    return str(json.loads(result.output)["disclosure_id"])


def test_two_others_approve_and_the_recipient_checks_it_without_the_store(
    acting: As, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = asked(acting, tmp_path)
    bundle = tmp_path / "bundle.zip"
    export = ("disclose", "export", number, "--to", bundle, "--password-file", tmp_path / "password", "--json")
    assert acting("rui", "disclose", "approve", number).exit_code != 0, "the requester does not approve"
    assert acting("aud", "disclose", "approve", number).exit_code != 0, "an auditor changes nothing"
    assert acting("sun", "disclose", "approve", number).exit_code == 0
    assert acting("he", *export).exit_code != 0, "one approval is not enough"
    assert not bundle.exists()
    assert acting("he", "disclose", "approve", number).exit_code == 0
    assert acting("rui", *export).exit_code != 0, "a reviewer hands nothing out"
    result = acting("he", *export)
    assert result.exit_code == 0, result.output
    made = bundle.read_bytes()
    assert b"10.0.0." not in made

    monkeypatch.delenv("LIUCUN_TOKEN")
    monkeypatch.delenv("LIUCUN_STORE")
    monkeypatch.delenv("LIUCUN_PASSPHRASE")
    store.rename(tmp_path / "elsewhere")
    check = ("verify", bundle, "--password-file", tmp_path / "password")
    result = call(*check, "--extract", tmp_path / "read")
    assert result.exit_code == 0, result.output
    (table,) = (tmp_path / "read").rglob("*.csv")
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8-sig"))))
    assert sorted(row["source_ip"] for row in rows) == sorted(
        f"10.0.0.{day}" for day in range(1, 15) if day % 3 in {1, 2}
    )
    assert next((tmp_path / "read").rglob("printed.pdf")).read_bytes().startswith(b"%PDF")
    refused = call(*check, "--extract", tmp_path / "read")
    assert refused.exit_code != 0, "what is there is not written over"
    (tmp_path / "wrong").write_text("another password\n")
    assert call("verify", bundle, "--password-file", tmp_path / "wrong").exit_code == 1
    for place in (0, len(made) // 3, len(made) // 2, len(made) - 1):
        changed = bytearray(made)
        changed[place] ^= 1
        bundle.write_bytes(changed)
        result = call(*check)
        assert result.exit_code == 1, place
        assert "Traceback" not in result.output


def test_an_existing_file_and_a_weak_password_are_refused(acting: As, tmp_path: Path) -> None:
    number = asked(acting, tmp_path)
    for name in ("sun", "he"):
        assert acting(name, "disclose", "approve", number).exit_code == 0
    taken = tmp_path / "taken.zip"
    taken.write_text("mine")
    export = ("disclose", "export", number, "--password-file", tmp_path / "password", "--to")
    assert acting("he", *export, taken).exit_code != 0
    assert taken.read_text() == "mine"
    (tmp_path / "password").write_text("123456\n")
    assert acting("he", *export, tmp_path / "new.zip").exit_code != 0
    assert not (tmp_path / "new.zip").exists()


def test_a_refused_request_hands_out_nothing(acting: As, tmp_path: Path) -> None:
    number = asked(acting, tmp_path)
    assert acting("he", "disclose", "refuse", number, "--reason", "no signature").exit_code == 0
    assert acting("sun", "disclose", "approve", number).exit_code != 0
    result = acting("he", "disclose", "export", number, "--to", tmp_path / "bundle.zip")
    assert result.exit_code != 0
    assert not (tmp_path / "bundle.zip").exists()


def test_a_list_masks_accounts_until_a_purpose_is_recorded(acting: As, store: Path, tmp_path: Path) -> None:
    number = asked(acting, tmp_path)
    masked = acting("aud", "disclose", "list", "--json")
    assert masked.exit_code == 0, masked.output
    assert [one["disclosure_id"] for one in json.loads(masked.output)] == [number]
    assert all("＊" in name for one in json.loads(masked.output) for name in one["scope"]["accounts"])
    reads = acting("aud", "disclose", "list", "--json", "--purpose", "a look")
    assert "lacks the right disclosures.approve" in str(reads.exception), "who only reads is no party to it"
    refused = acting("he", "disclose", "list", "--json", "--purpose", " ")
    assert refused.exit_code != 0
    assert "u1" not in refused.output
    full = acting("he", "disclose", "list", "--json", "--purpose", "yearly review of disclosures")
    assert [one["scope"]["accounts"] for one in json.loads(full.output)] == [["u1", "u2"]]
    with open_store(store, ()) as opened, opened.catalogue.read() as connection:
        chosen = events.c.kind == "personal.revealed", events.c.subject == f"disclosure:{number}"
        found = connection.execute(sa.select(events.c.actor, events.c.body).where(*chosen)).one()
    assert found.actor == "user:he"
    assert "reason_sealed" in found.body
    assert "yearly" not in found.body


def test_the_audit_of_access_tells_who_asked_who_approved_and_what_was_handed_out(
    acting: As, store: Path, tmp_path: Path
) -> None:
    number = asked(acting, tmp_path)
    for name in ("sun", "he"):
        assert acting(name, "disclose", "approve", number).exit_code == 0
    where = ("--to", tmp_path / "out.zip", "--password-file", tmp_path / "password")
    assert acting("he", "disclose", "export", number, *where).exit_code == 0
    report = json.loads(acting("aud", "audit", "access", "--json").output)
    (table,) = [one for one in report["tables"] if one["name"] == "disclosures"]
    ((head, requested, approved, _, handed),) = table["rows"]
    assert head == f"{number}\n已批准 approved"
    assert requested.startswith("user:rui ")
    assert requested.endswith("\n2 个账号 accounts")
    assert [line.split()[0] for line in approved.splitlines()] == ["user:sun", "user:he"]
    assert handed.startswith("user:he ")
    (asking,) = {row[3] for one in report["tables"] if one["name"] == "asked" for row in one["rows"]}
    assert asking == f"向主管部门提供 disclosure {number}"
