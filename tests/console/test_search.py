"""The search page: words and values found in the archive, for a purpose; what the index cannot say the archive does."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest

from console.access.accounts import account_by
from console.reading.search import search
from errors import UsageError
from retention.schema import RecordClass
from retention.search.asking import Question, answerable
from retention.search.settings import SearchSettings
from tests.retention.sealed_store import SealedStore, hours

WORDS = ("普通的一条评论", "加微信领取彩金", "彩金 已到账 加微信", "单字赌")


@pytest.fixture
def archived(console):
    p = console.parts
    if not getattr(console, "archived", False):
        store = SealedStore(p.root, p.catalogue, p.objects, p.archive, p.bodies, p.period_keys)
        rows = [{**row, "text": text} for row, text in zip(hours(4), WORDS, strict=True)]
        store.add(rows, record_class="content", source="posts", partition="posts.log#1")
        console.archived = True
    return console


def found(page: str) -> list[str]:
    return [text for text in WORDS if re.search(rf"</span> {re.escape(text)} ", page)]


def ask(person, **more: str) -> str:
    answer = person.post("/search", **{"kind": "content", "purpose": "投诉核查", **more})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_words_values_and_days(archived) -> None:
    person = archived.person("reviewer")
    assert 'name="purpose"' in person.get("/search").text
    assert found(ask(person, words="彩金 加微信")) == list(WORDS[1:3])
    assert found(ask(person, words="彩金", column="user_id", value="u1")) == [WORDS[1]]
    assert found(ask(person, column="user_id", value="u1")) == [WORDS[1]]
    assert found(ask(person, words="彩金", first="2026-03-02")) == []
    assert found(ask(person, words="彩金", first="2026-03-01", last="2026-03-01")) == list(WORDS[1:3])
    assert found(ask(person, words="' OR 1=1 --")) == []


def test_each_search_is_on_record_with_its_purpose(archived) -> None:
    person = archived.person("auditor")
    page = ask(person, words="彩金")
    (number,) = re.findall(r'<span class="mono">([0-9a-f]{32})</span>', page)
    from retention.catalogue.tables import events

    with archived.parts.catalogue.read() as connection:
        kinds = connection.execute(events.select().where(events.c.subject.like(f"%{number}"))).all()
    assert [row.kind for row in kinds] == ["query.started", "query.answered"]


@pytest.mark.parametrize(
    "form",
    [
        {"purpose": "", "words": "彩金"},
        {"words": "  "},
        {"words": "彩金", "kind": "evidence"},
        {"words": "彩金", "first": "昨天"},
        {"words": "彩金", "first": "2026-03-02", "last": "2026-03-01"},
        {"value": "x", "column": "raw"},
        {"words": " ".join("一" * 21)},
        {"words": "x" * 201},
    ],
)
def test_what_is_missing_or_wrong_is_said_and_what_was_typed_stays(archived, form: dict[str, str]) -> None:
    answer = archived.person("reviewer").post("/search", **{"kind": "content", "purpose": "p", **form})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    if form.get("words", "").strip():
        assert form["words"][:20] in answer.text


def test_an_index_that_does_not_answer_leaves_the_archive(archived) -> None:
    parts = replace(archived.parts, search=SearchSettings(urls=("http://127.0.0.1:9",), timeout_seconds=1))
    with parts.catalogue.read() as connection:
        account = account_by(connection, name="reviewer")
    result = search(parts, Question(RecordClass.CONTENT, "彩金"), account, "p")
    assert not result.by_index
    assert result.failed is not None
    assert [row["text"] for row in result.records] == [WORDS[2], WORDS[1]]


def test_what_the_index_can_say() -> None:
    settings = SearchSettings(urls=("http://127.0.0.1:9",))
    asked = Question(RecordClass.CONTENT, "彩金", {"user_id": "u1"})
    assert answerable(settings, asked)
    assert not answerable(SearchSettings(), asked)
    assert not answerable(settings.model_copy(update={"personal": "left_out"}), asked)
    assert not answerable(settings.model_copy(update={"texts": ()}), asked)
    assert not answerable(settings, Question(RecordClass.UNPARSED, "彩金"))
    assert not answerable(settings, Question(RecordClass.CONTENT, "赌")), "pairs hold no single character"
    with pytest.raises(UsageError):
        Question(RecordClass.CONTENT, "", {}, date(2026, 1, 1))
