"""What the commands of the queue share: the desk of a store, and how a step's outcome is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from errors import StorageError, UsageError
from liucun.calendar_file import calendar_of
from liucun.cli import print_json
from liucun.store import open_store
from retention.new_file import write_out
from tickets.archived import take_out
from tickets.evidence import StoredFile
from tickets.queue import Ticket
from tickets.reports.filing import ReportBook
from tickets.reports.templates import templates_of
from tickets.rights import Right
from tickets.service import Desk
from tickets.states import State


@contextmanager
def open_desk(store: Path, needs: Right | tuple[Right, ...] = Right.QUEUE_READ) -> Iterator[Desk]:
    """The desk of a store, for who runs the command; its steps ask for the rights that they need themselves."""
    with open_store(store, needs) as opened:
        yield Desk(
            opened.catalogue,
            opened.bodies,
            calendar_of(store),
            opened.acting,
            opened.settings.tickets,
            archive=opened.archive,
        )


@contextmanager
def open_book(store: Path, *more: Right) -> Iterator[ReportBook]:
    """The reports of a store, for who runs the command; its steps ask for the rights that they need themselves."""
    with open_store(store, (Right.REPORTS_READ, *more)) as opened:
        company = opened.settings.company
        yield ReportBook(
            opened.catalogue,
            opened.bodies,
            calendar_of(store),
            opened.acting,
            opened.settings.tickets,
            company=company,
            archive=opened.archive,
            templates=templates_of(store, company.report_templates),
        )


def write_evidence(desk: Desk, ticket: str, folder: Path, purpose: str) -> list[StoredFile]:
    """Take a ticket's evidence out into files of a folder, whose names begin with its number; none is overwritten."""
    if desk.archive is None:
        raise UsageError("The desk has no archive.", cure="This is a fault of the program: report it.")
    taken = take_out(desk.catalogue, desk.bodies, desk.archive, ticket, actor=desk.who.name, purpose=purpose)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The evidence cannot be written to {folder}: {error.strerror}.", cure="Name an empty folder with room."
        ) from error
    for one in taken:
        write_out(folder / f"{ticket}-{one.file.id}-{one.file.name}", one.content)
    return [one.file for one in taken]


def show_step(store: Path, as_json: bool, step: Callable[[Desk], Ticket]) -> None:
    """Take a step and show what became of the ticket."""
    with open_desk(store) as desk:
        ticket = step(desk)
    if as_json:
        print_json(asdict(ticket))
        return
    state = State(ticket.state)
    if ticket.pending:
        click.echo(
            f"{ticket.ticket_id}: {state.value} {state.chinese}, waits for a second person 待复核 {ticket.pending}"
        )
        return
    due = f", due 到期 {ticket.due_on}{' provisional 暂定' if ticket.due_provisional else ''}" if ticket.due_on else ""
    click.echo(f"{ticket.ticket_id}: {state.value} {state.chinese}{due}")
