"""The follower on data streams, and beside it on indices, with a stand-in for the server.

No server with data streams can be installed where these tests run: what answers here is the stand-in of ``standin.py``,
not Elasticsearch. What a real server can show is shown in tests/services/test_search_streams.py: how one without data
streams is refused, and that documents which are there already are written over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from retention.catalogue.tables import segments
from retention.compaction.merge import compact, plan
from retention.persons.restriction import lift, restrict
from retention.schema import RecordClass
from retention.search import compare
from retention.search.asking import Question, ask
from retention.search.book import state_of
from retention.search.cluster import Cluster
from retention.search.errors import SearchRebuildError, SearchStreamsError
from retention.search.follower import Follower
from retention.search.prepare import prepare_search
from retention.search.rebuilding import catch_up, rebuild
from retention.search.settings import SearchSettings
from retention.search.tables import search_segments, search_state
from retention.transparency.keeping import LogKeeper
from tests.retention.policies.world import World, at, close, logs, make_world
from tests.retention.purge.destroying import approved, beat, run
from tests.retention.sealed_store import hours
from tests.retention.search.standin import StandIn, standing_in
from tests.retention.search.standin_documents import ONLY_CREATE

NOW = datetime(2026, 5, 1, tzinfo=UTC)
MARCH, APRIL = "liucun-user_log-2026.03-000001", "liucun-user_log-2026.04-000001"


@dataclass(slots=True)
class Followed:
    """A store, and the stand-in that follows it under settings that may be changed."""

    world: World
    server: StandIn
    settings: SearchSettings

    def follower(self, **changed: Any) -> Follower:
        settings = self.settings.model_copy(update=changed)
        cluster = Cluster(settings, patience=1.0, sleep=lambda _seconds: None)
        return Follower(self.world.store, settings, cluster=cluster)

    def follow(self) -> Follower:
        """To the log's end."""
        store = self.world.store
        LogKeeper(store.catalogue, store.objects, store.period_keys, store.archive.suite).keep()
        follower = self.follower()
        catch_up(follower)
        return follower

    def documents(self) -> dict[str, dict[str, Any]]:
        """Every document by its id; one that is there twice fails."""
        found = [(name, doc) for index in self.server.indices.values() for name, doc in index.docs.items()]
        assert len(found) == len({name for name, _ in found}), "a document is there twice"
        return dict(found)

    def agree(self, withheld: int = 0) -> int:
        """Assert that index and archive agree document by document; how many documents there are."""
        done = compare.reconcile(self.follower(), mend=False, contents=True)
        assert (done.findings, done.waiting) == ([], 0)
        with self.world.catalogue.read() as connection:
            rows = connection.execute(sa.select(sa.func.sum(segments.c.rows))).scalar_one() or 0
        assert done.documents == done.contents == len(self.documents()) == rows - withheld
        return done.documents

    def names(self) -> list[str]:
        """Of indices and of data streams."""
        plain = [name for name, index in self.server.indices.items() if index.stream is None]
        return sorted([*plain, *self.server.backing])

    def only_streams(self) -> None:
        """Assert that all stands in data streams and no request was of a kind that streams refuse."""
        assert self.server.backing
        assert all(index.stream for index in self.server.indices.values())

    def compacted(self) -> None:
        store = self.world.store
        compact(store.catalogue, store.archive, plan(store.catalogue), progress=lambda _what, _done, _total: None)

    def execute(self, statement: sa.Executable) -> None:
        self.world.execute(statement)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path / "world")
    prepare_search(made.catalogue)
    yield made
    close(made)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with standing_in() as state:
        yield state


def settings_of(server: StandIn, **more: Any) -> SearchSettings:
    return SearchSettings(urls=(server.url,), documents_per_index=1000, **more)


@pytest.fixture
def streamed(world: World, server: StandIn) -> Followed:
    return Followed(world, server, settings_of(server, data_streams=True))


@pytest.fixture(params=[True, False], ids=["streams", "indices"])
def either(world: World, server: StandIn, request: pytest.FixtureRequest) -> Followed:
    return Followed(world, server, settings_of(server, data_streams=request.param))


def test_a_stream_for_each_class_and_month_behind_the_alias(streamed: Followed) -> None:
    store = streamed.world.store
    store.add(hours(30))
    store.add(hours(10, first=datetime(2026, 4, 2, tzinfo=UTC)), period="2026-04")
    store.add([{"text": "绿茶很香", "user_id": "u1"}, {"text": "红茶也香"}], record_class="content", partition="c#1")
    streamed.follow()
    assert streamed.names() == ["liucun-content-2026.03-000001", MARCH, APRIL]
    streamed.only_streams()
    assert streamed.agree() == 42
    items = {one.split()[0] for one in streamed.server.asked if one.split()[0] in {"create", "index", "delete"}}
    assert items == {"create"}
    follower = streamed.follow()
    hits = ask(follower.cluster, store, streamed.settings, Question(RecordClass.USER_LOG, "", {"user_id": "u3"}))
    assert (hits.total, hits.exact) == (4, True)
    words = ask(follower.cluster, store, streamed.settings, Question(RecordClass.CONTENT, "绿茶"))
    assert [place[1] for place in words.places] == ["c#1"]


def test_the_stand_in_refuses_what_streams_refuse(streamed: Followed) -> None:
    """Else the other tests would show nothing."""
    streamed.world.store.add(hours(3))
    follower = streamed.follow()
    (name, *_) = streamed.documents()
    (behind,) = streamed.server.backing[MARCH]
    for verb, target, said in (
        ("index", MARCH, ONLY_CREATE),
        ("delete", MARCH, ONLY_CREATE),
        ("create", behind, "targeting backing indices is disallowed"),
        ("index", behind, "targeting backing indices is disallowed"),
        ("create", MARCH, "version conflict"),
    ):
        document = b"" if verb == "delete" else b'{"@timestamp":"2026-03-01T00:00:00Z"}\n'
        body = f'{{"{verb}":{{"_index":"{target}","_id":"{name}"}}}}\n'.encode() + document
        (item,) = follower.cluster.bulk(body)["items"]
        assert said in item[verb]["error"]["reason"]
    assert follower.cluster.asked("DELETE", f"/{MARCH}").status == 404
    assert follower.cluster.asked("DELETE", f"/{behind}").status == 400


def test_restriction_takes_documents_out_and_release_brings_them_back(either: Followed) -> None:
    store = either.world.store
    store.add(hours(50))
    store.add(hours(10), period="2026-04")
    either.follow()
    restrict(store, "u3", ground="第四十七条", actor="ann", now=NOW)
    either.follow()
    assert either.agree(withheld=6) == 54
    lift(store, "u3", reason="撤回", actor="ann", now=NOW)
    either.follow()
    assert either.agree() == 60


def test_a_destroyed_month_goes_whole(either: Followed) -> None:
    world = either.world
    world.ingest(logs("2024-02-01", "2024-02-29"))
    world.ingest(logs("2024-03-05"))
    either.follow()
    assert either.names() == ["liucun-user_log-2024.02-000001", "liucun-user_log-2024.03-000001"]
    # The log has the machine's clock, which is not the one of this test.
    world.execute(sa.text("UPDATE checkpoints SET at = (SELECT max(at) FROM events)"))
    made = approved(world, "2025-03-01")
    beat(world, "2025-03-02", "2025-03-08")
    assert run(world, made.purge_id, "2025-03-08").state == "certified"
    either.follow()
    assert either.names() == ["liucun-user_log-2024.03-000001"]
    assert either.agree() == 1


@pytest.mark.parametrize("adopted", [True, False])
def test_merged_segments_keep_their_documents(either: Followed, adopted: bool) -> None:
    """Adopted, or written anew over those of the old segments, which then are let go."""
    store = either.world.store
    for n in range(3):
        store.add(hours(20 + n))
    either.follow()
    before = either.documents().keys()
    if not adopted:
        either.execute(search_segments.update().values(recount=True))
    either.compacted()
    either.follow()
    assert either.agree() == 63
    assert either.documents().keys() == before
    labels = {document["liucun.segment"] for document in either.documents().values()}
    assert len(labels) == (3 if adopted else 1)


def test_a_full_stream_is_followed_by_the_next(either: Followed) -> None:
    for _ in range(3):
        either.world.store.add(hours(600))
    either.follow()
    assert either.names() == [MARCH, MARCH[:-1] + "2", MARCH[:-1] + "3"]
    assert either.agree() == 1800
    restrict(either.world.store, "u5", ground="第四十七条", actor="ann", now=NOW)
    either.follow()
    assert either.agree(withheld=180) == 1620


def test_a_lost_answer_doubles_nothing(either: Followed) -> None:
    either.world.store.add(hours(40))
    either.server.lose = 2
    for _ in range(2):
        with pytest.raises(Exception, match="does not answer"):
            either.follow()
    assert len(either.documents()) == 40, "carried out, though nobody was told"
    either.follow()
    assert either.agree() == 40


def test_a_stream_that_somebody_rolled_over_is_followed_on(streamed: Followed) -> None:
    store = streamed.world.store
    store.add(hours(40))
    store.add(hours(20))
    follower = streamed.follow()
    follower.cluster.ask("POST", f"/{MARCH}/_rollover")
    assert len(streamed.server.backing[MARCH]) == 2
    # Written anew while their documents stand in an index that takes no new ones; and one of them is gone.
    old = streamed.server.indices[streamed.server.backing[MARCH][0]]
    old.docs.pop(next(iter(old.docs)))
    streamed.execute(search_segments.update().values(recount=True))
    streamed.compacted()
    streamed.follow()
    assert streamed.agree() == 60
    restrict(store, "u3", ground="第四十七条", actor="ann", now=NOW)
    streamed.follow()
    assert streamed.agree(withheld=6) == 54
    store.add(hours(5))
    streamed.follow()
    assert streamed.agree(withheld=7) == 58
    assert {len(streamed.server.indices[name].docs) for name in streamed.server.backing[MARCH]} == {53, 5}


def test_damage_is_named_and_mended(either: Followed) -> None:
    store = either.world.store
    store.add(hours(30))
    other = store.add(hours(30))
    either.follow()
    (index,) = either.server.indices.values()
    first, second, third, fourth, *_ = index.docs
    index.docs[first] = {**index.docs[first], "event.id": "altered"}
    index.docs[second] = {**index.docs[second], "liucun.segment": other.segment_id}
    index.docs["nobody"] = {**index.docs[third], "liucun.segment": "S-of-nobody"}
    index.numbers["nobody"] = 999
    del index.docs[fourth]
    found = compare.reconcile(either.follower(), mend=False, contents=True)
    assert {one.kind for one in found.findings} == {compare.MISSING, compare.SURPLUS, compare.ORPHANS}
    for _ in range(3):
        mended = compare.reconcile(either.follower(), mend=True, contents=True)
        assert mended.ok
        if not mended.findings:
            break
    assert either.agree() == 60


def test_a_document_that_the_mapping_refuses_keeps_its_place(either: Followed) -> None:
    either.world.store.add([*hours(3), {"event_id": "不可解析"}])
    either.server.refuses = "不可解析"
    either.follow()
    refused = [doc for doc in either.documents().values() if doc.get("liucun.refused")]
    assert [doc["log.offset"] for doc in refused] == [30]
    assert "event.id" not in refused[0]
    assert either.agree() == 4
    either.execute(search_segments.update().values(state="writing"))
    either.follow()
    assert either.agree() == 4


def test_the_setting_is_part_of_the_shape_and_a_rebuild_clears_the_other_form(either: Followed) -> None:
    store = either.world.store
    store.add(hours(30))
    store.add(hours(10), period="2026-04")
    either.follow()
    before = either.documents()
    for _ in range(2):
        streams = not either.settings.data_streams
        either.settings = either.settings.model_copy(update={"data_streams": streams})
        with pytest.raises(SearchRebuildError, match="other settings"):
            either.follow()
        assert rebuild(either.follower()).documents == 40
        assert either.names() == [MARCH, APRIL], "nothing of the other form is left"
        assert bool(either.server.backing) is streams
        assert either.agree() == 40
        assert either.documents().keys() == before.keys()


def test_an_index_from_before_there_was_a_choice_is_gone_on_with() -> None:
    assert "data_streams" not in SearchSettings().shape()


def test_what_somebody_else_made_is_left_alone(either: Followed) -> None:
    """A stream or index of that name without this store's mark, or with it and of the other form."""
    either.world.store.add(hours(3))
    other = Followed(either.world, either.server, either.settings)
    other.follow()
    either.execute(search_state.update().values(generation="f" * 16, position=0))
    either.execute(search_segments.delete())
    with pytest.raises(SearchRebuildError, match="liucun-user_log"):
        either.follow()
    for index in either.server.indices.values():
        index.body = {**index.body, "mappings": {"_meta": {}}}
    with pytest.raises(SearchRebuildError, match=MARCH):
        rebuild(either.follower())
    assert len(either.documents()) == 3


@pytest.mark.parametrize("empty", [True, False])
def test_a_server_without_data_streams_is_refused_at_once(world: World, empty: bool) -> None:
    with standing_in(streams=False) as server:
        followed = Followed(world, server, settings_of(server, data_streams=True))
        if not empty:
            world.store.add(hours(3))
        for _ in range(2):
            with pytest.raises(SearchStreamsError, match="no data streams") as told:
                followed.follow()
        assert "data_streams = false" in told.value.cure
        assert told.value.exit_code == 3
        with pytest.raises(SearchStreamsError):
            compare.reconcile(followed.follower(), mend=True)
        assert {one.split()[0] for one in server.asked} == {"GET"}, "nothing was written, nothing deleted"
        followed.settings = settings_of(server)
        followed.follow()
        assert followed.agree() == (0 if empty else 3), "without a rebuild"


def test_a_refused_rebuild_leaves_the_index_as_it_is(world: World) -> None:
    with standing_in(streams=False) as server:
        followed = Followed(world, server, settings_of(server))
        world.store.add(hours(30))
        before = state_of(world.catalogue, followed.follow().settings)
        with pytest.raises(SearchStreamsError):
            rebuild(followed.follower(data_streams=True))
        assert followed.agree() == 30
        assert state_of(world.catalogue, followed.settings) == before


def test_a_failure_store_is_not_written_into(streamed: Followed) -> None:
    streamed.world.store.add(hours(3))
    streamed.server.failure_store = True
    with pytest.raises(SearchStreamsError, match="failure store"):
        streamed.follow()
    assert streamed.documents() == {}


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_server_that_does_not_say_is_not_taken_for_one_without(
    streamed: Followed, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    streamed.world.store.add(hours(3))
    broken = (status, {"error": {"type": "broken", "reason": "by the test"}})
    monkeypatch.setattr(streamed.server, "answer", lambda *_asked: broken)
    with pytest.raises(Exception, match="by the test") as told:
        streamed.follow()
    assert not isinstance(told.value, SearchStreamsError)


def test_every_document_has_a_time(streamed: Followed) -> None:
    """A stream takes none without; a time beyond the calendar is none."""
    far = {"event_time": datetime(1, 1, 1, tzinfo=UTC)}
    streamed.world.store.add([far, {}, {"event_time": at("2026-03-05")}])
    streamed.follow()
    assert streamed.agree() == 3
