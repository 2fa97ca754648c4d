"""``liucun tickets``: the disposal queue on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from liucun.calendar_file import calendar_of
from liucun.cli import json_option, print_json, store_option
from liucun.store import open_store
from liucun.times import read_time
from tickets.queue import Filters, Ticket, list_tickets, ticket_detail
from tickets.service import Desk
from tickets.states import Decision, Measure, State


@click.group(name="tickets", short_help="The disposal queue: list, show, triage, dispose, report.")
def command() -> None:
    """Work the disposal queue 处置工单. What is to be disposed of comes first, then what is to be reported."""


@contextmanager
def _desk(store: Path) -> Iterator[Desk]:
    with open_store(store) as opened:
        yield Desk(opened.catalogue, opened.bodies, calendar_of(store), opened.actor)


@command.command(name="list")
@store_option
@click.option("--state", type=click.Choice([s.value for s in State]), multiple=True, help="Only these states.")
@click.option("--category", help="Only this category.")
@click.option("--content-id", help="Only tickets of this piece of content.")
@click.option("--due-by", metavar="DATE", help="Only tickets to be reported by this day.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many.")
@json_option
def list_command(
    store: Path,
    state: tuple[str, ...],
    category: str | None,
    content_id: str | None,
    due_by: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List tickets in the order in which they want work."""
    filters = Filters([State(s) for s in state] or None, category, None, content_id, due_by)
    with _desk(store) as desk, desk.catalogue.read() as connection:
        found = list_tickets(connection, filters, limit=limit)
    if as_json:
        print_json([asdict(ticket) for ticket in found])
        return
    from liucun.ticket_view import print_tickets

    print_tickets(found)


@command.command(name="show")
@store_option
@click.argument("ticket")
@json_option
def show_command(store: Path, ticket: str, as_json: bool) -> None:
    """Show a ticket: the text with its hits and why, the timeline, the clock with its days."""
    with _desk(store) as desk, desk.catalogue.read() as connection:
        detail = ticket_detail(connection, desk.bodies, ticket)
        calendar = desk.calendar
    if as_json:
        print_json(asdict(detail))
        return
    from liucun.ticket_view import print_ticket

    print_ticket(detail, calendar)


def _step(store: Path, as_json: bool, step: Callable[[Desk], Ticket]) -> None:
    with _desk(store) as desk:
        ticket = step(desk)
    if as_json:
        print_json(asdict(ticket))
        return
    state = State(ticket.state)
    due = f", due 到期 {ticket.due_on}{' provisional 暂定' if ticket.due_provisional else ''}" if ticket.due_on else ""
    click.echo(f"{ticket.ticket_id}: {state.value} {state.chinese}{due}")


@command.command(name="claim")
@store_option
@click.argument("ticket")
@json_option
def claim_command(store: Path, ticket: str, as_json: bool) -> None:
    """Take a ticket 领取."""
    _step(store, as_json, lambda desk: desk.claim(ticket))


@command.command(name="triage")
@store_option
@click.argument("ticket")
@click.option(
    "--confirm", type=click.Choice([d.value for d in Decision]), help="违法 illegal, 不良 harmful, 违规 violation."
)
@click.option("--dismiss", is_flag=True, help="Nothing illegal 排除.")
@click.option("--reason", required=True, help="Why; kept sealed with the ticket.")
@json_option
def triage_command(store: Path, ticket: str, confirm: str | None, dismiss: bool, reason: str, as_json: bool) -> None:
    """Decide what a ticket is 研判. Starts no ten-day clock: disposal does."""
    if bool(confirm) == dismiss:
        raise click.UsageError("Give either --confirm or --dismiss.")
    if confirm:
        _step(store, as_json, lambda desk: desk.confirm(ticket, Decision(confirm), reason))
    else:
        _step(store, as_json, lambda desk: desk.dismiss(ticket, reason))


@command.command(name="dispose")
@store_option
@click.argument("ticket")
@click.option("--measure", type=click.Choice([m.value for m in Measure]), required=True, help="What was done 处置措施.")
@click.option("--ordered-at", metavar="TIME", help="When it was ordered. [default: now]")
@click.option("--effective-at", metavar="TIME", help="When it took effect. [default: the order's time]")
@click.option("--reason", default="", help="A remark; kept sealed with the ticket.")
@json_option
def dispose_command(
    store: Path,
    ticket: str,
    measure: str,
    ordered_at: str | None,
    effective_at: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """Record the disposal 处置. For what is illegal it starts the ten working days 十个工作日."""
    ordered, effective = _time(ordered_at), _time(effective_at)
    _step(
        store,
        as_json,
        lambda desk: desk.dispose(ticket, Measure(measure), reason=reason, ordered_at=ordered, effective_at=effective),
    )


@command.command(name="report")
@store_option
@click.argument("ticket")
@click.option("--receipt", default="", help="Number under which it was submitted.")
@json_option
def report_command(store: Path, ticket: str, receipt: str, as_json: bool) -> None:
    """Record the report to the authority 上报."""
    _step(store, as_json, lambda desk: desk.report(ticket, receipt))


@command.command(name="acknowledge")
@store_option
@click.argument("ticket")
@click.option("--receipt", required=True, help="The authority's receipt number 回执号.")
@json_option
def acknowledge_command(store: Path, ticket: str, receipt: str, as_json: bool) -> None:
    """Record the authority's receipt 回执."""
    _step(store, as_json, lambda desk: desk.acknowledge(ticket, receipt))


@command.command(name="close")
@store_option
@click.argument("ticket")
@json_option
def close_command(store: Path, ticket: str, as_json: bool) -> None:
    """Close a ticket 办结."""
    _step(store, as_json, lambda desk: desk.close(ticket))


@command.command(name="appeal")
@store_option
@click.argument("ticket")
@click.option("--uphold", "reason", required=True, metavar="REASON", help="Why the appeal is right 申诉成立的理由.")
@json_option
def appeal_command(store: Path, ticket: str, reason: str, as_json: bool) -> None:
    """Reverse a disposal after an appeal 申诉成立."""
    _step(store, as_json, lambda desk: desk.reverse(ticket, reason))


@command.command(name="note")
@store_option
@click.argument("ticket")
@click.argument("text")
def note_command(store: Path, ticket: str, text: str) -> None:
    """Write a note on a ticket 备注; sealed."""
    with _desk(store) as desk:
        desk.note(ticket, text)
    click.echo(f"{ticket}: noted 已备注")


def _time(text: str | None) -> datetime | None:
    return None if text is None else read_time(text)
