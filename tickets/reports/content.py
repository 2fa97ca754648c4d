"""What a report says of each ticket, in words for people and in fields for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa

from tickets.bodies import Bodies
from tickets.calendar.working_days import WorkingCalendar
from tickets.categories import category_of
from tickets.clocks import SHANGHAI, TEN_WORKING_DAYS, add_months, deadline
from tickets.evidence import StoredFile, list_evidence
from tickets.queue import Ticket, TicketDetail, ticket_detail
from tickets.settings import CompanySettings
from tickets.standing import other_bodies, told
from tickets.states import Channel, Decision, Measure, State
from tickets.steps.base import as_time
from tickets.tables import tickets as table
from tickets.tables_sending import orders

FORMAT: Final = 1
EXCERPT: Final = 500
KEPT_MONTHS: Final = 36
"""Evidence is kept three years from the closure of its ticket; a report names the earliest that this can be."""
_ITEMS: Final = "一二三四五六七八九"
_MEASURES: Final = {measure.value: measure.chinese for measure in Measure} | {"restore": "恢复"}

Known = Mapping[str, Mapping[str, str]]
"""By ticket: what the archive knows besides (source_ip, source_port, real_name, url, views, reposts)."""


def report_data(
    connection: sa.Connection,
    bodies: Bodies,
    calendar: WorkingCalendar,
    company: CompanySettings,
    tickets: Sequence[Ticket],
    *,
    recipient: str,
    names: Mapping[str, str],
    summary: str,
    known: Known,
    now: datetime,
) -> dict[str, Any]:
    """Everything a report says, besides its number and who does what with it. ``names``: those of recipients."""
    ids = [ticket.ticket_id for ticket in tickets]
    evidence: dict[str, list[StoredFile]] = {}
    for file in list_evidence(connection, [f"ticket:{number}" for number in ids]):
        evidence.setdefault(file.subject.removeprefix("ticket:"), []).append(file)
    out = told(connection, ids)
    merged, measures = _merged(connection, ids), _measures(connection, ids)
    said = [
        {
            "index": number,
            "merged": merged.get(ticket.ticket_id, []),
            "ticket_ids": [ticket.ticket_id, *merged.get(ticket.ticket_id, [])],
            "measures": measures.get(ticket.ticket_id) or [_MEASURES.get(ticket.measure or "")],
            **_ticket(ticket_detail(connection, bodies, ticket.ticket_id), calendar, now),
            **_evidence(evidence.get(ticket.ticket_id, [])),
            **_known(known.get(ticket.ticket_id, {})),
            "other_reports": _others(other_bodies(ticket, out.get(ticket.ticket_id, ()), recipient, names)),
        }
        for number, ticket in enumerate(tickets, 1)
    ]
    for one in said:
        one["network"] = ":".join(str(one[name]) for name in ("source_ip", "source_port") if one.get(name))
        one["where"] = one.get("url") or one.get("content_id")
        spread = [f"{label} {one[name]}" for label, name in (("浏览", "views"), ("转发", "reposts")) if one.get(name)]
        one["spread"] = ", ".join(spread)
    decisions = Counter(ticket.decision for ticket in tickets)
    kinds = Counter(category_of(ticket.category).name for ticket in tickets)
    due = min((ticket.due_at for ticket in tickets if ticket.due_at), default=None)
    return {
        "format": FORMAT,
        "company": company.model_dump(mode="json", exclude={"fonts", "report_templates", "licence_expires_on"}),
        "counts": {
            "tickets": len(tickets),
            "decisions": f"{decisions[Decision.ILLEGAL.value]} / {decisions[Decision.HARMFUL.value]}",
            "categories": [f"{name} {count}" for name, count in kinds.most_common()],
        },
        "earliest_due": local(due),
        "calendar": calendar.version,
        "prepared_at": local(now.isoformat()),
        "summary": summary,
        "tickets": said,
    }


def local(text: str | None) -> str | None:
    """A time for people in Shanghai, to the second."""
    return None if text is None else as_time(text).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def _ticket(detail: TicketDetail, calendar: WorkingCalendar, now: datetime) -> dict[str, Any]:
    ticket = detail.ticket
    category = category_of(ticket.category)
    text = "\n".join(str(entry["text"]) for entry in detail.texts)
    day: date = now.astimezone(SHANGHAI).date()
    return {
        "ticket_id": ticket.ticket_id,
        "item": category.item,
        "item_name": f"第({_ITEMS[category.item - 1]})项" if category.item else "平台规则",
        "category": ticket.category,
        "category_name": category.name,
        "category_full": category.name + (f" / {ticket.subtype}" if ticket.subtype else ""),
        "subtype": ticket.subtype,
        "decision": ticket.decision,
        "decision_name": Decision(ticket.decision).chinese if ticket.decision else None,
        "channel": ticket.channel,
        "channel_name": Channel(ticket.channel).chinese,
        "published_at": local(ticket.event_time),
        "detected_at": local(ticket.detected_at),
        "ordered_at": local(ticket.ordered_at),
        "effective_at": local(ticket.effective_at),
        "measure": ticket.measure,
        "measure_name": _MEASURES.get(ticket.measure or ""),
        "content_id": ticket.content_id,
        "url": detail.details.get("url"),
        "account": detail.user_id,
        "real_name": detail.details.get("real_name"),
        "source_ip": detail.details.get("source_ip"),
        "source_port": detail.details.get("source_port"),
        "excerpt": text[:EXCERPT] + ("…" if len(text) > EXCERPT else ""),
        "views": ticket.reach or None,
        "reposts": None,
        "kept_where": f"{ticket.source} / {ticket.partition} @ {ticket.offset}",
        "kept_until": add_months(day, KEPT_MONTHS).isoformat(),
        "police_reported_at": local(ticket.police_reported_at),
        "due_on": ticket.due_on,
        "days": _days(ticket, calendar),
        "calendar": ticket.calendar_version,
        "provisional": ticket.due_provisional,
        "reviewer": ticket.triaged_by,
        "reversal": f"{local(ticket.closed_at)} 撤销处置并恢复" if ticket.state == State.REVERSED else None,
    }


def _others(bodies: Sequence[tuple[str, str]]) -> str | None:
    """The other bodies that were told of a ticket, each with the time."""
    return ", ".join(f"{name} {local(at)}" for name, at in bodies) or None


def _days(ticket: Ticket, calendar: WorkingCalendar) -> str | None:
    begun = ticket.effective_at or ticket.ordered_at
    if begun is None or ticket.decision != Decision.ILLEGAL:
        return None
    counted = deadline(TEN_WORKING_DAYS, as_time(begun), calendar)
    mark = " (暂定)" if counted.provisional else ""
    day = as_time(begun).astimezone(SHANGHAI).date()
    return f"自 {day} 次日起, 第 {len(counted.days)} 个工作日为 {counted.due_on}{mark}"


def _evidence(files: Sequence[StoredFile]) -> dict[str, list[str]]:
    return {"evidence_sha256": [file.sha256 for file in files], "evidence_sm3": [file.sm3 for file in files]}


def _known(found: Mapping[str, str]) -> dict[str, str]:
    names = ("source_ip", "source_port", "real_name", "url", "views", "reposts")
    return {name: found[name] for name in names if found.get(name)}


def _merged(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    c = table.c
    found: dict[str, list[str]] = {}
    for begin in range(0, len(ids), 500):
        chosen = sa.select(c.merged_into, c.ticket_id).where(c.merged_into.in_(ids[begin : begin + 500]))
        for into, number in connection.execute(chosen.order_by(c.ticket_id)):
            found.setdefault(into, []).append(number)
    return found


def _measures(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    o = orders.c
    found: dict[str, list[str]] = {}
    for begin in range(0, len(ids), 500):
        chosen = sa.select(o.ticket_id, o.measure, o.effective_at, o.ordered_at)
        chosen = chosen.where(o.ticket_id.in_(ids[begin : begin + 500]), o.state != "refused").order_by(o.ordered_at)
        for row in connection.execute(chosen):
            at = local(row.effective_at or row.ordered_at)
            mark = "" if row.effective_at else " (待平台确认)"
            found.setdefault(row.ticket_id, []).append(f"{_MEASURES.get(row.measure, row.measure)} {at}{mark}")
    return found
