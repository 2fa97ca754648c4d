"""What the queue's address says: part, filters, search, page; and what it means for the list."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tickets.bodies import Bodies
from tickets.queue import Filters
from tickets.states import Channel, Decision, Part, State, Waits
from tickets.tables import tickets as table

VIEW_COOKIE: Final = "liucun_view"
"""Holds the filters that the queue was last looked at with: a ticket's page goes on in them."""
NOBODY: Final = "-"
"""Stands for the tickets that nobody has, where a person is asked for."""
PARTS: Final = {"dispose": Part.DISPOSE, "report": Part.REPORT, "rest": Part.REST}


def _day(text: str) -> str:
    """A day of the calendar, or none."""
    if text:
        date.fromisoformat(text)
    return text


class Chosen(BaseModel):
    """The filters of a page; empty strings are no filter, what is not understood is refused."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    part: Literal["", "dispose", "report", "rest"] = ""
    state: Literal[
        "", "detected", "triage", "dismissed", "confirmed", "disposed", "reported", "acknowledged", "closed",
        "reversed", "merged",
    ] = ""  # fmt: skip
    category: str = Field(default="", max_length=64)
    severity: Literal["", "1", "2", "3", "4"] = ""
    channel: Literal["", "keyword", "model", "human", "complaint", "authority", "engine"] = ""
    decision: Literal["", "illegal", "harmful", "violation"] = ""
    assignee: str = Field(default="", max_length=64)
    due_by: Annotated[str, AfterValidator(_day)] = Field(default="", max_length=10, pattern=r"^$|^\d{4}-\d\d-\d\d$")
    missed: Literal["", "1"] = ""
    waits: Literal["", "police", "approval", "appeal", "correction"] = ""
    q: str = Field(default="", max_length=256)
    page: int = Field(default=1, ge=1, le=20_000)

    @classmethod
    def of_address(cls, address: str) -> Chosen:
        """The filters of a page's address; a damaged one has none."""
        try:
            return cls.model_validate(dict(parse_qsl(urlsplit(address).query)))
        except (ValidationError, ValueError):
            return cls()

    def filters(self, connection: sa.Connection, bodies: Bodies, actor: str) -> Filters:
        """What the list is asked for; ``me`` is the actor. A search word is a content number, else an account."""
        content = account = None
        if word := self.q.strip():
            known = connection.execute(sa.select(table.c.ticket_id).where(table.c.content_id == word).limit(1)).first()
            if known:
                content = word
            else:
                account = bodies.blind(word, "account")
        return Filters(
            states=[State(self.state)] if self.state else None,
            category=self.category or None,
            assignee=self._assignee(actor),
            nobodys=self.assignee == NOBODY,
            content_id=content,
            due_by=self.due_by or None,
            part=PARTS.get(self.part),
            decision=Decision(self.decision) if self.decision else None,
            channel=Channel(self.channel) if self.channel else None,
            severity=int(self.severity) if self.severity else None,
            missed=bool(self.missed),
            account_blind=account,
            waits=Waits(self.waits) if self.waits else None,
        )

    def _assignee(self, actor: str) -> str | None:
        if self.assignee in ("", NOBODY):
            return None
        return actor if self.assignee == "me" else f"user:{self.assignee}"

    def view(self) -> str:
        """The filters as ``VIEW_COOKIE`` keeps them: no page, and no search word, which may name an account."""
        return urlencode({name: value for name, value in self.query().items() if name != "q"})

    def query(self, **changes: object) -> dict[str, str]:
        """The filters as an address has them, with changes; the page is left out when it is the first."""
        values = {**self.model_dump(), "page": 1, **changes}
        return {name: str(value) for name, value in values.items() if value not in ("", None, 1)}

    @property
    def narrowed(self) -> bool:
        """Whether any filter is set besides the part."""
        return bool(set(self.query()) - {"part"})
