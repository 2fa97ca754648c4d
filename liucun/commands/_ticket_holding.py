"""Commands of ``liucun tickets`` about who has a ticket: hand over, the next one, give back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from liucun.cli import json_option, print_json, store_option
from liucun.commands._ticket_desk import open_desk, show_step
from tickets.queue import Filters
from tickets.states import Channel, Part, State


@click.command(name="assign")
@store_option
@click.argument("ticket")
@click.option("--to", "assignee", required=True, help="Account that gets it.")
@click.option("--reason", default="", help="A remark; kept sealed with the ticket.")
@json_option
def assign_command(store: Path, ticket: str, assignee: str, reason: str, as_json: bool) -> None:
    """Give a ticket to somebody 指派, with the time."""
    show_step(store, as_json, lambda desk: desk.assign(ticket, assignee, reason))


@click.command(name="next")
@store_option
@click.option("--category", help="Only of this category.")
@click.option("--part", type=click.Choice(["dispose", "report"]), help="Only of this part of the queue.")
@click.option("--channel", type=click.Choice([c.value for c in Channel]), help="Only what was discovered like this.")
@json_option
def next_command(store: Path, category: str | None, part: str | None, channel: str | None, as_json: bool) -> None:
    """Take the most urgent ticket that nobody has 领取下一张; two who ask at once get two tickets."""
    filters = Filters(
        category=category, part=Part[part.upper()] if part else None, channel=Channel(channel) if channel else None
    )
    with open_desk(store) as desk:
        ticket = desk.claim_next(filters)
    if as_json:
        print_json(None if ticket is None else asdict(ticket))
    elif ticket is None:
        click.echo("Nothing waits for anybody. 没有待领取的工单。")
    else:
        click.echo(f"{ticket.ticket_id}  {ticket.category}  {ticket.severity}  {State(ticket.state).chinese}")


@click.command(name="release")
@store_option
@click.argument("ticket")
@click.option("--reason", default="", help="A remark; kept sealed with the ticket.")
@json_option
def release_command(store: Path, ticket: str, reason: str, as_json: bool) -> None:
    """Give a ticket back 退回."""
    show_step(store, as_json, lambda desk: desk.release(ticket, reason))


COMMANDS = (assign_command, next_command, release_command)
