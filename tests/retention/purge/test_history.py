"""The transparency log still proves what was destroyed: that it existed, and that it went lawfully."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import StorageError
from retention.audits.coverage import audit_coverage
from retention.audits.integrity import audit_integrity
from retention.audits.retention import audit_retention
from retention.catalogue.tables import batches, events, log_leaves, retired_segments, segments
from retention.holds import place
from retention.holds.place import Matter
from retention.holds.service import examine, release
from retention.keys.periods import PeriodKeys
from retention.persons.requests import Kind, Outcome, answer, receive
from retention.persons.restriction import lift, restrict
from retention.policies import book
from retention.policies.follow import follow
from retention.policies.model import Rank
from retention.policies.periods import CalendarPeriod
from retention.policies.settings import RetentionSettings
from retention.purge import run as run_module
from retention.purge.certificate import check_facts, verify_certificate
from retention.purge.plan import read_purge
from retention.purge.upkeep import keep_up, witnessed_at
from retention.rebuilding.rebuild import rebuild_catalogue
from retention.segments import open_segment
from retention.store import Store, StoreSettings
from retention.transparency.proofs import proof_bytes, prove_completeness
from retention.transparency.verify import verify_log
from retention.transparency.verify_proof import verify_proof
from tests.retention.policies.world import World, at, logs, order
from tests.retention.purge.destroying import approved, beat, run
from tests.retention.sealed_store import SealedStore


@pytest.fixture
def real(tmp_path: Path) -> Iterator[World]:
    """A store as the program makes it, its log included."""
    root = tmp_path / "store"
    Store.create(root, StoreSettings(), "a passphrase of tests")
    opened = Store.open(root, StoreSettings(), "a passphrase of tests")

    class Growing:
        """The store, with the test world's way to add rows."""

        add = SealedStore.add

        def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
            return getattr(opened, name)

    yield World(Growing(), RetentionSettings())  # type: ignore[arg-type]
    opened.close()


def faults(world: World) -> list[str]:
    world.store.log.keep()
    # The log has the machine's clock, which is not the one of these tests.
    world.execute(sa.text("UPDATE checkpoints SET at = (SELECT max(at) FROM events)"))
    return [f"{fault.kind} {fault.where} {fault.detail}" for fault in verify_log(world.store.log).faults]


def test_the_log_after_a_purge(real: World) -> None:
    (gone,) = real.ingest(logs("2024-02-01"))
    real.ingest(logs("2025-02-05"))
    made = approved(real, "2025-03-01")
    assert faults(real) == []
    run(real, made.purge_id, "2025-03-08")
    assert faults(real) == []
    with real.catalogue.read() as connection:
        leaf = connection.execute(sa.select(log_leaves.c.index).where(log_leaves.c.ref == gone.segment_id)).all()
        why = connection.execute(
            sa.select(events.c.body).where(
                events.c.kind == "segment.destroyed", events.c.subject == f"segment:{gone.segment_id}"
            )
        ).scalar_one()
    assert len(leaf) == 1
    assert made.purge_id in why
    proof = prove_completeness(real.store.log)
    proved = verify_proof(proof_bytes(proof))
    assert (proved.segments, proved.destroyed, proved.rows) == (1, 1, {"user_log": {"2025-02": 1}})
    # A destruction that is not told of leaves the segment among those that are there.
    assert verify_proof(proof_bytes({**proof, "destroyed": []})).segments == 2
    # Who changes the record of it is found out.
    real.execute(sa.text("UPDATE purges SET reason = 'another'"))
    assert any("row_changed" in fault and made.purge_id in fault for fault in faults(real))


def test_a_purge_that_was_stopped_leaves_a_log_that_agrees(real: World) -> None:
    real.ingest(logs("2024-01-05"))
    real.ingest([order("A", "completed", "2022-01-05")], "transaction")
    made = approved(real, "2025-03-01")
    beat(real, "2025-03-02", "2025-03-08")
    names: list[str] = []
    for stop_at in range(60):
        seen = 0

        def stop(name: str, stop_at: int = stop_at) -> None:
            nonlocal seen
            if seen == stop_at:
                names.append(name)
                raise KeyboardInterrupt
            seen += 1

        try:
            run(real, made.purge_id, "2025-03-08", stop)
        except KeyboardInterrupt:
            assert faults(real) == [], names[-1]
        else:
            break
    assert len(names) > 3
    assert faults(real) == []


def test_everything_that_people_do_here_is_on_the_log(real: World) -> None:
    now = at("2026-11-24")
    (one,) = real.ingest(logs("2026-01-05"), on="2026-01-06")
    real.follow()
    hold_id = place.hold_segments_named(real.store, Matter("c", "x"), [one.segment_id], actor="ann", now=now)
    place.hold_account(real.store, Matter("c", "x"), "u0", actor="ann", now=now)
    examine(real.store, now=now)
    release(real.store, hold_id, reason="x", proof=b"x", actor="ann", now=now)
    restrict(real.store, "u0", ground="x", actor="ann", now=now)
    lift(real.store, "u0", reason="x", actor="ann", now=now)
    asked = receive(real.store, Kind.ACCESS, "u0", text="x", actor="ann", now=now, settings=real.settings)
    answer(real.store, asked, Outcome.GRANTED, text="x", actor="ann", now=now)
    proposal = book.propose(
        real.catalogue, "content", floor=CalendarPeriod.parse("P2Y"), ceiling=None, basis="x", rank=Rank.DESIGN,
        actor="ann", now=now,
    )  # fmt: skip
    book.approve(real.catalogue, "content", proposal.policy.version, actor="ben", now=now, settings=real.settings)
    assert faults(real) == []
    with real.catalogue.read() as connection:
        kinds = set(connection.execute(sa.select(events.c.kind)).scalars())
    assert {
        "hold.placed", "hold.examined", "hold.released", "restriction.made", "restriction.lifted", "request.received",
        "request.answered", "policy.proposed", "policy.approved",
    } <= kinds  # fmt: skip
    real.execute(sa.text("DELETE FROM holds WHERE hold_id NOT IN (SELECT hold_id FROM hold_segments)"))
    real.execute(sa.text("DELETE FROM hold_segments"))
    real.execute(sa.text("DELETE FROM holds"))
    assert any("hold:" in fault for fault in faults(real))


def test_one_round_of_upkeep(real: World) -> None:
    (gone,) = real.ingest(logs("2024-02-01"))
    made = approved(real, "2025-03-01")
    beat(real, "2025-03-02", "2025-03-08")

    def round_on(day: str):  # type: ignore[no-untyped-def]
        return keep_up(
            real.store, signers=real.store.log.signers, actor="worker", now=at(day), settings=real.settings,
            witnessed=witnessed_at(real.store.log),
        )  # fmt: skip

    assert round_on("2025-03-07").certified == []
    assert real.store.objects.exists(gone.object_name)
    assert round_on("2025-03-08").certified == [made.purge_id]
    beat(real, "2025-03-09", "2025-04-08")
    assert round_on("2025-04-08").final == [made.purge_id]
    assert round_on("2025-04-08").as_json() == {
        "followed": 0, "examined": 0, "certified": [], "final": [], "unfinished": {}, "failed": {}
    }  # fmt: skip


def test_a_purge_that_fails_keeps_no_other_from_going_on(real: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happened to each stands in the round's result, by its name."""
    real.ingest(logs("2024-02-01"))
    bad = approved(real, "2025-03-01", classes=("user_log",))
    real.ingest([{"event_time": at("2024-02-01"), "user_id": "u", "text": "t"}], "content", on="2024-02-02")
    good = approved(real, "2025-03-01", classes=("content",))
    beat(real, "2025-03-02", "2025-03-08")
    shred = run_module.shred_key

    def fails(keys: PeriodKeys, key_id: str) -> None:
        if key_id.startswith("user_log"):
            raise StorageError("The disk is gone.", cure="-")
        shred(keys, key_id)

    monkeypatch.setattr(run_module, "shred_key", fails)
    done = keep_up(
        real.store, signers=real.store.log.signers, actor="worker", now=at("2025-03-08"), settings=real.settings,
        witnessed=witnessed_at(real.store.log),
    )  # fmt: skip
    assert done.certified == [good.purge_id]
    assert done.as_json()["failed"] == {bad.purge_id: "The disk is gone."}
    with pytest.raises(StorageError, match=bad.purge_id):
        done.raise_failed()


def test_the_real_clock_keeps_what_came_in_today(real: World) -> None:
    real.ingest(logs("2020-02-01"), on=date(2026, 11, 24))
    assert {state.verdict.value for state in real.judge(datetime.now(UTC).date())} <= {"kept"}
    with real.catalogue.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(segments)).scalar_one() == 1
        assert connection.execute(sa.select(sa.func.count()).select_from(retired_segments)).scalar_one() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(batches)).scalar_one() == 1
        manifest = connection.execute(sa.select(segments.c.manifest)).scalar_one()
    from retention.manifest import SegmentManifest

    assert open_segment(real.store.archive, SegmentManifest.from_bytes(manifest)).parquet().metadata.num_rows == 1


def test_the_catalogue_is_rebuilt_with_what_was_destroyed(real: World) -> None:
    orders = [order(f"A{n}", "completed", "2022-01-05") for n in range(19)]
    real.ingest([*orders, order("OPEN", "paid", "2022-01-07")], "transaction")
    real.ingest(logs("2024-02-01"))
    real.ingest(logs("2025-02-05"))
    made = approved(real, "2025-03-08")
    run(real, made.purge_id, "2025-03-15")
    assert faults(real) == []
    root = real.store.root
    real.store.close()
    rebuild_catalogue(
        root, StoreSettings(), "a passphrase of tests", prepare=lambda _: None, actor="ann",
        progress=lambda _what, _done, _total: None,
    )  # fmt: skip
    with Store.open(root, StoreSettings(), "a passphrase of tests") as again:
        follow(again)
        purge = read_purge(again.catalogue, made.purge_id)
        content = verify_certificate(again.archive.suite, purge, again.log.verifiers)
        check_facts(again, made.purge_id)
        assert (purge.state, content["records"]) == ("certified", 20)
        assert audit_coverage(again).faults == []
        assert audit_integrity(again).faults == []
        assert audit_retention(again, now=at("2025-03-16")).faults == []
        with again.catalogue.read() as connection:
            assert connection.execute(sa.select(sa.func.sum(segments.c.rows))).scalar_one() == 2
            destroyed = sa.select(sa.func.count()).where(retired_segments.c.state == "destroyed")
            assert connection.execute(destroyed).scalar_one() == 2
