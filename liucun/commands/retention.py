"""``liucun retention``: policies, what they keep, what a day would bring, orders that wait for a decision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from errors import UsageError
from liucun.cli import json_option, print_json, store_option
from tickets.rights import Right

if TYPE_CHECKING:
    from liucun.store import OpenStore
    from retention.policies.simulate import Forecast

MOST_DAYS = 36_500
_VERSION = click.IntRange(1, (1 << 31) - 1)
REASONS = {
    "floor": "within its period 未到期",
    "open_subjects": "orders or others not ended 未完结",
    "hold": "under hold 保全",
    "ticket": "open ticket 工单未结",
    "young": "ingested lately 入库未满",
    "unread": "not read yet 未读取",
}
LONGER = {
    "open_neighbour": "another one in the same month has not ended 同月有未完结",
    "later_neighbour": "another one in the same month ended later 同月有较晚完结",
    "hold": "hold 保全",
    "open_ticket": "open ticket 工单未结",
    "ingested_late": "ingested late 入库较晚",
    "unread": "not read yet 未读取",
}


@click.group(name="retention", short_help="Policies, what they keep, and what any day would bring.")
def command() -> None:
    """Policies 留存策略: how long each class is kept, on what ground, and what any day would bring."""


@contextmanager
def _opened(store: Path, needs: Right = Right.RETENTION_READ) -> Iterator[OpenStore]:
    from liucun.store import open_store
    from retention.purge.upkeep import bring_up_to_date

    with open_store(store, needs) as opened:
        bring_up_to_date(opened, opened.settings.retention)
        yield opened


@command.command(short_help="Policies in force, floors of the law, proposals, and what is kept.")
@click.option("--units", is_flag=True, help="List every unit (what one period key seals) with its verdict.")
@json_option
@store_option
def show(units: bool, as_json: bool, store: Path) -> None:
    """Show policies and what they keep today 现行策略.

    A unit is what one period key seals, a class and month as a rule: it goes whole or not at all.
    """
    from retention.policies.book import proposals
    from retention.policies.model import shipped_matrix
    from retention.policies.periods import shanghai_date
    from retention.policies.simulate import simulate

    today = shanghai_date(datetime.now(UTC))
    with _opened(store) as opened, opened.catalogue.read() as connection:
        found = simulate(connection, today, settings=opened.settings.retention)
        waiting = proposals(connection, today)
    floors = shipped_matrix().floors
    if as_json:
        print_json(
            {
                **found.as_json(),
                "floors": [{**asdict(floor), "period": str(floor.period)} for floor in floors],
                "proposals": [
                    {**p.policy.as_json(), "state": p.state, "proposed_by": p.proposed_by, "shortens": p.shortens}
                    for p in waiting
                ],
            }
        )
        return
    for name, item in found.classes.items():
        policy = item.policy
        click.secho(f"{name}: {policy.floor} from {policy.counted_from.value}, gone by {policy.ceiling}", bold=True)
        click.echo(f"  basis 依据 [{policy.rank.value}]: {policy.basis}; v{policy.version}, {policy.approved_by}")
        for floor in floors:
            if name in floor.classes:
                click.echo(f"  floor 底线 {floor.period}: {floor.name}")
    for proposal in waiting:
        policy = proposal.policy
        when = "" if proposal.state == "proposed" else f", from {policy.in_force_from}"
        click.echo(f"{proposal.state}: {policy.label} {policy.floor} by {proposal.proposed_by}{when}")
    _print(found, units)


@command.command(name="simulate", short_help="What would be kept, destroyed and held on a day.")
@click.option("--at", "at_day", required=True, metavar="DATE", help="The day, in Asia/Shanghai, e.g. 2029-12-01.")
@click.option("--units", is_flag=True, help="List every unit (what one period key seals) with its verdict.")
@json_option
@store_option
def simulate_command(at_day: str, units: bool, as_json: bool, store: Path) -> None:
    """Simulate a day 推演: records, bytes and segments kept, due and held, with the reasons.

    Nothing is changed. Holds, tickets and orders are taken as they stand now.
    """
    from retention.policies.simulate import simulate

    day = _day(at_day, "--at")
    with _opened(store) as opened, opened.catalogue.read() as connection:
        found = simulate(connection, day, settings=opened.settings.retention)
    if as_json:
        print_json(found.as_json())
    else:
        _print(found, units)


@command.command(short_help="Ask for another period of a class.")
@click.argument("record_class")
@click.option("--floor", required=True, metavar="PERIOD", help="Keep at least so long, e.g. P3Y, P18M, P400D.")
@click.option("--ceiling", metavar="PERIOD", help="Gone by then. [default: three months after the floor]")
@click.option("--basis", required=True, metavar="TEXT", help="On what ground.")
@click.option(
    "--rank",
    type=click.Choice(["law", "regulation", "licence", "rule", "design"]),
    default="design",
    show_default=True,
    help="What kind of ground it is.",
)
@json_option
@store_option
def propose(
    record_class: str, floor: str, ceiling: str | None, basis: str, rank: str, as_json: bool, store: Path
) -> None:
    """Propose a period 提议. No setting goes under a floor of the law or the licence.

    Another person approves. A longer period counts at once, a shorter one after a wait; neither
    destroys anything by itself.
    """
    from liucun.store import open_store
    from retention.policies import book
    from retention.policies.model import Rank

    with open_store(store, Right.RETENTION_PROPOSE) as opened:
        made = book.propose(
            opened.catalogue,
            record_class,
            floor=_period(floor),
            ceiling=None if ceiling is None else _period(ceiling),
            basis=basis,
            rank=Rank(rank),
            actor=opened.actor,
            now=datetime.now(UTC),
        )
    if as_json:
        print_json({**made.policy.as_json(), "state": made.state, "shortens": made.shortens})
        return
    click.echo(f"Proposed {made.policy.label}: {made.policy.floor}. Another person approves it:")
    click.echo(f"  liucun retention approve {record_class} {made.policy.version}")


@command.command(short_help="Approve a proposed period as another person.")
@click.argument("record_class")
@click.argument("version", type=_VERSION)
@json_option
@store_option
def approve(record_class: str, version: int, as_json: bool, store: Path) -> None:
    """Approve a proposal 批准; who proposed it cannot."""
    from liucun.store import open_store
    from retention.policies import book

    with open_store(store, Right.RETENTION_APPROVE) as opened:
        policy = book.approve(
            opened.catalogue,
            record_class,
            version,
            actor=opened.actor,
            now=datetime.now(UTC),
            settings=opened.settings.retention,
        )
    if as_json:
        print_json(policy.as_json())
    else:
        click.echo(f"Approved {policy.label}: {policy.floor}, counts from {policy.in_force_from}. 已批准。")


@command.command(short_help="Take a proposal back, or a policy that does not count yet.")
@click.argument("record_class")
@click.argument("version", type=_VERSION)
@store_option
def withdraw(record_class: str, version: int, store: Path) -> None:
    """Withdraw a proposal 撤回."""
    from liucun.store import open_store
    from retention.policies import book

    with open_store(store, Right.RETENTION_PROPOSE) as opened:
        book.withdraw(opened.catalogue, record_class, version, actor=opened.actor, now=datetime.now(UTC))
    click.echo(f"Withdrawn: {record_class} v{version}. 已撤回。")


@command.command(short_help="Open orders without news, for a person's decision.")
@click.option(
    "--days", type=click.IntRange(1, MOST_DAYS), help="Without news for so long. [default: silent_order_days, 180]"
)
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="List so many at most."
)
@json_option
@store_option
def silent(days: int | None, limit: int, as_json: bool, store: Path) -> None:
    """List open orders (sellers, streams) without news 无消息订单. They never expire by themselves.

    Their names are not stored; the segment tells where their records are.
    """
    from retention.policies.decisions import count_silent
    from retention.policies.decisions import silent as find
    from retention.policies.periods import shanghai_date

    with _opened(store) as opened, opened.catalogue.read() as connection:
        today, quiet = shanghai_date(datetime.now(UTC)), days or opened.settings.retention.silent_order_days
        found = find(connection, today, quiet, limit)
        total = count_silent(connection, today, quiet)[0] if len(found) == limit else len(found)
    if total > len(found):
        click.echo(f"The {len(found):,} longest silent of {total:,}: --limit lists more. 仅列出部分。", err=True)
    if as_json:
        print_json([asdict(item) for item in found])
        return
    for item in found:
        click.echo(f"{item.record_class} {item.blind}  last {item.news_on}  {item.records} records  {item.segment_id}")
    click.echo(f"{total} without news for {quiet} days. 条无消息。")


@command.command(short_help="Propose that an open order has ended.")
@click.argument("record_class")
@click.argument("name")
@click.option("--ended-on", required=True, metavar="DATE", help="The day on which it ended.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; recorded, sealed.")
@click.option("--hash", "is_blind", is_flag=True, help="NAME is the hash that `retention silent` lists.")
@click.option("--listing", is_flag=True, help="NAME is an article whose listing ended, of the class `transaction`.")
@store_option
def decide(
    record_class: str, name: str, ended_on: str, reason: str, is_blind: bool, listing: bool, store: Path
) -> None:
    """Propose that an order, listing, seller or stream has ended 认定完结; another person confirms."""
    from errors import UsageError
    from retention.policies.decisions import propose_end
    from retention.policies.listings import listing_name

    day = _day(ended_on, "--ended-on")
    if listing and (is_blind or record_class != "transaction"):
        raise UsageError(
            "Listings are told by their article and are of the class `transaction`.",
            cure="Write: liucun retention decide transaction ARTICLE --listing …",
        )
    name = listing_name(name) if listing else name
    with _opened(store, Right.RETENTION_PROPOSE) as opened:
        made = propose_end(
            opened,
            record_class,
            name,
            ended_on=day,
            reason=reason,
            actor=opened.actor,
            now=datetime.now(UTC),
            is_blind=is_blind,
        )
    click.echo(f"Proposed. Another person confirms it: liucun retention confirm {made}")


@command.command(short_help="Confirm a decision as another person.")
@click.argument("decision")
@store_option
def confirm(decision: str, store: Path) -> None:
    """Confirm that an order, seller or stream has ended 确认完结; who proposed it cannot."""
    from retention.policies.decisions import approve_end

    with _opened(store, Right.RETENTION_APPROVE) as opened:
        approve_end(opened, decision, actor=opened.actor, now=datetime.now(UTC))
    click.echo(f"Confirmed {decision}. 已确认。")


def _print(found: Forecast, units: bool) -> None:
    click.secho(f"On {found.at} (Asia/Shanghai):", bold=True)
    click.echo(f"  {'class':16} {'':6} {'records':>14} {'bytes':>16} {'segments':>9}")
    for name, item in found.classes.items():
        for verdict, amount in item.amounts.items():
            if amount.records or amount.segments:
                click.echo(
                    f"  {name:16} {verdict.value:6} {amount.records:>14,} {amount.bytes:>16,} {amount.segments:>9,}"
                )
        for code, count in item.reasons.items():
            click.echo(f"  {'':16} {count} units: {REASONS.get(code, code)}")
        for code, records in item.longer.items():
            click.echo(f"  {'':16} kept longer than needed: {records:,} records, {LONGER.get(code, code)}")
    for one in found.trails:
        rule = "the data that they concern 与所涉数据同期" if one.trail.floor is None else f"{one.trail.floor}"
        click.echo(
            f"  events 事件 {one.trail.name:12} {one.events:>10,}, needed {one.needed:,} ({rule}, since "
            f"{one.needed_from}); {one.events - one.needed:,} more stay in the log"
        )
    if any(found.listings.as_json().values()):
        stand = found.listings
        click.echo(
            f"  listings 商品信息: {stand.on_sale:,} on sale 在售, {stand.never_sold:,} down, never sold 下架未成交, "
            f"{stand.sold:,} down, sold 下架有成交, {stand.waiting:,} down, waiting for orders 待订单完结"
        )
    if units:
        for state in found.units:
            why = "; ".join(f"{reason.code}: {reason.detail}" for reason in state.reasons)
            click.echo(
                f"  {state.verdict.value:5} {state.key_id} {' '.join(state.periods)} {state.rows:,} records  {why}"
            )


def _period(text: str) -> Any:
    from retention.policies.periods import CalendarPeriod

    try:
        return CalendarPeriod.parse(text)
    except ValueError as error:
        raise UsageError(f"{error}.", cure="Write it as ISO 8601 does: P3Y, P18M, P60D.") from error


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is no date.", cure="Write it as 2029-12-01.") from error
