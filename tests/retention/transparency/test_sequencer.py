"""Numbering: nothing twice, nothing left out, whatever is cut off in between, and proofs that hold."""

from __future__ import annotations

import itertools
import threading

import pytest
import sqlalchemy as sa

from errors import StorageError, UsageError
from retention.catalogue import events
from retention.catalogue.tables import checkpoints, log_entries, log_leaves, log_pending
from retention.catalogue.tables import events as event_table
from retention.errors import EntryObjectError, KeyUnknownError
from retention.transparency import merkle
from retention.transparency.entries import open_entries
from retention.transparency.log import nodes_of, prove_inclusion
from retention.transparency.note import Checkpoint, NoteError, open_note
from retention.transparency.sequencer import sequence
from retention.transparency.verify import verify_log
from tests.retention.sealed_store import SealedStore, hours
from tests.retention.transparency.conftest import Logged, keeper


def append(store: SealedStore, count: int) -> None:
    """Write events."""
    with store.catalogue.write() as connection:
        events.append_many(connection, [(f"s:{n}", {"n": n}) for n in range(count)], kind="k", actor="a")


def test_every_entry_is_numbered_once_and_proved(sealed: SealedStore) -> None:
    log = keeper(sealed, None)
    for size in (1, 2, 5, 8, 13):
        append(sealed, size)
        sequence(log)
    manifest = sealed.add(hours(30))
    newest = sequence(log)
    assert newest is not None
    assert newest.size == 29 + 2
    suite = sealed.archive.suite
    proof = prove_inclusion(sealed.catalogue, suite, events.SEGMENT, manifest.segment_id)
    signed = Checkpoint.read(open_note(proof.note, log.verifiers))
    with sealed.catalogue.read() as connection:
        leaf = connection.execute(
            sa.select(log_leaves.c.hash).where(log_leaves.c.ref == manifest.segment_id)
        ).scalar_one()
        states = connection.execute(
            sa.select(checkpoints.c.size, checkpoints.c.root).order_by(checkpoints.c.size)
        ).all()
        nodes = nodes_of(connection)
        for (old, old_root), (new, new_root) in itertools.pairwise(states):
            path = merkle.consistency_proof(suite.hash, nodes, old, new)
            merkle.verify_consistency(suite.hash, old=old, old_root=old_root, new=new, new_root=new_root, proof=path)
    merkle.verify_inclusion(
        suite.hash, leaf=leaf, index=proof.index, size=proof.size, proof=proof.path, expected_root=signed.root
    )
    assert "hash SM3" in signed.extension
    assert len(log.verifiers) == 2  # Ed25519 and SM2 both sign
    assert proof.note.count("\u2014 ") == 2
    assert verify_log(log).faults == []


def test_what_is_not_numbered_has_no_proof(sealed: SealedStore) -> None:
    with pytest.raises(UsageError, match="no segment"):
        prove_inclusion(sealed.catalogue, sealed.archive.suite, events.SEGMENT, "nothing")


def test_two_sequencers_at_once(sealed: SealedStore) -> None:
    logs = [keeper(sealed, None) for _ in range(3)]
    assert logs[0].signers  # keys are made before the race
    append(sealed, 300)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            append(sealed, 3)

    writer = threading.Thread(target=write)
    failures: list[Exception] = []

    def run(log: object) -> None:
        try:
            for _ in range(5):
                sequence(log)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to
            failures.append(error)

    threads = [threading.Thread(target=run, args=(log,)) for log in logs]
    writer.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    writer.join()
    sequence(logs[0])
    assert failures == []
    with sealed.catalogue.read() as connection:
        written = connection.execute(sa.select(sa.func.count()).select_from(event_table)).scalar_one()
        assert connection.execute(sa.select(sa.func.count()).select_from(log_pending)).scalar_one() == 0
        named = set(connection.execute(sa.select(log_entries.c.object_name)).scalars())
    verdict = verify_log(logs[0])
    assert verdict.faults == []
    assert verdict.size == written
    assert set(sealed.objects.list("log/entries/")) == named  # the losers took theirs back


@pytest.mark.parametrize("cut", ["entries", "transaction", "checkpoint"])
def test_a_sequencer_that_is_cut_off_goes_on(sealed: SealedStore, cut: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = keeper(sealed, None)
    append(sealed, 4)
    sequence(log)
    append(sealed, 3)

    def full(*_: object, **__: object) -> None:
        raise StorageError("The disk is full.", cure="-")

    put = sealed.objects.put
    with monkeypatch.context() as patched:
        if cut == "transaction":
            patched.setattr("retention.transparency.sequencer._enter", full)
        else:
            prefix = "log/entries" if cut == "entries" else "log/checkpoints"
            patched.setattr(
                type(sealed.objects),
                "put",
                lambda self, name, data: full() if name.startswith(prefix) else put(name, data),
            )
        with pytest.raises(StorageError):
            sequence(log)
    newest = sequence(log)
    assert newest is not None
    assert newest.size == 7
    assert verify_log(log).faults == []
    stored = list(sealed.objects.list("log/checkpoints/"))
    assert any(name.startswith("log/checkpoints/000000000007-") for name in stored)


def test_an_entry_object_is_read_whole_or_not_at_all(sealed: SealedStore) -> None:
    log = keeper(sealed, None)
    append(sealed, 2)
    sequence(log)
    name = next(iter(sealed.objects.list("log/entries/")))
    data = sealed.objects.read(name)
    origin = log.signers[0].verifier.name
    assert [entry.ref for entry in open_entries(sealed.period_keys, origin, name, data)] == ["1", "2"]
    assert b"k" not in data[:4]
    for position in range(len(data)):
        broken = bytearray(data)
        broken[position] ^= 0x10
        with pytest.raises((EntryObjectError, KeyUnknownError)):
            open_entries(sealed.period_keys, origin, name, bytes(broken))
    for length in range(0, len(data), 7):
        with pytest.raises(EntryObjectError):
            open_entries(sealed.period_keys, origin, name, data[:length])
    with pytest.raises(EntryObjectError, match="authenticate"):
        open_entries(sealed.period_keys, origin, name.replace("000000000002-", "000000000003-"), data)
    with pytest.raises(EntryObjectError, match="authenticate"):
        open_entries(sealed.period_keys, "liucun/another", name, data)


def test_the_custodian_away_does_not_stop_the_archive(logged: Logged) -> None:
    moved = logged.custodian.with_name("away")
    logged.custodian.rename(moved)
    logged.store.add(hours(9))
    logged.log.keep()
    assert "no such folder" in logged.log.warnings[0]
    report = logged.audit()
    assert report.ok
    assert not report.anchored
    moved.rename(logged.custodian)
    logged.log.keep()
    assert logged.audit().anchored


def test_the_custodians_own_copy_cannot_be_replaced(logged: Logged) -> None:
    folder = next(logged.custodian.iterdir())
    newest = max(path for path in folder.iterdir() if path.name != "keys")
    newest.write_text(newest.read_text().replace("9\n", "8\n", 1))
    assert "witness_refused" in logged.kinds()
    with pytest.raises(NoteError):
        logged.log.keep()
