"""What each category is by law: item of Article 15, default decision, police report. Data that counsel can change."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from tickets.states import Decision

FILE: Final = Path(__file__).parent / "data" / "categories.toml"
_RANK: Final = {Decision.VIOLATION: 0, Decision.HARMFUL: 1, Decision.ILLEGAL: 2}


class Category(BaseModel):
    """One category; ``item`` is the item of 互联网信息服务管理办法 art. 15, 0 for none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=40)
    item: int = Field(ge=0, le=9)
    decision: Decision
    police: bool
    subtype: dict[str, Decision] = {}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    format: int = Field(ge=1, le=1)
    category: dict[str, Category]


UNKNOWN: Final = Category(name="其他", item=9, decision=Decision.ILLEGAL, police=False)
"""A category that the file does not name (a model may be trained on any labels): the strict reading."""


@functools.cache
def categories() -> Mapping[str, Category]:
    """The shipped table."""
    return _File.model_validate(tomllib.loads(FILE.read_text(encoding="utf-8"))).category


def category_of(name: str) -> Category:
    """A category by its name; one that is not in the table is read strictly."""
    return categories().get(name, UNKNOWN)


def default_decision(category: str, subtype: str | None, overrides: Mapping[str, Decision] | None = None) -> Decision:
    """What content of a subtype is by default. ``overrides``: ``category`` or ``category/subtype`` → decision."""
    given = overrides or {}
    if subtype and (found := given.get(f"{category}/{subtype}")):
        return found
    known = category_of(category)
    if subtype and subtype in known.subtype:
        return known.subtype[subtype]
    return given.get(category, known.decision)


def below(decision: Decision, default: Decision) -> bool:
    """Whether a decision is milder than the default."""
    return _RANK[decision] < _RANK[default]
