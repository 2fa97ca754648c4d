"""Measures of the learned detector: recall on families it has not seen, false alarms, rivals, speed.

``python -m benchmarks.model families --text FOLDER``: train without a fifth of the corpus's families (or of
its themes) and measure recall on them, plain and under each disguise, beside false alarms on harmless reviews.
``python -m benchmarks.model cold --text FOLDER``: accuracy on COLD's dev part.
``python -m benchmarks.model rivals``: the same engine against TF-IDF of characters with a linear SVC on 4,000
texts of six classes, by family-wise folds.
``python -m benchmarks.model speed``: records a second on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import pyarrow as pa

from detectors.corpus.families import NONE, examples
from detectors.default import default_keywords
from detectors.model import default_model
from detectors.model.evaluate import evaluate, false_alarm_rate
from detectors.model.heldout import BENIGN, measure_families
from detectors.model.labelled import read_labelled, read_texts
from detectors.model.train import TrainOptions, train, train_with_disguises

SIX: Final = ("gambling", "pornography", "abuse", "fraud", "illicit_advertising", NONE)


def rivals(rows: int = 4000, seed: int = 0, folds: int = 5) -> dict[str, Any]:
    """Compare macro F1 and accuracy with scikit-learn's usual pair on six classes of the corpus."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.svm import LinearSVC

    chosen = [one for one in examples() if one.category in SIX]
    chosen = Random(seed).sample(chosen, min(rows, len(chosen)))
    texts, labels = [one.text for one in chosen], np.array([one.category for one in chosen])
    groups = np.array([one.family for one in chosen])
    ours, theirs = labels.copy(), labels.copy()
    for inside, outside in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(texts, labels, groups):
        some, rest = [texts[k] for k in inside], [texts[k] for k in outside]
        model = train(pa.array(some), labels[inside].tolist(), TrainOptions(), groups=groups[inside]).model
        ours[outside] = np.array(model.labels)[model.margins(pa.array(rest)).argmax(axis=1)]
        vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3))
        machine = LinearSVC(random_state=seed).fit(vectors.fit_transform(some), labels[inside])
        theirs[outside] = machine.predict(vectors.transform(rest))
    return {
        "rows": len(texts),
        "ours": {
            "accuracy": float((ours == labels).mean()),
            "macro_f1": float(f1_score(labels, ours, average="macro")),
        },
        "tfidf_svc": {
            "accuracy": float((theirs == labels).mean()),
            "macro_f1": float(f1_score(labels, theirs, average="macro")),
        },
    }


def cold(text: Path) -> dict[str, Any]:
    """Train on COLD's train part as ``liucun model train`` does; accuracy on its dev part, false alarms on reviews."""
    data = read_labelled(text / "cold_train.csv.gz", label_column="offensive")
    dev = read_labelled(text / "cold_dev.csv.gz", label_column="offensive")
    model = train_with_disguises(data, TrainOptions(), 0)
    return {
        "cold_dev": evaluate(model, dev.texts, dev.labels, disguises=False).as_json(),
        "false_alarms": {name: false_alarm_rate(model, read_texts(text / name)) for name in BENIGN},
    }


def speed(rows: int = 200_000, length: int = 45, seed: int = 0) -> dict[str, Any]:
    """Score ``rows`` texts of about ``length`` characters, one in twenty illegal, and time it and loading."""
    rng = Random(seed)
    corpus = examples()
    good = [one.text for one in corpus if one.category == NONE]
    bad = [one.text for one in corpus if one.category != NONE]
    pool = []
    for n in range(5000):
        text = rng.choice(bad) if n % 20 == 0 else ""
        while len(text) < length * rng.uniform(0.4, 1.2):
            text += rng.choice(good)
        pool.append(text)
    texts = pa.array([pool[n % len(pool)] for n in range(rows)], pa.string())
    started = time.perf_counter()
    detector = default_model()
    loaded = time.perf_counter() - started
    detector.detect(texts.slice(0, 5000))
    best = min(_timed(detector, texts) for _ in range(3))
    return {
        "records_per_second": rows / best,
        "mean_characters": sum(map(len, pool)) / len(pool),
        "load_seconds": loaded,
    }


def _timed(detector: Any, texts: pa.StringArray) -> float:
    started = time.perf_counter()
    detector.detect(texts)
    return time.perf_counter() - started


def main() -> None:
    """Run one measure and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", choices=["families", "themes", "cold", "rivals", "speed"])
    parser.add_argument("--text", type=Path, help="folder with COLD, SWSR and the harmless reviews")
    chosen = parser.parse_args()
    if chosen.measure in {"families", "themes", "cold"} and chosen.text is None:
        parser.error("--text is needed")
    measures: dict[str, Callable[[], Any]] = {
        "families": lambda: measure_families(chosen.text, default_keywords()).as_json(),
        "themes": lambda: measure_families(chosen.text, default_keywords(), by_theme=True).as_json(),
        "cold": lambda: cold(chosen.text),
        "rivals": rivals,
        "speed": speed,
    }
    found = measures[chosen.measure]()
    print(json.dumps(found, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
