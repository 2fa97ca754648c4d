"""``liucun calendar``: the working days that deadlines are counted by."""

from __future__ import annotations

import os
import secrets
from datetime import date
from pathlib import Path

import click

from errors import StorageError, UsageError
from liucun.calendar_file import FILE_NAME, calendar_of
from liucun.cli import json_option, print_json, store_option
from liucun.settings import Settings, read_settings
from liucun.store import acting_account, prepare_tables, require_at
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.places import database_url
from tickets.calendar.reading import read_calendar
from tickets.calendar.working_days import WorkingCalendar
from tickets.queue import Ticket
from tickets.recount import recount
from tickets.rights import Right


@click.group(name="calendar", short_help="Working days: show, import, status.")
def command() -> None:
    """The calendar of working days 工作日历 that deadlines are counted by."""


@command.command(name="show")
@click.option("--year", type=int, help="One year. [default: the last published]")
@store_option
@json_option
def show_command(year: int | None, store: Path, as_json: bool) -> None:
    """Show a year's holidays and make-up days, and the notice they come from."""
    calendar = calendar_of(store)
    wanted = year if year is not None else calendar.verified_through.year
    found = next((item for item in calendar.years if item.year == wanted), None)
    if found is None:
        raise UsageError(
            f"The calendar knows {calendar.begins.year} to {calendar.verified_through.year}, not {wanted}.",
            cure="Import a calendar that has it with `liucun calendar import FILE`.",
        )
    if as_json:
        print_json(
            {
                "year": found.year,
                "notice": found.notice,
                "holidays": [
                    {"first": h.first.isoformat(), "last": h.last.isoformat(), "name": h.name} for h in found.holidays
                ],
                "makeup": [day.isoformat() for day in found.makeup],
            }
        )
        return
    click.echo(f"{found.year}  {found.notice}")
    for holiday in found.holidays:
        click.echo(f"  {holiday.first} – {holiday.last}  {holiday.name}")
    click.echo(f"  make-up 调休上班: {', '.join(str(day) for day in found.makeup) or '–'}")


@command.command(name="status")
@store_option
@json_option
def status_command(store: Path, as_json: bool) -> None:
    """Show the calendar's version and how far it reaches."""
    calendar = calendar_of(store)
    answer = _status(calendar, store)
    if as_json:
        print_json(answer)
        return
    click.echo(
        f"version 版本 {answer['version']} ({answer['from']}), known 已知 {answer['begins']} – {answer['through']}"
    )


@command.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@json_option
def import_command(file: Path, store: Path, as_json: bool) -> None:
    """Check a calendar file and make it the store's. It may not reach less far than the present one.

    Open deadlines are counted anew, each with a record. Needs no passphrase.
    """
    settings = read_settings(store)
    require_at(store, settings, Right.CALENDAR_CHANGE)
    new, old = read_calendar(file), calendar_of(store)
    if new.verified_through < old.verified_through:
        raise UsageError(
            f"The file ends on {new.verified_through}, the present calendar on {old.verified_through}.",
            cure="Import a calendar that reaches at least as far.",
        )
    _replace(store / FILE_NAME, file.read_bytes())
    changed = _recounted(store, settings, new)
    if as_json:
        print_json({**_status(new, store), "recounted": [ticket.ticket_id for ticket in changed]})
        return
    click.echo(f"The calendar {new.version} is in use, known through {new.verified_through}. 已启用。")
    if changed:
        click.echo(f"{len(changed)} due dates were counted anew 已重新计算; each ticket's timeline has both days.")


def _status(calendar: WorkingCalendar, store: Path) -> dict[str, object]:
    return {
        "version": calendar.version,
        "from": "store" if (store / FILE_NAME).exists() else "shipped",
        "begins": calendar.begins.isoformat(),
        "through": calendar.verified_through.isoformat(),
        "provisional_now": calendar.count(date.today(), 10).provisional,  # noqa: DTZ011 - a day for a person here
    }


def _recounted(store: Path, settings: Settings, calendar: WorkingCalendar) -> list[Ticket]:
    """Count the open deadlines by the new calendar; a worker that runs does the same within a minute."""
    catalogue = Catalogue.open(database_url(store, settings.archive.catalogue))
    try:
        migrate(catalogue)
        prepare_tables(catalogue)
        return recount(catalogue, calendar, settings.tickets, actor=acting_account(catalogue).name)
    finally:
        catalogue.close()


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(
            f"The calendar cannot be written to {path}: {error.strerror}.",
            cure="Check the store's rights and the disk.",
        ) from error
