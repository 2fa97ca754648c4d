"""What is particular to data streams: their own writes, rollovers, and servers that have none or a failure store.

No server with data streams can be installed where these tests run: what answers here is the stand-in of ``standin.py``,
not Elasticsearch. What a real server can show is shown in tests/services/test_search_streams.py: how one without data
streams is refused, and that documents which are there already are written over.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from retention.persons.restriction import restrict
from retention.schema import RecordClass
from retention.search import compare
from retention.search.asking import Question, ask
from retention.search.book import state_of
from retention.search.errors import SearchStreamsError
from retention.search.rebuilding import rebuild
from retention.search.settings import SearchSettings
from retention.search.tables import search_segments
from tests.retention.policies.world import World, at
from tests.retention.sealed_store import hours
from tests.retention.search.followed import APRIL, MARCH, NOW, Followed, settings_of
from tests.retention.search.standin import standing_in
from tests.retention.search.standin_documents import ONLY_CREATE


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


def test_an_index_from_before_there_was_a_choice_is_gone_on_with() -> None:
    assert "data_streams" not in SearchSettings().shape()


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
