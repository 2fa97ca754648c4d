"""Speed of detection on one core: ``liucun bench detect``.

Three parts, each in a process of its own that is pinned to one core:
keywords with 60,000 words, normalising included, against the bare matcher over the same texts; the default detector
(keywords, model with its pinyin view); and how soon a fresh process has its first finding. Texts average 45
characters; one in a hundred is illegal and one in twenty a harmless one about a delicate thing, so that the slow path,
judging a hit, is paid for as in a stream. Seconds are the processor's, so that a busy machine measures the same.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import pyarrow as pa

from benchmarks.memory import peak_bytes

RECORDS: Final = 200_000
WORDS: Final = 60_000
RULE: Final = 300
"""Words of one rule."""
CHARACTERS: Final = 45
ILLEGAL: Final = 0.01
DELICATE: Final = 0.05
ROUNDS: Final = 5
_JOINTS: Final = "，。！~； "


def traffic(records: int, characters: int = CHARACTERS, seed: int = 0) -> pa.StringArray:
    """Write ``records`` different texts of the corpus's own harmless and illegal ones, about ``characters`` long."""
    from detectors.corpus.families import FOLDER, NONE, corpus
    from detectors.keywords.harmless import EVERYDAY

    rng = Random(seed)
    files = [(FOLDER / name).read_text(encoding="utf-8") for name in EVERYDAY]
    everyday = {theme for text in files for theme in re.findall(r"^== *(\S+)", text, re.MULTILINE)}
    harmless = [one for one in corpus() if one.category == NONE]
    hard = [one.text for one in harmless if one.family.split("/")[1] not in everyday]
    good = [one.text for one in harmless if one.family.split("/")[1] in everyday]
    bad = [one.text for one in corpus() if one.category != NONE]
    lengths = np.random.default_rng(seed).gamma(4, characters / 4, records)
    texts = []
    for length in lengths.tolist():
        kind = rng.random()
        text = rng.choice(bad if kind < ILLEGAL else hard if kind < ILLEGAL + DELICATE else good)
        while len(text) < length:
            text += rng.choice(_JOINTS) + rng.choice(good)
        texts.append(text[: max(int(length), 4)])
    return pa.array(texts, pa.string())


def many_words(texts: pa.StringArray, count: int, seed: int = 0) -> list[str]:
    """Make ``count`` words of two to six characters as frequent as the texts have them: as bushy as a real lexicon.

    Words that the first 20,000 texts hold are left out, as ``rules lint`` would have it.
    """
    from detectors.normalise.column import fold_column
    from detectors.normalise.tables.fold import fold_table

    rng = Random(seed)
    joined = fold_column(texts.slice(0, 20_000), fold_table(), repeats=True).data.decode()
    letters = [char for char in joined if "一" <= char <= "鿿"]
    there = {joined[at : at + size] for size in range(2, 7) for at in range(len(joined))}
    words: dict[str, None] = {}
    while len(words) < count:
        word = "".join(rng.choices(letters, k=rng.choice((2, 3, 3, 4, 4, 4, 5, 6))))
        if word not in there and all(a != b for a, b in pairwise(word)):
            words.setdefault(word)
    return list(words)


def measure(records: int = RECORDS, words: int = WORDS) -> dict[str, Any]:
    """Run all parts and return their figures."""
    core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    figures: dict[str, Any] = {"records": records, "words": words}
    for part in PARTS:
        # Twice: compiled code is kept on the disk from the first time on, as on any machine that has run once.
        for _ in range(2 if part == "start" else 1):
            found = _in_process(part, records, words, core)
        figures |= found
    return figures


def keywords(records: int, words: int) -> dict[str, Any]:
    """Time the keyword stage, and the bare matcher over the same texts, in turns."""
    from detectors.keywords.matcher import matcher_for

    detector, chosen, texts = _keyword_stage(records, words)
    raw = b"".join(text.encode() for text in texts.to_pylist())
    data = _peak()
    matcher = matcher_for(chosen)
    hits = len(matcher.find(raw)[0])
    found = len(set(detector.detect(texts).column("row").to_pylist()))
    bare, stage = _in_turns(lambda: matcher.find(raw), lambda: detector.detect(texts))
    return {
        "mean_characters": round(sum(len(t) for t in texts.to_pylist()) / records, 1),
        "megabytes": round(len(raw) / 1e6, 1),
        "bare_matcher": matcher.name,
        "bare_hits": hits,
        "bare_records_per_second": round(records / bare),
        "keyword_rows_found": found,
        "keyword_records_per_second": round(records / stage),
        "keyword_ratio_to_own_matcher": round(bare / stage, 3),
        "keyword_megabytes_beyond_data": round(_peak() - data, 1),
    }


def libraries(records: int, words: int) -> dict[str, Any]:
    """Time the scanning libraries over the same texts and words; ``keyword_ratio`` is to daachorse, the library that
    is ready within a second for so many words (Hyperscan takes several to build).
    """
    from detectors.keywords.matcher import DaachorseMatcher, HyperscanMatcher

    detector, chosen, texts = _keyword_stage(records, words)
    raw = b"".join(text.encode() for text in texts.to_pylist())
    daachorse, hyperscan = DaachorseMatcher(chosen), HyperscanMatcher(chosen)
    detector.detect(texts)
    stage, one, other = _in_turns(
        lambda: detector.detect(texts), lambda: daachorse.find(raw), lambda: hyperscan.find(raw)
    )
    return {
        "daachorse_records_per_second": round(records / one),
        "hyperscan_records_per_second": round(records / other),
        "keyword_ratio": round(one / stage, 3),
        "keyword_ratio_to_hyperscan": round(other / stage, 3),
    }


def _keyword_stage(records: int, words: int) -> tuple[Any, list[str], pa.StringArray]:
    from detectors.keywords.engine import KeywordDetector
    from detectors.keywords.packset import PackSet
    from detectors.keywords.rules import Rule

    texts = traffic(records)
    chosen = many_words(texts, words)
    rules = [Rule(f"bench.{n}", "fraud", "", tuple(chosen[n : n + RULE])) for n in range(0, len(chosen), RULE)]
    return KeywordDetector(PackSet.of(rules)), chosen, texts


def default(records: int, words: int) -> dict[str, Any]:
    """Time the default detector over batches as a stream cuts them."""
    texts = traffic(records)
    del words
    from detectors.default import default_detector
    from detectors.keywords import boundaries

    detector = default_detector()
    batches = [texts.slice(low, 20_000) for low in range(0, records, 20_000)]

    def run() -> None:
        boundaries._known.clear()  # a stream seldom brings the same words around a hit again
        for batch in batches:
            detector.detect(batch)

    run()
    (best,) = _in_turns(run)
    rows = set()
    for n, batch in enumerate(batches):
        rows |= {n * 20_000 + row for row in detector.detect(batch).column("row").to_pylist()}
    return {
        "default_records_per_second": round(records / best),
        "default_rows_found": len(rows),
    }


def start(records: int, words: int) -> dict[str, Any]:
    """Time a fresh process, interpreter included, to its first finding, and see its memory after a large batch."""
    del records, words
    from detectors.default import default_detector

    detector = default_detector()
    detector.detect(pa.array(["加微信领彩金"]))
    first = time.process_time()
    texts = pa.array(["平常的一句话，说的是今天的天气和晚上吃什么。"] * 40_000)
    detector.detect(texts)
    return {
        "start_seconds": round(first, 2),
        "start_seconds_with_large_batch": round(time.process_time(), 2),
        "megabytes_beyond_data": round(_peak() - texts.nbytes / 1e6, 1),
    }


PARTS: Final[dict[str, Callable[[int, int], dict[str, Any]]]] = {
    "keywords": keywords,
    "libraries": libraries,
    "default": default,
    "start": start,
}


def _in_turns(*works: Callable[[], object]) -> tuple[float, ...]:
    """Return the best time of each in ``ROUNDS`` rounds, taken in turns so that a busy moment strikes all alike."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for n, work in enumerate(works):
            began = time.process_time()
            work()
            best[n] = min(best[n], time.process_time() - began)
    return tuple(best)


def _peak() -> float:
    """Peak memory of this process, MB."""
    return peak_bytes() / 1e6


def _in_process(part: str, records: int, words: int, core: int | None) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.detect", part, str(records), str(words)]
    if core is not None:
        command += ["--core", str(core)]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the part {part} failed: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Run one part in this process, or all parts each in its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["all", *PARTS], nargs="?", default="all")
    parser.add_argument("records", type=int, nargs="?", default=RECORDS)
    parser.add_argument("words", type=int, nargs="?", default=WORDS)
    parser.add_argument("--core", type=int)
    chosen = parser.parse_args()
    if chosen.part == "all":
        print(json.dumps(measure(chosen.records, chosen.words), indent=1))
        return
    if chosen.core is not None:
        os.sched_setaffinity(0, {chosen.core})
    pa.set_cpu_count(1)
    print(json.dumps(PARTS[chosen.part](chosen.records, chosen.words)))


if __name__ == "__main__":
    main()
