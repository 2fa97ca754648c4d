"""The follower on indices and on data streams alike, with the stand-in of ``standin.py`` for the server.

Each test runs on both forms. What answers is not Elasticsearch: tests/services has the tests on a real one.
"""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from retention.persons.restriction import lift, restrict
from retention.search import compare
from retention.search.errors import SearchRebuildError
from retention.search.rebuilding import rebuild
from retention.search.tables import search_segments, search_state
from tests.retention.policies.world import logs
from tests.retention.purge.destroying import approved, beat, run
from tests.retention.sealed_store import hours
from tests.retention.search.followed import APRIL, MARCH, NOW, Followed


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
