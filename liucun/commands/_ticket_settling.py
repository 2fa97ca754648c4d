"""Commands of ``liucun tickets`` that settle what was decided: second person, times of effect, who was told outside."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from liucun.cli import json_option, print_json, store_option
from liucun.commands._ticket_desk import open_desk, show_step
from liucun.times import read_time, read_time_given, show_time
from tickets.steps.approving import list_approvals


@click.command(name="approvals")
@store_option
@json_option
def approvals_command(store: Path, as_json: bool) -> None:
    """List what waits for a second person 待复核."""
    with open_desk(store) as desk, desk.catalogue.read() as connection:
        found = list_approvals(connection)
    if as_json:
        print_json([asdict(approval) for approval in found])
        return
    for one in found:
        said = " ".join(f"{name}={value}" for name, value in one.value.items())
        click.echo(f"{one.approval_id}  {one.ticket_id}  {one.kind}  {said}  {one.asked_by} {show_time(one.asked_at)}")


@click.command(name="approve")
@store_option
@click.argument("approval")
@click.option("--reason", required=True, help="Why; kept sealed with the ticket.")
@json_option
def approve_command(store: Path, approval: str, reason: str, as_json: bool) -> None:
    """Agree as the second person 复核同意."""
    show_step(store, as_json, lambda desk: desk.approve(approval, reason))


@click.command(name="refuse")
@store_option
@click.argument("approval")
@click.option("--reason", required=True, help="Why; kept sealed with the ticket.")
@json_option
def refuse_command(store: Path, approval: str, reason: str, as_json: bool) -> None:
    """Disagree as the second person 复核不同意."""
    show_step(store, as_json, lambda desk: desk.refuse(approval, reason))


@click.command(name="effective")
@store_option
@click.argument("ticket")
@click.argument("time")
@click.option("--reason", required=True, help="Why; kept sealed with the ticket.")
@json_option
def effective_command(store: Path, ticket: str, time: str, reason: str, as_json: bool) -> None:
    """Correct when a measure took effect 更正生效时间; a later time waits for a second person."""
    moment = read_time(time)
    show_step(store, as_json, lambda desk: desk.set_effective(ticket, moment, reason))


@click.command(name="confirm-order")
@store_option
@click.argument("order")
@click.option("--effective-at", metavar="TIME", help="When the platform carried it out. [default: now]")
@click.option("--reference", default="", help="The platform's number.")
@json_option
def confirm_order_command(store: Path, order: str, effective_at: str | None, reference: str, as_json: bool) -> None:
    """Record that the platform carried out an order 平台确认: the ten days count from the first such time."""
    moment = read_time_given(effective_at)
    show_step(store, as_json, lambda desk: desk.acknowledge_order(order, effective_at=moment, reference=reference))


@click.command(name="police")
@store_option
@click.argument("ticket")
@click.option("--receipt", required=True, help="Number under which the police took it.")
@json_option
def police_command(store: Path, ticket: str, receipt: str, as_json: bool) -> None:
    """Record the report to the police 公安报告."""
    show_step(store, as_json, lambda desk: desk.report_to_police(ticket, receipt))


@click.command(name="corrected")
@store_option
@click.argument("ticket")
@click.option("--receipt", required=True, help="Number of the correction's receipt.")
@json_option
def corrected_command(store: Path, ticket: str, receipt: str, as_json: bool) -> None:
    """Record that who was told outside was told of the reversal 更正."""
    show_step(store, as_json, lambda desk: desk.correct_outside(ticket, receipt))


COMMANDS = (
    approvals_command,
    approve_command,
    refuse_command,
    effective_command,
    confirm_order_command,
    police_command,
    corrected_command,
)
