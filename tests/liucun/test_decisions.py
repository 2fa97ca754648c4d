"""Training from what reviewers decided, and the queue's thresholds by budget, over a real store."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from detectors.default import installed_detector
from detectors.model.errors import TrainingDataError
from errors import LiucunError
from liucun.commands._ticket_desk import open_desk
from liucun.commands.init import command as init
from liucun.commands.model import MODELS, command
from liucun.decisions import past_findings, reviewed
from liucun.store import open_store
from retention.catalogue.tables import timestamp
from retention.persons.restriction import restrict
from tickets.opening import ContentFinding, Hit, open_or_extend, prepare
from tickets.queue import list_tickets
from tickets.states import Decision
from tickets.tables import tickets

BAD = "加群领彩金，百家乐返水，第{n}期跟上"
GOOD = "今天的早餐很好吃，第{n}天打卡，孩子喜欢"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "correct horse battery staple")
    monkeypatch.setenv("LIUCUN_STORE", str(tmp_path / "store"))
    assert CliRunner().invoke(init, ["--store", str(tmp_path / "store")]).exit_code == 0
    return tmp_path / "store"


def call(*words: object) -> Result:
    return CliRunner().invoke(command, [str(w) for w in words])


def fill(store: Path, rows: int) -> None:
    """Open tickets, every second one of them about nothing, and decide all but the last two."""
    now = datetime.now(UTC)
    with open_store(store, ()) as opened:
        found = []
        for n in range(rows):
            text = (BAD if n % 2 == 0 else GOOD).format(n=n)
            score = 0.6 + 0.3 * (n % 2 == 0) + n / rows / 20
            hit = Hit("model:gambling", "gambling", None, 3, 0, 4, text[:4], score, "linear-0-test")
            found.append(ContentFinding("s", "p", n, f"c{n}", "content", f"user{n % 10}", "text", text, now, (hit,)))
        prepared = prepare(opened.bodies, found, now=now)
        with opened.catalogue.write() as connection:
            open_or_extend(connection, prepared)
    with open_desk(store) as desk:
        with desk.catalogue.read() as connection:
            listed = list_tickets(connection, limit=1000)
        for ticket in listed:
            n = int((ticket.content_id or "c0")[1:])
            if n >= rows - 2:
                continue
            if n % 2 == 0:
                desk.confirm(ticket.ticket_id, Decision.ILLEGAL, "赌博推广")
            else:
                desk.dismiss(ticket.ticket_id, "无害")


def test_decided_tickets_train_and_restricted_ones_do_not(store: Path, tmp_path: Path) -> None:
    fill(store, 60)
    with open_store(store, ()) as opened:
        everything = reviewed(opened)
        assert (everything.confirmed, everything.dismissed, everything.restricted) == (29, 29, 0)
        assert sorted(set(everything.labelled.labels)) == ["gambling", "none"]
        restrict(opened, "user3", ground="撤回同意", actor="os:test", now=datetime.now(UTC))
        after = reviewed(opened)
        assert after.restricted == 6
        assert after.confirmed + after.dismissed == 52
        assert not any(f"第{n}天" in text for text in after.labelled.texts.to_pylist() for n in range(3, 60, 10))
    done = call("train", "--decisions", "--out", tmp_path / "m", "--no-disguises", "--json", "--store", store)
    assert done.exit_code == 0, (done.output, done.exception)
    shown = json.loads(done.output)
    assert shown["decisions"] == {"confirmed": 29, "dismissed": 23, "restricted_left_out": 6, "sampled": 0}
    assert shown["evaluation"]["accuracy"] > 0.9


def test_without_decisions_there_is_nothing_to_learn(store: Path) -> None:
    with open_store(store, ()) as opened, pytest.raises(TrainingDataError, match="No ticket"):
        reviewed(opened)
    done = call("queue", "--daily-tickets", 5, "--store", store)
    assert isinstance(done.exception, LiucunError)


def test_the_budget_sets_thresholds_and_the_rest_is_sampled(store: Path) -> None:
    fill(store, 60)
    done = call("queue", "--daily-tickets", 35, "--days", 1, "--apply", "--json", "--store", store)
    assert done.exit_code == 0, (done.output, done.exception)
    (plan,) = json.loads(done.output)["plans"]
    assert plan["category"] == "gambling"
    assert plan["tickets"] <= 35
    assert plan["tickets"] + plan["sampled"] == 60
    assert plan["precision"] > 0.7
    assert 0.6 < plan["threshold"] <= 0.95
    detector = installed_detector(store / MODELS)
    texts = pa.array(["在吗，你好呀，平时无聊玩百家乐吗，我们平台首充送彩金", "早餐不错"])
    detector.detectors[1].queue["gambling"] = 1.01  # type: ignore[attr-defined]
    found = [f for f in detector.detect(texts).to_pylist() if f["rule"].startswith("model:")]
    assert [(f["row"], f["rule"], f["severity"], f["category"]) for f in found] == [
        (0, "model:gambling:sampling", 1, "gambling")
    ]


def test_a_budget_counts_the_days_that_brought_findings(store: Path) -> None:
    fill(store, 20)
    with open_store(store, ()) as opened:
        assert past_findings(opened, 30).days == 1.0
        old = timestamp(datetime.now(UTC) - timedelta(days=4))
        with opened.catalogue.write() as connection:
            one = connection.execute(sa.select(tickets.c.ticket_id).limit(1)).scalar_one()
            connection.execute(tickets.update().where(tickets.c.ticket_id == one).values(detected_at=old))
        assert past_findings(opened, 30).days == pytest.approx(4, abs=0.01)
        assert past_findings(opened, 2).days == 1.0
    (plan,) = json.loads(call("queue", "--daily-tickets", 3, "--json", "--store", store).output)["plans"]
    # Twenty in four days, of which three a day can be reviewed.
    assert plan["tickets"] <= 3
    assert plan["tickets"] + plan["sampled"] == pytest.approx(5, abs=0.02)


def test_damaged_thresholds_are_said(store: Path) -> None:
    (store / MODELS).mkdir(exist_ok=True)
    (store / MODELS / "queue.json").write_text("[{]")
    with pytest.raises(LiucunError, match="thresholds"):
        installed_detector(store / MODELS)
