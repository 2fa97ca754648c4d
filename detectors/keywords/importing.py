"""From a word list to a pack of drafts: categories named, harmful and useless words refused, provenance kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from detectors.base import CATEGORIES
from detectors.keywords.lint import HARMLESS_LIMIT, Samples, allowed_rate, folded, harmless_hits
from detectors.keywords.packfile import MAX_WORD
from detectors.keywords.rules import Rule, State
from detectors.keywords.wordlists import Entry

CATEGORY_NAMES: Final = {
    "gambling": ("赌博", "博彩", "涉赌", "赌", "gamble"),
    "pornography": ("色情", "涉黄", "黄色", "低俗", "淫秽", "色情低俗", "porn", "sex", "sexual"),
    "abuse": ("辱骂", "谩骂", "脏话", "侮辱", "insult", "abusive"),
    "fraud": ("诈骗", "欺诈", "涉诈", "scam"),
    "illicit_advertising": ("广告", "违法广告", "违规广告", "黑产", "ad", "ads", "advert", "advertising", "spam"),
    "drugs": ("毒品", "涉毒", "违禁药品", "drug"),
    "weapons": ("枪支", "武器", "涉枪", "枪支弹药", "涉枪涉爆", "weapon", "guns"),
    "incitement": ("教唆犯罪", "暴力", "涉恐", "暴恐", "violence"),
    "prohibited_goods": ("违禁品", "违禁", "假货", "counterfeit"),
    "contact_diversion": ("引流", "联系方式", "导流", "contact"),
}
"""What lists call our categories."""
DEFAULT_WEIGHT: Final = 0.9
MAX_RULE_WEIGHT: Final = 0.95


@dataclass(frozen=True, slots=True)
class Refused:
    """A word that was left out, and why."""

    line: int
    word: str
    why: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How words become rules.

    ``category`` is that of words whose list names none; ``names`` maps the list's own names to categories; ``weight``
    that of words whose list gives none; ``prefix`` begins every rule's id.
    """

    prefix: str
    category: str | None = None
    names: Mapping[str, str] | None = None
    weight: float = DEFAULT_WEIGHT
    severity: int = 2
    author: str = ""
    basis: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """Draft rules, one a word, and the words that were refused."""

    rules: tuple[Rule, ...]
    refused: tuple[Refused, ...]


def import_words(
    entries: Sequence[Entry],
    wishes: Wishes,
    *,
    known: Iterable[Rule] = (),
    harmless: Samples | None = None,
    limit: float = HARMLESS_LIMIT,
) -> Imported:
    """Make a draft rule of every word that is worth one.

    Refused are words without a known category, too long or too short, of which nothing is left when normalised, that
    stand twice or in one of the ``known`` rules, and those that hit more than ``limit`` of a ``harmless`` sample.
    """
    refused: list[Refused] = []
    largest = max((entry.weight or 0.0 for entry in entries), default=0.0)
    seen = _standing(known)
    rules: list[Rule] = []
    lines: dict[str, int] = {}
    for entry, form in zip(entries, folded([entry.word for entry in entries]), strict=True):
        category = _category(entry, wishes)
        why = _unfit(entry, form)
        if not why and category is None:
            why = "category"
        if why or category is None:
            refused.append(Refused(entry.line, entry.word, why, entry.category or "" if why == "category" else ""))
            continue
        other = seen.setdefault((category, form), f"line {entry.line}")
        if other != f"line {entry.line}":
            refused.append(Refused(entry.line, entry.word, "there already", other))
            continue
        rule = _rule(entry, category, form, wishes, largest)
        rules.append(rule)
        lines[rule.id] = entry.line
    harmful = _harmful(rules, harmless or {}, limit)
    refused.extend(
        Refused(lines[rule.id], rule.words[0], "harmless text", harmful[rule.id])
        for rule in rules
        if rule.id in harmful
    )
    kept = tuple(rule for rule in rules if rule.id not in harmful)
    return Imported(kept, tuple(sorted(refused, key=lambda word: word.line)))


def _category(entry: Entry, wishes: Wishes) -> str | None:
    if entry.category is None:
        return wishes.category
    said = entry.category.strip()
    mapped = (wishes.names or {}).get(said)
    if mapped is not None:
        return mapped
    lower = said.lower()
    if lower in CATEGORIES:
        return lower
    return next((category for category, names in CATEGORY_NAMES.items() if lower in names), None)


def _unfit(entry: Entry, form: str) -> str:
    if not form:
        return "nothing left"
    if len(form) == 1:
        return "one character"
    if len(entry.word) > MAX_WORD:
        return "too long"
    if "|" in entry.word or entry.word.startswith("@") or not entry.word.isprintable():
        return "signs"
    return ""


def _standing(rules: Iterable[Rule]) -> dict[tuple[str, str], str]:
    """Words that a rule of words alone holds already, by category and normalised form."""
    pairs = [(rule, word) for rule in rules if not rule.near and not rule.pattern for word in rule.words]
    forms = folded([word for _, word in pairs])
    return {(rule.category, form): rule.id for (rule, _), form in zip(pairs, forms, strict=True)}


def _rule(entry: Entry, category: str, form: str, wishes: Wishes, largest: float) -> Rule:
    weight = wishes.weight
    if entry.weight is not None:
        # Weights over 1 are levels of some scale: the largest is near certainty.
        weight = min(MAX_RULE_WEIGHT, max(entry.weight, 0.0) / (largest if largest > 1 else 1.0))
    name = hashlib.sha256(f"{category}\0{form}".encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return Rule(
        id=f"{wishes.prefix}.{name}",
        category=category,
        subtype="",
        words=(entry.word,),
        severity=wishes.severity,
        weight=round(weight, 3),
        hits=(entry.word,),
        state=State.DRAFT,
        basis=wishes.basis,
        author=wishes.author,
        since=wishes.since,
    )


def _harmful(rules: list[Rule], harmless: Samples, limit: float) -> dict[str, str]:
    """Ids of rules that hit too many harmless texts, with what was measured."""
    found: dict[str, str] = {}
    for sample, texts in harmless.items():
        for hit in harmless_hits(rules, texts, sample) if rules else ():
            if hit.rate > allowed_rate(hit.rule, limit):
                found.setdefault(hit.rule.id, f"{hit.texts:,} of {hit.of:,} of {sample}, {hit.rate:.3%}")
    return found
