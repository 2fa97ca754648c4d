"""``liucun bench``: the project's benchmarks, runnable by anyone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from liucun.cli import json_option, print_json

RECORD_US, BATCH_MS = 8.5, 30.0
"""CPU time of a record (measured) and of a batch (assumed), as docs/sizing.md has it."""


@click.group(name="bench", short_help="Measure this machine.")
def command() -> None:
    """Benchmarks 基准测试: ratios taken in one run, so that they compare across machines."""


@command.command(name="ingest")
@click.option(
    "--records", type=click.IntRange(10_000, 50_000_000), default=500_000, show_default=True, help="How many."
)
@json_option
def ingest_command(records: int, as_json: bool) -> None:
    """Ingest end to end against the bare native stages, each on one core.

    Prints records a second, MB/s, peak memory and the ratio of the two.
    """
    from benchmarks.ingest import measure

    _show(measure(records).as_json(), as_json)


@command.command(name="archive")
@json_option
def archive_command(as_json: bool) -> None:
    """The sealed archive against the same Parquet file unencrypted, on one thread.

    Sealing, scanning, and looking up one row, for both suites; exit 1 when a target is missed.
    """
    import sys

    from benchmarks.archive import measure

    found = measure()
    if as_json:
        print_json([figures.as_json() for figures in found])
    else:
        for figures in found:
            click.echo("\n".join(figures.lines()))
    if any(figures.missed for figures in found):
        sys.exit(1)


@command.command(name="detect")
@click.option(
    "--records", type=click.IntRange(10_000, 5_000_000), default=200_000, show_default=True, help="How many texts."
)
@click.option(
    "--words", type=click.IntRange(100, 500_000), default=60_000, show_default=True, help="Words of the keyword stage."
)
@json_option
def detect_command(records: int, words: int, as_json: bool) -> None:
    """Detection on one core: texts a second, memory and start.

    The keyword stage, normalising included, is shown as a ratio to the bare matcher over the same texts;
    then keywords and model together, the memory beyond the data, and the time to a fresh process's first finding.
    """
    from benchmarks.detect import measure

    _show(measure(records, words), as_json)


@command.command(name="flink")
@click.option("--kafka", required=True, metavar="HOST:PORT", envvar="LIUCUN_TEST_KAFKA", help="A broker.")
@click.option(
    "--flink-master", required=True, metavar="HOST:PORT", envvar="LIUCUN_TEST_FLINK", help="REST of the job manager."
)
@click.option(
    "--job-server", required=True, metavar="HOST:PORT", envvar="LIUCUN_TEST_FLINK_JOB_SERVER", help="Beam's job server."
)
@click.option(
    "--postgres", required=True, metavar="URL", envvar="LIUCUN_TEST_POSTGRES", help="Account that creates databases."
)
@click.option(
    "--records", type=click.IntRange(20_000, 50_000_000), default=400_000, show_default=True, help="In each burst."
)
@click.option(
    "--seconds", type=click.FloatRange(0, 3600), default=60, show_default=True, help="Of the steady stream; 0: none."
)
@json_option
def flink_command(
    kafka: str, flink_master: str, job_server: str, postgres: str, records: int, seconds: float, as_json: bool
) -> None:
    """The run on Flink against the embedded run, and parallelism 1 against 2; then the time to a ticket.

    CPU time a record, records a second and waits on locks; from a line's handing over to Kafka to its ticket,
    at half the rate that was reached. The servers are those of `make services`: . .services/env. Exit 1 when a
    target is missed.
    """
    import sys

    from benchmarks.flink import measure
    from benchmarks.flink_stand import Servers

    servers = Servers(kafka, flink_master, job_server, postgres)
    figures = measure(servers, records, seconds, lambda text: click.echo(f"measuring {text} ...", err=True))
    if as_json:
        print_json(figures)
    else:
        for name, value in figures.items():
            for part, figure in value.items() if isinstance(value, dict) else [("", value)]:
                click.echo(f"{f'{name} {part}'.strip():>52}  {figure}")
    sys.exit(0 if figures["ok"] else 1)


@command.command(name="sizing")
@click.option("--rate", type=click.FloatRange(1, 1e9), default=1_000_000, show_default=True, help="Records a second.")
@click.option("--lanes", type=click.IntRange(1, 4096), default=32, show_default=True, help="Lanes of all workers.")
@click.option("--cores", type=click.IntRange(1, 8192), default=16, show_default=True, help="Cores of all workers.")
@click.option(
    "--record-us",
    type=click.FloatRange(0.01, 10_000),
    default=RECORD_US,
    show_default=True,
    help="CPU of a record, µs.",
)
@click.option(
    "--batch-ms", type=click.FloatRange(0, 60_000), default=BATCH_MS, show_default=True, help="CPU of a batch, ms."
)
@click.option("--store-ms", type=click.FloatRange(0, 60_000), default=30, show_default=True, help="A write to S3, ms.")
@click.option("--commit-ms", type=click.FloatRange(0, 60_000), default=12, show_default=True, help="A commit, ms.")
@click.option(
    "--commits-at-once", type=click.IntRange(1, 1024), default=8, show_default=True, help="That the catalogue serves."
)
@click.option("--lost", type=click.FloatRange(0, 1), default=0.25, show_default=True, help="Part of lanes lost once.")
@click.option("--seconds", type=click.FloatRange(200, 86_400), default=600, show_default=True, help="Simulated time.")
@json_option
def sizing_command(
    rate: float,
    lanes: int,
    cores: int,
    record_us: float,
    batch_ms: float,
    store_ms: float,
    commit_ms: float,
    commits_at_once: int,
    lost: float,
    seconds: float,
    as_json: bool,
) -> None:
    """Simulate a deployed job of many lanes, from figures measured on a small one.

    Prints cores in use, records a commit, how busy the catalogue is, the seconds from a record's arrival to its commit,
    and how long lanes that were lost need to catch up. Exit 1 when the job does not keep up.
    """
    import sys

    from benchmarks.sizing import Costs, Load, figures

    costs = Costs(record_us / 1e6, batch_ms / 1e3, store_ms / 1e3, commit_ms / 1e3, commits_at_once)
    found = figures(Load(rate, seconds, lanes, cores, lost=lost), costs)
    _show(found, as_json)
    sys.exit(0 if found["keeps_up"] else 1)


@command.command(name="tickets")
@click.option(
    "--tickets", type=click.IntRange(12_000, 2_000_000), default=200_000, show_default=True, help="How many tickets."
)
@click.option("--url", help="PostgreSQL to measure on, in a schema of its own. [default: SQLite in a temporary file]")
@json_option
def tickets_command(tickets: int, url: str | None, as_json: bool) -> None:
    """The disposal queue at size: first page, filters, bulk steps on 1,000, and fifty claims of one ticket.

    Medians in milliseconds; exit 1 when a target is missed.
    """
    import sys

    from benchmarks.tickets import measure

    figures = measure(tickets, url, progress=lambda text: click.echo(f"\r{text}", nl=False, err=True))
    click.echo("", err=True)
    _show(figures, as_json)
    sys.exit(0 if figures["ok"] else 1)


@command.command(name="query")
@click.option(
    "--records", type=click.IntRange(100_000, 1_000_000_000), default=3_000_000, show_default=True, help="How many."
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Make the archive here, keep it, and take it when it is there. [default: a temporary folder]",
)
@click.option(
    "--segment-rows",
    type=click.IntRange(10_000, 10_000_000),
    default=1_000_000,
    show_default=True,
    help="Rows of a segment, about; fewer give a small archive as many segments as a big one has.",
)
@json_option
def query_command(records: int, folder: Path | None, segment_rows: int, as_json: bool) -> None:
    """Questions to an archive of 400 days: one account's year, an order, an address, a device, and counts by day.

    The archive is synthetic and about 50 bytes a record, twice: sealed, and the same Parquet files unencrypted, which
    DuckDB counts with as many threads. Both are warm. Exit 1 when a target is missed.
    """
    import sys

    from benchmarks.query import measure

    figures = measure(
        records, folder, lambda text: click.echo(f"\r{text}", nl=False, err=True), segment_rows=segment_rows
    )
    click.echo("", err=True)
    _show(figures, as_json)
    sys.exit(0 if figures["ok"] else 1)


def _show(figures: dict[str, Any], as_json: bool) -> None:
    """Figures by name."""
    if as_json:
        print_json(figures)
        return
    for name, value in figures.items():
        click.echo(f"{name:>36}  {value}")
