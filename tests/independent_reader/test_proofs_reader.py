"""Proofs by the second reader alone, beside the product's own check; both refuse what was changed or left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature

from errors import IntegrityError, UsageError
from retention.catalogue.events import EVENT, SEGMENT
from retention.catalogue.tables import checkpoints, segments
from retention.compaction.merge import compact, plan
from retention.query.receipt import receipt
from retention.query.render import renderer
from retention.query.run import run_query
from retention.transparency.note import Ed25519Signer
from retention.transparency.proofs import proof_bytes, prove_completeness, prove_consistency, prove_entry
from retention.transparency.sequencer import sequence
from retention.transparency.verify_proof import ProofRefusedError, verify_proof
from tests.independent_reader.proofs_reader import read_proof, read_receipt
from tests.independent_reader.reader import RefusedError
from tests.retention.sealed_store import hours
from tests.retention.transparency.conftest import Logged, keeper, logged

__all__ = ["logged"]

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def key(logged: Logged) -> str:
    """The log's Ed25519 verifier key, as the custodian has it."""
    (folder,) = logged.custodian.iterdir()
    return next(line for line in (folder / "keys").read_text().splitlines() if len(line) < 110)


def both_refuse(proof: dict[str, Any], key: str) -> None:
    """The product with a typed error, the second reader with any."""
    data = proof_bytes(proof)
    with pytest.raises(ProofRefusedError):
        verify_proof(data, known_keys=[key])
    with pytest.raises((RefusedError, InvalidSignature, KeyError, ValueError, AssertionError)):
        read_proof(data, key)


def changed(proof: dict[str, Any], change: Change) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(proof_bytes(proof))
    change(copy)
    return copy


def test_every_entry_and_every_older_state(logged: Logged, key: str) -> None:
    with logged.store.catalogue.read() as connection:
        names = list(connection.execute(sa.select(segments.c.segment_id)).scalars())
        sizes = list(connection.execute(sa.select(checkpoints.c.size)).scalars())
    for kind, ref in [*((SEGMENT, name) for name in names), *((EVENT, str(n)) for n in range(1, 7))]:
        proof = proof_bytes(prove_entry(logged.log, kind, ref))
        read_proof(proof, key)
        proved = verify_proof(proof, known_keys=[key])
        assert (proved.trusted, proved.size) == (True, max(sizes))
    for size in sizes:
        proof = proof_bytes(prove_consistency(logged.log, size))
        read_proof(proof, key)
        verify_proof(proof, known_keys=[key])
    assert not verify_proof(proof).trusted
    (folder,) = logged.custodian.iterdir()
    kept = min(path for path in folder.iterdir() if path.name != "keys").read_text()
    read_proof(proof_bytes(prove_consistency(logged.log, kept)), key)
    with pytest.raises(UsageError):
        prove_consistency(logged.log, max(sizes) + 1)
    with pytest.raises(UsageError):
        prove_entry(logged.log, SEGMENT, "nothing")


def test_all_of_it_after_a_merge(logged: Logged, key: str) -> None:
    compact(logged.store.catalogue, logged.store.archive, plan(logged.store.catalogue), progress=lambda *_: None)
    logged.store.add(hours(7), period="2026-04")
    logged.log.keep()
    proof = prove_completeness(logged.log)
    found = read_proof(proof_bytes(proof), key)
    assert sorted(found.values()) == [7, 63]
    proved = verify_proof(proof_bytes(proof), known_keys=[key])
    assert (proved.segments, proved.replaced, proved.destroyed) == (2, 3, 0)
    assert proved.rows == {"user_log": {"2026-03": 63, "2026-04": 7}}

    def lower(body: dict[str, Any]) -> None:
        body["manifests"][0] = body["manifests"][0].replace('"rows":20', '"rows":19')

    for change in (
        lambda body: body["manifests"].pop(),
        lambda body: body["entries"].pop(),
        lambda body: body["entries"].append(body["entries"][0]),
        lambda body: body["manifests"].append(body["manifests"][0]),
        lambda body: body["entries"][0].__setitem__(0, "event" if body["entries"][0][0] == "segment" else "segment"),
        lambda body: body["entries"].reverse(),
        lambda body: body.update(note=body["note"].replace("\ntime 2", "\ntime 3")),
        lambda body: body.update(format="liucun-proof/2"),
        lower,
    ):
        both_refuse(changed(proof, change), key)
    events = [entry for entry in proof["entries"] if entry[0] == "event"]
    forged = {"type": "event", "id": events[0][1], "salt": "", "content": '{"id":1,"kind":"segment.destroyed"}'}
    both_refuse(changed(proof, lambda body: body["destroyed"].append(forged)), key)


def test_an_entry_or_a_history_that_is_another_is_refused(logged: Logged, key: str) -> None:
    with logged.store.catalogue.read() as connection:
        name = connection.execute(sa.select(segments.c.segment_id)).scalars().first()
    entry = prove_entry(logged.log, SEGMENT, str(name))
    for change in (
        lambda body: body["entry"].update(content=body["entry"]["content"].replace('"rows":2', '"rows":3')),
        lambda body: body.update(index=body["index"] + 1),
        lambda body: body["path"].pop(),
        lambda body: body["path"].append(body["path"][0]),
        lambda body: body["path"].__setitem__(0, "00" * 32),
    ):
        both_refuse(changed(entry, change), key)
    with logged.store.catalogue.read() as connection:
        size = connection.execute(sa.select(sa.func.min(checkpoints.c.size))).scalar_one()
    history = prove_consistency(logged.log, size)
    for change in (
        lambda body: body["path"].pop(),
        lambda body: body["path"].reverse(),
        lambda body: body.update(note=body["old_note"], old_note=body["note"]),
    ):
        both_refuse(changed(history, change), key)
    stranger = Ed25519Signer(key.split("+", maxsplit=1)[0], bytes(32)).verifier.encode()
    with pytest.raises(ProofRefusedError, match="other keys"):
        verify_proof(proof_bytes(history), known_keys=[stranger])
    for data in (
        b"{",
        b"{}",
        b'{"format":"liucun-proof/1","proof":"entry"}',
        b'{"format":"liucun-proof/1","proof":[]}',
    ):
        with pytest.raises(ProofRefusedError):
            verify_proof(data)


def test_a_log_that_was_forked_continues_no_checkpoint_of_the_custodian(logged: Logged) -> None:
    (folder,) = logged.custodian.iterdir()
    kept = max(path for path in folder.iterdir() if path.name != "keys").read_text()
    with logged.store.catalogue.write() as connection:
        for table in ("log_leaves", "log_nodes", "log_entries", "checkpoints", "log_pending"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    logged.store.add(hours(30))
    alone = keeper(logged.store, None)
    sequence(alone)
    with pytest.raises(IntegrityError):
        prove_consistency(alone, kept)
    logged.store.add(hours(3))
    with logged.store.catalogue.write() as connection:
        connection.execute(segments.update().values(manifest=b"{}"))
    with pytest.raises(IntegrityError):
        prove_completeness(alone)


def test_a_query_s_receipt(logged: Logged, key: str) -> None:
    answer = run_query(
        logged.store, "SELECT count(*) FROM user_logs", purpose="月检", actor="user:ann", render=renderer("csv", "UTC")
    )
    sequence(logged.log)
    data = proof_bytes(receipt(logged.store, logged.log, answer.query_id))
    assert read_receipt(data, key, answer.data) == {"sql": "SELECT count(*) FROM user_logs", "purpose": "月检"}
    assert verify_proof(data, known_keys=[key], answer=answer.data).trusted
    with pytest.raises(RefusedError):
        read_receipt(data, key, answer.data + b" ")
