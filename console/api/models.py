"""What the API takes and gives, beside the domain's own dataclasses."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from tickets.states import Channel, Decision, Measure
from tickets.steps.bulk import BulkAction


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    return text


Word = Annotated[str, StringConstraints(max_length=512), AfterValidator(_storable)]
Number = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9-]{1,64}$")]
LongText = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(_storable)]


class Taken(BaseModel):
    """A body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Failure(BaseModel):
    """Every error: its kind, what happened, and what to do."""

    error: str
    what: str
    cure: str


class StepBody(Taken):
    """The fields of a step; each step says which it needs. ``version`` refuses a ticket that changed since."""

    reason: LongText = ""
    decision: Decision | None = None
    measure: Measure | None = None
    effective_at: AwareDatetime | None = None
    receipt: Word = ""
    assignee: Word = ""
    reach: int | None = Field(default=None, ge=0, lt=1 << 62)
    other: list[Number] = Field(default=[], max_length=1000)
    order: Word = ""
    reference: Word = ""
    approval: Word = ""
    group: bool = False
    members: list[Number] | None = Field(default=None, max_length=1000)
    version: int | None = Field(default=None, ge=1, lt=1 << 31)

    def form(self) -> dict[str, str]:
        """The fields as the steps take them."""
        found = {
            "reason": self.reason,
            "decision": self.decision.value if self.decision else "",
            "measure": self.measure.value if self.measure else "",
            "effective_at": self.effective_at.isoformat() if self.effective_at else "",
            "receipt": self.receipt,
            "assignee": self.assignee,
            "reach": "" if self.reach is None else str(self.reach),
            "other": " ".join(self.other),
            "order": self.order,
            "reference": self.reference,
            "approval": self.approval,
            "group": "all" if self.group and self.members is None else " ".join(self.members or ()),
        }
        return {name: value[:20_000] for name, value in found.items()}


class BulkBody(Taken):
    """One step on many tickets; with ``preview`` only what it would do."""

    action: BulkAction
    tickets: list[Number] = Field(min_length=1, max_length=1000)
    decision: Decision | None = None
    assignee: Word = ""
    measure: Measure | None = None
    effective_at: AwareDatetime | None = None
    reason: LongText = ""
    preview: bool = False


class UndoBody(Taken):
    """The token that a bulk step gave."""

    token: Number


class FindingBody(Taken):
    """A finding of no text detector: a complaint, an order of an authority, a person's or an outside engine's."""

    channel: Literal["human", "complaint", "authority", "engine"]
    category: Word
    text: LongText = Field(min_length=1)
    severity: int = Field(default=3, ge=1, le=4)
    subtype: Word | None = None
    source: Word = "api"
    content_id: Word | None = None
    user_id: Word | None = None
    url: Word = ""
    reference: Word = ""
    engine: Word = ""
    score: float = Field(default=1.0, ge=0, le=1)
    reach: int = Field(default=0, ge=0, lt=1 << 62)
    event_time: AwareDatetime | None = None
    own_due_at: AwareDatetime | None = None
    blocked_at: AwareDatetime | None = None

    @property
    def found_by(self) -> Channel:
        """The channel."""
        return Channel(self.channel)


class DraftBody(Taken):
    """A report to draft. ``recipient``: ``telecom``, ``police``, ``cyberspace``, or another one of the templates."""

    tickets: list[Number] = Field(min_length=1, max_length=1000)
    recipient: Word = "telecom"
    summary: LongText = ""
    corrects: Number | None = None


class ReportStepBody(Taken):
    """``submission`` for submit, ``receipt`` for submit and acknowledge, ``reason`` for reject."""

    submission: Word = ""
    receipt: Word = ""
    reason: LongText = ""


class DutyBody(Taken):
    """A duty to enter; ``start`` is what sets its clock going."""

    kind: Word
    title: Word
    start: AwareDatetime


class ReceiptBody(Taken):
    """A receipt."""

    receipt: Word


class AuditBody(Taken):
    """An audit to run; ``sample`` segments at random (integrity, index)."""

    audit: Literal["coverage", "integrity", "retention", "keys", "access", "samples", "index"]
    sample: int | None = Field(default=None, ge=1, le=1_000_000)


class Page(BaseModel):
    """Some of ``total``."""

    total: int
    items: list[dict[str, Any]]


def plain(value: Any) -> Any:
    """A dataclass of the domain as JSON has it."""
    from dataclasses import asdict

    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(value).items()}
