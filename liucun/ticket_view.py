"""How tickets look on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from liucun.times import show_time
from tickets.calendar.working_days import WorkingCalendar
from tickets.clocks import TEN_WORKING_DAYS, deadline
from tickets.queue import Ticket, TicketDetail
from tickets.states import Decision, Measure, State

_SHOWN = {"at", "kind", "actor", "from", "to", "due_on", "measure", "receipt", "findings", "decision"}


def print_tickets(found: Sequence[Ticket]) -> None:
    """A table, most urgent first."""
    console = Console(highlight=False)
    if not found:
        console.print("No tickets 没有工单.")
        return
    table = Table(box=None, padding=(0, 1))
    for title in ("ticket 工单", "状态", "category 类别", "级别", "content 内容", "detected 发现", "due 到期"):
        table.add_column(title, no_wrap=not title.startswith("content"), overflow="fold")
    for ticket in found:
        table.add_row(
            ticket.ticket_id,
            State(ticket.state).chinese,
            ticket.category,
            str(ticket.severity),
            escape(ticket.content_id or f"{ticket.partition}:{ticket.offset}"),
            show_time(ticket.detected_at)[5:16],
            (ticket.due_on or "") + (" 暂定" if ticket.due_provisional else ""),
        )
    console.print(table)


def print_ticket(detail: TicketDetail, calendar: WorkingCalendar) -> None:
    """Everything about one ticket."""
    console = Console(highlight=False)
    ticket, state = detail.ticket, State(detail.ticket.state)
    console.print(
        f"[bold]{ticket.ticket_id}[/]  {state.value} {state.chinese}  "
        f"{ticket.category}  severity 级别 {ticket.severity}"
    )
    table = Table(box=None, show_header=False, padding=(0, 1))
    for name, value in _facts(detail).items():
        table.add_row(name, escape(value))
    console.print(table)
    if detail.texts_destroyed_by:
        console.print(
            f"\nIts texts, account and notes were destroyed by the purge {detail.texts_destroyed_by}: their period was "
            "over. 保存期满，文本、账号与备注已销毁。"
        )
    for entry in detail.texts:
        console.print(f"\n[bold]{escape(str(entry['field']))}[/]")
        console.print(_highlighted(entry, detail.findings))
    console.print("\n[bold]Why 命中依据[/]")
    for finding in detail.findings:
        sub = f"/{finding['subtype']}" if finding["subtype"] else ""
        console.print(
            f"  {escape(_cut(detail, finding))!s}  {finding['category']}{sub}  rule 规则 {escape(finding['rule'])}  "
            f"score {finding['score']:.2f}  [{finding['start']}, {finding['end']})  {escape(finding['version'])}",
            markup=True,
        )
    _print_clock(console, ticket, calendar)
    for note in detail.notes:
        console.print(f"  note 备注 {show_time(note['at'])} {note['actor']}: {escape(note['text'])}")
    console.print("\n[bold]Timeline 时间线[/]")
    for event in detail.timeline:
        rest = "  ".join(
            f"{k}={v}" for k, v in event.items() if k in _SHOWN - {"at", "kind", "actor"} and v is not None
        )
        console.print(f"  {show_time(event['at'])}  {event['kind']}  {event['actor']}  {escape(rest)}")


def _facts(detail: TicketDetail) -> dict[str, str]:
    ticket = detail.ticket
    facts = {
        "content 内容": ticket.content_id or "–",
        "account 账号": detail.user_id or "–",
        "place 位置": f"{ticket.source} {ticket.partition} @{ticket.offset}",
        "published 发布": show_time(ticket.event_time),
        "detected 发现": show_time(ticket.detected_at),
    }
    if ticket.linked_to:
        facts["follows 承接"] = ticket.linked_to
    if ticket.assignee:
        facts["assigned 领取"] = f"{ticket.assignee} {show_time(ticket.assigned_at or ticket.detected_at)}"
    if ticket.decision:
        decision = Decision(ticket.decision)
        facts["decision 定性"] = f"{decision.value} {decision.chinese} ({ticket.triaged_by})"
    if ticket.measure:
        measure = Measure(ticket.measure)
        facts["measure 处置"] = f"{measure.value} {measure.chinese}, " + (
            show_time(ticket.effective_at) if ticket.effective_at else "waits for the platform 待平台确认"
        )
    facts |= detail.details
    for name, value in (
        ("subtype 子类", ticket.subtype),
        ("reach 传播", f"{ticket.reach:,}" if ticket.reach else None),
        ("blocked 自动拦截", _when(ticket.blocked_at)),
        ("police 公安报告", _when(ticket.police_due_at)),
        ("police informed 已报公安", _when(ticket.police_reported_at)),
        ("authority 主管部门期限", _when(ticket.own_due_at)),
        ("past its target 超时", _when(ticket.missed_at)),
        ("waits 待复核", ticket.pending),
        ("appeal 申诉", _when(ticket.appealed_at)),
        ("merged 并入", ticket.merged_into),
        ("report 报告", ticket.report_id),
        ("correction 更正", "needed 待更正" if ticket.correction_needed else None),
        ("receipt 回执", ticket.receipt),
    ):
        if value:
            facts[name] = value
    return facts


def _when(text: str | None) -> str | None:
    return show_time(text) if text else None


def _highlighted(entry: dict[str, Any], findings: Sequence[dict[str, Any]]) -> Text:
    text = Text(entry["text"])
    for finding in findings:
        if finding["field"] == entry["field"] and finding["offset"] == entry["offset"]:
            text.stylize("bold reverse", finding["start"], finding["end"])
    return text


def _cut(detail: TicketDetail, finding: dict[str, Any]) -> str:
    for entry in detail.texts:
        if entry["field"] == finding["field"] and entry["offset"] == finding["offset"]:
            return str(entry["text"][finding["start"] : finding["end"]])
    return "…"


def _print_clock(console: Console, ticket: Ticket, calendar: WorkingCalendar) -> None:
    begun = ticket.effective_at or ticket.ordered_at
    if not begun or ticket.decision != Decision.ILLEGAL:
        return
    counted = deadline(TEN_WORKING_DAYS, datetime.fromisoformat(begun), calendar)
    mark = " provisional 暂定" if counted.provisional else ""
    console.print(
        f"\n[bold]Clock 时限[/] ten working days 十个工作日, due 到期 {ticket.due_on}{mark} "
        f"(calendar 日历 {ticket.calendar_version})"
    )
    console.print("  " + "  ".join(f"{n}. {day:%m-%d}" for n, day in enumerate(counted.days, 1)))
