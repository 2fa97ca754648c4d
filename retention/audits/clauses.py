"""The licence clause by clause: what answers each, and how it stands now. The table is data that counsel can change."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from retention.audits.report import AuditReport
from retention.audits.words import TITLES

FILE: Final = Path(__file__).parent / "clauses.toml"


Fact = Literal["tickets", "police", "orders", "measures", "purges", "disclosures", "own_rules"]
"""What whoever opens the store can say of a clause beside the audits, as figures in words."""


class Answer(StrEnum):
    """What answers a clause."""

    SOFTWARE = "software"
    DUTY = "duty"
    OUTSIDE = "outside"

    @property
    def words(self) -> str:
        """For people."""
        return {"software": "软件 software", "duty": "义务事项 duty", "outside": "范围之外 outside"}[self.value]


class Clause(BaseModel):
    """One clause: the audits that answer it, or the clocks of duties that do, or why it is outside (``how``).

    ``facts`` are figures that stand beside the audits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: str = Field(pattern=r"^\d{1,2}(\(\d{1,2}\))?$")
    title: str = Field(min_length=1)
    english: str = Field(min_length=1)
    answer: Answer
    audits: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    how: str = Field(min_length=1)

    @model_validator(mode="after")
    def _answered(self) -> Clause:
        if (self.answer is Answer.SOFTWARE) != bool(self.audits) or (self.answer is Answer.DUTY) != bool(self.duties):
            raise ValueError(f"clause {self.number}: name audits for software, duties for a duty, neither for outside")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    format: Literal[1]
    clause: tuple[Clause, ...]


@functools.cache
def clauses() -> tuple[Clause, ...]:
    """Every clause of the licence, in its order."""
    return _File.model_validate(tomllib.loads(FILE.read_text(encoding="utf-8"))).clause


def clauses_of(audit: str) -> tuple[Clause, ...]:
    """The clauses that an audit answers."""
    return tuple(clause for clause in clauses() if audit in clause.audits)


def standing(
    clause: Clause, reports: Sequence[AuditReport], duties: Mapping[str, str], facts: Mapping[str, str] | None = None
) -> str:
    """How a clause stands by the facts, by these audits, and by what the register says of each clock of a duty."""
    if clause.answer is Answer.OUTSIDE:
        return "—"
    if clause.answer is Answer.DUTY:
        return "\n".join(duties.get(name, "没有登记 none entered") for name in clause.duties)
    said = [facts[name] for name in clause.facts if name in facts] if facts else []
    for name in clause.audits:
        report = next((one for one in reports if one.audit == name), None)
        if report is None:
            said.append(f"{TITLES[name][0]} {name}: 本次未审计 not audited here")
            continue
        faults, waiting = len(report.faults), len(report.notices)
        outcome = report.outcome
        result = f"{outcome.chinese} {outcome.english}" if report.ok else f"{faults:,} 项问题 faults"
        notices = f"; {waiting:,} 项待决定 notices" if waiting else ""
        said.append(f"{TITLES[name][0]} {name}: {result}{notices}")
    return "\n".join(said)
