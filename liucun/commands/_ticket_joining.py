"""Commands of ``liucun tickets`` on what belongs together: links, and merging 关联与并案."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from liucun.cli import json_option, print_json, store_option
from liucun.commands._ticket_desk import open_desk, show_step
from tickets.states import State
from tickets.steps.joining import linked


@click.command(name="links")
@store_option
@click.argument("ticket")
@json_option
def links_command(store: Path, ticket: str, as_json: bool) -> None:
    """Show what belongs to a ticket 关联: same text, nearly the same, same account, later findings, links by hand."""
    with open_desk(store) as desk, desk.catalogue.read() as connection:
        found = linked(connection, ticket)
    if as_json:
        print_json([asdict(link) for link in found])
        return
    for link in found:
        share = f" {link.likeness:.0%}" if link.likeness is not None else ""
        chinese = State(link.ticket.state).chinese
        click.echo(f"{link.kind + share:>10}  {link.ticket.ticket_id}  {chinese}  {link.ticket.category}")


@click.command(name="link")
@store_option
@click.argument("ticket")
@click.argument("other")
@click.option("--remove", is_flag=True, help="Take the link away.")
def link_command(store: Path, ticket: str, other: str, remove: bool) -> None:
    """Link two tickets by hand 关联."""
    with open_desk(store) as desk:
        if remove:
            desk.unlink(ticket, other)
        else:
            desk.link(ticket, other)
    click.echo(f"{ticket} – {other}: {'unlinked 已取消' if remove else 'linked 已关联'}")


@click.command(name="merge")
@store_option
@click.argument("ticket", nargs=-1, required=True)
@click.option("--into", required=True, help="The ticket that they become part of.")
@click.option("--reason", required=True, help="Why; kept sealed with the ticket.")
@json_option
def merge_command(store: Path, ticket: tuple[str, ...], into: str, reason: str, as_json: bool) -> None:
    """Make undisposed tickets part of another one 并案; the earliest clocks hold."""
    show_step(store, as_json, lambda desk: desk.merge(ticket, into, reason))


COMMANDS = (
    links_command,
    link_command,
    merge_command,
)
