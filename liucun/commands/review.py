"""``liucun review``: a random sample a day of what the detectors passed, looked at by people, and the miss rate."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click

from errors import UsageError
from liucun.cli import json_option, print_json, store_option
from tickets.rights import Right


@click.group(name="review", short_help="Human review of a daily random sample; the measured miss rate.")
def command() -> None:
    """Human review 人工抽检: of what the detectors passed, a random sample a day is looked at by people.

    `liucun worker` draws every day's sample; reviewers look at it here or in the console. What they
    find becomes a ticket in the same step. `liucun review rate` shows the miss rate 漏检率 with its interval.
    """


_DAY = click.option("--day", metavar="DATE", help="Day of publication, in Asia/Shanghai.")


@command.command(name="draw")
@store_option
@_DAY
@click.option("--size", type=click.IntRange(1, 10_000), help="Texts, instead of [review] size.")
@json_option
def draw_command(store: Path, day: str | None, size: int | None, as_json: bool) -> None:
    """Draw the sample of a day that is over, or of every day that is due. A drawn day is never drawn again."""
    from liucun.reviewing import draw_due, frames
    from liucun.store import open_store
    from tickets.samples.draw import draw

    if size is not None and day is None:
        raise UsageError("--size is for one --day.", cure="Name the day, or set [review] size.")
    with open_store(store, Right.ARCHIVE_OPERATE) as opened:
        if day is None:
            found: dict[str, Any] = draw_due(opened)
        else:
            wanted = size or opened.settings.review.size
            if not wanted:
                raise UsageError("[review] size is 0.", cure="Set it, or give --size.")
            drawn = draw(opened, frames(opened), _day(day), wanted, actor=opened.actor)
            found = {"days": 1, "drawn": len(drawn.places), "passed": dict(drawn.passed), "flagged": drawn.flagged}
    if as_json:
        print_json(found)
        return
    click.echo(f"{found['days']} days, {found['drawn']} texts drawn. 已抽样。")


@command.command(name="check")
@store_option
@click.argument("day")
@json_option
def check_command(store: Path, day: str, as_json: bool) -> None:
    """Draw the sample of DAY again and compare: nobody put a text in or took one out. Exit 5 when it differs."""
    from liucun.store import open_store
    from tickets.samples.draw import check

    with open_store(store, Right.AUDIT_RUN) as opened:
        found = check(opened, _day(day), actor=opened.actor)
    if as_json:
        print_json({"day": found.day, "texts": len(found.places), "passed": sum(found.passed.values())})
        return
    click.echo(f"{day}: the same {len(found.places)} texts are drawn. 抽样可重现。")


@command.command(name="list")
@store_option
@_DAY
@click.option("--all", "every", is_flag=True, help="Judged ones too.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@json_option
def list_command(store: Path, day: str | None, every: bool, limit: int, as_json: bool) -> None:
    """List samples that wait, in the order in which they are to be looked at. No texts."""
    from liucun.store import open_store
    from tickets.samples.judge import list_samples
    from tickets.samples.tables import GONE, HARMLESS, ILLEGAL, WAITING

    states = (WAITING, HARMLESS, ILLEGAL, GONE) if every else (WAITING,)
    wanted = None if day is None else _day(day).isoformat()
    with open_store(store, Right.QUEUE_READ) as opened, opened.catalogue.read() as connection:
        found = list_samples(connection, states=states, day=wanted, limit=limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        decided = f"  {one.category or ''} {one.judged_by} {one.ticket_id or ''}" if one.judged_by else ""
        click.echo(f"{one.sample_id}  {one.day}  {one.content_type}  {one.state}{decided}")
    click.echo(f"{len(found)} samples. 件样本。")


@command.command(name="show")
@store_option
@click.argument("sample")
@click.option("--purpose", metavar="TEXT", help="Show personal data in full, for this; it is recorded, sealed.")
@json_option
def show_command(store: Path, sample: str, purpose: str | None, as_json: bool) -> None:
    """Show the text of SAMPLE, personal data masked; the query is recorded."""
    from console.masking import mask_account, mask_text
    from liucun.store import open_store
    from liucun.unmasking import record_look
    from tickets.samples.judge import get_sample, show

    needs = (Right.TICKETS_WORK, Right.CONTENT_READ, *(() if purpose is None else (Right.PERSONAL_REVEAL,)))
    with open_store(store, needs) as opened:
        with opened.catalogue.read() as connection:
            one = get_sample(connection, sample)
        if purpose is not None:
            record_look(opened.catalogue, opened.bodies, opened.actor, [f"sample:{sample}"], purpose)
        shown = show(opened, one, actor=opened.actor)
    if shown is None:
        raise UsageError(f"The record of {sample} is restricted or destroyed by now.", cure="Go on with the next one.")
    text, user_id = shown.text, shown.user_id
    if purpose is None:
        text, user_id = mask_text(text), user_id and mask_account(user_id)
    if as_json:
        masked = purpose is None
        found = {"text": text, "user_id": user_id, "content_id": shown.content_id, "masked": masked}
        print_json({**asdict(one), **found})
        return
    click.echo(f"{one.sample_id}  {one.day}  {one.content_type}  {one.source}  {shown.content_id or ''}")
    click.echo(text)


@command.command(name="judge")
@store_option
@click.argument("sample")
@click.option("--harmless", is_flag=True, help="The detectors were right to pass it.")
@click.option("--category", help="It is illegal: a ticket of this category is opened at once.")
@click.option("--severity", type=click.IntRange(1, 4), default=3, show_default=True, help="Of the ticket.")
@json_option
def judge_command(store: Path, sample: str, harmless: bool, category: str | None, severity: int, as_json: bool) -> None:
    """Decide on SAMPLE: harmless, or illegal, which opens a ticket in the same step."""
    if harmless == (category is not None):
        raise UsageError("Give either --harmless or --category.", cure="Categories are those of `liucun rules list`.")
    from liucun.store import open_store
    from tickets.samples.judge import judge

    with open_store(store, Right.TICKETS_WORK) as opened:
        found = judge(
            opened,
            opened.bodies,
            sample,
            actor=opened.acting,
            category=category,
            severity=severity,
            settings=opened.settings.tickets,
        )
    if as_json:
        print_json(asdict(found))
        return
    click.echo(f"{sample}: {found.state}{f', ticket 工单 {found.ticket_id}' if found.ticket_id else ''}")


@command.command(name="rate")
@store_option
@click.option("--since", metavar="DATE", help="From this day of publication on.")
@click.option("--until", metavar="DATE", help="Before this day.")
@json_option
def rate_command(store: Path, since: str | None, until: str | None, as_json: bool) -> None:
    """Show the measured miss rate 漏检率 with its 95 % interval: in all, by week and by type of content."""
    from liucun.store import open_store
    from tickets.samples.standing import standing

    with open_store(store, Right.OVERVIEW_READ) as opened, opened.catalogue.read() as connection:
        found = standing(
            connection, since=None if since is None else _day(since), until=None if until is None else _day(until)
        )
    if as_json:
        print_json(found.as_json())
        return
    total = found.total
    click.secho(f"Miss rate 漏检率 {total.words()}", bold=True)
    click.echo(
        f"  {total.reviewed:,} of {total.drawn:,} drawn texts reviewed, {total.missed:,} missed; "
        f"{total.passed:,} texts passed on {len(found.by_day)} days 放行文本,抽样 {len(found.by_day)} 天"
    )
    click.echo(f"  {found.waiting:,} wait 待复核; {found.gone:,} could not be shown any more 已不可见")
    for rates in (found.by_week, found.by_type):
        for name, rate in rates.items():
            click.echo(f"  {name}: {rate.words()}  {rate.reviewed:,}/{rate.drawn:,} of {rate.passed:,}")


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text[:40]!r} is no date.", cure="Write it as 2026-11-24.") from error
    if not date(2000, 1, 1) <= found <= date.max - timedelta(days=2):
        raise UsageError(f"{text} is out of range.", cure="Write a day since 2000-01-01.")
    return found
