"""``liucun due``: the last day to report, counted day by day."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from errors import UsageError
from liucun.calendar_file import calendar_of
from liucun.cli import json_option, print_json, store_option


@click.command(name="due", short_help="When a report is due, day by day.")
@click.argument("day", metavar="DATE")
@click.option("--days", type=click.IntRange(1, 1000), default=10, show_default=True, help="Working days to count.")
@store_option
@json_option
def command(day: str, days: int, store: Path, as_json: bool) -> None:
    """Count working days 工作日 after DATE (YYYY-MM-DD), the day of disposal, which itself does not count.

    Make-up days (调休上班日) are working days. Past the last published calendar the date is
    provisional (暂定): N - 2 plain weekdays, so that it is never too late.
    """
    try:
        start = date.fromisoformat(day)
    except ValueError as error:
        raise UsageError(f"{day!r} is no date.", cure="Write it as YYYY-MM-DD.") from error
    calendar = calendar_of(store)
    try:
        counted = calendar.count(start, days)
    except OverflowError as error:
        raise UsageError(f"No working days can be counted from {day}.", cure="Check the date.") from error
    if as_json:
        print_json(
            {
                "start": counted.start.isoformat(),
                "due": counted.due.isoformat(),
                "days": [found.isoformat() for found in counted.days],
                "provisional": counted.provisional,
                "calendar": counted.calendar,
            }
        )
        return
    for number, found in enumerate(counted.days, 1):
        click.echo(f"{number:>3}  {found}  {'一二三四五六日'[found.weekday()]}  {calendar.name_of(found)}")
    mark = "  provisional 暂定: the calendar ends before it" if counted.provisional else ""
    click.echo(f"due 到期 {counted.due}{mark}  (calendar 日历 {counted.calendar})")
