"""What came out of an audit: passed, faults, or nothing to check, which proves nothing and is never called passed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

LOOKED_AT: Final[Mapping[str, tuple[str, ...]]] = {
    "coverage": ("records",),
    "integrity": ("of",),
    "retention": ("units", "destroyed_segments", "certificates"),
    "access": ("queries",),
    "keys": ("keys",),
    "samples": ("reviewed",),
    "index": ("segments", "documents"),
}
"""What of ``checked`` counts the things that an audit looks at."""


class Outcome(StrEnum):
    """How an audit came out, the same in every form: terminal, pages, print, JSON."""

    PASSED = "passed"
    NOTHING = "nothing_to_check"
    FAULTS = "faults"

    @property
    def chinese(self) -> str:
        """In Chinese."""
        return _WORDS[self][0]

    @property
    def english(self) -> str:
        """In English, small letters."""
        return _WORDS[self][1]

    @property
    def headline(self) -> str:
        """Both, as a verdict over a report."""
        return f"{self.chinese} {self.english.upper()}"


_WORDS: Final = {
    Outcome.PASSED: ("通过", "passed"),
    Outcome.NOTHING: ("没有可检查的内容", "nothing to check"),
    Outcome.FAULTS: ("发现问题", "faults found"),
}


def outcome_of(audit: str, *, ok: bool, checked: Mapping[str, object]) -> Outcome:
    """The outcome of an audit that found no fault (``ok``) or some, by what it counted. Reports that an older version
    kept may lack a count: these are believed to have had something to look at."""
    if not ok:
        return Outcome.FAULTS
    counts = [checked.get(name) for name in LOOKED_AT.get(audit, ())]
    return Outcome.NOTHING if counts and all(count == 0 for count in counts) else Outcome.PASSED


def together(outcomes: Mapping[str, Outcome]) -> Outcome:
    """The outcome of several audits, by audit: faults of one are faults of all; keys alone prove nothing of records."""
    if Outcome.FAULTS in outcomes.values():
        return Outcome.FAULTS
    counted = [one for audit, one in outcomes.items() if audit in LOOKED_AT and (audit != "keys" or len(outcomes) == 1)]
    return Outcome.NOTHING if counted and all(one is Outcome.NOTHING for one in counted) else Outcome.PASSED
