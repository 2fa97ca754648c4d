"""The console's search on a real Elasticsearch finds the same records as the archive by itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from console.access.accounts import account_by
from console.access.tokens import issue
from console.migrate import prepare_tables as prepare_console
from console.parts import Parts
from console.reading.search import Found, search
from liucun.cli import main_group
from liucun.commands.serve import parts_of
from liucun.index_following import following, step
from liucun.store import OpenStore, open_store
from retention.schema import RecordClass
from retention.search.asking import Question
from retention.search.settings import SearchSettings
from tests.console.conftest import make_account
from tests.services.indexed import Indexed, Server
from tickets.actors import Role

pytestmark = pytest.mark.services
TEXTS = ("加微信领取彩金，联系客服", "普通评论，物流很快", "彩金已到账 加微信", "今天天气好", "开户送彩金")
QUESTIONS = (
    Question(RecordClass.CONTENT, "彩金"),
    Question(RecordClass.CONTENT, "彩金 加微信"),
    Question(RecordClass.CONTENT, "领取彩金", {"user_id": "u0"}),
    Question(RecordClass.CONTENT, "", {"user_id": "u1"}),
    Question(RecordClass.CONTENT, "", {"source_ip": "10.0.0.2"}),
    Question(RecordClass.CONTENT, "彩金", {}, date(2026, 11, 3), date(2026, 11, 3)),
    Question(RecordClass.CONTENT, "没有这样的词"),
    Question(RecordClass.CONTENT, "彩金", limit=2),
)


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenStore]:
    server, prefix = Server.running(), f"t{secrets.token_hex(5)}"
    monkeypatch.setenv("LIUCUN_SEARCH_PASSWORD", server.password)
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "a passphrase for tests")
    monkeypatch.setenv("LIUCUN_STORE", str(tmp_path / "store"))
    lines = [
        f'{{"user_id":"u{n % 3}","text":"{text}","source_ip":"10.0.0.{n % 3}",'
        f'"@timestamp":"2026-11-0{n + 1}T08:00:00+08:00"}}'
        for n, text in enumerate(TEXTS)
    ]
    (tmp_path / "a.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run("init")
    with (tmp_path / "store" / "liucun.toml").open("a", encoding="utf-8") as file:
        file.write(Indexed(tmp_path, server, prefix, {}).section())
    run("run", "--source", f"content:ndjson:{tmp_path}/a.ndjson")
    with open_store(tmp_path / "store", ()) as store:
        prepare_console(store.catalogue)
        make_account(store.catalogue, "reviewer", Role.REVIEWER)
        step(store)
        yield store
        with following(store) as follower:
            for name in follower.cluster.ask("GET", f"/{prefix}-*/_alias"):
                follower.cluster.ask("DELETE", f"/{name}")


def run(*words: str) -> None:
    done = CliRunner().invoke(main_group, list(words))
    assert done.exit_code == 0, done.output


def ask(parts: Parts, question: Question) -> Found:
    with parts.catalogue.read() as connection:
        account = account_by(connection, name="reviewer")
    return search(parts, question, account, "核查")


def shown(found: Found) -> list[str]:
    return [row["text"] for row in found.records]


def test_index_and_archive_find_the_same(opened: OpenStore) -> None:
    parts = parts_of(opened)
    refresh(opened)
    for question in QUESTIONS:
        mine = ask(parts, question)
        other = ask(replace(parts, search=SearchSettings()), question)
        assert (mine.by_index, other.by_index) == (True, False), (question, mine.failed)
        assert shown(mine) == shown(other), question
        assert mine.total == (3 if question.limit == 2 else len(other.records))
        assert mine.exact
        assert mine.behind == 0


def test_a_restricted_account_is_found_by_neither(opened: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_of(opened)
    head = make_account(opened.catalogue, "head", Role.COMPLIANCE_HEAD)
    monkeypatch.setenv("LIUCUN_TOKEN", issue(opened.catalogue, head, name="cli", days=1))
    question = Question(RecordClass.CONTENT, "", {"user_id": "u0"})
    refresh(opened)
    assert len(ask(parts, question).records) == 2
    run("restrict", "u0", "--ground", "本人请求")
    early = ask(parts, question)
    assert (early.by_index, early.records) == (True, ()), "the archive hides it before the index has forgotten it"
    step(opened)
    refresh(opened)
    later = ask(parts, question)
    assert (later.by_index, later.total, later.records) == (True, 0, ())


def refresh(opened: OpenStore) -> None:
    with following(opened) as follower:
        follower.cluster.ask("POST", f"/{opened.settings.search.prefix}-*/_refresh")
