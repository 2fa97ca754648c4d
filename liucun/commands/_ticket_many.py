"""Commands of ``liucun tickets`` on many at once: a step, taking it back, one decision for a group."""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from liucun.cli import json_option, print_json, store_option
from liucun.commands._ticket_desk import open_desk
from liucun.times import read_time_given, show_time
from tickets.queue import Filters
from tickets.states import Decision, Measure, State
from tickets.steps.bulk import BulkAction, BulkResult
from tickets.steps.joining import group_of


@click.command(name="bulk")
@store_option
@click.argument("action", type=click.Choice([a.value for a in BulkAction]))
@click.argument("ticket", nargs=-1)
@click.option("--state", type=click.Choice([s.value for s in State]), multiple=True, help="Those of these states.")
@click.option("--category", help="Those of this category.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="At most so many.")
@click.option("--decision", type=click.Choice([d.value for d in Decision]), help="For confirm.")
@click.option("--to", "assignee", help="For assign.")
@click.option("--measure", type=click.Choice([m.value for m in Measure]), help="For dispose.")
@click.option("--effective-at", metavar="TIME", help="For dispose: when the measure took effect.")
@click.option("--reason", default="", help="Why; kept sealed with each ticket.")
@click.option("--preview", is_flag=True, help="Only say what would be done, and what would be left out and why.")
@json_option
def bulk_command(
    store: Path,
    action: str,
    ticket: tuple[str, ...],
    state: tuple[str, ...],
    category: str | None,
    limit: int,
    decision: str | None,
    assignee: str | None,
    measure: str | None,
    effective_at: str | None,
    reason: str,
    preview: bool,
    as_json: bool,
) -> None:
    """Take one step on many tickets 批量操作, named or filtered.

    The token that it prints takes it back for a while. A disposal cannot be taken back 处置不可撤回: its orders go out
    and the law's days run; on a terminal it asks first.
    """
    filters = Filters([State(s) for s in state] or None, category) if state or category else None
    if bool(ticket) == (filters is not None):
        raise click.UsageError("Name tickets, or filter with --state and --category.")
    asked = BulkAction(action)
    moment = read_time_given(effective_at)
    ids = list(ticket) if ticket else None
    with open_desk(store) as desk:
        judge = partial(
            desk.preview,
            asked,
            decision=Decision(decision) if decision else None,
            assignee=assignee,
            measure=Measure(measure) if measure else None,
            effective_at=moment,
            limit=limit,
        )
        asks = not asked.undoable and not as_json and sys.stdin.isatty()
        found = judge(ids, filters=filters) if preview or asks else None
        if found is not None and not preview:
            _print_preview(found)
            if not found.done:
                return
            click.confirm("This cannot be taken back. Go on? 此操作不可撤回，继续吗？", abort=True)
            # What was shown, not what the filter finds by now.
            ids, filters = list(found.done), None
        if not preview:
            found = desk.bulk(asked, ids, filters=filters, reason=reason, **judge.keywords)
    assert found is not None
    if preview and not as_json:
        _print_preview(found)
    else:
        _print_bulk(found, as_json)


@click.command(name="undo")
@store_option
@click.argument("token")
@json_option
def undo_command(store: Path, token: str, as_json: bool) -> None:
    """Take a bulk step back 撤回: tickets that nobody changed since are as they were."""
    with open_desk(store) as desk:
        found = desk.undo(token)
    _print_bulk(found, as_json)


@click.command(name="group")
@store_option
@click.argument("ticket")
@click.option("--confirm", type=click.Choice([d.value for d in Decision]), help="Decide them all like this.")
@click.option("--dismiss", is_flag=True, help="Dismiss them all.")
@click.option("--reason", default="", help="Why; kept sealed with each ticket.")
@json_option
def group_command(store: Path, ticket: str, confirm: str | None, dismiss: bool, reason: str, as_json: bool) -> None:
    """Show undecided tickets whose text is nearly the same 近似内容, or decide them at once."""
    if confirm and dismiss:
        raise click.UsageError("Give either --confirm or --dismiss.")
    with open_desk(store) as desk:
        if confirm or dismiss:
            done = desk.decide_group(ticket, Decision(confirm) if confirm else None, reason)
            _print_bulk(done, as_json)
            return
        with desk.catalogue.read() as connection:
            found = group_of(connection, ticket)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        click.echo(f"{one.ticket_id}  {State(one.state).chinese}  {one.category}  {one.content_id or ''}")


def _print_bulk(found: BulkResult, as_json: bool) -> None:
    if as_json:
        print_json(found.as_json())
        return
    click.echo(f"{len(found.done)} done 已处理, {len(found.refused)} refused 未处理")
    for number, why in found.refused[:20]:
        click.echo(f"  {number}: {why}")
    if found.done and found.token and found.until:
        click.echo(f"undo 撤回: liucun tickets undo {found.token}  (until {show_time(found.until)})")


def _print_preview(found: BulkResult) -> None:
    """How many would be done, and how many left out for which reasons, each with the first of its tickets."""
    click.echo(f"{len(found.done)} would be done 将处理, {len(found.refused)} left out 不处理")
    reasons: dict[str, list[str]] = {}
    for number, why in found.refused:
        reasons.setdefault(why, []).append(number)
    for why, numbers in sorted(reasons.items(), key=lambda pair: -len(pair[1])):
        click.echo(f"  {len(numbers)}: {why} ({', '.join(numbers[:3])}{' …' if len(numbers) > 3 else ''})")


COMMANDS = (
    bulk_command,
    undo_command,
    group_command,
)
