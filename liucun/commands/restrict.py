"""``liucun restrict``: take a person's records out of use while the law still keeps them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from errors import UsageError
from liucun.cli import json_option, print_json, store_option
from tickets.rights import Right


@click.command(name="restrict", short_help="Take an account's records out of use while they must be kept.")
@click.argument("account", required=False)
@click.option("--ground", metavar="TEXT", help="On what ground; recorded. Needed to restrict and to lift.")
@click.option("--lift", is_flag=True, help="End the restriction of ACCOUNT.")
@click.option("--list", "listing", is_flag=True, help="Show restrictions instead.")
@click.option("--all", "lifted", is_flag=True, help="Lifted ones too, with --list.")
@json_option
@store_option
def command(
    account: str | None, ground: str | None, lift: bool, listing: bool, lifted: bool, as_json: bool, store: Path
) -> None:
    """Restrict an account 限制处理: its records leave queries, analytics, backtests and training.

    They stay sealed and kept as long as the law asks (个人信息保护法 art. 47). What the account
    publishes anew is still scanned. `liucun query --restricted --basis TEXT` sees them on a
    legal ground.
    """
    from liucun.store import open_store
    from retention.persons import restriction

    if listing == (account is not None) or (lifted and not listing) or (lift and listing):
        raise UsageError("Name an account, or ask for --list.", cure='liucun restrict ACCOUNT --ground "art. 47"')
    if account is not None and ground is None:
        raise UsageError("A restriction needs its ground.", cure="Add --ground TEXT.")
    needs = Right.PERSONS_READ if listing else Right.RESTRICTIONS_LIFT if lift else Right.PERSONS_WORK
    with open_store(store, needs) as opened:
        if listing:
            found = [item.as_json() for item in restriction.list_restrictions(opened, lifted=lifted)]
        else:
            assert account is not None
            assert ground is not None
            now = datetime.now(UTC)
            if lift:
                made = restriction.lift(opened, account, reason=ground, actor=opened.actor, now=now)
            else:
                made = restriction.restrict(opened, account, ground=ground, actor=opened.actor, now=now)
    if listing:
        if as_json:
            print_json(found)
            return
        for item in found:
            click.echo(
                f"{item['restriction_id']} {item['state']} {item['account']}: {item['ground']} ({item['made_at']})"
            )
            if item["lifted_at"]:
                click.echo(f"  lifted by {item['lifted_by']} at {item['lifted_at']}: {item['lift_reason'] or '?'}")
        click.echo(f"{len(found)} restrictions. 项限制。")
    elif as_json:
        print_json({"restriction": made, "state": "lifted" if lift else "active"})
    else:
        click.echo(f"{made}: {'lifted 已解除' if lift else 'restricted 已限制'}.")
