"""``liucun tickets``: the disposal queue on the command line."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from liucun.cli import json_option, print_json, store_option
from liucun.commands import (
    _ticket_holding,
    _ticket_joining,
    _ticket_many,
    _ticket_messages,
    _ticket_opening,
    _ticket_reports,
    _ticket_settling,
)
from liucun.commands._ticket_desk import open_desk, show_step, write_evidence
from liucun.times import read_time_given
from tickets.evidence import list_evidence
from tickets.queue import Filters, get_ticket, list_tickets, ticket_detail
from tickets.rights import Right
from tickets.states import Channel, Decision, Measure, Part, State, Waits


@click.group(name="tickets", short_help="The disposal queue: list, show, triage, dispose, report.")
def command() -> None:
    """Work the disposal queue 处置工单. What is to be disposed of comes first, then what is to be reported."""


@command.command(name="list")
@store_option
@click.option("--state", type=click.Choice([s.value for s in State]), multiple=True, help="Only these states.")
@click.option("--category", help="Only this category.")
@click.option("--part", type=click.Choice([p.name.lower() for p in Part]), help="Only this part of the queue.")
@click.option("--channel", type=click.Choice([c.value for c in Channel]), help="Only what was discovered like this.")
@click.option("--assignee", help="Only this person's.")
@click.option("--missed", is_flag=True, help="Only what is past its target of disposal 超过处置时限.")
@click.option("--content-id", help="Only tickets of this piece of content.")
@click.option("--due-by", metavar="DATE", help="Only what is due by this day, to the authority or the police.")
@click.option("--waits", type=click.Choice([w.value for w in Waits]), help="Only what waits for this.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many.")
@json_option
def list_command(
    store: Path,
    state: tuple[str, ...],
    category: str | None,
    part: str | None,
    channel: str | None,
    assignee: str | None,
    missed: bool,
    content_id: str | None,
    due_by: str | None,
    waits: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List tickets in the order in which they want work."""
    filters = Filters(
        [State(s) for s in state] or None,
        category,
        assignee,
        content_id,
        due_by,
        part=Part[part.upper()] if part else None,
        channel=Channel(channel) if channel else None,
        missed=missed,
        waits=Waits(waits) if waits else None,
    )
    with open_desk(store) as desk, desk.catalogue.read() as connection:
        found = list_tickets(connection, filters, limit=limit)
    if as_json:
        print_json([asdict(ticket) for ticket in found])
        return
    from liucun.ticket_view import print_tickets

    print_tickets(found)


@command.command(name="show")
@store_option
@click.argument("ticket")
@click.option("--purpose", metavar="TEXT", help="Show personal data in full, for this; it is recorded, sealed.")
@json_option
def show_command(store: Path, ticket: str, purpose: str | None, as_json: bool) -> None:
    """Show a ticket: the text with its hits and why, the timeline, the clock with its days. Personal data is masked."""
    from console.reading.texts import masked_detail
    from liucun.unmasking import record_look

    needs = Right.CONTENT_READ if purpose is None else (Right.CONTENT_READ, Right.PERSONAL_REVEAL)
    with open_desk(store, needs) as desk:
        with desk.catalogue.read() as connection:
            detail = ticket_detail(connection, desk.bodies, ticket)
        if purpose is None:
            detail = masked_detail(detail)
        else:
            record_look(desk.catalogue, desk.bodies, desk.who.name, [f"ticket:{ticket}"], purpose)
        calendar = desk.calendar
    if as_json:
        print_json({**asdict(detail), "masked": purpose is None})
        return
    from liucun.ticket_view import print_ticket

    print_ticket(detail, calendar)


@command.command(name="evidence")
@store_option
@click.argument("ticket")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write the packages into this folder.")
@click.option("--purpose", default="", help="What they are taken out for; goes on record, sealed. Needed with --out.")
@json_option
def evidence_command(store: Path, ticket: str, out: Path | None, purpose: str, as_json: bool) -> None:
    """List the sealed evidence 证据 of a ticket, or take it out, compared with the digests in the ticket's events."""
    with open_desk(store, Right.QUEUE_READ if out is None else (Right.CONTENT_READ, Right.PERSONAL_REVEAL)) as desk:
        if out is None:
            with desk.catalogue.read() as connection:
                get_ticket(connection, ticket)
                files = list_evidence(connection, [f"ticket:{ticket}"])
        else:
            files = write_evidence(desk, ticket, out, purpose)
    if as_json:
        print_json([asdict(file) for file in files])
        return
    for file in files:
        click.echo(f"{file.id}  {file.name}  {file.bytes:,} bytes  {file.at}  {file.actor}")
        click.echo(f"    SM3 {file.sm3}  {file.place or ''}")
    if not files:
        click.echo("None: evidence is sealed when a ticket is disposed of. 尚无封存的证据。")


@command.command(name="claim")
@store_option
@click.argument("ticket")
@click.option("--take-over", metavar="REASON", help="Although somebody else has it, and why 接手; goes on record.")
@json_option
def claim_command(store: Path, ticket: str, take_over: str | None, as_json: bool) -> None:
    """Take a ticket 领取. What somebody else has taken is theirs to decide, until it is taken over."""
    if take_over is None:
        show_step(store, as_json, lambda desk: desk.claim(ticket))
    else:
        show_step(store, as_json, lambda desk: desk.take_over(ticket, take_over))


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
        show_step(store, as_json, lambda desk: desk.confirm(ticket, Decision(confirm), reason))
    else:
        show_step(store, as_json, lambda desk: desk.dismiss(ticket, reason))


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
    ordered, effective = read_time_given(ordered_at), read_time_given(effective_at)
    show_step(
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
    show_step(store, as_json, lambda desk: desk.report(ticket, receipt))


@command.command(name="acknowledge")
@store_option
@click.argument("ticket")
@click.option("--receipt", required=True, help="The authority's receipt number 回执号.")
@json_option
def acknowledge_command(store: Path, ticket: str, receipt: str, as_json: bool) -> None:
    """Record the authority's receipt 回执."""
    show_step(store, as_json, lambda desk: desk.acknowledge(ticket, receipt))


@command.command(name="close")
@store_option
@click.argument("ticket")
@json_option
def close_command(store: Path, ticket: str, as_json: bool) -> None:
    """Close a ticket 办结."""
    show_step(store, as_json, lambda desk: desk.close(ticket))


@command.command(name="appeal")
@store_option
@click.argument("ticket")
@click.option("--open", "opened", metavar="REASON", help="Take in an appeal 受理申诉.")
@click.option("--uphold", metavar="REASON", help="Why the appeal is right 申诉成立的理由.")
@click.option("--reject", "rejected", metavar="REASON", help="Why it is wrong 申诉不成立的理由.")
@json_option
def appeal_command(
    store: Path, ticket: str, opened: str | None, uphold: str | None, rejected: str | None, as_json: bool
) -> None:
    """Take in an appeal 申诉, or decide it: upheld, the disposal is taken back, and corrected where it was reported."""
    given = [reason for reason in (opened, uphold, rejected) if reason is not None]
    if len(given) != 1:
        raise click.UsageError("Give one of --open, --uphold and --reject.")
    if opened is not None:
        show_step(store, as_json, lambda desk: desk.appeal(ticket, given[0]))
    elif uphold is not None:
        show_step(store, as_json, lambda desk: desk.reverse(ticket, given[0]))
    else:
        show_step(store, as_json, lambda desk: desk.reject_appeal(ticket, given[0]))


@command.command(name="note")
@store_option
@click.argument("ticket")
@click.argument("text")
def note_command(store: Path, ticket: str, text: str) -> None:
    """Write a note on a ticket 备注; sealed."""
    with open_desk(store) as desk:
        desk.note(ticket, text)
    click.echo(f"{ticket}: noted 已备注")


for _more in (_ticket_holding, _ticket_settling, _ticket_many, _ticket_joining, _ticket_opening, _ticket_reports):
    for _command in _more.COMMANDS:
        command.add_command(_command)
command.add_command(_ticket_messages.messages_command)
