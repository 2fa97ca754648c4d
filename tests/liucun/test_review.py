"""``liucun review`` and the worker's daily draw, over a real store with a declared source."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from errors import IntegrityError, LiucunError, UsageError
from liucun.commands.audit import command as audit
from liucun.commands.init import command as init
from liucun.commands.review import command
from liucun.commands.run import command as run
from liucun.reviewing import draw_due, due_days
from liucun.store import open_store
from liucun.timed_work import steps
from tickets.samples.labels import harmless_texts

SOURCE = """
[review]
size = 5

[[source]]
name = "posts"
record_class = "content"
format = "ndjson"
paths = ["{folder}/*.ndjson"]
published = {{ text = true }}
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty posts of 10 March 2026 and ten of the 12th, one of them illegal."""
    root = tmp_path / "store"
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "correct horse battery staple")
    monkeypatch.setenv("LIUCUN_STORE", str(root))
    assert CliRunner().invoke(init, ["--store", str(root)]).exit_code == 0
    lines = []
    for n in range(50):
        day = "2026-03-10" if n < 40 else "2026-03-12"
        text = "体育竞猜平台 赌球 上分下分 加微信" if n == 7 else f"很好用的商品 {n}"
        post = {"event_time": f"{day}T02:00:{n:02}Z", "user_id": f"u{n % 5}", "content_id": f"c{n}", "text": text}
        lines.append(json.dumps(post, ensure_ascii=False))
    (tmp_path / "posts.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (root / "liucun.toml").open("a", encoding="utf-8") as file:
        file.write(SOURCE.format(folder=tmp_path))
    done = CliRunner().invoke(run, ["--source", "posts", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["tickets_opened"] == 1
    return root


def call(*words: object, group=command) -> Result:
    return CliRunner().invoke(group, [str(word) for word in words])


def answer(*words: object, group=command):
    done = call(*words, "--json", group=group)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_from_the_draw_to_the_rate(store: Path) -> None:
    drawn = answer("draw", "--day", "2026-03-10")
    assert drawn == {"days": 1, "drawn": 5, "passed": {"text": 39}, "flagged": 1}
    waiting = answer("list")
    assert len(waiting) == 5
    assert "text" not in waiting[0]
    shown = answer("show", waiting[0]["sample_id"])
    assert shown["text"].startswith("很好用的商品")
    assert (shown["masked"], "＊" in shown["user_id"]) == (True, True)
    full = answer("show", waiting[0]["sample_id"], "--purpose", "a look")
    assert (full["masked"], full["text"], "＊" in full["user_id"]) == (False, shown["text"], False)
    judged = answer("judge", waiting[0]["sample_id"], "--category", "fraud")
    assert judged["ticket_id"]
    for one in waiting[1:]:
        assert answer("judge", one["sample_id"], "--harmless")["state"] == "harmless"
    rate = answer("rate")["total"]
    assert (rate["reviewed"], rate["missed"], rate["rate"]) == (5, 1, 0.2)
    assert rate["low"] < 0.2 < rate["high"]
    assert "20.00%" in call("rate").output
    assert answer("check", "2026-03-10")["texts"] == 5
    audited = call("samples", "--json", group=audit)
    assert audited.exit_code == 1, "nobody has drawn the days since then"
    report = json.loads(audited.stdout)
    assert report["checked"]["missed"] == 1
    assert {finding["kind"] for finding in report["findings"]} == {"missed", "not_sampled"}
    (since,) = [finding["where"] for finding in report["findings"] if finding["kind"] == "not_sampled"]
    assert since.startswith("days:2026-03-11.."), "one finding for all the days since then"
    with open_store(store, ()) as opened:
        texts = harmless_texts(opened, actor="os:test")
    assert len(texts) == 4
    assert {sample for _, sample in texts} == {one["sample_id"] for one in waiting[1:]}


def test_the_worker_draws_what_is_due(store: Path) -> None:
    now = datetime(2026, 3, 13, 0, tzinfo=UTC)
    assert "review" in {step.name for step in steps()}
    with open_store(store, ()) as opened:
        assert due_days(opened, now) == [date(2026, 3, 12)]
        assert due_days(opened, now - timedelta(hours=3)) == [date(2026, 3, 11)], "the lag is not over"
        assert draw_due(opened, now - timedelta(days=2)) == {"days": 1, "drawn": 5}
        # Two days without a worker are caught up, an empty one among them.
        assert due_days(opened, now) == [date(2026, 3, 11), date(2026, 3, 12)]
        assert draw_due(opened, now) == {"days": 2, "drawn": 5}
        assert draw_due(opened, now) == {"days": 0, "drawn": 0}


@pytest.mark.parametrize(
    "words",
    [
        ("draw", "--day", "yesterday"),
        ("draw", "--day", "0001-01-01"),
        ("draw", "--day", "9999-12-31"),
        ("draw", "--size", 3),
        ("show", "S0"),
        ("judge", "S0", "--harmless"),
        ("judge", "S0"),
        ("judge", "S0", "--harmless", "--category", "fraud"),
        ("judge", "S0", "--category", "x" * 5000),
        ("check", "2026-03-10"),
        ("rate", "--since", "\u0000"),
    ],
)
def test_wrong_use_is_told(store: Path, words: tuple[object, ...]) -> None:
    done = call(*words)
    assert isinstance(done.exception, LiucunError | SystemExit)
    assert not isinstance(done.exception, IntegrityError)
    if isinstance(done.exception, LiucunError):
        assert isinstance(done.exception, UsageError), done.exception
