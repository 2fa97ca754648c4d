"""Training: labelled texts in, a calibrated model with thresholds out.

One linear support vector machine a label (one against the rest) over n-gram counts
weighted by idf; on request each label's features are stretched by how much they tell
that label from the others (naive-Bayes log-count ratio: Wang and Manning,
"Baselines and Bigrams", ACL 2012). Margins of rows that a fold did not train on fit the map to
probabilities and the thresholds. Deterministic for the same rows and options.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.corpus.disguises import DEFAULT_RATE, DISGUISES
from detectors.model.decide import claims, decide
from detectors.model.errors import TrainingDataError
from detectors.model.features import Idf, count_matrix, fit_idf, weigh
from detectors.model.labelled import Labelled
from detectors.model.linear import BLOCK, LEAST_THRESHOLD, LinearModel, softmax
from detectors.model.tables import standard_tables

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NONE_NAMES: Final = ("none", "0", "不违规", "正常", "无", "harmless", "normal", "benign", "ok")
"""Labels that are taken as "nothing illegal" when nobody says which one is."""
STREAM_PRIOR: Final = 1600.0
"""Of what reads a stream, where many comments have three characters: about what five of them weigh themselves."""
_TOLERANCE: Final = 0.01
"""Of the fit: a tenth of what its own library stops at by default; finer changes no figure and takes thrice as long."""
_SMOOTHING: Final = 3.0
_COST_ROWS: Final = 16_000
EVEN_THRESHOLD: Final = 0.5
MOST_THRESHOLD: Final = 0.995
_GATE_ROOM: Final = 0.15
_GATE_SKIPS: Final = 20_000
"""One finding of so many may stand behind the gate: a single odd row must not open it to a third of the harmless."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train.

    ``bits``: the table has 2**bits buckets. ``cost``: the machine's C; None: by the number of rows (``cost_of``).
    ``stretch``: how much the naive-Bayes ratio stretches features. ``prior``: squared idf that every text has before
    its own, so that a comment of three characters speaks softer. ``folds``: for calibration. ``min_df``: n-grams in
    fewer texts are left out. ``false_alarm_rate``: the share of harmless texts that thresholds let each label take;
    None: find what is more likely illegal than not. ``shared_rate``, if given: the share that they let all take
    together. ``apart``: labels that do not count for the others (``decide.claims``).
    """

    bits: int = 20
    pinyin: bool = True
    cost: float | None = None
    stretch: float = 1.0
    prior: float = 0.0
    folds: int = 4
    min_df: int = 1
    false_alarm_rate: float | None = 0.002
    shared_rate: float | None = None
    none_label: str | None = None
    apart: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, and the margins (n × labels) that each row got from the folds that had not seen it."""

    model: LinearModel
    margins: Floats
    truth: Ints


def train(
    texts: pa.StringArray,
    labels: list[str],
    options: TrainOptions | None = None,
    *,
    groups: npt.NDArray[Any] | None = None,
    copy: npt.NDArray[np.bool_] | None = None,
    ordinary: npt.NDArray[np.bool_] | None = None,
) -> Trained:
    """Train a model on ``n`` texts and their labels.

    Args:
        texts: the column.
        labels: one label a text, any set of two or more.
        options: how.
        groups: rows of one group (author, template family) never fall on both sides of a fold.
        copy: rows that are perturbed copies of others; they train, but calibrate nothing.
        ordinary: rows like those that the model will see; of the harmless ones only these set thresholds.

    Raises:
        TrainingDataError: fewer than two labels, or a label with too few texts.
    """
    options = options or TrainOptions()
    names, truth = np.unique(np.array(labels, dtype=str), return_inverse=True)
    _check(names, truth)
    none_label = _none_label([str(n) for n in names], options.none_label)
    tables = standard_tables()
    counts = count_matrix(texts, tables, options.bits, pinyin=options.pinyin)
    plain = np.ones(len(truth), np.bool_) if copy is None else ~copy
    margins = np.zeros((len(truth), len(names)))
    for inside, outside in _folds(truth, groups, options):
        fitted = _fit(counts[inside], truth[inside], len(names), options)
        margins[outside] = fitted.margins(counts[outside])
    calibration = _calibrate(margins[plain], truth[plain])
    probabilities = softmax(margins[plain], calibration)
    seen = np.ones(int(plain.sum()), np.bool_) if ordinary is None else ordinary[plain]
    thresholds = choose_thresholds(
        probabilities[seen], truth[plain][seen], [str(n) for n in names], none_label, options
    )
    final = _fit(counts, truth, len(names), options)
    weights, scale = final.quantised()
    model = LinearModel(
        labels=[str(n) for n in names],
        none_label=none_label,
        bits=options.bits,
        pinyin=options.pinyin,
        weights=weights,
        scale=scale,
        bias=final.bias,
        idf_step=final.idf.step,
        calibration=calibration,
        thresholds=thresholds,
        tables=tables,
        prior=final.idf.prior,
        apart=tuple(str(n) for n in names if str(n) in options.apart),
        gate=None
        if none_label is None
        else _gate(margins[plain], probabilities, thresholds, [str(n) for n in names], options.apart),
        info={"rows": len(truth), "rows_by_label": {str(n): int((truth == k).sum()) for k, n in enumerate(names)}},
    )
    return Trained(model, margins, np.asarray(truth, np.int64))


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Weights (buckets × labels, idf included) and bias of one fit."""

    idf: Idf
    weights: npt.NDArray[np.float32]
    bias: Floats

    def margins(self, counts: Any) -> Floats:
        return np.asarray((counts @ self.weights) / self.idf.norm(counts)[:, None] + self.bias, np.float64)

    def quantised(self) -> tuple[npt.NDArray[np.int8], Floats]:
        """Return the table of ``LinearModel`` and the scale by label."""
        buckets, labels = self.weights.shape
        table = np.zeros((buckets, -(-(1 + labels) // BLOCK) * BLOCK), np.int8)
        table[:, 0] = self.idf.squared
        scale = np.maximum(np.abs(self.weights).max(axis=0), 1e-9).astype(np.float64) / 127
        table[:, 1 : 1 + labels] = np.rint(self.weights / scale)
        return table, scale


def _fit(counts: Any, truth: Ints, labels: int, options: TrainOptions) -> _Fitted:
    from sklearn.svm import LinearSVC

    cost = cost_of(len(truth)) if options.cost is None else options.cost
    idf = fit_idf(counts, options.min_df, options.prior)
    present = np.bincount(counts.indices, minlength=counts.shape[1]) >= options.min_df
    kept = np.flatnonzero(present)
    features = weigh(counts, idf)[:, kept].tocsr()
    seen = features.copy()
    seen.data = np.ones_like(seen.data)
    weights = np.zeros((counts.shape[1], labels), np.float32)
    bias = np.zeros(labels)
    total = np.asarray(seen.sum(axis=0), np.float64).ravel()
    for label in range(labels):
        mine = np.asarray(seen[truth == label].sum(axis=0), np.float64).ravel()
        stretch = (1 + options.stretch * np.abs(_log_ratio(mine, total - mine))).astype(np.float32)
        scaled = features.copy()
        scaled.data *= stretch[features.indices]
        machine = LinearSVC(C=cost, tol=_TOLERANCE, random_state=options.seed, max_iter=5000)
        machine.fit(scaled, truth == label)
        weights[kept, label] = machine.coef_[0] * stretch * idf.value[kept]
        bias[label] = float(machine.intercept_[0])
    return _Fitted(idf, weights, bias)


def cost_of(rows: int) -> float:
    """Return the machine's C for so many training rows: 4 for a few thousand, 1 from sixteen thousand on.

    Losses add up over rows, so small sets need more (``python -m benchmarks.model rivals`` and ``cold`` measure it).
    """
    return float(np.clip(_COST_ROWS / max(rows, 1), 1.0, 4.0))


def _log_ratio(mine: Floats, rest: Floats) -> Floats:
    mine, rest = mine + _SMOOTHING, rest + _SMOOTHING
    return np.asarray(np.log((mine / mine.sum()) / (rest / rest.sum())))


def _check(names: npt.NDArray[Any], truth: Ints) -> None:
    if len(names) < 2:
        raise TrainingDataError(
            "The labelled data has fewer than two labels.", cure="Add examples of what the model shall tell apart."
        )
    if len(names) > 500:
        raise TrainingDataError(
            f"The labelled data has {len(names)} labels.", cure="Name the right label column with --label-column."
        )
    counts = np.bincount(truth)
    few = int(counts.argmin())
    if counts[few] < 2:
        raise TrainingDataError(
            f"The label {str(names[few])!r} has only {counts[few]} text.", cure="Give each label at least two texts."
        )


def _none_label(names: list[str], asked: str | None) -> str | None:
    if asked is not None:
        if asked not in names:
            raise TrainingDataError(f"No text has the label {asked!r}.", cure=f"The labels are: {', '.join(names)}.")
        return asked
    return next((n for known in NONE_NAMES for n in names if n.lower() == known), None)


def _folds(truth: Ints, groups: npt.NDArray[Any] | None, options: TrainOptions) -> list[tuple[Ints, Ints]]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    empty = np.zeros(len(truth))
    if groups is not None:
        few = len(np.unique(groups))
        if few < 2:
            raise TrainingDataError(
                "All texts belong to one group.", cure="Give each label texts of two groups or more."
            )
        splitter = StratifiedGroupKFold(min(options.folds, few), shuffle=True, random_state=options.seed)
        found = list(splitter.split(empty, truth, groups))
    else:
        folds = max(2, min(options.folds, int(np.bincount(truth).min())))
        found = list(StratifiedKFold(folds, shuffle=True, random_state=options.seed).split(empty, truth))
    labels = len(np.unique(truth))
    # A group that holds a whole label would leave a fold without it.
    if any(len(np.unique(truth[inside])) < labels for inside, _ in found):
        raise TrainingDataError(
            "A label's texts all belong to one group.", cure="Give each label texts of at least two groups."
        )
    return found


def _calibrate(margins: Floats, truth: Ints) -> Floats:
    """Fit the map from margins to logits (labels + 1 × labels) by multinomial logistic regression."""
    from sklearn.linear_model import LogisticRegression

    labels = margins.shape[1]
    fitted = LogisticRegression(C=1.0, max_iter=1000).fit(margins, truth)
    coefficients, constants = fitted.coef_, fitted.intercept_
    if labels == 2:
        coefficients = np.vstack([-coefficients[0] / 2, coefficients[0] / 2])
        constants = np.array([-constants[0] / 2, constants[0] / 2])
    return np.vstack([coefficients.T, constants])


def choose_thresholds(
    probabilities: Floats, truth: Ints, names: list[str], none_label: str | None, options: TrainOptions
) -> dict[str, float]:
    """Choose the labels' thresholds; with a none label as ``options`` say of the false alarms that they may make.

    ``shared_rate`` gives all labels one threshold, the lowest at which they take no more together: scores are
    calibrated over all labels, and a threshold a label, set where each gains most, was measured to find less of what
    training had not seen. A label apart speaks only when as sure as can be. Otherwise each label may take
    ``false_alarm_rate`` of the harmless rows, or, without one, every row that is more likely illegal than not.
    """
    if none_label is None:
        return dict.fromkeys(names, EVEN_THRESHOLD)
    if options.false_alarm_rate is None and options.shared_rate is None:
        return {name: EVEN_THRESHOLD for name in names if name != none_label}
    claim = claims(probabilities, names, none_label, options.apart)
    harmless = truth == names.index(none_label)
    labels = [label for label, name in enumerate(names) if name != none_label]
    if options.shared_rate is not None:
        own = np.sort(claim.score[harmless])[::-1]
        allowed = int(options.shared_rate * len(own))
        taken = float(own[allowed]) if allowed < len(own) else 0.0
        shared = round(min(max(taken + 1e-4, LEAST_THRESHOLD), MOST_THRESHOLD), 4)
        return {names[k]: MOST_THRESHOLD if names[k] in options.apart else shared for k in labels}
    assert options.false_alarm_rate is not None
    allowed = int(options.false_alarm_rate * harmless.sum())
    found = {}
    for label in labels:
        aside = names[label] in options.apart
        rows = (claim.apart if aside else claim.label) == label
        scores = np.sort((claim.apart_score if aside else claim.score)[harmless & rows])[::-1]
        taken = float(scores[allowed]) if len(scores) > allowed else 0.0
        found[names[label]] = round(min(max(taken + 1e-4, LEAST_THRESHOLD), MOST_THRESHOLD), 4)
    return found


def _gate(
    margins: Floats, probabilities: Floats, thresholds: dict[str, float], names: list[str], apart: tuple[str, ...]
) -> float:
    """Return the none label's margin that all rows which reach a threshold stay under, but one in ``_GATE_SKIPS``, with
    room for rows not seen yet."""
    none = next(n for n, name in enumerate(names) if name not in thresholds)
    found = decide(probabilities, names, names[none], thresholds, apart).illegal
    largest = np.sort(np.append(margins[found, none], 0.0))[::-1]
    return round(float(largest[found.sum() // _GATE_SKIPS]) + _GATE_ROOM, 4)


def train_with_disguises(data: Labelled, options: TrainOptions, copies: int) -> LinearModel:
    """Train on labelled rows and on ``copies`` disguised copies of each row that is not harmless."""
    if not copies:
        return train(data.texts, data.labels, options, groups=data.groups).model
    texts = data.texts.to_pylist()
    none = _none_label(sorted(set(data.labels)), options.none_label)
    groups = np.arange(len(texts)).astype(str) if data.groups is None else data.groups
    rows = [k for k, label in enumerate(data.labels) if label != none]
    names = list(DISGUISES)
    added, source = [], []
    for turn in range(copies):
        chosen = [names[(n + turn) % len(names)] for n in range(len(rows))]
        for n, (name, row) in enumerate(zip(chosen, rows, strict=True)):
            added.append(DISGUISES[name](texts[row], Random(f"{options.seed}:{turn}:{n}"), DEFAULT_RATE))
            source.append(row)
    return train(
        pa.array(texts + added, pa.string()),
        data.labels + [data.labels[k] for k in source],
        options,
        groups=np.concatenate([groups, groups[source]]),
        copy=np.arange(len(texts) + len(added)) >= len(texts),
    ).model
