"""Documents in, documents out: bulk requests, sent until every item was taken or refused for good.

Indices take ``index``, which writes over what is there. A data stream takes ``create`` alone; a document that is there
already, by an earlier try or for a segment whose place is being taken, is a conflict and is then written over where it
stands. So a write ends in the same documents under both forms.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from retention.search import streams
from retention.search.cluster import BUSY, FIRST_PAUSE, Answer, Cluster, failure, reason_of
from retention.search.documents import Bulk
from retention.search.errors import SearchAnswerError, SearchBusyError

_CONFLICT: Final = "version_conflict_engine_exception"


@dataclass(slots=True)
class _Sent:
    """Items that were not taken, by id: with the reason, or with the index that has a document of that id."""

    refused: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)


def write(cluster: Cluster, bulk: Bulk, index: str, *, older: Sequence[str] = ()) -> int:
    """Write documents; returns how many could be written only in their least form.

    Documents turned away for want of room are sent again; one that the mapping refuses is sent without all but
    its place. The others of a request are written whatever becomes of one.

    Args:
        index: the index or data stream; the bulk's items name it, too.
        older: indices of the data stream that take no new documents but may hold one of these.

    Raises:
        As ``Cluster.ask``; what was written before it stays and is written over by the next try.
    """
    refused = _put(cluster, bytes(bulk.body), bulk.ids, index, older)
    if not refused:
        return 0
    least = dict(zip(bulk.ids, bulk.least, strict=True))
    body = b"".join(_action(bulk.verb, index, name) + least[name] + b"\n" for name in refused)
    again = _put(cluster, body, sorted(refused), index, older)
    if again:
        name, reason = next(iter(again.items()))
        raise SearchAnswerError(
            f"The index {index} refuses even the place of document {name}: {reason}.",
            cure="Another mapping was put in its place: run `liucun index rebuild`.",
        )
    return len(refused)


def delete(cluster: Cluster, index: str, ids: Sequence[str]) -> None:
    """Delete documents of an index, also one behind a data stream; those that are not there count as deleted."""
    if ids:
        _send(cluster, b"".join(_action("delete", index, name) for name in ids), index)


def _put(cluster: Cluster, body: bytes, ids: Sequence[str], index: str, older: Sequence[str]) -> dict[str, str]:
    """Write documents over whatever is there of their ids; the refused ones with the reason."""
    held = streams.holders(cluster, older, ids)
    sent = _send(cluster, _only(body, set(ids) - held.keys()) if held else body, index)
    refused, held = sent.refused, {**held, **sent.held}
    deadline, pause = time.monotonic() + cluster.patience, FIRST_PAUSE
    while held:
        sent = _send(cluster, _over(cluster, body, held), index)
        refused |= sent.refused
        held = sent.held  # changed between the look and the write, or taken by a try whose answer was lost
        if held and time.monotonic() >= deadline:
            raise SearchBusyError(
                f"{len(held)} documents of {index} were changed by somebody else all through {cluster.patience:g} s.",
                cure="Nobody but the follower may write there; it goes on by itself.",
            )
        if held:
            pause = cluster.pause(pause)
    return refused


def _over(cluster: Cluster, body: bytes, held: Mapping[str, str]) -> bytes:
    """The items that write over documents: an index behind a stream takes that only with the sequence number."""
    wanted = [{"_index": where, "_id": name, "_source": False} for name, where in held.items()]
    found = cluster.ask("POST", "/_mget", {"docs": wanted})["docs"]
    numbers = {item["_id"]: item for item in found if item.get("found")}
    kept: list[bytes] = []
    for name, head, document in _items(body):
        item = numbers.get(name)
        if item is not None:
            action = {
                "_index": item["_index"],
                "_id": name,
                "if_seq_no": item["_seq_no"],
                "if_primary_term": item["_primary_term"],
            }
            kept += [orjson.dumps({"index": action}), b"\n", document]
        elif name in held:
            kept += [head, document]  # gone meanwhile
    return b"".join(kept)


def _send(cluster: Cluster, body: bytes, index: str) -> _Sent:
    deadline, pause = time.monotonic() + cluster.patience, FIRST_PAUSE
    done = _Sent()
    while body:
        answer = cluster.bulk(body)
        if not answer.get("errors"):
            break
        waiting: set[str] = set()
        for item in answer["items"]:
            ((verb, found),) = item.items()
            status = int(found["status"])
            if status < 300 or (status == 404 and verb == "delete"):
                continue
            name, error = str(found["_id"]), found.get("error") or {}
            # A nearly full disk is 429, too, but no time of ours frees it.
            blocked = error.get("type") == "cluster_block_exception"
            if status in BUSY and not blocked:
                waiting.add(name)
            elif blocked or status in (401, 403, 404):
                raise failure(Answer(status, {"error": error}), f"POST /_bulk ({index})")
            elif status == 409 and error.get("type") == _CONFLICT and verb != "delete":
                done.held[name] = str(error.get("index") or found["_index"])
            else:
                done.refused[name] = reason_of(error)
        if not waiting:
            break
        if time.monotonic() >= deadline:
            raise SearchBusyError(
                f"The cluster turned {len(waiting)} documents for {index} away for {cluster.patience:g} s.",
                cure="The follower goes on by itself once it has room; give it more, or raise its queues.",
            )
        body = _only(body, waiting)
        pause = cluster.pause(pause)
    return done


def _action(verb: str, index: str, name: str) -> bytes:
    return orjson.dumps({verb: {"_index": index, "_id": name}}) + b"\n"


def _items(body: bytes) -> Iterator[tuple[str, bytes, bytes]]:
    """Id, action line and document line of a bulk body's items."""
    rows = iter(body.splitlines(keepends=True))
    for head in rows:
        ((verb, action),) = orjson.loads(head).items()
        yield action["_id"], head, b"" if verb == "delete" else next(rows)


def _only(body: bytes, wanted: set[str]) -> bytes:
    """The items of a bulk body whose ids are wanted."""
    return b"".join(head + document for name, head, document in _items(body) if name in wanted)
