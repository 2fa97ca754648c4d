"""Thresholds of the queue from what people can review a day and how often they were right, not by hand.

For each category the scores of past findings are cut into bands, and each band's precision is measured by what
reviewers confirmed and dismissed in it (smoothed, and made to rise with the score). The day's tickets are given to the
bands of the highest precision first. What lies below stays a finding of the sampling queue: shown, never dropped.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.model.errors import ModelFileError, ModelWriteError, TrainingDataError
from detectors.model.files import replace_file

Floats = npt.NDArray[np.float64]

QUEUE: Final = "queue.json"
BANDS: Final = 20
PRIOR: Final = (1.0, 1.0)
"""Confirmed and dismissed tickets that every band is taken to have had: a band nobody reviewed is a coin's toss."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Findings of ``days`` days, one a ticket: category, score 0..1, and what was decided (1 confirmed, 0 dismissed,
    -1 not yet).
    """

    category: npt.NDArray[np.str_]
    score: Floats
    decided: npt.NDArray[np.int8]
    days: float


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """One category's share: scores from ``threshold`` on open tickets to be reviewed, those below go to sampling.

    ``tickets`` and ``sampled`` are expected numbers a day; ``precision`` is what is expected of the tickets, and
    ``reviewed`` how many decisions that rests on.
    """

    category: str
    threshold: float
    tickets: float
    sampled: float
    precision: float
    reviewed: int


@dataclass(frozen=True, slots=True)
class _Band:
    category: str
    low: float
    daily: float
    precision: float
    reviewed: int


def plan_queue(past: Reviewed, daily_tickets: float) -> list[QueuePlan]:
    """Share ``daily_tickets`` among categories and scores; one plan a category, in the order of their names.

    Raises:
        TrainingDataError: there are no findings, or the budget or the days make no sense.
    """
    if daily_tickets < 0 or past.days <= 0:
        raise TrainingDataError(
            f"A budget of {daily_tickets} tickets a day over {past.days} days makes no sense.",
            cure="Give at least 0 tickets a day, and findings of more than no time.",
        )
    if not len(past.score):
        raise TrainingDataError(
            "There are no findings to measure the queue by.", cure="Run the detectors first, then decide some tickets."
        )
    names = np.unique(past.category).tolist()
    bands = [band for name in names for band in _bands(past, name)]
    left = daily_tickets
    admitted: dict[str, list[_Band]] = {name: [] for name in names}
    closed: set[str] = set()
    for band in sorted(bands, key=lambda b: (-b.precision, -b.low, b.category)):
        # A band that does not fit closes its category: below it nothing better can come.
        if band.category in closed or band.daily > left:
            closed.add(band.category)
            continue
        left -= band.daily
        admitted[band.category].append(band)
    return [_plan(name, [b for b in bands if b.category == name], admitted[name]) for name in names]


def _bands(past: Reviewed, name: str) -> list[_Band]:
    """Bands of a category from the highest score down, of about equally many findings each."""
    mine = past.category == name
    score, decided = past.score[mine], past.decided[mine]
    order = np.argsort(-score, kind="stable")
    score, decided = score[order], decided[order]
    count = min(BANDS, len(score))
    cuts = np.unique(np.linspace(0, len(score), count + 1).astype(np.int64))
    # Equal scores cannot be told apart by a threshold: a cut moves down behind them.
    ends = np.unique([np.searchsorted(-score, -score[cut - 1], side="right") for cut in cuts[1:]])
    begins = np.append(0, ends[:-1])
    confirmed = np.array([(decided[a:b] == 1).sum() for a, b in zip(begins, ends, strict=True)])
    dismissed = np.array([(decided[a:b] == 0).sum() for a, b in zip(begins, ends, strict=True)])
    precision = _falling((confirmed + PRIOR[0]) / (confirmed + dismissed + sum(PRIOR)), confirmed + dismissed + 2)
    return [
        _Band(name, float(score[b - 1]), (b - a) / past.days, float(p), int(n))
        for a, b, p, n in zip(begins, ends, precision, confirmed + dismissed, strict=True)
    ]


def _falling(values: Floats, weights: npt.NDArray[np.int64]) -> Floats:
    """Pool neighbours until the values fall (isotonic regression)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] < pools[-1][0]:
            (v, w, n), (u, x, m) = pools[-2], pools[-1]
            pools[-2:] = [((v * w + u * x) / (w + x), w + x, n + m)]
    return np.concatenate([np.full(n, value) for value, _, n in pools])


def _plan(name: str, bands: list[_Band], admitted: list[_Band]) -> QueuePlan:
    tickets = sum(band.daily for band in admitted)
    right = sum(band.daily * band.precision for band in admitted)
    return QueuePlan(
        category=name,
        # Above every score when nothing fits: the whole category goes to sampling.
        threshold=min((band.low for band in admitted), default=1.01),
        tickets=round(tickets, 2),
        sampled=round(sum(band.daily for band in bands) - tickets, 2),
        precision=round(right / tickets, 4) if tickets else 0.0,
        reviewed=sum(band.reviewed for band in bands),
    )


def write_queue(plans: list[QueuePlan], folder: Path) -> None:
    """Put plans in use, beside the installed models.

    Raises:
        ModelWriteError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / QUEUE, json.dumps([asdict(plan) for plan in plans], indent=1).encode())
    except OSError as error:
        raise ModelWriteError(
            f"The queue's thresholds cannot be written to {folder}: {error}.", cure="Free the folder."
        ) from error


def read_queue(folder: Path) -> dict[str, float]:
    """Return category → the score from which a finding opens a ticket to be reviewed; empty without plans.

    Raises:
        ModelFileError: the file is damaged.
    """
    path = folder / QUEUE
    if not path.exists():
        return {}
    try:
        return {str(plan["category"]): float(plan["threshold"]) for plan in json.loads(path.read_bytes())}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelFileError(
            f"The queue's thresholds in {path} cannot be read: {error}.", cure="Run `liucun model queue --apply` again."
        ) from error
