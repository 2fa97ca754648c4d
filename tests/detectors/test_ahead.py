"""What an installation compiles ahead is what a stream's batch needs."""

from __future__ import annotations

import pyarrow as pa

from detectors.ahead import compile_ahead
from detectors.corpus.families import examples
from detectors.default import default_detector
from detectors.keywords.matcher import COLUMN


def test_a_batch_of_a_stream_finds_its_loops_compiled() -> None:
    compile_ahead()
    from detectors.keywords import cutting, gathering, hashed
    from detectors.model import gate, kernels, span_kernels
    from detectors.normalise import compiled

    loops = [
        loop
        for module in (cutting, gathering, hashed, gate, kernels, span_kernels, compiled)
        for loop in vars(module).values()
        if hasattr(loop, "signatures")
    ]
    assert len(loops) > 20
    known = [list(loop.signatures) for loop in loops]
    texts = [one.text for one in examples(per_family=1, per_harmless=1, seed=7)]
    default_detector().detect(pa.array(texts * (COLUMN // len("".join(texts).encode()) + 1)))
    assert [list(loop.signatures) for loop in loops] == known
