"""``liucun tickets reports``: reports of many tickets, from draft to receipt, as files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from errors import StorageError
from liucun.cli import json_option, print_json, store_option
from liucun.commands._ticket_desk import open_book
from liucun.times import show_time
from tickets.reports.export import Format
from tickets.reports.filing import ReportBook
from tickets.reports.register import Report, list_reports


@click.group(name="reports", short_help="Reports to authorities: draft, approve, submit, export.")
def reports_group() -> None:
    """Reports of many tickets 上报材料: drafted, approved by who triaged none of it, submitted, acknowledged."""


@reports_group.command(name="list")
@store_option
@json_option
def list_command(store: Path, as_json: bool) -> None:
    """List reports, newest first."""
    with open_book(store) as book, book.catalogue.read() as connection:
        found = list_reports(connection)
    if as_json:
        print_json([asdict(report) for report in found])
        return
    for report in found:
        due = show_time(report.due_at)[:16] if report.due_at else "–"
        click.echo(
            f"{report.report_id}  {report.state:<12} {report.recipient:<10} due 到期 {due}  {report.receipt or ''}"
        )


@reports_group.command(name="draft")
@store_option
@click.argument("ticket", nargs=-1, required=True)
@click.option("--recipient", default="telecom", show_default=True, help="telecom, police or cyberspace.")
@click.option("--summary", default="", help="A paragraph of explanation 情况说明.")
@click.option("--corrects", help="The report that this one corrects 更正.")
@json_option
def draft_command(
    store: Path, ticket: tuple[str, ...], recipient: str, summary: str, corrects: str | None, as_json: bool
) -> None:
    """Draft a report of some tickets 起草; the earliest due date governs."""
    _step(store, as_json, lambda book: book.draft(ticket, recipient=recipient, summary=summary, corrects=corrects))


@reports_group.command(name="approve")
@store_option
@click.argument("report")
@json_option
def approve_command(store: Path, report: str, as_json: bool) -> None:
    """Approve a draft 批准; never of one's own triage."""
    _step(store, as_json, lambda book: book.approve_report(report))


@reports_group.command(name="submit")
@store_option
@click.argument("report")
@click.option("--how", required=True, help="How and where to it was submitted 报送方式.")
@click.option("--receipt", default="", help="Number under which it was taken in.")
@json_option
def submit_command(store: Path, report: str, how: str, receipt: str, as_json: bool) -> None:
    """Record the submission 报送: the clocks of its tickets stop."""
    _step(store, as_json, lambda book: book.submit(report, how, receipt=receipt))


@reports_group.command(name="acknowledge")
@store_option
@click.argument("report")
@click.option("--receipt", required=True, help="The authority's receipt number 回执号.")
@json_option
def acknowledge_command(store: Path, report: str, receipt: str, as_json: bool) -> None:
    """Record the authority's receipt 回执 for the whole report."""
    _step(store, as_json, lambda book: book.acknowledge_report(report, receipt))


@reports_group.command(name="reject")
@store_option
@click.argument("report")
@click.option("--reason", required=True, help="Why it was sent back; kept sealed with the tickets.")
@json_option
def reject_command(store: Path, report: str, reason: str, as_json: bool) -> None:
    """Record that the authority sent it back 退回: its tickets are open again with their dates."""
    _step(store, as_json, lambda book: book.reject_report(report, reason))


@reports_group.command(name="withdraw")
@store_option
@click.argument("report")
@json_option
def withdraw_command(store: Path, report: str, as_json: bool) -> None:
    """Take a report back that did not go out 撤回."""
    _step(store, as_json, lambda book: book.withdraw(report))


@reports_group.command(name="export")
@store_option
@click.argument("report")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="File to write, which must be new.")
@click.option(
    "--format",
    "form",
    type=click.Choice([f.value for f in Format]),
    help="Form of the file. [default: by the ending of --output]",
)
def export_command(store: Path, report: str, output: Path, form: str | None) -> None:
    """Write a report as DOCX, PDF, JSON or CSV; it names persons, so taking it is recorded."""
    ending = form or output.suffix.removeprefix(".").lower()
    if ending not in {f.value for f in Format}:
        raise click.UsageError("The form is not known: end --output in .docx, .pdf, .json or .csv, or give --format.")
    if output.exists():
        raise StorageError(f"{output} exists already.", cure="Name a new file.")
    with open_book(store) as book:
        content = book.hand_out(report, Format(ending), door="cli")
    try:
        # Personal data: nobody else of this machine reads it.
        with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        raise StorageError(f"{output} cannot be written: {error.strerror}.", cure="Name a new file.") from error
    click.echo(f"{output}: {len(content):,} bytes")


def _step(store: Path, as_json: bool, step: Callable[[ReportBook], Report]) -> None:
    with open_book(store) as book:
        report = step(book)
    if as_json:
        print_json(asdict(report))
        return
    due = f", due 到期 {show_time(report.due_at)}" if report.due_at else ""
    click.echo(f"{report.report_id}: {report.state}, {len(report.tickets)} tickets 工单{due}")


COMMANDS = (reports_group,)
