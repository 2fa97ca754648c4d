"""The simulation of a deployed job behaves as queues do, and adds up."""

from __future__ import annotations

import pytest

from benchmarks.sizing import Costs, Load, figures, simulate

COSTS = Costs(cpu_record=8.5e-6, cpu_batch=0.03)


def test_every_record_is_committed_or_waits() -> None:
    load = Load(rate=100_000, seconds=200, lanes=4, cores=4, lost=0.5)
    done = simulate(load, COSTS)
    assert done.records + done.behind == pytest.approx(load.rate * load.seconds)
    assert done.commits > 0


def test_a_job_with_cores_enough_keeps_up_and_one_without_falls_behind() -> None:
    enough = figures(Load(rate=100_000, seconds=200, lanes=4, cores=2), COSTS)
    assert enough["keeps_up"]
    assert enough["seconds_to_commit_p99"] < 3
    assert enough["seconds_to_catch_up_after_the_loss"] > 0
    # 100,000 records of 20 us are two cores' work before any batch's own.
    short = figures(Load(rate=100_000, seconds=200, lanes=4, cores=1), Costs(2e-5, 0.03))
    assert not short["keeps_up"]


def test_a_slow_catalogue_is_what_holds_up() -> None:
    slow = Costs(8.5e-6, 0.03, commit=1.0, commits_at_once=1)
    load = Load(rate=100_000, seconds=200, lanes=8, cores=8, lost=0.0)
    found = figures(load, slow)
    assert found["catalogue_busy"] > 0.9
    assert found["waiting_for_the_catalogue_ms"] > 1000
    assert found["records_per_commit"] > figures(load, COSTS)["records_per_commit"], (
        "lanes that wait take bigger batches"
    )


def test_the_same_seed_gives_the_same() -> None:
    load = Load(rate=50_000, seconds=200, lanes=2, cores=2)
    assert simulate(load, COSTS, 3).ages == simulate(load, COSTS, 3).ages
