"""``liucun sample``: seeded logs of a platform, to try everything on."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, time
from pathlib import Path

import click

from liucun.cli import json_option, print_json
from liucun.times import read_time


@click.command(name="sample", short_help="Write seeded sample logs.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to; empty or new.")
@click.option("--records", type=click.IntRange(1, 100_000_000), default=200_000, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Same seed and day, same bytes.")
@click.option("--days", type=click.IntRange(1, 3650), default=60, show_default=True, help="How many days they span.")
@click.option("--until", metavar="TIME", help="End of the last day. [default: today 00:00 UTC]")
@json_option
def command(out: Path, records: int, seed: int, days: int, until: str | None, as_json: bool) -> None:
    """Write sample logs 样本日志: orders, log-ins, access and gateway logs, comments, product titles, shop names.

    Ordinary texts and planted violations, some of them disguised, and a few broken lines.
    planted.csv says what was planted; sources.toml declares the files as sources for a
    store's liucun.toml.
    """
    from liucun.sample.writing import PLANTED_FILE, SOURCES_FILE, STREAMS, write_sample

    end = read_time(until) if until else datetime.combine(datetime.now(UTC).date(), time(), UTC)
    with click.progressbar(
        length=records, label="Writing 生成", file=sys.stderr, hidden=as_json or not sys.stderr.isatty()
    ) as bar:
        sample = write_sample(out, records=records, seed=seed, days=days, until=end, done=bar.update)
    sources = [
        {"source": stream.spec(out), "published": stream.published, "records": sample.records[stream.name]}
        for stream in STREAMS
    ]
    if as_json:
        print_json(
            {
                "folder": str(out),
                "records": sum(sample.records.values()),
                "bytes": sample.bytes,
                "planted": sample.planted,
                "sources": sources,
            }
        )
        return
    click.echo(f"Wrote {sum(sample.records.values()):,} records, {sample.bytes / 1e6:.1f} MB, to {out}.")
    click.echo(f"Planted violations 植入违规: {sample.planted:,}, listed in {out / PLANTED_FILE}.")
    for source in sources:
        click.echo(f"  --source {source['source']}{' --published' if source['published'] else ''}")
    click.echo(f"Declared as sources in {out / SOURCES_FILE}.")
