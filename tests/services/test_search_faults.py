"""What the follower does when things go wrong, tried on the real server: rows of docs/search.md's table."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from liucun.index_following import following, step
from liucun.store import OpenStore, open_store
from retention.search import compare
from retention.search.errors import (
    SearchBlockedError,
    SearchBusyError,
    SearchRebuildError,
    SearchRefusedError,
    SearchUnreachableError,
)
from retention.search.rebuilding import rebuild
from tests.services import servers
from tests.services.dropping_proxy import dropping_proxy
from tests.services.indexed import FILES, RECORDS, Indexed, within

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]


@dataclass(slots=True)
class Followed:
    """A copy of the store, followed inside the test's own process."""

    indexed: Indexed
    opened: OpenStore

    def step(self) -> dict[str, Any]:
        """As often as it takes to the log's end."""
        done = step(self.opened)
        while done["behind"]:
            done = step(self.opened)
        return done

    def compared(self, *, mend: bool) -> compare.Comparison:
        with following(self.opened, wait=5) as follower:
            return compare.reconcile(follower, mend=mend)

    def whole(self) -> None:
        """Every record is in the index exactly once."""
        documents = self.indexed.indexed()
        assert len(documents) == len(set(documents)) == RECORDS
        assert self.indexed.agree() == RECORDS


@contextmanager
def followed_by(indexed: Indexed) -> Iterator[Followed]:
    with open_store(indexed.store, ()) as opened:
        yield Followed(indexed, opened)


@pytest.fixture
def followed(copied: Indexed) -> Iterator[Followed]:
    with followed_by(copied) as made:
        yield made


def kinds(done: compare.Comparison) -> list[str]:
    return sorted(finding.kind for finding in done.findings)


def test_reconcile_finds_damage_of_every_kind_and_mends_it(followed: Followed) -> None:
    indexed, ask = followed.indexed, followed.indexed.server.ask
    followed.step()
    indexed.fine("restrict", "person-3", "--ground", "第四十七条")
    followed.step()
    left = RECORDS - RECORDS // 20
    assert indexed.agree() == left
    documents = indexed.documents()
    labels = sorted({document["liucun.segment"] for document in documents})
    assert len(labels) >= FILES
    (index,) = indexed.indices()

    def put(name: str, document: dict[str, Any]) -> None:
        body = {key: value for key, value in document.items() if not key.startswith("_")}
        ask("PUT", f"/{index}/_doc/{name}", body)

    of = {label: [doc for doc in documents if doc["liucun.segment"] == label] for label in labels}
    for document in of[labels[0]][:7]:
        ask("DELETE", f"/{index}/_doc/{document['_id']}")
    put("twice", of[labels[1]][0])
    put("nobody", {**of[labels[1]][0], "liucun.segment": "S-of-nobody"})
    put("nothing", {"@timestamp": "2026-11-20T00:00:00Z"})
    with following(followed.opened) as follower:
        writer = follower.writer(compare.book.state_of(followed.opened.catalogue, follower.settings))
        with followed.opened.catalogue.read() as connection:
            key_ids = sorted({label.key_id for label in compare.book.labels_of(connection, labels)})
        (person,) = writer.hashes("person-3", key_ids)
    put("restricted", {**of[labels[2]][0], "liucun.persons": [person]})

    expected = sorted(
        [compare.MISSING, compare.ORPHANS, compare.ORPHANS, compare.RESTRICTED, compare.SURPLUS, compare.SURPLUS]
    )
    dry = indexed.call("index", "reconcile", "--dry-run", "--json")
    assert dry.returncode == 1
    assert sorted(finding["kind"] for finding in json.loads(dry.stdout)["findings"]) == expected
    assert len(indexed.documents()) == left - 7 + 4, "a dry run changes nothing"
    mended = indexed.call("index", "reconcile", "--json")
    assert mended.returncode == 0, mended.stdout
    answer = json.loads(mended.stdout)
    # The restricted document went when its segment was written anew.
    assert answer["mended"] == len(answer["findings"]) == len(expected) - 1
    assert kinds(followed.compared(mend=False)) == []
    assert indexed.agree() == left

    ask("DELETE", f"/{index}")
    assert kinds(followed.compared(mend=True)) == [compare.MISSING] * len(labels)
    assert kinds(followed.compared(mend=False)) == []
    assert indexed.agree() == left


def test_killed_in_mid_bulk(copied: Indexed) -> None:
    for _ in range(3):
        before = copied.count()
        with copied.worker() as worker:
            servers.wait_until("a bulk was written", partial(_more_than, copied, before), 120)
            worker.kill()
            worker.wait()
        assert 0 < copied.count() <= RECORDS
    with followed_by(copied) as followed:
        # The dead worker's lease has to run out first, as with every worker that takes over.
        within("the lease ran out", 180, lambda: _steps(followed))
        followed.whole()
        assert kinds(followed.compared(mend=False)) == []


def _more_than(copied: Indexed, before: int) -> bool:
    return copied.count() > before


def _steps(followed: Followed) -> bool:
    try:
        followed.step()
    except compare.book.BusyError:
        time.sleep(1)
        return False
    return True


def test_answers_that_are_lost_double_nothing(copied: Indexed) -> None:
    address = urlsplit(copied.server.url)
    assert address.hostname is not None
    assert address.port is not None
    with dropping_proxy(address.hostname, address.port) as proxy:
        copied.settings(copied.server.url, f"{address.scheme}://127.0.0.1:{proxy.port}")
        lost = 0
        with followed_by(copied) as followed:
            for _ in range(20):
                proxy.drop = 1 if lost < 8 else 0
                try:
                    followed.step()
                except SearchUnreachableError:
                    lost += 1
                else:
                    break
            followed.whole()
        assert lost == proxy.dropped == 8


def test_requests_turned_away_are_sent_again(followed: Followed) -> None:
    """429 by the server's own circuit breaker: requests over 64 kB find no room."""
    ask = followed.indexed.server.ask

    def room(limit: str | None) -> None:
        ask("PUT", "/_cluster/settings", {"persistent": {"network.breaker.inflight_requests.limit": limit}})

    room("64kb")
    try:
        began = time.monotonic()
        with pytest.raises(SearchBusyError, match="turned requests away"):
            step(followed.opened)
        assert time.monotonic() - began > 15, "it tries for a while before it leaves the rest to the next step"
    finally:
        room(None)
    followed.step()
    followed.whole()


@pytest.mark.parametrize("block", ["read_only_allow_delete", "read_only", "write"])
def test_an_index_that_takes_no_writes(followed: Followed, block: str) -> None:
    indexed = followed.indexed
    followed.step()
    (index,) = indexed.indices()
    first = indexed.documents()[0]
    indexed.server.ask("DELETE", f"/{index}/_doc/{first['_id']}")
    indexed.server.ask("PUT", f"/{index}/_settings", {f"index.blocks.{block}": True})
    try:
        began = time.monotonic()
        with pytest.raises(SearchBlockedError) as told:
            followed.compared(mend=True)
        assert time.monotonic() - began < 15, "waiting does not help: it is said at once"
        assert index in str(told.value)
    finally:
        indexed.server.ask("PUT", f"/{index}/_settings", {f"index.blocks.{block}": None})
    followed.step()
    assert kinds(followed.compared(mend=False)) == [], "the interrupted mending went on by itself"
    followed.whole()


def test_a_document_that_the_mapping_refuses_keeps_its_place(followed: Followed) -> None:
    """Somebody put an index of a stricter mapping in place of ours: its template's marks, another type."""
    indexed, ask = followed.indexed, followed.indexed.server.ask
    followed.step()
    (index,) = indexed.indices()
    mapping = ask("GET", f"/{index}/_mapping")[index]["mappings"]
    mapping["properties"]["liucun"]["properties"]["text"] = {"type": "long"}
    ask("DELETE", f"/{index}")
    ask("PUT", f"/{index}", {"mappings": mapping, "settings": {"index.mapping.ignore_malformed": False}})
    assert set(kinds(followed.compared(mend=True))) == {compare.MISSING}
    assert {document["liucun.refused"] for document in indexed.documents()} == {"mapping"}
    assert all("liucun.text" not in document for document in indexed.documents())
    followed.whole()
    assert kinds(followed.compared(mend=False)) == []


def test_a_refused_account_is_said_in_words(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_SEARCH_PASSWORD", "wrong")
    with pytest.raises(SearchRefusedError, match="refuses"):
        step(followed.opened)


def test_an_index_that_is_somebody_elses_is_left_alone(followed: Followed) -> None:
    indexed = followed.indexed
    name = f"{indexed.prefix}-content-2026.11-000001"
    indexed.server.ask("PUT", f"/{name}", {"mappings": {"properties": {"theirs": {"type": "keyword"}}}})
    indexed.server.ask("PUT", f"/{name}/_doc/1", {"theirs": "yes"})
    with pytest.raises(SearchRebuildError, match="did not make it"):
        step(followed.opened)
    with following(followed.opened) as follower, pytest.raises(SearchRebuildError):
        rebuild(follower)
    assert indexed.server.ask("GET", f"/{name}/_doc/1")["_source"] == {"theirs": "yes"}


def test_a_wrong_password_stops_the_index_and_not_the_archive(copied: Indexed) -> None:
    copied.say("four", ["再来一条"] * 10)
    wrong = {"LIUCUN_SEARCH_PASSWORD": "wrong"}
    assert copied.take_in(**wrong)["records"]["content"] == 10
    told = copied.call("index", "reconcile", **wrong)
    assert told.returncode == 9, told.stderr
    assert "Traceback" not in told.stderr
    assert copied.documents() == []
    with followed_by(copied) as followed:
        followed.step()
    assert copied.agree() == RECORDS + 10


@pytest.mark.slow
def test_the_cluster_goes_away_while_the_job_goes_on(copied: Indexed) -> None:
    """Killed in the middle of a bulk, away while logs are taken in; the worker catches up by itself."""
    with copied.worker() as worker:
        servers.wait_until("a bulk was written", lambda: copied.count() > 0, 120)
        servers.control("elasticsearch", "kill")
        try:
            copied.say("four", ["趁它不在的时候又来一条"] * 50)
            assert copied.take_in()["records"]["content"] == 50, "the archive goes on"
            servers.wait_until("the worker said so", lambda: any(s["error"] for s in copied.worker_said()), 60)
        finally:
            servers.control("elasticsearch", "start")
        within("the index caught up", 300, lambda: copied.count() == RECORDS + 50)
        assert worker.poll() is None
    errors = [said["error"] for said in copied.worker_said() if said["error"]]
    assert len(errors) <= 3, "a fault that lasts is said once"
    assert copied.agree() == RECORDS + 50
