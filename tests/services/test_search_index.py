"""The index through a store's whole life, by the command line and on the real server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from liucun.store import open_store
from retention.catalogue.tables import events
from retention.purge.plan import approve, plan
from retention.purge.upkeep import bring_up_to_date
from retention.second_person import SecondPersonError
from tests.services.indexed import Indexed, days_ago, turned_clock, within

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]

MINUTE = 60.0
"""Within which destruction and restriction must have reached the index."""
OLD, PRESENT = "2020-01-05T08:00:00+08:00", "2026-07-01T08:00:00+08:00"


def hits(indexed: Indexed, phrase: str) -> int:
    return len(indexed.documents({"match_phrase": {"liucun.text": phrase}}))


def test_the_index_follows_restricts_releases_merges_and_is_rebuilt(indexed: Indexed) -> None:
    indexed.begin()
    for name in ("one", "two", "three"):
        indexed.say(name, [f"{name} 第{n}条 今天的绿茶很香" for n in range(100)])
        assert indexed.take_in()["records"]["content"] == 100
    assert indexed.agree() == 300
    assert hits(indexed, "绿茶很香") == 300
    documents = indexed.documents()
    assert not any("person-" in json.dumps(document) for document in documents), "an account in clear"
    assert len({document["user.id"] for document in documents}) == 20

    before = {document["_id"] for document in indexed.documents()}
    assert json.loads(indexed.fine("compact", "--json"))["replaced"] == 3
    assert json.loads(indexed.fine("index", "reconcile", "--json"))["findings"] == []
    assert {document["_id"] for document in indexed.documents()} == before
    assert indexed.agree() == 300

    with indexed.worker():
        indexed.fine("restrict", "person-7", "--ground", "个人信息保护法 第四十七条")
        taken = within("the restricted account's documents went", MINUTE, lambda: indexed.count() == 285)
        assert indexed.agree() == 285
        indexed.fine("restrict", "person-7", "--lift", "--ground", "请求人撤回")
        back = within("they came back", MINUTE, lambda: indexed.count() == 300)
    print(f"restricted: gone after {taken:.1f} s, back {back:.1f} s after the release")
    assert indexed.agree() == 300

    indexed.settings('prefix = "', 'analyzer = "smartcn"\nprefix = "')
    refused = indexed.call("index", "reconcile")
    assert refused.returncode == 3
    assert "liucun index rebuild" in refused.stderr
    assert json.loads(indexed.fine("index", "rebuild", "--json"))["documents"] == 300
    assert indexed.agree() == 300
    assert hits(indexed, "绿茶") == 300
    assert json.loads(indexed.fine("index", "reconcile", "--dry-run", "--json"))["ok"]


def test_a_purge_reaches_the_index_within_a_minute(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planned, approved by a second person and carried out by the worker; only the clock of the past is turned."""
    monkeypatch.setenv("LIUCUN_PASSPHRASE", indexed.env["LIUCUN_PASSPHRASE"])
    if indexed.server.ca:
        pytest.skip("the server's certificate is of today, and this test's clock of a hundred days ago")
    library = turned_clock(indexed.folder)

    def ago(days: float) -> dict[str, str]:
        return days_ago(library, days)

    waits = "\n[retention]\npurge_waiting_days = 3\nclock_ahead_days = 30\n"
    indexed.begin(more=waits, **ago(101))
    indexed.say("old", [f"旧的第{n}条" for n in range(60)], at=OLD)
    indexed.say("new", [f"新的第{n}条" for n in range(40)], at=PRESENT)
    indexed.take_in(**ago(100))
    assert indexed.count() == 100
    for days in (70, 40, 10):
        indexed.fine("query", "SELECT 1 AS n", "--purpose", "the archive lives", **ago(days))
    with open_store(indexed.store, ()) as opened:
        then, settings = datetime.now(UTC) - timedelta(days=5), opened.settings.retention
        bring_up_to_date(opened, settings)
        made = plan(opened, reason="run out", actor="account:ann", now=then, settings=settings)
        given = {"digest": made.plan_digest, "now": then + timedelta(hours=2), "settings": settings}
        with pytest.raises(SecondPersonError):
            approve(opened, made.purge_id, actor="account:ann", **given)
        approve(opened, made.purge_id, actor="account:ben", **given)
    assert indexed.agree() == 100, "nothing goes before the wait is over"
    old = [name for name in indexed.indices() if "2020.01" in name]
    assert len(old) == 1
    with indexed.worker():
        within("the index of the destroyed month went", 300, lambda: not set(old) & set(indexed.indices()))
    assert indexed.agree() == 40
    with open_store(indexed.store, ()) as opened, opened.catalogue.read() as connection:
        chosen = sa.select(events.c.at).where(events.c.kind == "purge.unit_destroyed")
        destroyed = connection.execute(chosen).scalar_one()
    followed = [moment(step["at"]) for step in indexed.worker_said() if step["figures"].get("forgotten")]
    seconds = (followed[0] - moment(destroyed)).total_seconds()
    print(f"destroyed: gone from the index after {seconds:.1f} s")
    assert seconds < MINUTE
    again: dict[str, Any] = json.loads(indexed.fine("index", "reconcile", "--dry-run", "--json"))
    assert (again["ok"], again["documents"]) == (True, 40)


def moment(words: str) -> datetime:
    return datetime.fromisoformat(words)
