"""Receipts of queries: what was asked, of which state of the archive, and the digest of what was answered.

A query leaves two events. The first commits to its words under a salt that lies sealed beside them, so that neither the
log nor its objects give a word away; the second has the answer's digest and the signed state of the log that was the
newest when the query read the archive. A receipt shows both events in one later state, the words, and that this state
continues the other (docs/archive-format.md, 12.4).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import orjson
import sqlalchemy as sa

from errors import BusyError, UsageError
from retention.catalogue.events import EVENT
from retention.catalogue.tables import checkpoints, events
from retention.transparency import merkle
from retention.transparency.keeping import LogKeeper
from retention.transparency.log import nodes_of, state_of
from retention.transparency.proofs import Proof, prove_entry

QUERY: Final = "query"
STARTED: Final = "query.started"
ANSWERED: Final = "query.answered"
SALT_BYTES: Final = 16
_TRIES: Final = 20


def spelled(words: Mapping[str, str]) -> str:
    """A query's words (``sql``, ``purpose``, ``basis`` where it has one) as a commitment is made to them."""
    return json.dumps(dict(words), sort_keys=True, separators=(",", ":"))


def commitment(hash_: merkle.Hash, salt: bytes, words: Mapping[str, str]) -> str:
    """What the first event of a query says of its words, in hex."""
    return hash_(salt + spelled(words).encode()).hex()


def newest_state(connection: sa.Connection) -> dict[str, object] | None:
    """Size and root (hex) of the newest signed state of the log; None before there is one."""
    c = checkpoints.c
    row = connection.execute(sa.select(c.size, c.root).order_by(c.size.desc()).limit(1)).one_or_none()
    return None if row is None else {"size": int(row.size), "root": bytes(row.root).hex()}


def events_of(connection: sa.Connection, query_id: str) -> dict[str, Any]:
    """The events of a query by their kind.

    Raises:
        UsageError: there is no such query, or it was not answered.
    """
    e = events.c
    rows = connection.execute(sa.select(e.id, e.kind, e.body).where(e.subject == f"query:{query_id}").order_by(e.id))
    found: dict[str, Any] = {}
    for row in rows:
        found.setdefault(row.kind, row)
    if STARTED not in found:
        raise UsageError(
            f"There is no query {query_id[:40]!r}.",
            cure="The view `audit_events` names each, as query:ID in `subject`.",
        )
    if ANSWERED not in found:
        raise UsageError(
            f"The query {query_id[:40]} was not answered.", cure="`liucun prove event` proves what is on record of it."
        )
    return found


def prove_receipt(log: LogKeeper, query_id: str, words: Mapping[str, str], salt: bytes) -> Proof:
    """A receipt. ``words`` are shown in it; with an empty ``salt`` (a query from before there were any) they are not.

    Raises:
        UsageError: there is no such query, it was not answered, or the log has not numbered it yet.
        IntegrityError: the log or the catalogue does not have it as it was.
        BusyError: the log grew whenever it was looked at.
    """
    for _ in range(_TRIES):
        with log.catalogue.read() as connection:
            found = events_of(connection, query_id)
        asked = prove_entry(log, EVENT, str(found[STARTED].id))
        answered = prove_entry(log, EVENT, str(found[ANSWERED].id))
        before = orjson.loads(found[ANSWERED].body).get("archive")
        with log.catalogue.read() as connection:
            state = state_of(connection)
            if not state.note == asked["note"] == answered["note"]:
                continue
            path = (
                []
                if before is None
                else merkle.consistency_proof(log.suite.hash, nodes_of(connection), before["size"], state.size)
            )
        shown = {name: answered[name] for name in ("format", "hash", "keys", "note")}
        return {
            **shown,
            "proof": QUERY,
            "asked": {name: asked[name] for name in ("entry", "index", "path")},
            "answered": {name: answered[name] for name in ("entry", "index", "path")},
            "path": [node.hex() for node in path],
            "words": spelled(words) if salt else None,
            "salt": salt.hex(),
        }
    raise BusyError("The log grew while the receipt was made.", cure="Make it again.")


def in_words(query: Mapping[str, Any]) -> list[str]:
    """What a receipt that holds shows, for people."""
    lines = [f"查询 {query['query_id']}：{query['actor']} 于 {query['asked_at']} 提出。It was asked then."]
    if query["sql"] is None:
        lines.append("此查询早于语句承诺，不证明其语句。It is older than commitments to words: they are not proved.")
    else:
        ground = "" if query["basis"] is None else f"；依据 ground {query['basis']!r}"
        lines.append(f"语句 words {query['sql']!r}；用途 purpose {query['purpose']!r}{ground}。")
    if query["archive_size"] is not None:
        lines.append(
            f"查询时日志已签名 {query['archive_size']} 条，今日的日志是其延续。"
            f"The archive's log had {query['archive_size']} signed entries then; today's continues it."
        )
    rows = query["rows"]
    lines.append(f"答复 {rows} 行，摘要 {query['digest']}。Its answer has {rows} rows and this digest.")
    lines.append(
        "所给答复与摘要一致。The answer given is the one that was handed out."
        if query["answer_matches"]
        else "未提供答复文件：用 --answer 比对。No answer was given to compare: add --answer FILE."
    )
    return lines
