"""A query's receipt: its words, the state of the archive, and the answer's digest, checked without the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from errors import UsageError
from retention.catalogue.tables import events
from retention.query.errors import QueryInvalidError
from retention.query.receipt import receipt
from retention.query.render import renderer
from retention.query.run import Answer, run_query, seal_words
from retention.transparency.keeping import LogKeeper
from retention.transparency.proofs import proof_bytes
from retention.transparency.verify_proof import ProofRefusedError, verify_proof
from tests.retention.sealed_store import SealedStore, hours

SQL = "SELECT user_id, event_time FROM user_logs WHERE user_id = '张三' OR user_id = 'u1'"


def log_of(store: SealedStore) -> LogKeeper:
    return LogKeeper(store.catalogue, store.objects, store.period_keys, store.archive.suite)


def asked(store: SealedStore, basis: str | None = None) -> Answer:
    store.add(hours(30))
    log_of(store).keep()
    return run_query(store, SQL, purpose="投诉 17", actor="user:ann", render=renderer("csv", "UTC"), basis=basis)


def made(store: SealedStore, query_id: str) -> dict[str, Any]:
    log = log_of(store)
    log.keep()
    proof: dict[str, Any] = json.loads(proof_bytes(receipt(store, log, query_id)))
    return proof


def keys(store: SealedStore) -> list[str]:
    return [verifier.encode() for verifier in log_of(store).verifiers]


def test_words_state_and_answer_are_proved_without_the_store(sealed: SealedStore) -> None:
    answer = asked(sealed, "个人信息保护法 第四十五条")
    sealed.add(hours(5))
    proof = made(sealed, answer.query_id)
    found = verify_proof(proof_bytes(proof), known_keys=keys(sealed), answer=answer.data)
    assert found.trusted
    assert found.query["sql"] == SQL
    assert (found.query["purpose"], found.query["basis"]) == ("投诉 17", "个人信息保护法 第四十五条")
    assert (found.query["actor"], found.query["rows"], found.query["digest"]) == ("user:ann", 3, answer.digest)
    assert 0 < found.query["archive_size"] < found.size
    assert found.query["answer_matches"] is True
    assert verify_proof(proof_bytes(proof)).query["answer_matches"] is None
    for other in (b"", answer.data[:-1], answer.data + b"\n", answer.data.replace(b"u1", b"u2")):
        with pytest.raises(ProofRefusedError, match="not the one that was handed out"):
            verify_proof(proof_bytes(proof), answer=other)


def test_the_log_gives_no_word_away_and_its_commitment_cannot_be_guessed(sealed: SealedStore) -> None:
    one, two = asked(sealed), asked(sealed)
    with sealed.catalogue.read() as connection:
        bodies = list(connection.execute(sa.select(events.c.body).where(events.c.kind == "query.started")).scalars())
    assert len({json.loads(body)["words"] for body in bodies}) == 2, "a salt of its own each"
    # With its quotes: the sealed words are base64, where two letters come by chance.
    assert not any("张三" in body or "'u1'" in body for body in bodies)
    assert made(sealed, one.query_id)["salt"] != made(sealed, two.query_id)["salt"]


def change_event(proof: dict[str, Any], which: str, old: str, new: str) -> None:
    entry = proof[which]["entry"]
    assert old in entry["content"]
    entry["content"] = entry["content"].replace(old, new)


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "words": lambda p: p.update(words=p["words"].replace("u1", "u2")),
    "no words": lambda p: p.update(words=None),
    "salt": lambda p: p.update(salt="00" * 16),
    "asker": lambda p: change_event(p, "asked", "user:ann", "user:ben"),
    "rows": lambda p: change_event(p, "answered", '\\"rows\\":3', '\\"rows\\":4'),
    "another event": lambda p: p.update(answered=p["asked"]),
    "place": lambda p: p["asked"].update(index=p["asked"]["index"] + 1),
    "path": lambda p: p.update(path=p["path"][:-1]),
    "path of nothing": lambda p: p.update(path=["00" * 32]),
    "kind": lambda p: p.update(proof="entry"),
    "too much": lambda p: p.update(more=1),
    "types": lambda p: p.update(asked=[]),
    "no JSON": lambda p: p.update(words=7),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_receipt_is_refused(sealed: SealedStore, name: str) -> None:
    proof = made(sealed, asked(sealed).query_id)
    CHANGES[name](proof)
    with pytest.raises(ProofRefusedError):
        verify_proof(proof_bytes(proof), known_keys=keys(sealed))


def test_the_answer_of_another_query_is_refused(sealed: SealedStore) -> None:
    one, two = asked(sealed), asked(sealed)
    mixed = {**made(sealed, one.query_id), "answered": made(sealed, two.query_id)["answered"]}
    with pytest.raises(ProofRefusedError, match="not of one query"):
        verify_proof(proof_bytes(mixed))


def test_what_was_not_asked_or_not_answered_has_none(sealed: SealedStore) -> None:
    sealed.add(hours(2))
    with pytest.raises(QueryInvalidError):
        run_query(sealed, "SELECT nothing", purpose="x", actor="user:ann", render=renderer("csv", "UTC"))
    with sealed.catalogue.read() as connection:
        failed = connection.execute(sa.select(events.c.subject).where(events.c.kind == "query.failed")).scalar_one()
    with pytest.raises(UsageError, match="was not answered"):
        made(sealed, failed.removeprefix("query:"))
    for name in ("", "x" * 5000, "0' OR 1=1"):
        with pytest.raises(UsageError, match="There is no query"):
            made(sealed, name)


def test_a_query_from_before_there_were_commitments(sealed: SealedStore) -> None:
    """Its receipt proves who asked and what was answered, and says that its words are not proved."""
    from retention.catalogue.events import append

    sealed.add(hours(2))
    with sealed.catalogue.write() as connection:
        body: dict[str, object] = {"sealed": seal_words(sealed.bodies, "old", SQL, "x"), "restricted": False}
        append(connection, kind="query.started", actor="user:ann", subject="query:old", body=body)
        told: dict[str, object] = {"rows": 1, "format": "csv", "bytes": 3, "digest": "00"}
        append(connection, kind="query.answered", actor="user:ann", subject="query:old", body=told)
    found = verify_proof(proof_bytes(made(sealed, "old")), known_keys=keys(sealed))
    assert (found.query["sql"], found.query["archive_size"], found.query["rows"]) == (None, None, 1)
    assert any("are not proved" in line for line in found.words)
