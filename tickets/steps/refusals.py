"""Why a step on many tickets leaves one out: a kind with what it names, so that every door says it in its language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tickets.errors import TransitionError


class Why(StrEnum):
    """Kinds of refusals; the value is the English sentence, with the names of what fills it."""

    UNKNOWN = "there is no such ticket"
    TAKEN = "{assignee} took it at {at}"
    HELD = "it is {assignee}'s since {at}: take it over first"
    ANOTHERS = "it is {assignee}'s"
    WAITS = "it waits for a second person"
    BELOW = "the default is {decision}: going below it needs a second person"
    BLOCKED = "it was blocked automatically"
    SETTLED = "it is {state}: it wants no work"
    STATE = "it is {state}: it cannot become {wanted}"
    UNCONFIRMED = "it is {state}: only what is confirmed can be disposed of"
    EARLY = "it is of {at}: nothing can have been done about it before"
    CHANGED = "somebody changed it since"
    NOT_OF_GROUP = "it is decided already, or of another text"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A ticket that a step left out. ``values`` fill the sentence of ``why``: actors, times of the catalogue, and the
    codes of states and decisions."""

    ticket_id: str
    why: Why
    values: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.why.value.format_map(self.values)


class LeftOutError(TransitionError):
    """One ticket of many cannot take the step: the others go on."""

    def __init__(self, why: Why, **values: str) -> None:
        super().__init__(why.value.format_map(values), cure="Decide it by itself, or leave it out.")
        self.why = why
        self.values = values
