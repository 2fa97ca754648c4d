"""Compiles the detectors' loops ahead and leaves them in the cache: ``python -m detectors.ahead``.

Without it the first large batch of a stream waits for them, once a machine and version.
"""

from __future__ import annotations

import pyarrow as pa

from detectors.corpus.families import examples
from detectors.default import default_detector
from detectors.keywords.matcher import COLUMN


def compile_ahead() -> None:
    """Look at one batch of a stream's size: texts of every category, and harmless ones."""
    texts = [one.text for one in examples(per_family=1, per_harmless=1)]
    size = sum(len(text.encode()) for text in texts)
    detector = default_detector()
    detector.detect(pa.array(texts * (COLUMN // size + 1)))


if __name__ == "__main__":
    compile_ahead()
