"""A purge from plan to certificate, with the archive's heartbeat in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from retention.catalogue import events
from retention.keys.signing import load_signers
from retention.purge.certificate import certify
from retention.purge.plan import Purge, approve, plan
from retention.purge.run import carry_out
from tests.retention.policies.world import World, at, days


def beat(world: World, first: str | date, last: str | date, every: int = 3) -> None:
    """The archive lives: an event every few days of [first, last]."""
    begin, end = (date.fromisoformat(d) if isinstance(d, str) else d for d in (first, last))
    with world.catalogue.write() as connection:
        for n, day in enumerate(days(begin, end)):
            if n % every == 0 or day == end:
                events.append(connection, kind="beat", actor="system:test", subject="beat:1", body={}, at=at(day, 1))


def planned(world: World, on: str, **more) -> Purge:  # type: ignore[no-untyped-def]
    """A plan made on a day that the archive lived up to."""
    world.follow()
    begin = date.fromisoformat(on) - timedelta(days=70)
    beat(world, begin, on)
    return plan(world.store, reason="expired", actor="ann", now=at(on), settings=world.settings, **more)


def approved(world: World, on: str, **more) -> Purge:  # type: ignore[no-untyped-def]
    made = planned(world, on, **more)
    return approve(
        world.store, made.purge_id, digest=made.plan_digest, actor="ben", now=at(on), settings=world.settings
    )


def run(world: World, purge_id: str, on: str, step: Callable[[str], None] = lambda _name: None) -> Purge:
    """Carry a purge out on a day and certify it."""
    now = at(on)
    carry_out(world.store, purge_id, actor="worker", now=now, settings=world.settings, step=step)
    return certify(
        world.store,
        purge_id,
        signers=load_signers(world.store.period_keys),
        actor="worker",
        now=now,
        settings=world.settings,
        step=step,
    )
