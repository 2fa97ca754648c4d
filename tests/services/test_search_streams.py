"""``[search] data_streams`` as far as a real server without data streams can show it.

The server that can be installed here has none. It shows how such a server is refused, and, on an index, that documents
which are there already are written over by ``create``, conflict and sequence number. The rest is tried with a stand-in:
test_data_streams.py and test_following.py in tests/retention/search.
"""

from __future__ import annotations

import json

import orjson
import pyarrow as pa
import pytest

from retention.search import bulk, documents, streams
from retention.search.cluster import Cluster
from retention.search.documents import Bulk
from retention.search.errors import SearchStreamsError
from retention.search.settings import SearchSettings
from tests.services.indexed import Indexed

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]


def test_a_server_without_data_streams_is_refused_before_anything_is_written(indexed: Indexed) -> None:
    indexed.begin()
    indexed.settings('prefix = "', 'data_streams = true\nprefix = "')
    indexed.say("one", [f"第{n}条" for n in range(50)])
    assert indexed.take_in()["records"]["content"] == 50, "the archive goes on"
    refused = indexed.call("index", "reconcile")
    assert refused.returncode == 3, refused.stderr
    assert "has no data streams" in refused.stderr
    assert "data_streams = false" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert indexed.indices() == []
    assert indexed.server.ask("GET", f"/_index_template/{indexed.prefix}-content") is None

    indexed.settings("data_streams = true\n", "")
    assert json.loads(indexed.fine("index", "reconcile", "--json"))["documents"] == 50, "without a rebuild"
    assert indexed.agree() == 50
    indexed.settings('prefix = "', 'data_streams = true\nprefix = "')
    changed = indexed.call("index", "rebuild")
    assert changed.returncode == 3, changed.stderr
    assert "has no data streams" in changed.stderr
    assert indexed.count() == 50, "a refused rebuild deletes nothing"
    indexed.settings("data_streams = true\n", "")
    assert json.loads(indexed.fine("index", "reconcile", "--dry-run", "--json"))["ok"]


def test_what_is_there_already_is_written_over(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_SEARCH_PASSWORD", indexed.server.password)
    server = indexed.server
    settings = SearchSettings(urls=(server.url,), user=server.user, ca_file=server.ca, data_streams=True)
    cluster = Cluster(settings)
    with pytest.raises(SearchStreamsError):
        streams.require(cluster, settings)
    index = f"{indexed.prefix}-content"
    numbers = {"mappings": {"properties": {"n": {"type": "long"}}}}
    cluster.ask("PUT", f"/{index}-1", {"aliases": {index: {}}, **numbers})

    def bulk_of(values: list[object], first: int = 0) -> Bulk:
        ids = pa.array([f"d{n}" for n in range(first, first + len(values))], pa.large_string())
        bodies = pa.array([orjson.dumps({"n": value}).decode() for value in values], pa.large_string())
        least = pa.array(['{"least":true}'] * len(values), pa.large_string())
        (made,) = documents.bulks(f"{index}-1", ids, bodies, least, limit=1 << 20, verb="create")
        return made

    def held() -> dict[str, object]:
        found = indexed.documents()
        return {document["_id"]: document.get("n", "least") for document in found}

    try:
        assert bulk.write(cluster, bulk_of([1, 2, 3]), f"{index}-1") == 0
        assert bulk.write(cluster, bulk_of([1, 2, 3]), f"{index}-1") == 0, "sent again: nothing is doubled"
        assert held() == {"d0": 1, "d1": 2, "d2": 3}
        assert bulk.write(cluster, bulk_of([20, "no number", 40], first=1), f"{index}-1") == 1
        assert held() == {"d0": 1, "d1": 20, "d2": "least", "d3": 40}
        bulk.delete(cluster, f"{index}-1", ["d0", "d9"])
        assert sorted(held()) == ["d1", "d2", "d3"]
        # As if the stream had been rolled over: what an older index has is written over there.
        cluster.ask("PUT", f"/{index}-2", {"aliases": {index: {}}, **numbers})
        (again,) = documents.bulks(
            f"{index}-2",
            pa.array(["d3", "d4"], pa.large_string()),
            pa.array(['{"n":41}', '{"n":5}'], pa.large_string()),
            pa.array(["{}", "{}"], pa.large_string()),
            limit=1 << 20,
            verb="create",
        )
        assert bulk.write(cluster, again, f"{index}-2", older=[f"{index}-1"]) == 0
        assert held() == {"d1": 20, "d2": "least", "d3": 41, "d4": 5}
    finally:
        cluster.close()
