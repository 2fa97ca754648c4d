"""More commands of ``liucun tickets``: hand over, many at once, belong together, second person, opened by hand."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path

import click

from errors import UsageError
from liucun.cli import json_option, print_json, store_option
from liucun.commands._ticket_desk import open_desk, show_step
from liucun.times import read_time, show_time
from tickets.categories import categories
from tickets.queue import Filters
from tickets.states import Channel, Decision, Measure, Part, State
from tickets.steps.approving import list_approvals
from tickets.steps.bulk import BulkAction, BulkResult
from tickets.steps.joining import group_of, linked
from tickets.steps.opening import BY_HAND, ManualFinding

_MAX_FILE = 400_000


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
    moment = _time(effective_at)
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


@click.command(name="merge")
@store_option
@click.argument("ticket", nargs=-1, required=True)
@click.option("--into", required=True, help="The ticket that they become part of.")
@click.option("--reason", required=True, help="Why; kept sealed with the ticket.")
@json_option
def merge_command(store: Path, ticket: tuple[str, ...], into: str, reason: str, as_json: bool) -> None:
    """Make undisposed tickets part of another one 并案; the earliest clocks hold."""
    show_step(store, as_json, lambda desk: desk.merge(ticket, into, reason))


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
    moment = _time(effective_at)
    show_step(store, as_json, lambda desk: desk.acknowledge_order(order, effective_at=moment, reference=reference))


@click.command(name="police")
@store_option
@click.argument("ticket")
@click.option("--receipt", required=True, help="Number under which the police took it.")
@json_option
def police_command(store: Path, ticket: str, receipt: str, as_json: bool) -> None:
    """Record the report to the police 公安报告."""
    show_step(store, as_json, lambda desk: desk.report_to_police(ticket, receipt))


@click.command(name="open")
@store_option
@click.option(
    "--channel",
    type=click.Choice(sorted(c.value for c in BY_HAND)),
    required=True,
    help="complaint 举报, authority 主管部门通知, engine 识别引擎, human 人工巡查.",
)
@click.option("--category", required=True, help="Category, as in `liucun rules list`.")
@click.option("--subtype", help="Subtype.")
@click.option("--severity", type=click.IntRange(1, 4), default=3, show_default=True, help="1 low to 4 critical.")
@click.option("--text", help="What it says, or what was seen.")
@click.option("--text-file", type=click.Path(path_type=Path), help="The same from a file, UTF-8.")
@click.option("--content-id", help="The platform's id of the content.")
@click.option("--content-source", default="manual", show_default=True, help="Source that the id belongs to.")
@click.option("--account", help="Who published it.")
@click.option("--url", default="", help="Where it stands.")
@click.option("--reference", default="", help="Number of the complaint, order or job.")
@click.option("--engine", default="", help="Name of the engine.")
@click.option("--score", type=click.FloatRange(0, 1), default=1.0, help="The engine's score.")
@click.option("--reach", type=click.IntRange(0), default=0, help="Views and reposts.")
@click.option("--published-at", metavar="TIME", help="When it was published. [default: now]")
@click.option("--due", metavar="TIME", help="The authority's own deadline.")
@click.option("--blocked-at", metavar="TIME", help="When the platform blocked it by itself.")
@json_option
def open_command(
    store: Path,
    channel: str,
    category: str,
    subtype: str | None,
    severity: int,
    text: str | None,
    text_file: Path | None,
    content_id: str | None,
    content_source: str,
    account: str | None,
    url: str,
    reference: str,
    engine: str,
    score: float,
    reach: int,
    published_at: str | None,
    due: str | None,
    blocked_at: str | None,
    as_json: bool,
) -> None:
    """Open a ticket by hand 人工立案: complaints, orders of an authority, verdicts of image, video or audio engines."""
    if category not in categories():
        raise UsageError(f"There is no category {category!r}.", cure=f"There are {', '.join(categories())}.")
    finding = ManualFinding(
        channel=Channel(channel),
        category=category,
        text=_text(text, text_file),
        severity=severity,
        subtype=subtype,
        source=content_source,
        content_id=content_id,
        user_id=account,
        url=url,
        reference=reference,
        engine=engine,
        score=score,
        reach=reach,
        event_time=_time(published_at),
        own_due_at=_time(due),
        blocked_at=_time(blocked_at),
    )
    show_step(store, as_json, lambda desk: desk.open_manual(finding))


def _text(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        raise click.UsageError("Give either --text or --text-file.")
    if file is None:
        return text or ""
    try:
        if file.stat().st_size > _MAX_FILE:
            raise UsageError(f"{file} is larger than 400 kB.", cure="Give the part that matters.")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as UTF-8 text.", cure="Check the file.") from error


def _time(text: str | None) -> datetime | None:
    return None if text is None else read_time(text)


def _print_bulk(found: BulkResult, as_json: bool) -> None:
    if as_json:
        print_json(found.as_json())
        return
    click.echo(f"{len(found.done)} done 已处理, {len(found.refused)} refused 未处理")
    for number, why in found.refused[:20]:
        click.echo(f"  {number}: {why}")
    if found.token and found.until:
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
    assign_command,
    release_command,
    next_command,
    bulk_command,
    undo_command,
    links_command,
    link_command,
    group_command,
    merge_command,
    approvals_command,
    approve_command,
    refuse_command,
    effective_command,
    confirm_order_command,
    police_command,
    open_command,
)
