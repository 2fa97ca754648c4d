"""``liucun requests``: access, copy, correction and deletion, each with its clock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from errors import UsageError
from liucun.cli import json_option, print_json, store_option
from tickets.rights import Right

KINDS = ("access", "copy", "correction", "deletion")


@click.group(name="requests", short_help="Requests of persons about their data, with their clocks.")
def command() -> None:
    """Requests of persons 个人权利请求: access, copy, correction, deletion (个人信息保护法 art. 44-50)."""


@command.command(short_help="Enter a request.")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("account")
@click.option("--text", default="", metavar="TEXT", help="What was asked, in the person's words; sealed.")
@click.option("--received", metavar="TIME", help="When it came. [default: now]")
@json_option
@store_option
def add(kind: str, account: str, text: str, received: str | None, as_json: bool, store: Path) -> None:
    """Enter a request 登记. A request for deletion restricts the account at once."""
    from liucun.store import open_store
    from liucun.times import read_time
    from retention.persons.requests import Kind, read_request, receive
    from retention.policies.periods import shanghai_date

    now = datetime.now(UTC)
    with open_store(store, Right.PERSONS_WORK) as opened:
        made = receive(
            opened,
            Kind(kind),
            account,
            text=text,
            actor=opened.actor,
            now=now,
            settings=opened.settings.retention,
            received_at=None if received is None else read_time(received),
        )
        found = read_request(opened, made, shanghai_date(now))
    if as_json:
        print_json(found.as_json())
    else:
        click.echo(f"{made}: {kind}, to be answered by {found.due_on} ({found.days_left} days). 已登记。")


@command.command(name="list", short_help="Open requests, the most urgent first.")
@click.option("--all", "answered", is_flag=True, help="Answered ones too.")
@json_option
@store_option
def list_command(answered: bool, as_json: bool, store: Path) -> None:
    """List requests 请求清单, the most urgent first."""
    from liucun.store import open_store
    from retention.persons.requests import list_requests
    from retention.policies.periods import shanghai_date

    with open_store(store, Right.PERSONS_READ) as opened:
        found = list_requests(opened, shanghai_date(datetime.now(UTC)), answered=answered)
    if as_json:
        print_json([request.as_json() for request in found])
        return
    for request in found:
        state = "OVERDUE 逾期" if request.overdue else request.state
        click.echo(f"{request.request_id} {request.kind} {request.account}  due {request.due_on}  {state}")
    click.echo(f"{len(found)} requests. 项请求。")


@command.command(short_help="Answer a request.")
@click.argument("request")
@click.option("--outcome", required=True, type=click.Choice(["granted", "partly", "refused"]), help="How it ended.")
@click.option("--text", required=True, metavar="TEXT", help="The answer, with the reason of a refusal; sealed.")
@json_option
@store_option
def answer(request: str, outcome: str, text: str, as_json: bool, store: Path) -> None:
    """Answer a request 答复: the clock stops."""
    from liucun.store import open_store
    from retention.persons.requests import Outcome, read_request
    from retention.persons.requests import answer as give
    from retention.policies.periods import shanghai_date

    now = datetime.now(UTC)
    with open_store(store, Right.PERSONS_WORK) as opened:
        give(opened, request, Outcome(outcome), text=text, actor=opened.actor, now=now)
        found = read_request(opened, request, shanghai_date(now))
    if as_json:
        print_json(found.as_json())
    else:
        click.echo(f"{request}: answered, {outcome}. 已答复。")


@command.command(short_help="Until when a person's records must be kept, class by class.")
@click.argument("request")
@json_option
@store_option
def outlook(request: str, as_json: bool, store: Path) -> None:
    """Tell what is held of a person and on what ground it stays 留存依据.

    Only periods of laws and administrative regulations outweigh a request for deletion (art. 47);
    where the ground is weaker, counsel decides.
    """
    from liucun.store import open_store
    from retention.persons.copy import deletion_outlook
    from retention.persons.requests import read_request
    from retention.policies.periods import shanghai_date

    today = shanghai_date(datetime.now(UTC))
    with open_store(store, Right.PERSONS_READ) as opened:
        asked = read_request(opened, request, today)
        found = deletion_outlook(
            opened, asked.account, purpose=f"outlook of request {request}", actor=opened.actor, today=today
        )
    if as_json:
        print_json([item.as_json() for item in found])
        return
    for item in found:
        days = f"{item.first_on} – {item.last_on}" if item.first_on else "without a time 无时间"
        click.echo(f"{item.record_class}: {item.records:,} records, {days}")
        law = "" if item.statutory_period is None else f"the law asks for {item.statutory_period} 法定期限; beyond it "
        weight = (
            "outweighs deletion 优先于删除" if item.statutory else f"{law}weaker ground: counsel decides 由法务决定"
        )
        click.echo(f"  kept {item.kept_for} from {item.counted_from}: {item.basis} ({weight})")
    click.echo(f"{sum(item.records for item in found):,} records. 条记录。")


@command.command(short_help="Write a copy of a person's data.")
@click.argument("request")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The zip file to write; it must be new.",
)
@json_option
@store_option
def export(request: str, output: Path, as_json: bool, store: Path) -> None:
    """Write a copy of a person's data 导出副本: records by class, digests, grounds; for access and copy requests."""
    from liucun.store import open_store
    from retention.persons.copy import person_copy
    from retention.persons.requests import read_request
    from retention.policies.periods import shanghai_date

    if output.exists():
        raise UsageError(f"{output} exists already.", cure="Name a file that does not exist yet.")
    now = datetime.now(UTC)
    with open_store(store, Right.PERSONS_EXPORT) as opened:
        asked = read_request(opened, request, shanghai_date(now))
        copy = person_copy(opened, asked, output, actor=opened.actor, now=now)
    if as_json:
        print_json({"output": str(output), "records": copy.records, "files": copy.files, "digest": copy.digest})
    else:
        total = sum(copy.records.values())
        click.echo(f"{total:,} records in {copy.files:,} files written to {output}; digest {copy.digest}. 已导出。")
