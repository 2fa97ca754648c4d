"""Data streams in the place of indices (``[search] data_streams``): what Elasticsearch does otherwise with them.

A stream has a name, as an index has, and keeps its documents in indices behind it (``.ds-…``), of which the last takes
new ones. The follower never rolls a stream over: it begins the next one, as it does with indices; where somebody else
did, documents are found in the older ones, too. https://www.elastic.co/docs/manage-data/data-store/data-streams
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

from retention.search.cluster import Cluster, failure, path_of
from retention.search.errors import SearchAnswerError, SearchStreamsError
from retention.search.settings import SearchSettings

_PATH: Final = "_data_stream"
_UNKNOWN: Final = frozenset({400, 404, 405, 410})
"""Answers of a server that has no such path: an 8.19 without the module says 405, or 400 of an index of that name."""
_PAGE: Final = 5_000


def require(cluster: Cluster, settings: SearchSettings) -> None:
    """Make sure, before anything is written, deleted or entered, that the server has data streams where they are set.

    Raises:
        SearchStreamsError: it has none.
    """
    if not settings.data_streams:
        return
    # A pattern that no stream of ours has: whether the server knows the question is all that is asked.
    path = path_of(_PATH, f"{settings.prefix}-0-*")
    answer = cluster.asked("GET", path)
    known = isinstance(answer.body, dict) and isinstance(answer.body.get("data_streams"), list)
    if answer.status in _UNKNOWN or (answer.status < 300 and not known):
        raise SearchStreamsError(
            f"The search cluster has no data streams (it answered GET {path} with {answer.status}).",
            cure="Set [search] data_streams = false, or use an Elasticsearch that has them (every full distribution).",
        )
    if answer.status >= 300:
        raise failure(answer, f"GET {path}")


def make(cluster: Cluster, name: str) -> None:
    """Make a stream from its template, unless it is there."""
    # Refused where an earlier try made it whose answer was lost.
    with contextlib.suppress(SearchAnswerError):
        cluster.ask("PUT", path_of(_PATH, name))


def drop(cluster: Cluster, name: str) -> None:
    """Delete a stream with all that is behind it; one that is not there is gone already."""
    cluster.ask("DELETE", path_of(_PATH, name), absent=True)


def older(cluster: Cluster, name: str) -> list[str]:
    """The indices behind a stream but the one that takes new documents.

    Raises:
        SearchStreamsError: the cluster puts refused documents of the stream aside, whole, where nothing forgets them.
    """
    found: dict[str, Any] = cluster.ask("GET", path_of(_PATH, name))["data_streams"][0]
    if (found.get("failure_store") or {}).get("enabled"):
        raise SearchStreamsError(
            f"The cluster keeps refused documents of the data stream {name} in a failure store, where the follower "
            "cannot make it forget them.",
            cure="Take [search] prefix out of the cluster's data_streams.failure_store.enabled, then run "
            "`liucun index rebuild`.",
        )
    return [str(item["index_name"]) for item in found["indices"][:-1]]


def holders(cluster: Cluster, indices: Sequence[str], ids: Sequence[str]) -> dict[str, str]:
    """Which of these indices has which of these documents."""
    if not indices:
        return {}
    path = path_of(",".join(indices))
    cluster.ask("POST", f"{path}/_refresh")
    found: dict[str, str] = {}
    for begin in range(0, len(ids), _PAGE):
        query = {"ids": {"values": list(ids[begin : begin + _PAGE])}}
        body = {"size": 2 * _PAGE, "_source": False, "query": query, "sort": ["_doc"], "track_total_hits": False}
        for hit in cluster.ask("POST", f"{path}/_search", body)["hits"]["hits"]:
            found[hit["_id"]] = hit["_index"]
    return found
