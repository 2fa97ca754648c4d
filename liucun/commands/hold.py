"""``liucun hold``: keep what a matter needs, whatever its period says."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from errors import StorageError, UsageError
from liucun.cli import json_option, print_json, store_option
from tickets.rights import Right

if TYPE_CHECKING:
    import pyarrow as pa

    from liucun.store import OpenStore
    from retention.holds.place import Matter
    from retention.query.run import Rendered

MAX_PROOF = 64 << 20


@click.group(name="hold", short_help="Keep what a matter needs, whatever its period says.")
def command() -> None:
    """Holds 保全: nothing under hold is destroyed, by anybody, until the hold is released with proof."""


@command.command(short_help="Hold segments, an account, a span, a ticket, or what a query finds.")
@click.option("--matter", required=True, metavar="TEXT", help="The case, e.g. its file number; sealed.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; sealed.")
@click.option("--segment", "segment_ids", multiple=True, metavar="ID", help="A segment; repeatable.")
@click.option("--account", metavar="ID", help="All records of an account, as user or counterparty, later ones too.")
@click.option("--ticket", metavar="ID", help="The records that a ticket is about.")
@click.option(
    "--query", "sql", metavar="SQL", help="What a query finds: it selects log_source, log_partition, log_offset."
)
@click.option("--since", metavar="TIME", help="A span of event times from here on, later records too.")
@click.option("--until", metavar="TIME", help="End of the span, itself not in it.")
@click.option("--class", "record_class", metavar="CLASS", help="Only this class, for a span.")
@json_option
@store_option
def add(
    matter: str,
    reason: str,
    segment_ids: tuple[str, ...],
    account: str | None,
    ticket: str | None,
    sql: str | None,
    since: str | None,
    until: str | None,
    record_class: str | None,
    as_json: bool,
    store: Path,
) -> None:
    """Place a hold 设置保全. It works at once; several holds may lie on one record.

    \b
    liucun hold add --matter "case 12" --reason "lawsuit" --account u42
    liucun hold add --matter "audit 2026" --reason "inspection" --since 2026-01-01 --until 2026-07-01
    """
    from liucun.store import open_store
    from retention.holds import place
    from retention.holds.place import Matter
    from retention.holds.service import enforce, examine

    span = since is not None or until is not None or record_class is not None
    if sum((bool(segment_ids), account is not None, ticket is not None, sql is not None, span)) != 1:
        raise UsageError(
            "A hold has one target.", cure="Give one of --segment, --account, --ticket, --query, or a span of time."
        )
    case, now = Matter(matter, reason), datetime.now(UTC)
    needs = (Right.HOLDS_PLACE, Right.ARCHIVE_QUERY) if sql is not None else Right.HOLDS_PLACE
    with open_store(store, needs) as opened:
        if segment_ids:
            made = place.hold_segments_named(opened, case, segment_ids, actor=opened.actor, now=now)
        elif account is not None:
            made = place.hold_account(opened, case, account, actor=opened.actor, now=now)
        elif ticket is not None:
            made = place.hold_ticket(opened, case, ticket, actor=opened.actor, now=now)
        elif sql is not None:
            made = _by_query(opened, case, sys.stdin.read() if sql == "-" else sql, now)
        else:
            made = place.hold_span(
                opened,
                case,
                since=_moment(since),
                until=_moment(until),
                record_class=record_class,
                actor=opened.actor,
                now=now,
            )
        examine(opened, now=now)
        enforce(opened)
        (found,) = [hold for hold in _list(opened, released=False, matter=None) if hold["hold_id"] == made]
    if as_json:
        print_json(found)
    else:
        click.echo(f"{made} holds {found['segments']} segments. 已保全。")


@command.command(name="list", short_help="Holds, with what they keep.")
@click.option("--all", "released", is_flag=True, help="Released ones too.")
@click.option("--matter", metavar="TEXT", help="Only those of this case.")
@json_option
@store_option
def list_command(released: bool, matter: str | None, as_json: bool, store: Path) -> None:
    """List holds 保全清单."""
    from liucun.store import open_store

    with open_store(store, Right.HOLDS_READ) as opened:
        found = _list(opened, released=released, matter=matter)
    if as_json:
        print_json(found)
        return
    for hold in found:
        click.echo(f"{hold['hold_id']} {hold['state']} {hold['kind']}  {hold['matter']}: {hold['reason']}")
        click.echo(f"  {hold['target']}  {hold['segments']} segments, by {hold['placed_by']} at {hold['placed_at']}")
        if hold["released_at"]:
            click.echo(
                f"  released by {hold['released_by']} at {hold['released_at']}: {hold['release_reason']}; "
                f"document {hold['proof']}"
            )
        if hold["waiting"]:
            click.echo(f"  {hold['waiting']} segments not examined yet: they are held until then.")
    click.echo(f"{len(found)} holds. 项保全。")


@command.command(short_help="Release a hold with a reason and a document.")
@click.argument("hold_id", metavar="HOLD")
@click.option("--reason", required=True, metavar="TEXT", help="Why; sealed.")
@click.option(
    "--proof",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The document that allows it; its digest goes on record.",
)
@json_option
@store_option
def release(hold_id: str, reason: str, proof: Path, as_json: bool, store: Path) -> None:
    """Release a hold 解除保全. What it kept is not destroyed by that: purges are planned and approved as ever."""
    from liucun.store import open_store
    from retention.holds.service import enforce
    from retention.holds.service import release as let_go

    try:
        if proof.stat().st_size > MAX_PROOF:
            raise UsageError(f"{proof} is over 64 MiB.", cure="Give the signed document itself.")
        document = proof.read_bytes()
    except OSError as error:
        raise StorageError(f"{proof} cannot be read: {error.strerror}.", cure="Check its rights.") from error
    with open_store(store, Right.HOLDS_RELEASE) as opened:
        digest = let_go(opened, hold_id, reason=reason, proof=document, actor=opened.actor, now=datetime.now(UTC))
        enforce(opened)
    if as_json:
        print_json({"hold": hold_id, "state": "released", "proof": digest})
    else:
        click.echo(f"Released {hold_id}; digest of the document: {digest}. 已解除。")


def _by_query(opened: OpenStore, case: Matter, sql: str, now: datetime) -> str:
    from retention.holds.place import hold_rows
    from retention.query.render import renderer
    from retention.query.run import run_query

    results: list[pa.Table] = []
    render = renderer("json", "Asia/Shanghai")

    def keep(table: pa.Table) -> Rendered:
        results.append(table)
        return render(table)

    run_query(opened, sql, purpose=f"hold: {case.name}", actor=opened.actor, render=keep, basis=f"hold: {case.name}")
    return hold_rows(opened, case, sql, results[0], actor=opened.actor, now=now)


def _list(opened: OpenStore, *, released: bool, matter: str | None) -> list[dict[str, object]]:
    from retention.holds.service import list_holds

    return [hold.as_json() for hold in list_holds(opened, released=released, matter=matter)]


def _moment(text: str | None) -> datetime | None:
    from liucun.times import read_time

    return None if text is None else read_time(text)
