"""Stopped at every step of a purge, in every way: the next run ends it, and certificate and fact agree at all times."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import StorageError
from retention.audits.coverage import audit_coverage
from retention.catalogue.tables import events, segments
from retention.errors import KeyDestroyedError, ObjectMissingError
from retention.keys.signing import load_verifiers
from retention.purge.certificate import check_facts, finish, verify_certificate
from retention.purge.plan import Purge, read_purge
from retention.segments import open_segment
from tests.retention.policies.world import World, at, close, logs, make_world, order
from tests.retention.purge.destroying import approved, beat, run


class Killed(BaseException):
    """The process is gone: nothing below may catch this."""


def prepared(root: Path) -> tuple[World, Purge, list]:  # type: ignore[type-arg]
    world = make_world(root)
    manifests = [
        *world.ingest(logs("2024-01-03", "2024-02-01")),
        *world.ingest(logs("2024-01-04")),
        *world.ingest([order("A", "completed", "2022-01-05")], "transaction"),
    ]
    made = approved(world, "2025-03-01")
    assert len(made.units) == 3
    beat(world, "2025-03-02", "2025-03-08")
    return world, made, manifests


def agree(world: World, purge_id: str, manifests: list) -> None:  # type: ignore[type-arg]
    """What must hold whenever a run was stopped."""
    purge = read_purge(world.catalogue, purge_id)
    destroyed = {unit.key_id for unit in purge.units if unit.state == "shredded"}
    begun = {unit.key_id for unit in purge.units if unit.state != "planned"}
    with world.catalogue.read() as connection:
        live = set(connection.execute(sa.select(segments.c.segment_id)).scalars())
    for manifest in manifests:
        if manifest.segment_id in live:
            # What the catalogue offers can be read.
            assert manifest.key_id not in begun
            assert open_segment(world.store.archive, manifest).parquet().metadata.num_rows == manifest.rows
        else:
            assert manifest.key_id in begun
        if manifest.key_id in destroyed:
            assert not world.store.objects.exists(manifest.object_name)
            with pytest.raises(KeyDestroyedError):
                world.store.period_keys.get(manifest.key_id)
    assert audit_coverage(world.store).faults == []
    if purge.certificate is not None:
        assert begun == destroyed
        check_facts(world.store, purge_id)
        content = verify_certificate(world.store.archive.suite, purge, load_verifiers(world.store.period_keys))
        assert {unit["key"] for unit in content["destroyed"]} == destroyed
        assert content["records"] == sum(m.rows for m in manifests)


def steps(tmp_path: Path) -> list[str]:
    world, made, _ = prepared(tmp_path / "count")
    names: list[str] = []
    run(world, made.purge_id, "2025-03-08", names.append)
    close(world)
    return names


@pytest.mark.slow
@pytest.mark.parametrize("error", [Killed, StorageError])
def test_every_step(tmp_path: Path, error: type[BaseException]) -> None:
    count = len(steps(tmp_path))
    assert count >= 20
    for stop_at in range(count):
        world, made, manifests = prepared(tmp_path / f"stop{stop_at}")
        seen = 0

        def stop(name: str, stop_at: int = stop_at) -> None:
            nonlocal seen
            if seen == stop_at:
                raise error("stopped", cure="again") if error is StorageError else error
            seen += 1

        with pytest.raises(error):
            run(world, made.purge_id, "2025-03-08", stop)
        agree(world, made.purge_id, manifests)
        done = run(world, made.purge_id, "2025-03-09")
        assert done.state == "certified"
        agree(world, made.purge_id, manifests)
        again = run(world, made.purge_id, "2025-03-10")
        assert (again.certificate, again.signature) == (done.certificate, done.signature)
        assert finish(world.store, actor="w", now=at("2025-05-01")) == ([made.purge_id], {})
        with world.catalogue.read() as connection:
            kinds = list(connection.execute(sa.select(events.c.kind)).scalars())
        assert kinds.count("purge.certified") == kinds.count("purge.final") == 1
        close(world)


def test_stopped_twice_at_the_hardest_places(tmp_path: Path) -> None:
    world, made, manifests = prepared(tmp_path / "twice")
    for prefix in ("claim", "delete ", "deleted", "all deleted", "shred ", "shredded", "certify", "certified"):

        def stop(name: str, prefix: str = prefix) -> None:
            if name.startswith(prefix):
                raise Killed

        for _ in range(2):
            with pytest.raises(Killed):
                run(world, made.purge_id, "2025-03-08", stop)
            agree(world, made.purge_id, manifests)
            if prefix == "certified":
                break
    assert run(world, made.purge_id, "2025-03-08").state == "certified"


def test_a_store_of_objects_that_fails_is_tried_again(tmp_path: Path) -> None:
    world, made, manifests = prepared(tmp_path / "failing")
    delete = world.store.objects.delete
    calls = 0

    class Failing(type(world.store.objects)):  # type: ignore[misc]
        def delete(self, name: str) -> None:
            nonlocal calls
            calls += 1
            if calls % 2:
                raise StorageError("The disk is away.", cure="Bring it back.")
            delete(name)

    world.store.objects = Failing(world.store.root / "objects")
    for _ in range(5):
        try:
            done = run(world, made.purge_id, "2025-03-08")
        except StorageError:
            agree(world, made.purge_id, manifests)
        else:
            assert done.state == "certified"
            break
    else:
        pytest.fail("the purge never ended")
    for manifest in manifests:
        with pytest.raises(ObjectMissingError):
            world.store.objects.read(manifest.object_name)
