"""The measured miss rate 漏检率: how many of the passed texts people find illegal; with its interval.

A day's sample is simple random, but days differ in size. So the rate of a span is the mean of its days weighted by
their texts, and its interval is that of Clopper and Pearson over the effective number of reviewed texts (Korn and
Graubard, Survey Methodology 24 (1998) 193-201, which the National Center for Health Statistics prescribes for small
counts), with the correction for a finite population: a day that was looked at in full leaves nothing uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

CONFIDENCE: Final = 0.95
_TERMS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Stratum:
    """Texts of one day and type of content: passed by the detectors, drawn, reviewed, and of these missed."""

    passed: int
    drawn: int
    reviewed: int
    missed: int


@dataclass(frozen=True, slots=True)
class Rate:
    """A miss rate in [0, 1] and its interval; None where nothing was reviewed.

    ``covered`` are the passed texts of strata of which something was reviewed: the population that the rate speaks of.
    """

    passed: int
    covered: int
    drawn: int
    reviewed: int
    missed: int
    rate: float | None
    low: float | None
    high: float | None

    def words(self) -> str:
        """Rate and interval in per cent."""
        if self.rate is None or self.low is None or self.high is None:
            return "—"
        return f"{self.rate:.2%} ({self.low:.2%} – {self.high:.2%})"


def rate_of(strata: Iterable[Stratum], confidence: float = CONFIDENCE) -> Rate:
    """The rate of several strata together."""
    every = list(strata)
    seen = [one for one in every if one.reviewed]
    passed, drawn = sum(one.passed for one in every), sum(one.drawn for one in every)
    reviewed, missed = sum(one.reviewed for one in seen), sum(one.missed for one in seen)
    covered = sum(max(one.passed, one.reviewed) for one in seen)
    if not reviewed:
        return Rate(passed, 0, drawn, 0, 0, None, None, None)
    rate, spread = 0.0, 0.0
    for one in seen:
        texts = max(one.passed, one.reviewed)
        weight = texts / covered
        rate += weight * one.missed / one.reviewed
        if texts > one.reviewed:
            spread += weight**2 / one.reviewed * (texts - one.reviewed) / (texts - 1)
    rate = min(rate, 1.0)
    if spread == 0:
        return Rate(passed, covered, drawn, reviewed, missed, rate, rate, rate)
    low, high = interval(rate / spread, 1 / spread, confidence)
    # A whole number of texts is illegal: both ends move outward to the next one. What was found is there, and what was
    # found harmless is not.
    low, high = math.floor(low * covered) / covered, math.ceil(high * covered) / covered
    low, high = max(low, missed / covered), min(high, (covered - (reviewed - missed)) / covered)
    return Rate(passed, covered, drawn, reviewed, missed, rate, min(low, rate), max(high, rate))


@lru_cache(maxsize=4096)
def interval(hits: float, tries: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of Clopper and Pearson (Biometrika 26 (1934) 404-413); the counts need not be whole."""
    tail = (1 - confidence) / 2
    if hits <= 0:
        return 0.0, 1 - tail ** (1 / tries)
    if hits >= tries:
        return tail ** (1 / tries), 1.0
    return _quantile(tail, hits, tries - hits + 1), _quantile(1 - tail, hits + 1, tries - hits)


def _quantile(share: float, a: float, b: float) -> float:
    """The point below which a beta distribution holds ``share``; by halving, to twelve digits and more."""
    low, high = 0.0, 1.0
    while high - low > 1e-14:
        middle = (low + high) / 2
        if incomplete_beta(middle, a, b) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b): its continued fraction (DLMF 8.17.22), by Lentz's method."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    last = 1 / (1 - (a + b) * x / (a + 1))
    value, ratio = last, 1.0
    for m in range(1, _TERMS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            last = 1 / (1 + step * last)
            ratio = 1 + step / ratio
            value *= last * ratio
        if abs(last * ratio - 1) < 1e-15:
            break
    return front * value / a
