"""What is wrong with packs beyond what keeps them from loading: words that do harm or nothing, examples that fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from detectors.keywords.engine import THRESHOLD, KeywordDetector
from detectors.keywords.packset import PackSet, read_packs
from detectors.keywords.rules import Problem, Rule, State
from detectors.normalise.steps import ALL_STEPS
from detectors.normalise.tables.fold import fold_table
from detectors.normalise.view import code_points, view

HARMLESS_LIMIT: Final = 0.0005
"""Share of harmless texts that a rule may hit if its weight alone calls a text illegal."""
WEAK_LIMIT: Final = 0.02
"""Share of harmless texts that any rule may hit."""
MAX_SHOWN: Final = 40
MAX_MATCHED: Final = 3
"""Matches of a harmful rule that its problem names."""

Samples = Mapping[str, pa.StringArray]
"""Harmless texts by the name of the sample."""


@dataclass(frozen=True, slots=True)
class Example:
    """One example of a rule and whether it did what it must: ``wanted`` is found, or must not be."""

    rule: Rule
    text: str
    wanted: bool
    found: bool

    @property
    def passed(self) -> bool:
        """Whether the rule did as the example says."""
        return self.wanted is self.found


@dataclass(frozen=True, slots=True)
class HarmlessHits:
    """Harmless texts that a rule hits: how many, of how many, and what it matched most."""

    rule: Rule
    texts: int
    of: int
    sample: str
    matched: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Share of the texts, 0..1."""
        return self.texts / self.of if self.of else 0.0


def lint_folder(
    folder: Path, harmless: Samples | None = None, limit: float = HARMLESS_LIMIT
) -> tuple[PackSet, list[Problem]]:
    """Return the rules of a folder or pack that can be read, and all that is wrong with it.

    A rule that hits more than ``limit`` of a ``harmless`` sample is a problem (weak rules: ``WEAK_LIMIT``).
    """
    read = read_packs(folder)
    return PackSet.of(read.rules), sorted({*read.problems, *lint_rules(read.rules, harmless, limit)}, key=_place)


def lint_rules(rules: Sequence[Rule], harmless: Samples | None = None, limit: float = HARMLESS_LIMIT) -> list[Problem]:
    """Everything that is wrong with rules that were read, drafts included; see ``lint_folder``."""
    unlike = list({rule.id: rule for rule in rules}.values())
    problems = [*_words(unlike), *_examples(unlike)]
    problems.extend(_failed(example) for example in run_examples(unlike) if not example.passed)
    for name, texts in (harmless or {}).items():
        problems.extend(_harmful(harmless_hits(unlike, texts, name), limit))
    return sorted(problems, key=_place)


def run_examples(rules: Iterable[Rule]) -> list[Example]:
    """Run every rule's examples, whatever the rule's state: each hit must be found by its rule, no miss may be."""
    awake = _awake(rules)
    texts = [(rule, text, True) for rule in awake.rules for text in rule.hits]
    texts += [(rule, text, False) for rule in awake.rules for text in rule.misses]
    if not texts:
        return []
    found = KeywordDetector(awake).evidence(pa.array([text for _, text, _ in texts], pa.string()))
    spoken = set(zip(found.column("row").to_pylist(), found.column("rule").to_pylist(), strict=True))
    return [Example(rule, text, wanted, (row, rule.id) in spoken) for row, (rule, text, wanted) in enumerate(texts)]


def harmless_hits(rules: Iterable[Rule], harmless: pa.StringArray, sample: str) -> list[HarmlessHits]:
    """Measure every rule on harmless texts, whatever its state; the ones with hits, most first."""
    awake = _awake(rules)
    found = KeywordDetector(awake).evidence(harmless)
    by_id = {rule.id: rule for rule in awake.rules}
    names = found.column("rule").to_pylist()
    matched: dict[str, Counter[str]] = {}
    for name, text in zip(names, found.column("matched").to_pylist(), strict=True):
        matched.setdefault(name, Counter())[text] += 1
    counts = Counter(name for _, name in set(zip(found.column("row").to_pylist(), names, strict=True)))
    hits = [
        HarmlessHits(
            by_id[name], count, len(harmless), sample, tuple(t for t, _ in matched[name].most_common(MAX_MATCHED))
        )
        for name, count in counts.items()
    ]
    return sorted(hits, key=lambda hit: (-hit.texts, hit.rule.id))


def allowed_rate(rule: Rule, limit: float) -> float:
    """Share of harmless texts that a rule may hit: ``limit``, or more where its weight alone decides nothing."""
    return limit if rule.weight >= THRESHOLD else max(limit, WEAK_LIMIT)


def _awake(rules: Iterable[Rule]) -> PackSet:
    """The rules as if live; of rules with the same id the first."""
    unlike: dict[str, Rule] = {}
    for rule in rules:
        unlike.setdefault(rule.id, rule if rule.state is State.LIVE else replace(rule, state=State.LIVE))
    return PackSet.of(unlike.values())


def _place(problem: Problem) -> tuple[str, int]:
    return problem.file, problem.line


def _at(rule: Rule, what: str, cure: str, *, fatal: bool = False) -> Problem:
    return Problem(rule.file, rule.line, what, cure, fatal)


def _short(text: str) -> str:
    return repr(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…")


def _failed(example: Example) -> Problem:
    rule, text = example.rule, _short(example.text)
    if example.wanted:
        return _at(rule, f"The rule {rule.id} does not hit its example {text}.", "Correct the words or the example.")
    return _at(rule, f"The rule {rule.id} hits {text}, which it must miss.", "Add an allow-phrase or a word near it.")


def _words(rules: list[Rule]) -> Iterator[Problem]:
    """Words of which nothing is left, words of one character, and words that another rule has in another spelling."""
    groups = [(rule, group, group is rule.words) for rule in rules for group in _groups(rule)]
    forms = iter(folded([word for _, group, _ in groups for word in group]))
    seen: dict[tuple[object, ...], tuple[Rule, str]] = {}
    for rule, group, own in groups:
        for word in group:
            form = next(forms)
            if not form:
                what = f"Nothing is left of {_short(word)} when it is normalised."
                yield _at(rule, what, "Write it in letters.", fatal=rule.state is not State.DRAFT)
                continue
            if not own:
                continue
            if len(form) == 1 and not rule.near and not rule.pattern and rule.weight >= THRESHOLD:
                yield _at(rule, f"The word {word!r} is one character alone.", "Use a longer word, or a word near it.")
            key = (form, rule.category, rule.near, rule.pattern, rule.unless, rule.state)
            other, spelling = seen.setdefault(key, (rule, word))
            # The same spelling has been named by what reads the pack.
            if other is not rule and spelling != word:
                what = f"{word!r} is {spelling!r} of {other.id} ({other.file}:{other.line}) once it is normalised."
                yield _at(rule, what, "Keep one of the two words.")


def _groups(rule: Rule) -> tuple[tuple[str, ...], ...]:
    return (rule.words, *rule.near, rule.unless, rule.allow)


def folded(words: list[str]) -> list[str]:
    """Words as they are looked for: width, case, look-alikes and signs undone. Empty where nothing is left."""
    if not words:
        return []
    seen = view(*code_points(pa.array(words, pa.string())), fold_table(ALL_STEPS), repeats=False)
    text = seen.text()
    return [text[low:high] for low, high in np.stack([seen.rows[:-1], seen.rows[1:]], axis=1).tolist()]


def _examples(rules: list[Rule]) -> Iterator[Problem]:
    for rule in rules:
        if not rule.hits:
            yield _at(rule, f"The rule {rule.id} has no example that it hits.", "Write one in the column hits.")


def _harmful(hits: list[HarmlessHits], limit: float) -> Iterator[Problem]:
    for hit in hits:
        allowed = allowed_rate(hit.rule, limit)
        if hit.rate > allowed:
            words = ", ".join(_short(text) for text in hit.matched)
            yield _at(
                hit.rule,
                f"The rule {hit.rule.id} hits {hit.texts:,} of {hit.of:,} harmless texts of {hit.sample} "
                f"({hit.rate:.3%}, allowed {allowed:.3%}), mostly by {words}.",
                "Narrow its words, add allow-phrases or a word near it, or lower its weight.",
            )
