"""``liucun duties``: incidents, assessments, filings, renewal, annual report, with their clocks and evidence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from errors import UsageError
from liucun.calendar_file import calendar_of
from liucun.cli import json_option, print_json, store_option
from liucun.store import open_store
from liucun.times import read_time, show_time
from tickets.duties import CLOCKS, NAMES, Duty, DutyBook, list_duties
from tickets.evidence import MAX_FILE
from tickets.rights import Right
from tickets.watch import ACTOR as CLOCK


@click.group(name="duties", short_help="Duties beside tickets: list, add, evidence, complete.")
def command() -> None:
    """Duties beside tickets 义务台账: each with its clock, recipient, legal basis, evidence and receipt."""


@contextmanager
def _book(store: Path, needs: Right = Right.DUTIES_WORK) -> Iterator[DutyBook]:
    with open_store(store, needs) as opened:
        calendar, settings = calendar_of(store), opened.settings
        clock = DutyBook(opened.catalogue, opened.bodies, calendar, CLOCK, settings.tickets)
        clock.standing(settings.company, datetime.now(ZoneInfo("Asia/Shanghai")).date())
        yield DutyBook(opened.catalogue, opened.bodies, calendar, opened.acting, settings.tickets)


@command.command(name="list")
@store_option
@click.option("--all", "every", is_flag=True, help="Done ones too.")
@json_option
def list_command(store: Path, every: bool, as_json: bool) -> None:
    """List duties, the next due first."""
    with _book(store, Right.DUTIES_READ) as book, book.catalogue.read() as connection:
        found = list_duties(connection, book.bodies, state=None if every else "open")
    if as_json:
        print_json([_said(duty) for duty in found])
        return
    for duty in found:
        mark = "done 已完成" if duty.state == "done" else "OVERDUE 已逾期" if duty.overdue else ""
        click.echo(
            f"{duty.duty_id}  {NAMES[duty.clock]}  due 到期 {show_time(duty.due_at)[:16]}  "
            f"{len(duty.files)} files 附件  {mark}  {duty.title}"
        )


@command.command(name="add")
@store_option
@click.option("--kind", type=click.Choice(list(CLOCKS)), required=True, help="Kind of duty.")
@click.option("--title", required=True, help="What it is about; kept sealed.")
@click.option(
    "--start",
    metavar="TIME",
    required=True,
    help="What sets the clock going: the incident, the assessment, the change, the day of expiry.",
)
@json_option
def add_command(store: Path, kind: str, title: str, start: str, as_json: bool) -> None:
    """Enter a duty; its deadline follows from its clock."""
    with _book(store) as book:
        duty = book.add(kind, title, read_time(start))
    _print(duty, as_json)


@command.command(name="evidence")
@store_option
@click.argument("duty")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def evidence_command(store: Path, duty: str, file: Path, as_json: bool) -> None:
    """Add a file as evidence 附件; it is kept sealed, with its digests."""
    try:
        if file.stat().st_size > MAX_FILE:
            raise UsageError(f"{file} is larger than 16 MiB.", cure="Give a smaller file.")
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", cure="Check its name and rights.") from error
    with _book(store) as book:
        stored = book.evidence(duty, file.name, content)
    if as_json:
        print_json(asdict(stored))
        return
    click.echo(f"{duty}: {stored.name}, SHA-256 {stored.sha256}, SM3 {stored.sm3}")


@command.command(name="complete")
@store_option
@click.argument("duty")
@click.option("--receipt", required=True, help="The recipient's receipt number 回执号.")
@json_option
def complete_command(store: Path, duty: str, receipt: str, as_json: bool) -> None:
    """Close a duty with its receipt 办结."""
    with _book(store) as book:
        done = book.complete(duty, receipt)
    _print(done, as_json)


def _said(duty: Duty) -> dict[str, object]:
    clock = CLOCKS[duty.clock]
    return {**asdict(duty), "recipient": clock.recipient, "basis": clock.basis, "overdue": duty.overdue}


def _print(duty: Duty, as_json: bool) -> None:
    if as_json:
        print_json(_said(duty))
        return
    clock = CLOCKS[duty.clock]
    click.echo(f"{duty.duty_id}: {NAMES[duty.clock]} {duty.state}, due 到期 {show_time(duty.due_at)}")
    click.echo(f"  to 报送 {clock.recipient}; {clock.basis}")
