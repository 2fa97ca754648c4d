"""A second look at texts of which the linear model is unsure, by an encoder in ONNX. Optional; none ships.

A folder holds ``encoder.onnx``, ``vocab.txt`` (one token a line, as BERT has it: characters, and pieces of Latin words
that begin with ``##``) and ``second.json``: ``labels`` in the order of the encoder's outputs, ``none_label``, and
perhaps ``uncertain`` (scores of the linear model [from, to) that are looked at again), ``threshold`` (the encoder's
score from which a text is illegal), ``length`` (tokens of a text that are read) and ``most`` (texts of one batch; those
nearest the middle of ``uncertain`` first, the others stay as the linear model has them). Needs the package onnxruntime.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.model.errors import ModelFileError

Floats = npt.NDArray[np.float64]

SECOND: Final = "second"
"""The folder's name among a store's models."""
FILES: Final = ("second.json", "encoder.onnx", "vocab.txt")
MAX_BYTES: Final = 2 << 30
BATCH: Final = 32
_PIECE: Final = re.compile(r"[a-z0-9]+|\S")
_CURE: Final = "Put the encoder's folder right (docs/models.md), or take it away to do without a second look."


@dataclass(frozen=True, slots=True)
class SecondLook:
    """An encoder that is ready; ``scores`` asks it."""

    session: Any
    vocabulary: dict[str, int]
    labels: tuple[str, ...]
    none_label: str
    uncertain: tuple[float, float]
    threshold: float
    length: int
    most: int
    version: str

    def chosen(self, scores: Floats) -> npt.NDArray[np.int64]:
        """Return which of the linear model's scores are to be looked at again, ascending."""
        low, high = self.uncertain
        which = np.flatnonzero((scores >= low) & (scores < high))
        nearest = np.argsort(np.abs(scores[which] - (low + high) / 2), kind="stable")[: self.most]
        return np.sort(which[nearest])

    def scores(self, texts: list[str]) -> tuple[list[str], Floats]:
        """Return for each text its likeliest label but ``none_label``, and the probability that it is illegal.

        Raises:
            ModelFileError: the encoder fails, or gives something else than a number for each label.
        """
        parts = [self._probabilities(texts[low : low + BATCH]) for low in range(0, len(texts), BATCH)]
        likely = np.concatenate([np.zeros((0, len(self.labels))), *parts])
        none = self.labels.index(self.none_label)
        others = likely.copy()
        others[:, none] = -1
        return [self.labels[k] for k in others.argmax(axis=1)], 1 - likely[:, none]

    def tokens(self, text: str) -> list[int]:
        """Return the numbers of a text's tokens: characters, and the longest pieces that Latin words begin with."""
        known = self.vocabulary
        unknown = known["[UNK]"]
        found = [known["[CLS]"]]
        for word in _PIECE.findall(text[: 8 * self.length].lower()):
            low = 0
            while low < len(word) and len(found) < self.length - 1:
                lead = "##" if low else ""
                high = next((h for h in range(len(word), low, -1) if lead + word[low:h] in known), 0)
                if not high:
                    found.append(unknown)
                    break
                found.append(known[lead + word[low:high]])
                low = high
        return [*found[: self.length - 1], known["[SEP]"]]

    def _probabilities(self, texts: list[str]) -> Floats:
        rows = [self.tokens(text) for text in texts]
        width = max(map(len, rows))
        ids = np.full((len(rows), width), self.vocabulary["[PAD]"], np.int64)
        mask = np.zeros((len(rows), width), np.int64)
        for n, row in enumerate(rows):
            ids[n, : len(row)] = row
            mask[n, : len(row)] = 1
        known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        try:
            given = {one.name: known[one.name] for one in self.session.get_inputs()}
            logits = np.asarray(self.session.run(None, given)[0], np.float64)
        except Exception as error:  # onnxruntime's errors have no common class
            raise ModelFileError(f"The encoder {self.version} failed: {error}", cure=_CURE) from error
        if logits.shape != (len(rows), len(self.labels)) or not np.isfinite(logits).all():
            raise ModelFileError(
                f"The encoder {self.version} gives {logits.shape} for {len(rows)} texts and {len(self.labels)} labels.",
                cure=_CURE,
            )
        logits -= logits.max(axis=1, keepdims=True)
        return np.asarray(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), np.float64)


def second_look(models: Path | None) -> SecondLook | None:
    """Return the second look of a store's folder of models, None where there is none.

    Raises:
        ModelFileError: the folder is damaged, or onnxruntime is not installed.
    """
    folder = models / SECOND if models is not None else None
    return load_second(folder) if folder is not None and folder.exists() else None


@lru_cache(maxsize=2)
def load_second(folder: Path) -> SecondLook:
    """Read and check the folder of an encoder; once a process.

    Raises:
        ModelFileError: as ``second_look``.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelFileError(
            f"There is an encoder in {folder}, and onnxruntime is not installed.",
            cure="pip install onnxruntime, or take the folder away.",
        ) from error
    try:
        bodies = [_read(folder / name) for name in FILES]
        said = json.loads(bodies[0])
        vocabulary = {token: n for n, token in enumerate(bodies[2].decode().splitlines())}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(bodies[1], options, providers=["CPUExecutionProvider"])
        digest = hashlib.sha256(b"".join(hashlib.sha256(body).digest() for body in bodies)).hexdigest()
        found = SecondLook(
            session=session,
            vocabulary=vocabulary,
            labels=tuple(map(str, said["labels"])),
            none_label=str(said["none_label"]),
            uncertain=(float(said.get("uncertain", (0.3, 0.9))[0]), float(said.get("uncertain", (0.3, 0.9))[1])),
            threshold=float(said.get("threshold", 0.5)),
            length=int(said.get("length", 128)),
            most=int(said.get("most", 200)),
            version=f"onnx-{digest[:12]}",
        )
        _check(found)
    except ModelFileError:
        raise
    except Exception as error:  # onnxruntime's errors have no common class
        raise ModelFileError(f"The encoder in {folder} is damaged: {error}", cure=_CURE) from error
    return found


def _read(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} is over {MAX_BYTES:,} bytes")
    return path.read_bytes()


def _check(found: SecondLook) -> None:
    missing = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"} - found.vocabulary.keys()
    if missing:
        raise ValueError(f"vocab.txt lacks {min(missing)}")
    if found.none_label not in found.labels or len(found.labels) < 2 or len(set(found.labels)) < len(found.labels):
        raise ValueError("labels must be two or more, distinct, with none_label among them")
    low, high = found.uncertain
    if not (0 <= low < high <= 1 and 0 < found.threshold <= 1 and 3 <= found.length <= 8192 and found.most >= 1):
        raise ValueError("uncertain, threshold, length or most are out of range")
    # One text through it shows whether its inputs and outputs are what is wanted.
    found.scores(["看一眼"])
