"""``liucun query``: ask the archive in SQL."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click

from errors import StorageError, UsageError
from liucun.cli import json_option, store_option
from tickets.rights import Right


@click.command(name="query", short_help="Ask the archive in SQL, with a purpose.")
@click.argument("sql")
@click.option("--purpose", required=True, metavar="TEXT", help="What the answer is for; it is recorded, sealed.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "csv", "parquet"]),
    help="Shape of the answer. [default: by the ending of --output, else table]",
)
@json_option
@click.option("--restricted", is_flag=True, help="Show records of restricted accounts too; needs --basis.")
@click.option("--basis", metavar="TEXT", help="Legal ground on which restricted records may be seen; recorded, sealed.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file, which must be new."
)
@click.option(
    "--receipt",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the query's receipt, which `liucun verify` checks, to this new file.",
)
@click.option("--time-zone", default="Asia/Shanghai", show_default=True, metavar="Z", help="Zone of times and days.")
@click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True), help="Give up after so many seconds.")
@click.option(
    "--memory", type=click.IntRange(min=64), default=1024, show_default=True, metavar="MIB", help="Memory it may take."
)
@store_option
def command(
    sql: str,
    purpose: str,
    output_format: str | None,
    as_json: bool,
    restricted: bool,
    basis: str | None,
    output: Path | None,
    receipt: Path | None,
    time_zone: str,
    max_seconds: float | None,
    memory: int,
    store: Path,
) -> None:
    """Ask the archive in SQL 查询.

    \b
    liucun query "SELECT user_id, count(*) FROM user_logs GROUP BY 1" --purpose "weekly check"
    liucun query "SELECT * FROM transactions WHERE order_id = '536365'" --purpose "complaint 17" --json
    liucun query "DESCRIBE user_logs" --purpose "columns"

    Views: user_logs, transactions, content, seller_identities, live_index, evidence, unparsed,
    audit_events, tickets. SQL as DuckDB speaks it, one reading statement. "-" reads it from
    standard input. Who asked, why, what and how many rows is recorded before the answer is shown.
    """
    chosen = _format(output_format, as_json, output)
    if sql == "-":
        sql = sys.stdin.read()
    if restricted != (basis is not None):
        raise UsageError(
            "--restricted and --basis go together.", cure='Write --restricted --basis "legal ground", or neither.'
        )
    for path in (output, receipt):
        if path is not None and path.exists():
            raise UsageError(f"{path} exists already.", cure="Name a file that does not exist yet.")
    if receipt is not None and receipt == output:
        raise UsageError("Answer and receipt are two files.", cure="Name another file for one of them.")
    if chosen == "parquet" and output is None and sys.stdout.isatty():
        raise UsageError("Parquet cannot be shown on a terminal.", cure="Add --output FILE, or redirect to a file.")

    from liucun.store import open_store
    from retention.query.errors import QueryInterruptedError
    from retention.query.render import renderer
    from retention.query.run import Limits, run_query

    render = renderer(chosen, time_zone)
    with open_store(
        store, (Right.ARCHIVE_QUERY, Right.ARCHIVE_QUERY_RESTRICTED) if restricted else Right.ARCHIVE_QUERY
    ) as opened:
        try:
            answer = run_query(
                opened,
                sql,
                purpose=purpose,
                actor=opened.actor,
                render=render,
                basis=basis,
                limits=Limits(memory_bytes=memory << 20, seconds=max_seconds, time_zone=time_zone),
            )
        except QueryInterruptedError as error:
            raise click.Abort from error
        if receipt is not None:
            from liucun.commands.prove import take_out
            from retention.query.receipt import receipt as made

            number = answer.query_id
            take_out(opened, receipt, f"query:{number}", lambda parts: made(parts, parts.store.log, number))
    if output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(answer.data)
        sys.stdout.buffer.flush()
    else:
        _write(output, answer.data)
        click.echo(f"{answer.rows} rows written to {output} (query {answer.query_id}).", err=True)


def _format(name: str | None, as_json: bool, output: Path | None) -> str:
    if as_json and name not in (None, "json"):
        raise UsageError(f"--json and --format {name} contradict each other.", cure="Keep one of the two.")
    if as_json or name:
        return name or "json"
    ending = output.suffix.lstrip(".").lower() if output else ""
    return ending if ending in ("json", "csv", "parquet") else "table"


def _write(path: Path, data: bytes) -> None:
    """Write a new file for its owner only, whole or not at all."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            Path(temporary).unlink()
    except FileExistsError as error:
        raise UsageError(f"{path} exists already.", cure="Name a file that does not exist yet.") from error
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}.", cure="Check the folder and the disk's free space."
        ) from error
