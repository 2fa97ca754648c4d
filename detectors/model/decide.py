"""From probabilities to decisions: which rows are findings, of which label, how sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Decisions:
    """By row: index of the likeliest label but ``none``, the probability that the row is illegal, the verdict."""

    label: npt.NDArray[np.int64]
    score: Floats
    illegal: npt.NDArray[np.bool_]


def category_of(label: str) -> str:
    """A label's category: what stands before its slash (``abuse/hostility`` is abuse of another kind and precision)."""
    return label.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Claims:
    """By row, what could be found: the likeliest label and its score, and the likeliest of the labels that stand apart.

    ``apart`` is -1 where another label is likelier than those.
    """

    label: npt.NDArray[np.int64]
    score: Floats
    apart: npt.NDArray[np.int64]
    apart_score: Floats


def claims(probabilities: Floats, labels: list[str], none_label: str | None, apart: tuple[str, ...] = ()) -> Claims:
    """Weigh ``n`` rows of probabilities (n × labels).

    With a none label the score is what is left beside it, so that a text torn between two illegal labels counts in
    full; without one it is the label's own probability. Labels ``apart`` do not count for the others: an angry customer
    is far likelier to be one of those than to be harmless, and would be an alarm of the wrong label.
    """
    rows = np.arange(len(probabilities))
    nobody = np.full(len(rows), -1)
    if none_label is None:
        label = probabilities.argmax(axis=1)
        return Claims(label, probabilities[rows, label], nobody, np.zeros(len(rows)))
    none, aside = labels.index(none_label), [k for k, name in enumerate(labels) if name in apart]
    others = probabilities.copy()
    others[:, [none, *aside]] = -1
    label = others.argmax(axis=1)
    illegal = 1 - probabilities[:, none]
    if not aside:
        return Claims(label, illegal, nobody, np.zeros(len(rows)))
    best = np.array(aside)[probabilities[:, aside].argmax(axis=1)]
    best = np.where(probabilities[rows, best] >= others[rows, label], best, -1)
    return Claims(label, illegal - probabilities[:, aside].sum(axis=1), best, np.where(best < 0, 0.0, illegal))


def decide(
    probabilities: Floats,
    labels: list[str],
    none_label: str | None,
    thresholds: dict[str, float],
    apart: tuple[str, ...] = (),
) -> Decisions:
    """Decide ``n`` rows: found is what reaches its label's threshold, under a label apart if only that one does."""
    limits = np.array([*(thresholds.get(name, 2.0) for name in labels), 2.0])
    claim = claims(probabilities, labels, none_label, apart)
    found = claim.score >= limits[claim.label]
    only = ~found & (claim.apart_score >= limits[claim.apart])
    return Decisions(
        np.asarray(np.where(only, claim.apart, claim.label), np.int64),
        np.asarray(np.where(only, claim.apart_score, claim.score), np.float64),
        np.asarray(found | only),
    )
