"""What a new model is compared on with the one in use: rows held out of its training, and when it counts as worse."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from detectors.model.errors import TrainingDataError, WorseModelError
from detectors.model.evaluate import Evaluation
from detectors.model.labelled import Labelled

HELD_OUT: Final = 8
"""One row in so many is held out."""
LEAST_HELD_OUT: Final = 20
TOLERANCE: Final = 0.005
"""How much macro F1 may fall, or false alarms rise, before a model counts as worse: what chance does on small sets."""


@dataclass(frozen=True, slots=True)
class Split:
    """Labelled rows cut in two."""

    train: Labelled
    held_out: Labelled


def hold_out(data: Labelled) -> Split:
    """Cut off the held-out part.

    The group decides, or the text: a row that is held out once is held out whenever a model is trained
    with ``--install``, so that the model in use has never seen what it is compared on.

    Raises:
        TrainingDataError: too little is left to compare on.
    """
    keys = data.keys().tolist()
    out = np.array([hashlib.sha256(key.encode()).digest()[0] % HELD_OUT == 0 for key in keys])
    if out.sum() < LEAST_HELD_OUT or len({data.labels[k] for k in np.flatnonzero(out)}) < 2:
        raise TrainingDataError(
            f"Only {int(out.sum())} rows would be held out, too few to compare models on.",
            cure=f"Give at least {2 * HELD_OUT * LEAST_HELD_OUT} rows, or train without --install.",
        )
    return Split(data.take(np.flatnonzero(~out)), data.take(np.flatnonzero(out)))


def measuring_split(data: Labelled, seed: int = 0) -> Split:
    """Cut off a fifth for measuring, at random by group, else by row with equal shares of each label.

    Raises:
        TrainingDataError: a label has too few rows or groups to be on both sides.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedKFold if data.groups is None else StratifiedGroupKFold
    few = min(data.labels.count(label) for label in set(data.labels))
    if few < 2 or len(set(data.labels)) < 2:
        raise TrainingDataError(
            "The labelled data has fewer than two labels, or a label with only one text.",
            cure="Give at least two labels, each with at least two texts.",
        )
    splitter = kind(min(5, few), shuffle=True, random_state=seed)
    inside, outside = next(iter(splitter.split(np.zeros(len(data.labels)), data.labels, data.groups)))
    return Split(data.take(inside), data.take(outside))


def refuse_worse(new: Evaluation, current: Evaluation) -> None:
    """Compare two models on the same held-out part.

    Raises:
        WorseModelError: macro F1 fell or false alarms rose by more than ``TOLERANCE``.
    """
    cure = "Add or correct examples; the model was not installed and the present one stays."
    if new.macro_f1 < current.macro_f1 - TOLERANCE:
        raise WorseModelError(
            f"The new model is worse than {current.model}: macro F1 {new.macro_f1:.4f} against {current.macro_f1:.4f}.",
            cure=cure,
        )
    for name in ("false_alarms", "harmless_false_alarms"):
        before, after = getattr(current, name), getattr(new, name)
        if before is not None and after is not None and after > before + TOLERANCE:
            raise WorseModelError(
                f"The new model is worse than {current.model}: false alarms {after:.2%} against {before:.2%}.",
                cure=cure,
            )
