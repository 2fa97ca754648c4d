"""The queue on the command line: from a complaint to a report's file, with exit codes people can rely on."""

from __future__ import annotations

import hashlib
import json
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from errors import LiucunError, SettingsError
from liucun.cli import main_group
from liucun.store import open_store
from retention.catalogue.tables import events
from tests.tickets.receivers import http_receiver
from tickets.bodies import ticket_context
from tickets.retaining import emptied_body
from tickets.tables import tickets

LONG = "".join(chr(0x4E00 + 7 * n) for n in range(200))
COMPANY = '\n[company]\nname = "留存科技"\nlicence_number = "粤B2-1"\nlicence_expires_on = 2027-01-21\n'


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "a passphrase for tests")
    monkeypatch.setenv("LIUCUN_STORE", str(tmp_path / "store"))
    assert run("init").exit_code == 0
    with (tmp_path / "store" / "liucun.toml").open("a", encoding="utf-8") as file:
        file.write(COMPANY)
    return tmp_path / "store"


def run(*words: str) -> Result:
    return CliRunner().invoke(main_group, list(words))


def ask(*words: str):
    done = run(*words, "--json")
    assert done.exception is None, (done.exception, done.output)
    return json.loads(done.stdout)


def refused(*words: str) -> LiucunError:
    error = run(*words).exception
    assert isinstance(error, LiucunError), error
    return error


def opened(text: str = "有人在评论区发布赌博网站链接", *more: str) -> str:
    return str(
        ask("tickets", "open", "--channel", "complaint", "--category", "gambling", "--text", text, *more)["ticket_id"]
    )


def test_from_a_complaint_to_a_report_s_file(store: Path, tmp_path: Path) -> None:
    number = opened(
        "赌博广告 13812345678", "--account", "u0001-99", "--url", "https://shop.example.cn/1", "--reference", "JB-7"
    )
    assert ask("tickets", "list", "--channel", "complaint", "--part", "dispose")[0]["ticket_id"] == number
    assert ask("tickets", "claim", number)["state"] == "triage"
    assert ask("tickets", "triage", number, "--confirm", "illegal", "--reason", "赌博")["police_due_at"]
    assert ask("tickets", "dispose", number, "--measure", "delete")["due_on"]
    assert ask("tickets", "police", number, "--receipt", "WA-1")["police_reported_at"]
    report = ask("tickets", "reports", "draft", number, "--summary", "已删除")["report_id"]
    assert ask("tickets", "reports", "approve", report)["state"] == "approved"
    for form in ("docx", "pdf", "json", "csv"):
        file = tmp_path / f"r.{form}"
        assert run("tickets", "reports", "export", report, "--output", str(file)).exit_code == 0
        assert file.stat().st_mode & 0o077 == 0, "a report holds personal data"
    assert zipfile.is_zipfile(tmp_path / "r.docx")
    assert refused("tickets", "reports", "export", report, "--output", str(tmp_path / "r.pdf")).exit_code == 6
    with open_store(store, ()) as inside, inside.catalogue.read() as connection:
        taken = sa.select(events.c.body).where(
            events.c.subject == f"report:{report}", events.c.kind == "report.exported"
        )
        said = [json.loads(body) for body in connection.execute(taken).scalars()]
    assert [(one["form"], one["by"]) for one in said] == [(form, "cli") for form in ("docx", "pdf", "json", "csv")]
    assert ask("tickets", "reports", "submit", report, "--how", "平台")["state"] == "submitted"
    assert ask("tickets", "reports", "acknowledge", report, "--receipt", "HZ-1")["state"] == "acknowledged"
    assert ask("tickets", "close", number)["state"] == "closed"
    shown = run("tickets", "show", number).output
    assert "https://shop.example.cn/1" in shown
    assert "JB-7" in shown
    assert "report.drafted" not in shown
    assert "13812345678" not in shown
    assert "u0001-99" not in shown
    masked, full = ask("tickets", "show", number), ask("tickets", "show", number, "--purpose", "核对 7 号")
    assert (masked["masked"], masked["user_id"], masked["texts"][0]["text"]) == (
        True,
        "u0＊＊＊-99",
        "赌博广告 138＊＊＊＊＊＊78",
    )
    assert (full["masked"], full["user_id"]) == (False, "u0001-99")
    assert "13812345678" in full["texts"][0]["text"]
    assert "A reason" in str(refused("tickets", "show", number, "--purpose", " "))
    with open_store(store, ()) as inside, inside.catalogue.write() as connection:
        emptied = inside.bodies.seal(emptied_body("P-20"), ticket_context(number))
        connection.execute(tickets.update().where(tickets.c.ticket_id == number).values(body=emptied))
    assert full["texts_destroyed_by"] is None
    assert ask("tickets", "show", number)["texts_destroyed_by"] == "P-20"
    assert "destroyed by the purge P-20" in run("tickets", "show", number).output
    with open_store(store, ()) as inside, inside.catalogue.read() as connection:
        looks = sa.select(events.c.body).where(events.c.kind == "personal.revealed")
        (look,) = connection.execute(looks.where(events.c.subject == f"ticket:{number}")).scalars()
    assert "reason_sealed" in look
    assert "核对" not in look
    assert report in run("tickets", "reports", "list").output


def test_a_milder_decision_waits_and_nobody_here_is_the_second_person(store: Path) -> None:
    number = opened()
    done = run("tickets", "triage", number, "--confirm", "violation", "--reason", "玩笑")
    assert "待复核" in done.output
    (approval,) = ask("tickets", "approvals")
    assert approval["value"] == {"decision": "violation", "default": "illegal"}
    error = refused("tickets", "approve", approval["approval_id"], "--reason", "同意")
    assert error.exit_code == 9


def test_many_at_once_and_back(store: Path) -> None:
    # Long texts: on short ones the estimate of likeness, which is seeded by the store, lies near its bound.
    numbers = [opened(f"第{n}条举报: 发现可疑的赌博广告内容, {LONG}") for n in range(4)]
    done = ask("tickets", "bulk", "dismiss", *numbers, "--reason", "重复")
    assert len(done["done"]) == 4
    assert {t["state"] for t in ask("tickets", "list")} == {"dismissed"}
    assert len(ask("tickets", "undo", done["token"])["done"]) == 4
    assert refused("tickets", "undo", done["token"]).exit_code == 2
    assert len(ask("tickets", "group", numbers[0])) == 4
    assert {link["kind"] for link in ask("tickets", "links", numbers[0])} == {"near"}
    decided = ask("tickets", "group", numbers[0], "--confirm", "illegal", "--reason", "同一批")
    assert len(decided["done"]) == 4
    merged = ask("tickets", "merge", numbers[1], "--into", numbers[0], "--reason", "同一事")
    assert merged["findings"] == 2


def test_many_are_disposed_of_at_once(store: Path) -> None:
    numbers = [opened(f"第{n}条举报: 赌博网站 {n * 7919}") for n in range(3)]
    ask("tickets", "bulk", "confirm", *numbers[:2], "--decision", "illegal", "--reason", "违法")
    shown = run("tickets", "bulk", "dispose", *numbers, "--preview")
    assert "2 would be done 将处理, 1 left out 不处理" in shown.output
    assert f"1: it is detected: only what is confirmed can be disposed of ({numbers[2]})" in shown.output
    assert isinstance(run("tickets", "bulk", "dispose", *numbers).exception, LiucunError), "a measure is missing"
    done = run("tickets", "bulk", "dispose", "--state", "confirmed", "--measure", "delete", "--reason", "依法")
    assert "2 done 已处理, 0 refused" in done.output
    assert "undo" not in done.output
    again = ask("tickets", "bulk", "dispose", *numbers, "--measure", "mask")
    assert (again["done"], again["token"], len(again["refused"])) == ([], None, 3)
    assert {t["measure"] for t in ask("tickets", "list", "--due-by", "2099-12-31")} == {"delete"}
    assert refused("tickets", "list", "--due-by", "morgen").exit_code == 2


def test_a_step_on_nothing_is_said_and_nothing_is_asked_about(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = opened()
    for words in (("--measure", "delete"), ("--preview",)):
        error = refused("tickets", "bulk", "dispose", "--state", "confirmed", *words)
        assert (error.exit_code, error.what) == (2, "The filter finds no ticket.")
    monkeypatch.setattr("liucun.commands._ticket_many.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    monkeypatch.setattr("click.confirm", lambda *_, **__: pytest.fail("nothing was to be asked about"))
    done = run("tickets", "bulk", "dispose", number, "--measure", "delete")
    assert (done.exit_code, "0 would be done 将处理, 1 left out" in done.output) == (0, True)
    claimed = run("tickets", "bulk", "claim", "T-none")
    assert "0 done 已处理, 1 refused" in claimed.output
    assert "undo" not in claimed.output


def test_a_disposal_by_filter_is_of_what_was_shown(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [opened(f"第{n}条举报: 赌博网站 {n * 7919}") for n in range(2)]

    def confirm(number: str) -> None:
        ask("tickets", "bulk", "confirm", number, "--decision", "illegal", "--reason", "违法")

    confirm(numbers[0])
    terminal = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("liucun.commands._ticket_many.sys", terminal)
    # Somebody confirms another one while the question waits for its answer.
    monkeypatch.setattr("click.confirm", lambda *_, **__: confirm(numbers[1]))
    done = run("tickets", "bulk", "dispose", "--state", "confirmed", "--measure", "delete")
    assert "1 would be done" in done.output
    assert "1 done 已处理, 0 refused" in done.output
    assert {t["ticket_id"]: t["state"] for t in ask("tickets", "list")} == {
        numbers[0]: "disposed",
        numbers[1]: "confirmed",
    }


def test_assign_release_link_appeal(store: Path) -> None:
    one, two = opened("一条内容在这里写着"), opened("另一条完全不同的文字")
    assert ask("tickets", "assign", one, "--to", "hong")["assignee"] == "hong"
    assert ask("tickets", "release", one)["assignee"] is None
    assert "已关联" in run("tickets", "link", one, two).output
    ask("tickets", "triage", one, "--confirm", "illegal", "--reason", "r")
    ask("tickets", "dispose", one, "--measure", "delete", "--reason", "r")
    assert ask("tickets", "appeal", one, "--open", "账号主人申诉")["appealed_at"]
    assert ask("tickets", "appeal", one, "--reject", "不成立")["appealed_at"] is None
    assert ask("tickets", "appeal", one, "--uphold", "误判")["state"] == "reversed"
    assert run("tickets", "appeal", one).exit_code == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("tickets", "open", "--channel", "complaint", "--category", "no", "--text", "x"), 2),
        (("tickets", "open", "--channel", "complaint", "--category", "drugs", "--text", " "), 2),
        (("tickets", "open", "--channel", "complaint", "--category", "drugs", "--text-file", "/nowhere"), 2),
        (("tickets", "reports", "draft", "T-none"), 2),
        (("tickets", "reports", "approve", "R0"), 2),
        (("tickets", "claim", "T-none"), 2),
        (("tickets", "confirm-order", "D0"), 2),
        (("duties", "complete", "Y0", "--receipt", "r"), 2),
        (("duties", "evidence", "Y0", "/nowhere"), 2),
    ],
)
def test_wrong_use_has_its_code(store: Path, words: tuple[str, ...], code: int) -> None:
    assert refused(*words).exit_code == code


def test_duties_with_evidence_and_receipt(store: Path, tmp_path: Path) -> None:
    standing = {duty["clock"]: duty["due_on"] for duty in ask("duties", "list")}
    assert standing["renewal"] == "2026-10-23"
    assert set(standing) - {"licence_shown"} == {"renewal", "annual_report"}
    words = ("duties", "add", "--kind", "assessment", "--title", "直播评估", "--start", "2026-09-02")
    duty = ask(*words)
    assert (duty["due_on"], duty["recipient"]) == ("2026-10-02", "电信主管部门")
    file = tmp_path / "报告.pdf"
    file.write_bytes(b"%PDF")
    assert len(ask("duties", "evidence", duty["duty_id"], str(file))["sm3"]) == 64
    assert ask("duties", "complete", duty["duty_id"], "--receipt", "TG-1")["state"] == "done"
    assert duty["duty_id"] not in run("duties", "list").output
    assert "已完成" in run("duties", "list", "--all").output


def test_a_lost_catalogue_is_not_replaced_by_an_empty_one(store: Path) -> None:
    from tickets.calendar.reading import SHIPPED

    (store / "catalogue.db").unlink()
    error = refused("calendar", "import", str(SHIPPED))
    assert isinstance(error, SettingsError)
    assert "catalogue" in error.what
    assert not (store / "catalogue.db").exists()


def test_an_imported_calendar_recounts_without_the_passphrase(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tickets.calendar.reading import SHIPPED

    number = opened()
    ask("tickets", "triage", number, "--confirm", "illegal", "--reason", "r")
    before = ask("tickets", "dispose", number, "--measure", "delete")["due_on"]
    text = SHIPPED.read_text(encoding="utf-8").replace('version = "2026.1"', 'version = "2026.2"')
    # A holiday more in the coming weeks moves the last day on.
    extra = '    "2026-11-25/2026-12-04 测试",\n'
    marker = text.index('"2026-01-01/')
    file = tmp_path / "c.toml"
    file.write_text(text[:marker] + extra.strip() + "\n    " + text[marker:], encoding="utf-8")
    monkeypatch.delenv("LIUCUN_PASSPHRASE")
    done = ask("calendar", "import", str(file))
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "a passphrase for tests")
    (after,) = ask("tickets", "list")
    assert done["version"] == "2026.2"
    if before < after["due_on"]:
        assert done["recounted"] == [number]
    assert after["calendar_version"] == "2026.2"


def test_evidence_is_listed_and_taken_out_for_a_purpose(store: Path, tmp_path: Path) -> None:
    number = opened()
    assert ask("tickets", "evidence", number) == []
    ask("tickets", "triage", number, "--confirm", "illegal", "--reason", "r")
    ask("tickets", "dispose", number, "--measure", "delete")
    (listed,) = ask("tickets", "evidence", number)
    assert listed["place"] == f"ticket:{number}@0"
    out = tmp_path / "out"
    assert "purpose" in str(refused("tickets", "evidence", number, "--out", str(out)))
    assert not out.exists()
    (taken,) = ask("tickets", "evidence", number, "--out", str(out), "--purpose", "案件 1 号")
    (file,) = out.iterdir()
    assert hashlib.sha256(file.read_bytes()).hexdigest() == taken["sha256"] == listed["sha256"]
    assert json.loads(file.read_bytes())["texts"][0]["text"] == "有人在评论区发布赌博网站链接"
    again = refused("tickets", "evidence", number, "--out", str(out), "--purpose", "again")
    assert "cannot be written" in str(again)
    assert "T-unknown" in str(refused("tickets", "evidence", "T-unknown"))
    asked = ask("query", "SELECT actor FROM audit_events WHERE kind = 'evidence.read'", "--purpose", "t")
    assert len(asked) == 2, "each time it was taken out"
    assert "案件" not in (store / "catalogue.db").read_bytes().decode("latin-1")


def test_a_run_tells_findings_and_keeps_the_target_of_the_settings(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIUCUN_PLATFORM_SECRET", "s3cret")
    with (store / "liucun.toml").open("a", encoding="utf-8") as file:
        file.write('[tickets]\ndisposal_minutes = 45\n[tickets.platform.findings]\nurl = "ftp://nowhere"\n')
    assert "http" in str(refused("tickets", "list"))
    with http_receiver() as platform:
        text = (store / "liucun.toml").read_text(encoding="utf-8")
        url = f"http://127.0.0.1:{platform.port}/findings"
        (store / "liucun.toml").write_text(text.replace("ftp://nowhere", url), encoding="utf-8")
        lines = [json.dumps({"content_id": f"c{n}", "text": "网上赌场开户送彩金,加微信"}) for n in range(3)]
        (tmp_path / "posts.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = ask("run", "--source", f"content:ndjson:{tmp_path}/posts.ndjson", "--published")
        assert done["tickets_opened"] == 3
        ticket = ask("tickets", "list")[0]
        moments = [datetime.fromisoformat(ticket[name]) for name in ("detected_at", "dispose_by")]
        assert moments[1] - moments[0] == timedelta(minutes=45)
        (waiting,) = ask("tickets", "messages", "--state", "waiting")
        assert waiting["channel"] == "findings"
        platform.answer(404)
        run("worker", "--once")
        (failed,) = ask("tickets", "messages", "--state", "failed")
        assert "404" in failed["error"]
        assert "no failed message 99" in str(refused("tickets", "messages", "--again", "99"))
        assert ask("tickets", "messages", "--all-again")[0]["state"] == "waiting"
        platform.answers.clear()
        platform.answer(204)
        run("worker", "--once")
        assert [m["state"] for m in ask("tickets", "messages")] == ["sent"]
    found = json.loads(platform.requests[-1][2])["findings"]
    assert sorted(f["content_id"] for f in found) == ["c0", "c1", "c2"]
    assert "赌场" not in platform.requests[-1][2].decode()
