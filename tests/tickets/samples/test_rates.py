"""The miss rate's interval: known values, its coverage, and what a finite population leaves open."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tickets.samples.rates import Stratum, interval, rate_of


@pytest.mark.parametrize(
    ("hits", "tries", "low", "high"),
    [
        # scipy.stats.beta.ppf: (tail, hits, tries - hits + 1) and (1 - tail, hits + 1, tries - hits).
        (0, 50, 0.0, 0.0711217365),
        (1, 50, 0.000506227983, 0.106469545712),
        (3, 100, 0.006229971538, 0.085176052974),
        (50, 50, 0.928878263536, 1.0),
        (2.5, 77.3, 0.005414721160, 0.099946967504),
        (10, 100_000, 0.0000479548951, 0.000183895845),
    ],
)
def test_the_interval_of_clopper_and_pearson(hits: float, tries: float, low: float, high: float) -> None:
    assert interval(hits, tries) == pytest.approx((low, high), abs=1e-10)


def test_one_day_is_its_own_interval() -> None:
    rate = rate_of([Stratum(passed=10**9, drawn=50, reviewed=50, missed=1)])
    assert rate.rate == 0.02
    assert (rate.low, rate.high) == pytest.approx((0.000506228, 0.106469545), abs=1e-6)


def test_a_day_looked_at_in_full_leaves_nothing_open() -> None:
    rate = rate_of([Stratum(passed=40, drawn=40, reviewed=40, missed=2)])
    assert (rate.low, rate.rate, rate.high) == (0.05, 0.05, 0.05)
    # And bounds what the rest can add.
    most = rate_of([Stratum(passed=40, drawn=40, reviewed=39, missed=0)])
    assert most.low == 0
    assert most.high == pytest.approx(1 / 40)


def test_days_weigh_as_much_as_they_have_texts() -> None:
    rate = rate_of([Stratum(9000, 50, 50, 0), Stratum(1000, 50, 50, 5)])
    assert rate.rate == pytest.approx(0.01)
    assert (rate.passed, rate.covered, rate.reviewed, rate.missed) == (10_000, 10_000, 100, 5)


def test_what_nobody_reviewed_is_not_spoken_of() -> None:
    assert rate_of([]).rate is None
    rate = rate_of([Stratum(9000, 50, 0, 0), Stratum(1000, 50, 10, 0)])
    assert (rate.passed, rate.covered, rate.rate) == (10_000, 1000, 0.0)
    assert rate.words().startswith("0.00% (0.00% – ")
    assert rate_of([Stratum(9000, 50, 0, 0)]).words() == "—"


@pytest.mark.parametrize("true_rate", [0.0005, 0.005, 0.02, 0.2])
def test_the_interval_covers_the_truth_as_often_as_it_says(true_rate: float) -> None:
    random = np.random.default_rng(20261127)
    trials, covered = 400, 0
    for _ in range(trials):
        strata, bad, total = [], 0, 0
        for texts in random.integers(60, 5000, 7).tolist():
            ill = int(random.binomial(texts, true_rate))
            missed = int(random.hypergeometric(ill, texts - ill, 50))
            strata.append(Stratum(texts, 50, 50, missed))
            bad, total = bad + ill, total + texts
        found = rate_of(strata)
        assert found.low is not None
        assert found.high is not None
        covered += found.low - 1e-12 <= bad / total <= found.high + 1e-12
    assert covered / trials >= 0.95


@pytest.mark.parametrize(("texts", "looked"), [(40, 20), (40, 39), (60, 50), (200, 50), (51, 50)])
def test_small_days_are_covered_whatever_is_illegal_in_them(texts: int, looked: int) -> None:
    """Every possible number of illegal texts, exactly: the chance that the interval holds the truth."""
    rates = [rate_of([Stratum(texts, looked, looked, missed)]) for missed in range(looked + 1)]
    ends = [(rate.low or 0.0, rate.high or 0.0) for rate in rates]
    for ill in range(texts + 1):
        chance = 0.0
        for missed in range(max(0, looked - (texts - ill)), min(ill, looked) + 1):
            if ends[missed][0] - 1e-12 <= ill / texts <= ends[missed][1] + 1e-12:
                ways = math.comb(ill, missed) * math.comb(texts - ill, looked - missed)
                chance += ways / math.comb(texts, looked)
        assert chance >= 0.95, (ill, chance)
