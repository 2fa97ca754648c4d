"""``liucun tickets messages``: what goes out to the platform and to people, and what was refused, sent again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from errors import UsageError
from liucun.cli import json_option, print_json, store_option
from liucun.commands._ticket_desk import open_desk
from tickets.actors import Right
from tickets.outbox import list_outbox, send_again


@click.command(name="messages")
@store_option
@click.option("--state", type=click.Choice(["waiting", "sent", "failed"]), help="Only these.")
@click.option("--again", type=int, multiple=True, metavar="ID", help="Send a failed message again; repeatable.")
@click.option("--all-again", is_flag=True, help="Send all failed messages again.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most as many.")
@json_option
def messages_command(
    store: Path, state: str | None, again: tuple[int, ...], all_again: bool, limit: int, as_json: bool
) -> None:
    """List messages 外发消息 to the platform and to people, newest first; send again what failed."""
    with open_desk(store) as desk:
        changing = again or all_again
        with desk.catalogue.write() if changing else desk.catalogue.read() as connection:
            chosen = list(again)
            if all_again:
                chosen += [entry.id for entry in list_outbox(connection, state="failed", limit=limit)]
            if chosen:
                desk.who.require(Right.TICKETS_WORK)
            for number in dict.fromkeys(chosen):
                if not send_again(connection, desk.who.name, number):
                    raise UsageError(
                        f"There is no failed message {number}.", cure="`liucun tickets messages --state failed`"
                    )
            entries = list_outbox(connection, state=state, limit=limit)
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    for entry in entries:
        said = (entry.id, entry.channel, entry.subject, entry.state, f"{entry.attempts}×", entry.created_at)
        click.echo("  ".join(map(str, said)))
        if entry.error:
            click.echo(f"    {entry.error}")
    if not entries:
        click.echo("None. 没有消息。")
