"""Simulates a deployed job of many lanes, from figures measured on a small one: ``liucun bench sizing``.

Every lane does what a lane of the real job does: take what waits in its partitions, at most a batch, work on it, store
its segments, commit; then again. Cores are shared fairly among the lanes that work, the catalogue serves so many
commits at a time, and each of them takes its turn. A lane that fell behind takes bigger batches, which cost less a
record: that is how the job keeps up, and what the simulation is there to show. Once in the middle workers are killed,
as a machine that is lost would, and are back after ``OUTAGE_SECONDS``.

Not in it: the brokers, the network, merging (it runs beside, in cores of its own), and people.
"""

from __future__ import annotations

import heapq
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

OUTAGE_SECONDS: Final = 40.0
"""How long a lost machine's lanes stand still, about: what kills of a task manager took (docs/deploy-flink.md)."""
_WAIT: Final = 0.2
"""A lane with nothing to read waits so long in place."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the job, and what it has. ``lost`` is the part of lanes that a fault takes away at half time."""

    rate: float = 1_000_000.0
    seconds: float = 600.0
    lanes: int = 32
    cores: int = 24
    record_bytes: float = 342.0
    batch_bytes: float = 8 * 2**20
    lost: float = 0.25


@dataclass(frozen=True, slots=True)
class Costs:
    """What one record, one batch and one commit take; times in seconds. Times of servers vary by ``spread`` (sigma)."""

    cpu_record: float
    cpu_batch: float
    store: float = 0.03
    commit: float = 0.012
    commits_at_once: int = 8
    spread: float = 0.5


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    records: float = 0.0
    commits: int = 0
    ages: list[tuple[float, float]] = field(default_factory=list)
    queued: float = 0.0
    working: float = 0.0
    behind: float = 0.0
    recovered: float | None = None


class _Simulation:
    """Lanes take turns; each event is (moment, lane, records in work, moment at which the turn began)."""

    def __init__(self, load: Load, costs: Costs, seed: int) -> None:
        self.load, self.costs, self.out = load, costs, Outcome()
        self.rng = np.random.default_rng(seed)
        self.rate = load.rate / load.lanes
        self.most = max(load.batch_bytes / load.record_bytes, 1.0)
        self.taken = [0.0] * load.lanes
        """Records that each lane has committed."""
        self.hit = int(load.lanes * load.lost)
        self.fails, self.back = load.seconds / 2, load.seconds / 2 + OUTAGE_SECONDS
        self.events = [(float(self.rng.uniform(0, _WAIT)), number, 0.0, 0.0) for number in range(load.lanes)]
        self.busy: list[float] = []
        """When each lane that works at the moment will be through: how many there are decides a core's share."""
        self.caught_up: dict[int, float] = {}
        self.servers = [0.0] * costs.commits_at_once
        """When each of the catalogue's places for a commit is free."""

    def run(self) -> Outcome:
        heapq.heapify(self.events)
        while self.events:
            now, number, records, began = heapq.heappop(self.events)
            if now >= self.load.seconds:
                continue
            if number < self.hit and began < self.fails <= now < self.back:
                # Nothing of the batch was committed: it is read again when the machine is back.
                self._turn(self.back + float(self.rng.uniform(0, 2)), number)
            elif records:
                self._commit(now, number, records)
            else:
                self._work(now, number)
        self.out.behind = sum(self.rate * self.load.seconds - taken for taken in self.taken)
        return self.out

    def _turn(self, at: float, number: int) -> None:
        heapq.heappush(self.events, (at, number, 0.0, at))

    def _work(self, now: float, number: int) -> None:
        records = min(self.rate * now - self.taken[number], self.most)
        if records < 1:
            self._turn(now + _WAIT, number)
            return
        while self.busy and self.busy[0] <= now:
            heapq.heappop(self.busy)
        cpu = self.costs.cpu_batch + records * self.costs.cpu_record
        worked = now + cpu * max((len(self.busy) + 1) / self.load.cores, 1.0)
        heapq.heappush(self.busy, worked)
        self.out.working += cpu
        stored = worked + self._varied(self.costs.store)
        heapq.heappush(self.events, (stored, number, records, now))

    def _commit(self, now: float, number: int, records: float) -> None:
        begin = max(now, heapq.heappop(self.servers))
        done = begin + self._varied(self.costs.commit)
        heapq.heappush(self.servers, done)
        self.out.queued += begin - now
        self.out.commits += 1
        self.out.records += records
        # The oldest of a batch waited longest, the youngest least: the one in the middle stands for all.
        self.out.ages.append((done, done - (self.taken[number] + records / 2) / self.rate))
        self.taken[number] += records
        if number < self.hit and done > self.back and self.rate * done - self.taken[number] < self.most / 2:
            self.caught_up.setdefault(number, done - self.back)
            self.out.recovered = max(self.caught_up.values())
        self._turn(done, number)

    def _varied(self, seconds: float) -> float:
        return seconds * float(self.rng.lognormal(0, self.costs.spread))


def simulate(load: Load, costs: Costs, seed: int = 1) -> Outcome:
    """Run the lanes over ``load.seconds``; every record has its moment of arrival, evenly in time."""
    return _Simulation(load, costs, seed).run()


def figures(load: Load, costs: Costs, *, stored_bytes: float = 80.0, years: float = 3.0) -> dict[str, Any]:
    """The simulation's figures, and the arithmetic of what is kept."""
    quiet = simulate(Load(**{**asdict(load), "lost": 0.0}), costs)
    hit = simulate(load, costs)
    ages = np.array([age for done, age in quiet.ages if done > load.seconds / 5])
    behind = quiet.behind / load.rate
    commits = quiet.commits / load.seconds
    return {
        "records_per_second": round(load.rate),
        "lanes": load.lanes,
        "cores": load.cores,
        "cores_busy": round(quiet.working / load.seconds, 1),
        "records_per_commit": round(quiet.records / max(quiet.commits, 1)),
        "commits_per_second": round(commits, 1),
        "catalogue_busy": round(commits * costs.commit * float(np.exp(costs.spread**2 / 2)) / costs.commits_at_once, 3),
        "waiting_for_the_catalogue_ms": round(quiet.queued / max(quiet.commits, 1) * 1000, 2),
        "seconds_to_commit_p50": round(float(np.quantile(ages, 0.5)), 2),
        "seconds_to_commit_p99": round(float(np.quantile(ages, 0.99)), 2),
        "seconds_behind_at_the_end": round(behind, 2),
        "keeps_up": bool(behind < 5.0),
        "lost_lanes": int(load.lanes * load.lost),
        "seconds_to_catch_up_after_the_loss": None if hit.recovered is None else round(hit.recovered, 1),
        "batches_a_day": round(commits * 86_400),
        "terabytes_in_a_day": round(load.rate * load.record_bytes * 86_400 / 1e12, 1),
        "petabytes_kept": round(load.rate * stored_bytes * 86_400 * 365.25 * years / 1e15, 2),
    }
