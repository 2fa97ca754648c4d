"""``liucun compact``: merge small segments, join the log's objects, collect what nothing names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liucun.cli import json_option, print_json, store_option
from tickets.rights import Right

if TYPE_CHECKING:
    from retention.compaction.merge import Group


@click.command(name="compact", short_help="Merge small segments and collect what nothing names.")
@store_option
@click.option("--dry-run", is_flag=True, help="Show what would be merged, change nothing.")
@click.option(
    "--grace-hours",
    type=click.IntRange(min=1),
    default=24,
    show_default=True,
    help="How long an object without a name is left alone.",
)
@json_option
def command(store: Path, dry_run: bool, grace_hours: int, as_json: bool) -> None:
    """Merge small segments and collect what nothing names 合并归档段.

    Merged segments are sorted by account and time, so that look-ups read little. Every row
    is accounted for, the log keeps the manifests of the old segments, and their objects go
    after the grace period, like objects that crashed runs left behind.
    """
    from liucun.audit_progress import progress
    from liucun.store import open_store
    from retention.compaction.collect import collect
    from retention.compaction.journal import join_entries
    from retention.compaction.locking import lock_merged
    from retention.compaction.merge import compact, plan

    with open_store(store, Right.ARCHIVE_OPERATE) as opened:
        groups = plan(opened.catalogue)
        if dry_run:
            _show_plan(groups, as_json)
            return
        with progress(quiet=as_json) as show:
            merged = compact(opened.catalogue, opened.archive, groups, progress=show)
        opened.store.log.keep()
        locked = lock_merged(opened.catalogue, opened.objects, now=datetime.now(UTC))
        joined = join_entries(opened.store.log)
        collected = collect(opened.catalogue, opened.objects, grace=timedelta(hours=grace_hours))
    if as_json:
        print_json(
            {
                "merged": merged.groups,
                "replaced": merged.replaced,
                "rows": merged.rows,
                "bytes_before": merged.bytes_before,
                "bytes_after": merged.bytes_after,
                "overtaken": merged.overtaken,
                "log_objects_joined": joined,
                "collected": {
                    "orphans": collected.orphans,
                    "replaced": collected.replaced,
                    "leftovers": collected.leftovers,
                },
                "waiting": collected.waiting,
                "locked": locked,
                "kept_by_lock": collected.kept,
            }
        )
        return
    click.echo(f"Merged {merged.replaced:,} segments into {merged.groups:,} 合并归档段: {merged.rows:,} rows,")
    click.echo(f"  {merged.bytes_before:,} bytes before, {merged.bytes_after:,} after.")
    if merged.overtaken:
        click.echo(f"  {merged.overtaken:,} groups were changed by somebody else meanwhile; run it again.")
    click.echo(f"Collected {collected.orphans:,} orphans, {collected.replaced:,} replaced objects 已回收;")
    click.echo(f"  {collected.waiting:,} wait for their {grace_hours} hours, {collected.kept:,} are kept by a lock.")
    if locked:
        click.echo(f"Locked {locked:,} merged segments in the object store until their earliest day.")


def _show_plan(groups: Sequence[Group], as_json: bool) -> None:
    rows = [{"class": g.record_class, "period": g.period, "segments": len(g.manifests), "rows": g.rows} for g in groups]
    if as_json:
        print_json({"groups": rows})
        return
    for row in rows:
        click.echo(f"{row['class']} {row['period']}: {row['segments']:,} segments, {row['rows']:,} rows")
    click.echo(f"{len(rows)} merges; nothing was changed.")
