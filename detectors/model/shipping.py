"""Training of the model that ships: ``python -m detectors.model.shipping --text FOLDER --out FOLDER``.

It learns from the project's own corpus, from COLD (Apache-2.0) and from SWSR (MIT); disguised copies of
everything stand beside the originals, so that a disguise by itself tells nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.corpus.disguises import DISGUISES
from detectors.corpus.families import NONE, Example, examples
from detectors.model import SHIPPED
from detectors.model.files import save
from detectors.model.labelled import Labelled, read_labelled
from detectors.model.train import STREAM_PRIOR, Trained, TrainOptions, train

HOSTILITY: Final = "abuse/hostility"
"""What COLD and SWSR call offensive: a label of its own beside plain insults, as annotators agree on it far less; it
needs a threshold of its own.
"""
SOURCES: Final = (("cold_train.csv.gz", "offensive"), ("cold_dev.csv.gz", "offensive"), ("swsr_80.csv.gz", "sexist"))
OPTIONS: Final = TrainOptions(
    bits=19,
    folds=2,
    cost=0.12,
    stretch=0.0,
    prior=STREAM_PRIOR,
    min_df=2,
    none_label=NONE,
    shared_rate=0.019,
    apart=(HOSTILITY,),
)
"""Much of what is harmless in the corpus is hard; ordinary texts raise a fifth of its false alarms."""
COPIES: Final = 2
"""Disguised copies of each text of the corpus."""
COPIED: Final = {"homophone": 5, "pinyin": 3, "initials": 3, "emoji": 1, "split": 1, "repeated": 1}
"""How often each disguise is copied. Width, signs, zero-width characters and traditional script are not: folding undoes
them, and a copy would be the same row again."""
RATES: Final = (0.2, 0.4, 0.6)
_JOINTS: Final = ("，", "。", " ", "\n", "！", "~", "；", "")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to train on: texts, labels, groups, and which are copies that calibrate nothing.

    ``ordinary`` rows set the thresholds. COLD and SWSR do not: half of what they call inoffensive is quarrel about
    origin, sex and race, and a threshold that spares all of it finds nothing.
    """

    texts: list[str]
    labels: list[str]
    groups: list[str]
    copy: list[bool]
    ordinary: bool = True

    def add(self, text: str, label: str, group: str, *, copy: bool = False) -> None:
        """Append one row."""
        self.texts.append(text)
        self.labels.append(label)
        self.groups.append(group)
        self.copy.append(copy)


def corpus_rows(corpus: list[Example], seed: int = 0, copies: int = COPIES) -> Rows:
    """Return the corpus with longer texts joined from its own, and with disguised copies."""
    rows = Rows([], [], [], [])
    for one in corpus:
        rows.add(one.text, one.category, one.family)
    for one in _joined(corpus, Random(seed)):
        rows.add(one.text, one.category, one.family)
    for n in range(len(rows.texts)):
        rng = Random(f"{seed}:copy:{n}")
        # A disguise by itself must tell nothing, so harmless texts have copies too; one each is enough of them.
        for name in _chosen(rng, copies if rows.labels[n] != NONE else min(copies, 1)):
            disguised = DISGUISES[name](rows.texts[n], rng, rng.choice(RATES))
            if disguised != rows.texts[n]:
                rows.add(disguised, rows.labels[n], rows.groups[n], copy=True)
    return rows


def _chosen(rng: Random, copies: int) -> list[str]:
    """Draw different disguises by their weights in ``COPIED``."""
    left = dict(COPIED)
    names: list[str] = []
    while left and len(names) < copies:
        (name,) = rng.choices(list(left), list(left.values()))
        del left[name]
        names.append(name)
    return names


def _joined(corpus: list[Example], rng: Random) -> Iterator[Example]:
    """Join texts of the same family, and of a harmless one: adverts are often hidden in small talk."""
    harmless = [one for one in corpus if one.category == NONE]
    by_family: dict[str, list[Example]] = {}
    for one in corpus:
        by_family.setdefault(one.family, []).append(one)
    for family in by_family.values():
        for _ in range(max(1, len(family) // 4)):
            one = rng.choice(family)
            if one.category == NONE:
                # The group is the first text's; the others only lengthen it.
                parts = [one.text, *(rng.choice(harmless).text for _ in range(rng.randint(1, 4)))]
            elif rng.random() < 0.5:
                parts = [one.text, rng.choice(family).text]
            else:
                parts = [one.text, rng.choice(harmless).text]
            if one.category != NONE:
                rng.shuffle(parts)
            yield replace(one, text="".join(p + rng.choice(_JOINTS) for p in parts))


def shared_rows(folder: Path) -> Rows:
    """Return COLD and SWSR as hostility and harmless rows, each its own group."""
    rows = Rows([], [], [], [], ordinary=False)
    for name, column in SOURCES:
        data: Labelled = read_labelled(folder / name, label_column=column)
        for n, (text, label) in enumerate(zip(data.texts.to_pylist(), data.labels, strict=True)):
            rows.add(text, HOSTILITY if label == "1" else NONE, f"{name}:{n}")
    return rows


def train_shipped(parts: list[Rows], options: TrainOptions = OPTIONS) -> Trained:
    """Train on the rows of all parts."""
    groups: npt.NDArray[np.str_] = np.array([g for part in parts for g in part.groups])
    return train(
        pa.array([t for part in parts for t in part.texts], pa.string()),
        [label for part in parts for label in part.labels],
        options,
        groups=groups,
        copy=np.array([c for part in parts for c in part.copy]),
        ordinary=np.array([part.ordinary for part in parts for _ in part.texts]),
    )


def main() -> None:
    """Train and save the model that ships."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--text", type=Path, required=True, help="folder with COLD and SWSR")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    chosen = parser.parse_args()
    trained = train_shipped([corpus_rows(examples()), shared_rows(chosen.text)])
    trained.model.info["sources"] = ["the project's own corpus", "COLD (Apache-2.0)", "SWSR (MIT)"]
    save(trained.model, chosen.out)
    print(f"{trained.model.version} in {chosen.out}: {trained.model.info['rows']:,} rows, {trained.model.thresholds}")


if __name__ == "__main__":
    main()
