"""The summary that a person reads at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from liucun.calendar_file import calendar_of
from liucun.key_statements import start_line
from liucun.store import OpenStore
from liucun.times import SHANGHAI
from pipelines.rules_in_force import rules_alarm
from pipelines.sources.spec import SourceSpec
from pipelines.summary import RunSummary
from retention.schema import RecordClass
from tickets.calendar.working_days import WorkingCalendar
from tickets.states import Decision, State
from tickets.summary import TicketSummary, ticket_summary

_TEXT_FIELD = "text"


def print_run_report(
    opened: OpenStore, summary: RunSummary, problems: Sequence[str], specs: Iterable[SourceSpec]
) -> None:
    """Print what was taken in, archived and found, what is due, and what to do next."""
    console = Console(highlight=False)
    seconds = max(summary.seconds, 1e-9)
    console.print()
    _pairs(
        console,
        "Taken in 采集",
        {
            "lines in 读入行数": f"{summary.records_in + summary.skipped:,}",
            "  of which headers and blank lines 表头与空行": f"{summary.skipped:,}",
            "records archived 封存记录": f"{summary.records_in:,}",
            "segments 封存段": f"{summary.segments:,}",
            "bytes in → stored 读入 → 存储": _bytes(summary),
            "time 用时": f"{seconds:.1f} s, {summary.records_in / seconds:,.0f} records/s",
        },
    )
    _counts(console, "Records by class 各类记录", summary.records)
    _counts(console, "Unparsed, archived as they came 未能解析（原样封存）", summary.unparsed)
    _counts(console, "Findings by category 监测发现", summary.findings)
    _counts(console, "Hits of shadow rules, no tickets 试运行规则命中（不开工单）", summary.shadow)
    with opened.catalogue.read() as connection:
        tickets = ticket_summary(connection)
    _tickets(console, tickets, summary.tickets_opened, calendar_of(opened.root))
    for problem in problems:
        console.print(f"[bold]Not read 未读:[/] {escape(problem)}", soft_wrap=True)
    if alarm := rules_alarm(opened.catalogue):
        console.print(f"[bold red]Rules 规则告警:[/] {escape(str(alarm))} `liucun rules lint`", soft_wrap=True)
    for spec in specs:
        if _TEXT_FIELD not in spec.published:
            declared = opened.settings.declared(spec.name) is not None
            console.print(
                f"[bold]Not scanned 未监测:[/] nobody has declared whether `text` of {spec.name} is public "
                f"({'`published` in liucun.toml' if declared else '--published or --not-published'}).",
                soft_wrap=True,
            )
    console.print(f"[bold]Crypto 密码:[/] {start_line(opened.store)} (liucun doctor)", soft_wrap=True)
    _next(console, opened, summary)


def _pairs(console: Console, title: str, rows: Mapping[str, str]) -> None:
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


def _counts(console: Console, title: str, counts: Mapping[str, int]) -> None:
    rows = {name: f"{count:,}" for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count}
    if rows:
        console.print()
        _pairs(console, title, rows)


def _tickets(console: Console, tickets: TicketSummary, opened: int, calendar: WorkingCalendar) -> None:
    rows = {
        "opened by this run 本次新开": f"{opened:,}",
        "to dispose, at once 待研判与处置": f"{tickets.to_dispose:,}",
        "to report, ten working days 待上报": f"{tickets.to_report:,}",
    }
    for due in tickets.next_due:
        rows[f"  {due.ticket_id} {due.category}"] = (
            f"due {due.due_on}{' (provisional 暂定)' if due.provisional else ''}"
        )
    if not tickets.next_due and tickets.by_state.get(State.DETECTED):
        due_then = calendar.count(datetime.now(SHANGHAI).date(), 10).due
        rows[f"  if {Decision.ILLEGAL.chinese} and disposed of today 若今日处置"] = f"due {due_then}"
    console.print()
    _pairs(console, "Tickets 处置工单", rows)


def _bytes(summary: RunSummary) -> str:
    ratio = f" ({summary.bytes_stored / summary.bytes_in:.0%})" if summary.bytes_in else ""
    return f"{_megabytes(summary.bytes_in)} → {_megabytes(summary.bytes_stored)}{ratio}"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _next(console: Console, opened: OpenStore, summary: RunSummary) -> None:
    store = f" --store {opened.root}" if str(opened.root) != "liucun-store" else ""
    console.print("\n[bold]Next 下一步[/]")
    lines = [f"liucun tickets list{store}"] if summary.tickets_opened else []
    biggest = max(summary.records, key=lambda name: summary.records[name], default=RecordClass.USER_LOG.value)
    question = f'"SELECT count(*) FROM {RecordClass(biggest).view}"'  # noqa: S608 - words for a person, never run
    lines += [
        f'liucun query {question} --purpose "first look"{store}',
        f"liucun audit coverage{store}",
        f"liucun doctor{store}",
    ]
    for line in lines:
        console.print(f"  {line}", soft_wrap=True)
