"""What is wrong with packs beyond what keeps them from loading: words that do harm or nothing, examples that fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pyarrow as pa

from detectors.keywords.engine import THRESHOLD, KeywordDetector
from detectors.keywords.packset import PackSet, read_folder, same_ids
from detectors.keywords.rules import Problem, Rule, State
from detectors.normalise.steps import ALL_STEPS
from detectors.normalise.tables.fold import fold_table
from detectors.normalise.view import code_points, view

HARMLESS_LIMIT: Final = 0.0005
"""Share of harmless texts that a rule may hit if its weight alone calls a text illegal."""
WEAK_LIMIT: Final = 0.02
"""Share of harmless texts that any rule may hit."""
MAX_SHOWN: Final = 40


def lint_folder(
    folder: Path, harmless: pa.StringArray | None = None, limit: float = HARMLESS_LIMIT
) -> tuple[PackSet, list[Problem]]:
    """Return the rules of a folder that can be read, and all that is wrong with it.

    With ``harmless`` texts a rule that hits more than ``limit`` of them is a problem (weak rules: ``WEAK_LIMIT``).
    """
    rules, problems = read_folder(folder)
    problems = [*problems, *same_ids(rules), *_same_words(rules), *_words(rules), *_examples(rules)]
    packs = PackSet.of({rule.id: rule for rule in rules}.values())
    problems.extend(failing_examples(packs))
    if harmless is not None and len(harmless):
        problems.extend(_harmful(packs, harmless, limit))
    return packs, sorted(problems, key=lambda problem: (problem.file, problem.line))


def failing_examples(packs: PackSet) -> list[Problem]:
    """Run every rule's examples: each hit must be found by its rule, no miss may be."""
    awake = PackSet.of(_live(rule) for rule in packs.rules)
    rules = [rule for rule in awake.rules if rule.hits or rule.misses]
    texts = [(rule, text, True) for rule in rules for text in rule.hits]
    texts += [(rule, text, False) for rule in rules for text in rule.misses]
    found = KeywordDetector(awake).evidence(pa.array([text for _, text, _ in texts], pa.string()))
    spoken = set(zip(found.column("row").to_pylist(), found.column("rule").to_pylist(), strict=True))
    problems = []
    for row, (rule, text, wanted) in enumerate(texts):
        if ((row, rule.id) in spoken) is not wanted:
            problems.append(_failed(rule, text, wanted))
    return problems


def _failed(rule: Rule, text: str, wanted: bool) -> Problem:
    short = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
    if wanted:
        return _at(rule, f"The rule {rule.id} does not hit its example {short!r}.", "Correct the words or the example.")
    return _at(
        rule, f"The rule {rule.id} hits {short!r}, which it must miss.", "Add an allow-phrase or a word near it."
    )


def _live(rule: Rule) -> Rule:
    from dataclasses import replace

    return replace(rule, state=State.LIVE)


def _at(rule: Rule, what: str, cure: str, *, fatal: bool = False) -> Problem:
    return Problem(rule.file, rule.line, what, cure, fatal)


def _same_words(rules: list[Rule]) -> Iterable[Problem]:
    """The same word twice in rules that would speak at the same places."""
    seen: dict[tuple[str, str, tuple[tuple[str, ...], ...], str], Rule] = {}
    for rule in rules:
        for word, folded in zip(rule.words, _folded(rule.words), strict=True):
            key = (rule.category, folded, rule.near, rule.pattern)
            other = seen.setdefault(key, rule)
            if other is not rule:
                yield _at(
                    rule, f"The word {word!r} stands also in {other.id} ({other.file}:{other.line}).", "Keep it in one."
                )


def _words(rules: list[Rule]) -> Iterable[Problem]:
    for rule in rules:
        groups = (rule.words, *rule.near, rule.unless, rule.allow)
        for group in groups:
            for word, folded in zip(group, _folded(group), strict=True):
                if not folded:
                    yield _at(
                        rule, f"Nothing is left of {word!r} when it is normalised.", "Write it in letters.", fatal=True
                    )
        for word, folded in zip(rule.words, _folded(rule.words), strict=True):
            if len(folded) == 1 and not rule.near and not rule.pattern and rule.weight >= THRESHOLD:
                yield _at(rule, f"The word {word!r} is one character alone.", "Use a longer word, or a word near it.")


def _folded(words: tuple[str, ...]) -> list[str]:
    if not words:
        return []
    seen = view(*code_points(pa.array(words, pa.string())), fold_table(ALL_STEPS), repeats=False)
    text = seen.text()
    return [text[low:high] for low, high in zip(seen.rows[:-1].tolist(), seen.rows[1:].tolist(), strict=True)]


def _examples(rules: list[Rule]) -> Iterable[Problem]:
    for rule in rules:
        if not rule.hits:
            yield _at(rule, f"The rule {rule.id} has no example that it hits.", "Write one in the column hits.")


def _harmful(packs: PackSet, harmless: pa.StringArray, limit: float) -> Iterable[Problem]:
    for rule, count, example in harmless_hits(packs, harmless):
        allowed = limit if rule.weight >= THRESHOLD else max(limit, WEAK_LIMIT)
        if count > allowed * len(harmless):
            yield _at(
                rule,
                f"The rule {rule.id} hits {count} of {len(harmless):,} harmless texts "
                f"({count / len(harmless):.3%}, allowed {allowed:.3%}), e.g. {example!r}.",
                "Narrow its words, add allow-phrases or a word near it, or lower its weight.",
            )


def harmless_hits(packs: PackSet, harmless: pa.StringArray) -> list[tuple[Rule, int, str]]:
    """Return (rule, number of harmless texts that it hits, what it matched first), most first."""
    found = KeywordDetector(packs).evidence(harmless)
    rules = {rule.id: rule for rule in packs.rules}
    names = found.column("rule").to_pylist()
    matched = found.column("matched").to_pylist()
    first: dict[str, str] = {}
    for name, text in zip(names, matched, strict=True):
        first.setdefault(name, text)
    pairs = set(zip(found.column("row").to_pylist(), names, strict=True))
    counts = Counter(name for _, name in pairs)
    hits = [(rules[name], count, first[name]) for name, count in counts.items()]
    return sorted(hits, key=lambda hit: (-hit[1], hit[0].id))
