"""Destruction: two people and a wait, what may not go stays, what went cannot be read, the certificate tells."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
import sqlalchemy as sa

from retention.audits.coverage import audit_coverage
from retention.catalogue.commit import KeyRetiredError
from retention.catalogue.tables import events, meta, retired_segments, segments
from retention.errors import KeyDestroyedError, ObjectLockedError, ObjectMissingError
from retention.holds import place
from retention.holds.place import Matter
from retention.holds.service import release
from retention.keys.signing import load_verifiers
from retention.manifest import SegmentManifest
from retention.policies import book
from retention.policies.model import Rank
from retention.policies.periods import CalendarPeriod
from retention.policies.tables import segment_subjects, subjects
from retention.purge.certificate import check_facts, finish, verify_certificate
from retention.purge.clock import check_clock
from retention.purge.errors import (
    CertificateError,
    ClockRefusedError,
    NothingDueError,
    PurgeApprovalError,
    PurgeStateError,
    PurgeUnfinishedError,
    PurgeUnknownError,
)
from retention.purge.plan import approve, cancel, list_purges, plan, read_purge
from retention.purge.run import carry_out
from retention.purge.tables import purges
from retention.second_person import SecondPersonError
from retention.segments import open_segment
from retention.transparency.note import NoteError
from tests.retention.policies.world import World, at, logs, order
from tests.retention.purge.destroying import approved, beat, planned, run


def test_from_plan_to_final_certificate(world: World) -> None:
    gone = world.ingest(logs("2024-02-01", "2024-02-29"))[0]
    kept = world.ingest(logs("2024-03-05"))[0]
    made = approved(world, "2025-03-01")
    (unit,) = made.units
    assert (unit.record_class, unit.periods, unit.rows, unit.segments) == ("user_log", "2024-02", 2, 1)
    beat(world, "2025-03-02", "2025-03-08")
    certified = run(world, made.purge_id, "2025-03-08")
    assert certified.state == "certified"
    assert not world.store.objects.exists(gone.object_name)
    assert world.store.objects.exists(kept.object_name)
    with pytest.raises(KeyDestroyedError):
        world.store.period_keys.get(gone.key_id)
    content = verify_certificate(world.store.archive.suite, certified, load_verifiers(world.store.period_keys))
    (destroyed,) = content["destroyed"]
    assert destroyed["segments"] == [{"id": gone.segment_id, "ciphertext": gone.ciphertext_digest}]
    assert (destroyed["records"], destroyed["months"], destroyed["key"]) == (2, ["2024-02"], gone.key_id)
    assert len(destroyed["key_fingerprint"]) == 32
    assert "网络安全法" in destroyed["policy"]
    assert (content["planned"]["by"], content["approved"]["by"]) == ("ann", "ben")
    assert content["carried_out"]["by"] == "worker"
    assert audit_coverage(world.store).faults == []
    # Final once the last backup of the keys is gone.
    assert finish(world.store, actor="worker", now=at("2025-04-06")) == ([], {})
    assert finish(world.store, actor="worker", now=at("2025-04-08")) == ([made.purge_id], {})
    assert read_purge(world.catalogue, made.purge_id).state == "final"
    with world.catalogue.read() as connection:
        kinds = connection.execute(
            sa.select(events.c.kind).where(events.c.kind.like("purge.%")).order_by(events.c.id)
        ).scalars()
        assert list(dict.fromkeys(kinds)) == [
            "purge.planned",
            "purge.approved",
            "purge.started",
            "purge.unit_claimed",
            "purge.objects_deleted",
            "purge.unit_destroyed",
            "purge.certified",
            "purge.final",
        ]
        row = connection.execute(sa.select(retired_segments)).one()
    assert (row.segment_id, row.state) == (gone.segment_id, "destroyed")


def test_a_copy_from_an_old_backup_cannot_be_read(world: World, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (gone,) = world.ingest(logs("2024-02-01"))
    assert open_segment(world.store.archive, gone).parquet().read().num_rows == 1
    backup = tmp_path / "backup"
    shutil.copytree(world.store.root / "objects", backup)
    made = approved(world, "2025-03-01")
    run(world, made.purge_id, "2025-03-08")
    with pytest.raises(ObjectMissingError):
        open_segment(world.store.archive, gone)
    shutil.copytree(backup, world.store.root / "objects", dirs_exist_ok=True)
    assert world.store.objects.exists(gone.object_name)
    with pytest.raises(KeyDestroyedError):
        open_segment(world.store.archive, gone)
    with pytest.raises(CertificateError, match="is there"):
        check_facts(world.store, made.purge_id)
    # Nor does the key lie in a file of the store of keys.
    with world.store.period_keys.database.read() as connection:
        wrapped = connection.execute(
            sa.text("SELECT wrapped FROM period_keys WHERE key_id = :key"), {"key": gone.key_id}
        ).scalar_one()
    assert wrapped is None


def test_the_planner_does_not_approve_and_nobody_hurries(world: World) -> None:
    world.ingest(logs("2024-02-01"))
    made = planned(world, "2025-03-01")
    now = at("2025-03-01")
    with pytest.raises(SecondPersonError):
        approve(world.store, made.purge_id, digest=None, actor="ann", now=now, settings=world.settings)
    with pytest.raises(PurgeApprovalError):
        approve(world.store, made.purge_id, digest="0" * 64, actor="ben", now=now, settings=world.settings)
    with pytest.raises(PurgeStateError):
        run(world, made.purge_id, "2025-03-01")
    approve(world.store, made.purge_id, digest=made.plan_digest, actor="ben", now=now, settings=world.settings)
    beat(world, "2025-03-02", "2025-03-07")
    with pytest.raises(PurgeStateError, match="waits until"):
        run(world, made.purge_id, "2025-03-07")
    with pytest.raises(PurgeUnknownError):
        run(world, "P0", "2025-03-07")
    assert len(world.judge("2025-03-07")) == 1


def test_a_changed_plan_is_not_approved(world: World) -> None:
    world.ingest(logs("2024-02-01"))
    made = planned(world, "2025-03-01")
    world.execute(sa.text("UPDATE purge_units SET rows = rows + 1"))
    with pytest.raises(PurgeApprovalError):
        approve(world.store, made.purge_id, digest=None, actor="ben", now=at("2025-03-01"), settings=world.settings)


def test_a_plan_can_be_taken_back(world: World) -> None:
    world.ingest(logs("2024-02-01"))
    made = approved(world, "2025-03-01")
    with pytest.raises(NothingDueError):
        plan(world.store, reason="x", actor="ann", now=at("2025-03-01"), settings=world.settings)
    for wrong in (" ", ""):
        with pytest.raises(PurgeStateError, match="reason"):
            cancel(world.store, made.purge_id, reason=wrong, actor="cid", now=at("2025-03-05"))
        with pytest.raises(PurgeStateError, match="reason"):
            plan(world.store, reason=wrong, actor="ann", now=at("2025-03-01"), settings=world.settings)
    cancel(world.store, made.purge_id, reason="a lawsuit is coming", actor="cid", now=at("2025-03-05"))
    with pytest.raises(PurgeStateError):
        run(world, made.purge_id, "2025-03-09")
    again = planned(world, "2025-03-09")
    assert [p.state for p in list_purges(world.catalogue)] == ["cancelled", "planned"]
    assert again.units[0].rows == 1


@pytest.mark.parametrize("what", ["hold", "late records", "after-sales", "longer policy", "not read"])
def test_what_changed_since_the_approval_stays(world: World, what: str) -> None:
    (manifest,) = world.ingest([order("A", "completed", "2022-01-05")], "transaction")
    other = world.ingest([order("B", "completed", "2022-02-05")], "transaction")[0]
    made = approved(world, "2025-03-01")
    assert len(made.units) == 2
    beat(world, "2025-03-02", "2025-03-08")
    if what == "hold":
        place.hold_segments_named(
            world.store, Matter("case", "x"), [manifest.segment_id], actor="ann", now=at("2025-03-05")
        )
    elif what == "late records":
        world.ingest([order("A", "completed", "2022-01-09")], "transaction", on="2025-03-06")
        world.follow()
    elif what == "after-sales":
        world.ingest([order("A", "complaint", "2025-03-05")], "transaction")
        world.follow()
    elif what == "longer policy":
        asked = book.propose(
            world.catalogue, "transaction", floor=CalendarPeriod.parse("P3Y6M"), ceiling=None, basis="x",
            rank=Rank.LAW, actor="ann", now=at("2025-03-05"),
        )  # fmt: skip
        book.approve(
            world.catalogue, "transaction", asked.policy.version, actor="ben", now=at("2025-03-05"),
            settings=world.settings,
        )  # fmt: skip
    else:
        world.ingest([order("C", "created", "2025-03-05")], "transaction")
    certified = run(world, made.purge_id, "2025-03-08")
    states = {unit.periods: unit.state for unit in certified.units}
    if what == "not read":
        assert set(states.values()) == {"dropped"}
        assert "unread" in str(certified.units[0].why_not)
    elif what == "longer policy":
        assert set(states.values()) == {"dropped"}
    else:
        assert states == {"2022-01": "dropped", "2022-02": "shredded"}
    assert world.store.objects.exists(manifest.object_name)
    assert world.store.objects.exists(other.object_name) == (states["2022-02"] == "dropped")
    content = verify_certificate(world.store.archive.suite, certified, load_verifiers(world.store.period_keys))
    assert next(unit["months"] for unit in content["not_destroyed"]) == ["2022-01"]


def test_nothing_under_hold_is_planned_and_after_release_it_goes(world: World) -> None:
    (manifest,) = world.ingest(logs("2024-02-01"))
    hold_id = place.hold_segments_named(
        world.store, Matter("case", "x"), [manifest.segment_id], actor="ann", now=at("2024-06-01")
    )
    with pytest.raises(NothingDueError):
        planned(world, "2030-01-01")
    release(world.store, hold_id, reason="over", proof=b"order", actor="ann", now=at("2030-01-02"))
    made = approved(world, "2030-01-03")
    assert run(world, made.purge_id, "2030-01-10").units[0].state == "shredded"


def test_late_records_of_a_month_whose_key_is_going_are_refused_until_it_is_gone(world: World) -> None:
    world.ingest(logs("2024-02-01"))
    made = approved(world, "2025-03-01")
    beat(world, "2025-03-02", "2025-03-08")

    class Stop(Exception):
        pass

    def stop(name: str) -> None:
        if name.startswith("shred "):
            raise Stop

    with pytest.raises(Stop):
        run(world, made.purge_id, "2025-03-08", stop)
    with pytest.raises(KeyRetiredError):
        world.ingest(logs("2024-02-02"), on="2025-03-08")
    run(world, made.purge_id, "2025-03-08")
    (late,) = world.ingest(logs("2024-02-02"), on="2025-03-08")
    assert open_segment(world.store.archive, late).parquet().read().num_rows == 1
    assert late.key_id != made.units[0].key_id
    assert world.one("2025-05-07").verdict.value == "kept"
    assert world.one("2025-05-08").verdict.value == "due"


def test_a_key_that_seals_what_can_be_read_is_not_shredded(world: World) -> None:
    """Whatever lost the word that the key is retired (a catalogue put back), records taken in since are not lost."""
    world.ingest(logs("2024-02-01"))
    made = approved(world, "2025-03-01")
    beat(world, "2025-03-02", "2025-03-08")

    def lost(name: str) -> None:
        if name.startswith("shred "):
            with world.store.catalogue.write() as connection:
                connection.execute(meta.delete().where(meta.c.key.startswith("retired:")))
            found.extend(world.ingest(logs("2024-02-02"), on="2025-03-08"))

    found: list[SegmentManifest] = []
    with pytest.raises(PurgeStateError, match="seals 1 segments, tickets, files or filed papers that are no part"):
        run(world, made.purge_id, "2025-03-08", lost)
    assert found[0].key_id == made.units[0].key_id
    assert open_segment(world.store.archive, found[0]).parquet().read().num_rows == 1
    # And from the refusal on nothing more comes under it.
    with pytest.raises(KeyRetiredError):
        world.ingest(logs("2024-02-03"), on="2025-03-08")


def test_the_index_forgets_what_went(world: World) -> None:
    world.ingest([order("A", "created", "2022-01-05"), order("B", "completed", "2022-01-06")], "transaction")
    world.ingest([order("A", "completed", "2022-02-05")], "transaction")
    made = approved(world, "2025-02-10", classes=["transaction"])
    run(world, made.purge_id, "2025-02-17")
    with world.catalogue.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(segment_subjects)).scalar_one() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(subjects)).scalar_one() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(segments)).scalar_one() == 0


def test_a_lock_of_the_object_store_is_waited_for(world: World) -> None:
    (one,) = world.ingest(logs("2024-02-01"))
    (two,) = world.ingest(logs("2023-12-01"))
    made = approved(world, "2025-03-01")
    locked = {one.object_name}
    delete = world.store.objects.delete

    class Locking(type(world.store.objects)):  # type: ignore[misc]
        def delete(self, name: str) -> None:
            if name in locked:
                raise ObjectLockedError("It is locked until 2025-04-01.", cure="Wait.")
            delete(name)

    world.store.objects = Locking(world.store.root / "objects")
    beat(world, "2025-03-02", "2025-03-08")
    with pytest.raises(PurgeUnfinishedError, match="2025-04-01"):
        run(world, made.purge_id, "2025-03-08")
    assert {u.periods: u.state for u in read_purge(world.catalogue, made.purge_id).units} == {
        "2023-12": "shredded",
        "2024-02": "claimed",
    }
    locked.clear()
    assert run(world, made.purge_id, "2025-03-09").state == "certified"
    assert not world.store.objects.exists(two.object_name)


def test_a_key_that_a_backup_brought_back_is_seen(world: World) -> None:
    (gone,) = world.ingest(logs("2024-02-01"))
    with world.store.period_keys.database.read() as connection:
        wrapped = connection.execute(sa.text("SELECT wrapped FROM period_keys")).scalars().all()
    made = approved(world, "2025-03-01")
    run(world, made.purge_id, "2025-03-08")
    with world.store.period_keys.database.write() as connection:
        connection.execute(
            sa.text("UPDATE period_keys SET wrapped = :w, destroyed_at = NULL WHERE key_id = :k"),
            {"w": wrapped[0], "k": gone.key_id},
        )
    done, failed = finish(world.store, actor="worker", now=at("2025-05-01"))
    assert not done
    assert isinstance(failed[made.purge_id], CertificateError)
    assert "key" in failed[made.purge_id].what
    assert read_purge(world.catalogue, made.purge_id).state == "certified"


def test_a_changed_certificate_is_refused(world: World) -> None:
    world.ingest(logs("2024-02-01"))
    made = approved(world, "2025-03-01")
    run(world, made.purge_id, "2025-03-08")
    changed = sa.func.replace(purges.c.certificate, '"records":1', '"records":0')
    world.execute(purges.update().values(certificate=changed))
    verifiers = load_verifiers(world.store.period_keys)
    with pytest.raises(CertificateError):
        verify_certificate(world.store.archive.suite, read_purge(world.catalogue, made.purge_id), verifiers)
    with pytest.raises(NoteError):
        verify_certificate(world.store.archive.suite, read_purge(world.catalogue, made.purge_id), [])


def test_a_clock_that_disagrees_is_refused(world: World) -> None:
    world.ingest(logs("2024-02-01"))
    world.follow()
    beat(world, "2024-12-20", "2025-03-01")
    with world.catalogue.read() as connection:
        for bad in ("2025-02-28", "2025-03-10", "2027-01-01"):
            with pytest.raises(ClockRefusedError):
                check_clock(connection, at(bad), world.settings)
        check_clock(connection, at("2025-03-02"), world.settings)
        with pytest.raises(ClockRefusedError, match="witnessed"):
            check_clock(connection, at("2025-03-02"), world.settings, witnessed=at("2025-02-01"))
        check_clock(connection, at("2025-03-08"), world.settings, witnessed=at("2025-03-02"))
    with pytest.raises(ClockRefusedError):
        plan(world.store, reason="x", actor="ann", now=at("2027-01-01"), settings=world.settings)


def test_a_clock_that_leapt_and_then_lived_on_is_refused(world: World) -> None:
    world.ingest(logs("2024-02-01"))
    made = planned(world, "2025-03-01")
    approve(world.store, made.purge_id, digest=None, actor="ben", now=at("2025-03-01"), settings=world.settings)
    beat(world, "2029-01-01", "2029-01-20")
    with pytest.raises(ClockRefusedError, match="leaps from 2025-03-01"):
        carry_out(world.store, made.purge_id, actor="w", now=at("2029-01-20"), settings=world.settings)
    beat(world, "2029-01-21", "2029-03-15")
    carry_out(world.store, made.purge_id, actor="w", now=at("2029-03-15"), settings=world.settings)


def test_an_empty_archive_has_no_clock_and_nothing_due(world: World) -> None:
    with pytest.raises(ClockRefusedError, match="no moment"):
        plan(world.store, reason="x", actor="ann", now=at("2025-03-01"), settings=world.settings)


def test_missing_objects_do_not_stop_a_purge(world: World) -> None:
    (gone,) = world.ingest(logs("2024-02-01"))
    made = approved(world, "2025-03-01")
    world.store.objects.delete(gone.object_name)
    with pytest.raises(ObjectMissingError):
        world.store.objects.delete(gone.object_name)
    assert run(world, made.purge_id, "2025-03-08").state == "certified"


def test_waits_are_counted_from_the_approval(world: World) -> None:
    world.ingest(logs("2024-02-01"))
    made = approved(world, "2025-03-01")
    assert made.waits_until is not None
    assert made.waits_until[:10] == (at("2025-03-01") + timedelta(days=7)).date().isoformat()
