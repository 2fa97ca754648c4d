"""The way of a report: draft, approval by who triaged none of it, submission, receipt or rejection, correction.

What a report says is sealed when it is drafted and never changes; whoever approves, approves those bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.engine import serialise
from retention.catalogue.tables import timestamp
from retention.crypto.bodies import REPORTS
from tickets.actors import Right
from tickets.bodies import month_of
from tickets.errors import NothingChosenError, ReportError, TicketChangedError
from tickets.queue import Ticket, get_ticket, tickets_by_id
from tickets.reports.content import Known, report_data
from tickets.reports.export import Format, export
from tickets.reports.register import Report, digests, get_report, open_report, report_context
from tickets.reports.templates import SHIPPED, template_for, templates
from tickets.settings import CompanySettings
from tickets.standing import (
    OUT,
    POLICE,
    check_reportable,
    due_of,
    ends_the_days,
    not_reportable,
    still_to_correct,
    to_correct,
)
from tickets.states import DISPOSED, State
from tickets.steps.base import earliest
from tickets.steps.reporting import ReportingSteps
from tickets.tables_sending import report_tickets
from tickets.tables_sending import reports as table

MOST: Final = 1_000
LIVE: Final = ("draft", "approved", "submitted", "acknowledged")
EXPORTING: Final = (Right.REPORTS_PREPARE, Right.CONTENT_READ, Right.PERSONAL_REVEAL)
"""What taking a report's file needs: it holds the texts that are reported, and names persons unmasked."""
NEEDED: Final = ("name", "licence_number")
"""What a report cannot be drafted without, of ``[company]``; anything else that lacks stands in it as lacking."""
_FACTS: Final = ("state", "decision", "measure", "effective_at", "category", "subtype")
"""What must not have changed between the draft and its submission."""


@dataclass(frozen=True)
class ReportBook(ReportingSteps):
    """Reports as one person makes, approves and submits them. ``company`` is who reports."""

    company: CompanySettings = field(default_factory=CompanySettings)
    templates: Path = SHIPPED

    def draft(
        self,
        ids: Sequence[str],
        *,
        recipient: str = "telecom",
        summary: str = "",
        corrects: str | None = None,
        known: Known | None = None,
    ) -> Report:
        """Draft a report of some tickets; the earliest due date governs.

        ``corrects``: the report that this one corrects; its tickets are those taken back since. ``known``: what the
        archive knows of each ticket besides (see ``content.Known``).

        Raises:
            NothingChosenError: no ticket is given.
            ReportError: a ticket cannot be reported, stands in another live report, or the company has no name.
        """
        self.who.require(Right.REPORTS_PREPARE)
        template = template_for(recipient, self.templates)
        self._complete(ids)
        now = datetime.now(UTC)
        with self.catalogue.read() as connection:
            if corrects is not None:
                self._may_correct(get_report(connection, corrects), recipient)
            tickets = [get_ticket(connection, number) for number in dict.fromkeys(ids)]
            fit = set() if corrects is None else {one.ticket_id for one in to_correct(connection, corrects, tickets)}
            for ticket in tickets:
                if corrects is None:
                    check_reportable(ticket, recipient)
                elif ticket.ticket_id not in fit:
                    raise not_reportable(ticket, "needs no correction of that report")
            data = report_data(
                connection,
                self.bodies,
                self.calendar,
                self.company,
                tickets,
                recipient=recipient,
                names={name: one.recipient for name, one in templates(self.templates).items()},
                summary=summary,
                known=known or {},
                now=now,
            )
        data |= {
            "recipient": recipient,
            "recipient_name": template.recipient,
            "basis": template.basis,
            "kind": "initial" if corrects is None else "correction",
            "kind_name": "首次报告" if corrects is None else "更正报告",
            "corrects": corrects,
            "prepared_by": self.who.name,
            "facts": {ticket.ticket_id: _facts(ticket) for ticket in tickets},
        }
        return self._store(tickets, data, recipient, corrects, now)

    def approve_report(self, report_id: str) -> Report:
        """Approve a draft 批准.

        Raises:
            SecondPersonError: the actor triaged one of its tickets.
        """
        self.who.require(Right.REPORTS_APPROVE)
        with self.catalogue.write(row_locks=True) as connection:
            report = self._in_state(connection, report_id, "draft")
            tickets = self._unchanged(connection, report)
            said: dict[str, object] = {}
            for ticket in tickets:
                said |= self._second_person(ticket.triaged_by, "approves the report")
            values = {"state": "approved", "approved_at": timestamp(), "approved_by": self.who.name}
            return self._update(connection, report, values, "report.approved", {"sha256": report.sha256, **said})

    def submit(self, report_id: str, submission: str, *, receipt: str = "") -> Report:
        """Record that an approved report went out 报送: its tickets' clocks stop. ``submission`` says how."""
        self.who.require(Right.REPORTS_APPROVE)
        self._require(submission, "way of submission")
        with self.catalogue.write(row_locks=True) as connection:
            report = self._in_state(connection, report_id, "approved")
            tickets = self._unchanged(connection, report)
            at = timestamp()
            more = set() if report.corrects is None else still_to_correct(connection, tickets, but=report.corrects)
            for ticket in tickets:
                self._submitted(connection, ticket, report, at, receipt, more=ticket.ticket_id in more)
            values = {
                "state": "submitted",
                "submitted_at": at,
                "submitted_by": self.who.name,
                "submission": submission,
                "receipt": receipt or None,
            }
            late = report.due_at is not None and at > report.due_at
            return self._update(connection, report, values, "report.submitted", {"late": late})

    def acknowledge_report(self, report_id: str, receipt: str) -> Report:
        """Record the authority's receipt 回执 for all of it."""
        self.who.require(Right.REPORTS_APPROVE)
        self._require(receipt, "receipt")
        with self.catalogue.write(row_locks=True) as connection:
            report = self._in_state(connection, report_id, "submitted")
            for ticket in tickets_by_id(connection, report.tickets, lock=True):
                if ticket.report_id == report_id and ticket.state == State.REPORTED:
                    self._acknowledged(connection, ticket, receipt)
            values = {"state": "acknowledged", "receipt": receipt, "settled_at": timestamp()}
            return self._update(connection, report, values, "report.acknowledged", {"receipt": receipt})

    def reject_report(self, report_id: str, reason: str) -> Report:
        """Record that the authority sent it back 退回: its tickets are open again with their original dates."""
        self.who.require(Right.REPORTS_APPROVE)
        self._require(reason)
        with self.catalogue.write(row_locks=True) as connection:
            report = self._in_state(connection, report_id, "submitted")
            tickets = tickets_by_id(connection, report.tickets, lock=True)
            more = still_to_correct(connection, tickets, but=report_id)
            for ticket in tickets:
                self._note(connection, ticket.ticket_id, reason)
                if ticket.report_id == report_id and ticket.state == State.REPORTED:
                    self._sent_back(connection, ticket)
                elif report.corrects is not None and ticket.state == State.REVERSED:
                    self._change(connection, ticket, "ticket.correction_rejected", {"correction_needed": True})
                elif ticket.state == State.REVERSED:
                    # Who sent the report back does not hold it for true: there is nothing to correct there.
                    still = ticket.correction_needed and ticket.ticket_id in more
                    values: dict[str, object] = {"correction_needed": still}
                    if report.recipient == POLICE:
                        values["police_reported_at"] = None
                    self._change(connection, ticket, "ticket.report_rejected", values)
                elif report.recipient == POLICE and ticket.police_reported_at is not None:
                    self._change(connection, ticket, "ticket.police_rejected", {"police_reported_at": None})
            settled = {"state": "rejected", "settled_at": timestamp()}
            return self._update(connection, report, settled, "report.rejected", {})

    def hand_out(self, report_id: str, form: Format, *, door: str) -> bytes:
        """A report as a file, for whoever prepares reports and may see what they say; that it was taken is an event.

        ``door``: by what it was asked for (``page``, ``api``, ``cli``).
        """
        for right in EXPORTING:
            self.who.require(right)
        with self.catalogue.read() as connection:
            data = open_report(connection, self.bodies, report_id)
        content = export(data, form, fonts=self.company.fonts, templates=self.templates)
        with self.catalogue.write(row_locks=True) as connection:
            said = {"form": form.value, "bytes": len(content), "by": door}
            self._event(connection, "report.exported", f"report:{report_id}", said)
        return content

    def withdraw(self, report_id: str) -> Report:
        """Take a report back that did not go out yet; its tickets may stand in another one."""
        self.who.require(Right.REPORTS_PREPARE)
        with self.catalogue.write(row_locks=True) as connection:
            report = self._in_state(connection, report_id, "draft", "approved")
            values = {"state": "withdrawn", "settled_at": timestamp()}
            return self._update(connection, report, values, "report.withdrawn", {})

    def _complete(self, ids: Sequence[str]) -> None:
        if not ids:
            raise NothingChosenError("No ticket is chosen for the report.", cure="Name the tickets that it is of.")
        if len(ids) > MOST:
            raise ReportError(f"A report holds at most {MOST} tickets.", cure="Make several reports.")
        missing = [name for name in NEEDED if not getattr(self.company, name).strip()]
        if missing:
            raise ReportError(
                f"The company's details lack {', '.join(missing)}.", cure="Fill in [company] in liucun.toml."
            )

    @staticmethod
    def _may_correct(report: Report, recipient: str) -> None:
        if report.state not in OUT or report.recipient != recipient:
            raise ReportError(
                f"The report {report.report_id} is {report.state}, to {report.recipient}: it cannot be corrected.",
                cure="Correct one that was submitted to the same recipient.",
            )

    def _store(
        self, tickets: Sequence[Ticket], data: dict[str, Any], recipient: str, corrects: str | None, now: datetime
    ) -> Report:
        with self.catalogue.write(row_locks=True) as connection:
            serialise(connection, "reports")
            held = {
                t.ticket_id: t.version for t in tickets_by_id(connection, [t.ticket_id for t in tickets], lock=True)
            }
            for ticket in tickets:
                if held[ticket.ticket_id] != ticket.version:
                    raise TicketChangedError(f"The ticket {ticket.ticket_id} changed meanwhile.", cure="Draft again.")
            self._not_live_elsewhere(connection, [t.ticket_id for t in tickets], recipient, corrects)
            number = self._number(connection, now)
            content = json.dumps({**data, "report_number": number}, ensure_ascii=False, sort_keys=True)
            plain = content.encode("utf-8", "surrogatepass")
            sha256, sm3 = digests(plain)
            text_key = self.bodies.text_key(month_of(timestamp(now)), REPORTS)
            due = earliest(*(due_of(recipient, ticket) for ticket in tickets))
            connection.execute(
                table.insert().values(
                    report_id=number,
                    recipient=recipient,
                    corrects=corrects,
                    state="draft",
                    due_at=due,
                    created_at=timestamp(now),
                    created_by=self.who.name,
                    sha256=sha256,
                    sm3=sm3,
                    body=self.bodies.seal(plain, report_context(number), under=text_key),
                    text_key=text_key,
                    version=1,
                )
            )
            rows = [{"report_id": number, "ticket_id": ticket.ticket_id} for ticket in tickets]
            connection.execute(report_tickets.insert(), rows)
            said = {"recipient": recipient, "corrects": corrects, "tickets": len(tickets), "sha256": sha256, "sm3": sm3}
            self._event(connection, "report.drafted", f"report:{number}", said)
            for ticket in tickets:
                self._event(connection, "ticket.in_report", f"ticket:{ticket.ticket_id}", {"report": number})
            return get_report(connection, number)

    @staticmethod
    def _not_live_elsewhere(
        connection: sa.Connection, ids: Sequence[str], recipient: str, corrects: str | None
    ) -> None:
        r = report_tickets.c
        same = table.c.corrects.is_(None) if corrects is None else table.c.corrects == corrects
        for begin in range(0, len(ids), 500):
            found = connection.execute(
                sa.select(r.ticket_id, r.report_id)
                .join(table, table.c.report_id == r.report_id)
                .where(
                    r.ticket_id.in_(ids[begin : begin + 500]),
                    table.c.recipient == recipient,
                    table.c.state.in_(LIVE),
                    same,
                )
                .limit(1)
            ).one_or_none()
            if found is not None:
                raise ReportError(
                    f"The ticket {found.ticket_id} stands in the report {found.report_id} already.",
                    cure="Leave it out, or withdraw that report.",
                )

    @staticmethod
    def _number(connection: sa.Connection, now: datetime) -> str:
        year = f"R{now.year}-"
        last = connection.execute(
            sa.select(sa.func.max(table.c.report_id)).where(table.c.report_id.startswith(year))
        ).scalar_one()
        return f"{year}{int(last.removeprefix(year)) + 1 if last else 1:06}"

    @staticmethod
    def _in_state(connection: sa.Connection, report_id: str, *states: str) -> Report:
        report = get_report(connection, report_id)
        if report.state not in states:
            raise ReportError(
                f"The report {report_id} is {report.state}, not {' or '.join(states)}.", cure="Look at it again."
            )
        return report

    def _unchanged(self, connection: sa.Connection, report: Report) -> list[Ticket]:
        facts = open_report(connection, self.bodies, report.report_id)["facts"]
        tickets = tickets_by_id(connection, report.tickets, lock=True)
        changed = [
            ticket.ticket_id for ticket in tickets if not _same(report, ticket, _facts(ticket), facts[ticket.ticket_id])
        ]
        if changed:
            raise ReportError(
                f"Since the report {report.report_id} was drafted, {', '.join(changed[:5])} changed.",
                cure="Withdraw it and draft again.",
            )
        return tickets

    def _submitted(
        self, connection: sa.Connection, ticket: Ticket, report: Report, at: str, receipt: str, *, more: bool
    ) -> None:
        """``more``: somebody else is still to be told of a reversal that the report corrects."""
        if report.corrects is not None:
            said = {"report": report.report_id, "corrects": report.corrects}
            self._change(connection, ticket, "ticket.corrected", {"correction_needed": more}, said)
        elif report.recipient == POLICE:
            said = {"report": report.report_id, "police_reported_at": at}
            self._change(connection, ticket, "ticket.police_reported", {"police_reported_at": at}, said)
        elif ends_the_days(report.recipient, ticket):
            self._reported(connection, ticket, report.report_id, at, receipt, {})
        else:
            told_too = {"report": report.report_id, "recipient": report.recipient}
            self._event(connection, "ticket.also_reported", f"ticket:{ticket.ticket_id}", told_too)

    def _update(
        self,
        connection: sa.Connection,
        report: Report,
        values: Mapping[str, object],
        kind: str,
        said: Mapping[str, object],
    ) -> Report:
        same = sa.and_(table.c.report_id == report.report_id, table.c.version == report.version)
        if connection.execute(table.update().where(same).values(**values, version=report.version + 1)).rowcount != 1:
            raise TicketChangedError(f"Somebody else changed the report {report.report_id}.", cure="Look at it again.")
        said = {"from": report.state, "to": values["state"], **said}
        self._event(connection, kind, f"report:{report.report_id}", said)
        return get_report(connection, report.report_id)


def _same(report: Report, ticket: Ticket, now: Mapping[str, Any], then: Mapping[str, Any]) -> bool:
    """Whether what a report rests on is as it was. Where it ends no days, others may be told meanwhile."""
    if report.corrects is None and not ends_the_days(report.recipient, ticket):
        moved = now["state"] in DISPOSED and then["state"] in DISPOSED
        return {**now, "state": moved} == {**then, "state": True}
    return now == then


def _facts(ticket: Ticket) -> dict[str, Any]:
    return {name: getattr(ticket, name) for name in _FACTS}
