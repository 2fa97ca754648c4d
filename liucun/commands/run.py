"""``liucun run``: take in logs, seal them, find illegal content, open tickets."""

from __future__ import annotations

import logging
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from errors import UsageError
from liucun.cli import json_option, parse_pairs, print_json, store_option
from liucun.key_statements import start_line
from liucun.rule_layers import MODELS, layers_of
from liucun.store import OpenStore, open_store
from liucun.watching.logs import start_logs
from liucun.watching.run import RunMeters, Said
from liucun.watching.server import metrics_option, shown
from pipelines.logs import json_wished
from pipelines.runners.settings import FlinkSettings, flink_settings
from pipelines.sources.spec import SourceSpec, parse_spec
from pipelines.stopping import stopping
from tickets.rights import Right

if TYPE_CHECKING:
    from pipelines.job import Job
    from pipelines.rules_in_force import JobRules
    from pipelines.runners.flink import FlinkJob
    from pipelines.summary import RunSummary
    from tickets.telling import Opening


@click.command(name="run", short_help="Take in logs: archive, detect, open tickets.")
@store_option
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="SPEC",
    help="NAME of a declared source, or CLASS:FORMAT:GLOB. Repeatable; default: every declared source.",
)
@click.option("--map", "mapping", multiple=True, metavar="COLUMN=FIELD", help="Which incoming field fills a column.")
@click.option("--time-zone", metavar="Z", help="Zone of times without one. [default: Asia/Shanghai]")
@click.option(
    "--published/--not-published",
    default=None,
    help="Whether `text` is published to the public. Only then is it scanned; left undeclared, audits say so.",
)
@click.option("--follow", is_flag=True, help="Go on waiting for more, across rotation, until stopped.")
@click.option("--runner", type=click.Choice(["direct", "flink"]), default="direct", show_default=True, help="Engine.")
@click.option("--flink-master", metavar="HOST:PORT", help="REST address of Flink's job manager. [default: settings]")
@click.option("--parallelism", type=click.IntRange(1, 1024), help="Parallel readers on Flink. [default: settings]")
@click.option("--from-savepoint", metavar="PATH", help="Begin from a savepoint of the job on Flink. [default: none]")
@click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after so many seconds.")
@click.option("--fail-on-unparsed", is_flag=True, help="Exit 1 when a line could not be parsed.")
@metrics_option
@json_option
def command(
    store: Path,
    sources: tuple[str, ...],
    mapping: tuple[str, ...],
    time_zone: str | None,
    published: bool | None,
    follow: bool,
    runner: str,
    flink_master: str | None,
    parallelism: int | None,
    from_savepoint: str | None,
    max_seconds: float | None,
    fail_on_unparsed: bool,
    metrics: str | None,
    as_json: bool,
) -> None:
    """Take in logs 采集: archive every record, scan what is public, open tickets.

    \b
    liucun run --source 'transaction:csv:/logs/*.csv.gz' --map order_id=OrderNo
    liucun run --source 'user_log:syslog:/var/log/auth.log' --follow
    liucun run --source shop-orders --runner flink --follow

    Classes: user_log, transaction, content, seller_identity, live_index.
    Formats: ndjson, csv, combined, syslog; .gz is read as it is.
    A line that cannot be parsed is archived as it came, with the reason. Running again adds
    only what is new.
    """
    from liucun.index_following import IndexThread
    from pipelines.rules_in_force import rules_alarm

    if runner != "flink" and (flink_master or parallelism or from_savepoint):
        raise UsageError(
            "--flink-master, --parallelism and --from-savepoint are for --runner flink.", cure="Add --runner flink."
        )
    log = start_logs("run")
    with open_store(store, Right.ARCHIVE_OPERATE) as opened, closing(RunMeters(opened.root)) as meters:
        if json_wished():
            log.info("%s", start_line(opened.store))
        else:
            click.echo(f"liucun: {start_line(opened.store)}", err=True)
        specs = _specs(opened, sources, parse_pairs(mapping, "--map"), time_zone, published)
        _declare(opened, specs)
        job: Job | FlinkJob
        if runner == "flink":
            flink = flink_settings(opened.settings.flink, flink_master, parallelism)
            job = _flink_job(opened, specs, flink, from_savepoint, follow=follow, max_seconds=max_seconds)
        else:
            job = _embedded_job(opened, specs, meters, follow=follow, max_seconds=max_seconds)
        meters.behind, meters.problems = job.lags, job.unreadable
        with shown(metrics, meters, meters.ready):
            index = IndexThread(opened, _tell_index)
            index.start()
            try:
                summary = _run(job, meters, quiet=as_json)
            finally:
                index.stop()
        if as_json:
            print_json(summary.as_json())
            for problem in () if runner == "flink" else job.problems:  # those of Flink were said at once
                click.echo(f"liucun: {problem}", err=True)
            if alarm := rules_alarm(opened.catalogue):
                click.echo(f"liucun: rules 规则: {alarm}", err=True)
        else:
            from liucun.run_report import print_run_report

            print_run_report(opened, summary, job.problems, specs)
    if fail_on_unparsed and summary.unparsed.total():
        sys.exit(1)


def _declare(opened: OpenStore, specs: list[SourceSpec]) -> None:
    """Put on record which text is public: audits and human review go by it."""
    from pipelines.stages.undeclared import decided_columns
    from retention.catalogue.declarations import DeclaredSource, declare

    with opened.catalogue.write() as connection:
        for spec in specs:
            said = dict(spec.published)
            source = DeclaredSource(spec.name, spec.record_class.value, said, columns=decided_columns(spec))
            declare(connection, source)


def _tell_index(_seconds: float, _figures: dict[str, Any], error: str | None) -> None:
    """The archive goes on without its index; whoever watches is told once."""
    if error is not None:
        click.echo(f"liucun: search index 检索索引: {error}", err=True)


def _embedded_job(
    opened: OpenStore, specs: list[SourceSpec], meters: RunMeters, *, follow: bool, max_seconds: float | None
) -> Job:
    from pipelines.job import Job, JobOptions

    options = JobOptions(
        follow=follow,
        max_seconds=max_seconds,
        batch_bytes=opened.settings.run.batch_megabytes << 20,
        round_bytes=opened.settings.run.round_megabytes << 20,
        rules=_rules(opened),
        opening=_opening(opened),
        collector=opened.settings.collector,
        observe=meters.batch,
    )
    return Job(opened.store, specs, options)


def _flink_job(
    opened: OpenStore,
    specs: list[SourceSpec],
    flink: FlinkSettings,
    savepoint: str | None,
    *,
    follow: bool,
    max_seconds: float | None,
) -> FlinkJob:
    from pipelines.runners.flink import FlinkJob

    return FlinkJob(
        opened.store,
        specs,
        flink,
        follow=follow,
        max_seconds=max_seconds,
        batch_bytes=opened.settings.run.batch_megabytes << 20,
        rules=_rules(opened),
        opening=_opening(opened),
        savepoint=savepoint,
        say=_tell_problem,
    )


def _tell_problem(what: str) -> None:
    """What went wrong on a cluster, at once."""
    if json_wished():
        logging.getLogger("liucun.run").warning("%s", what)
    else:
        click.echo(f"liucun: {what}", err=True)


def _rules(opened: OpenStore) -> JobRules:
    """What the store detects with: its rules over those that ship, and the model installed in it."""
    from pipelines.rules_in_force import JobRules

    return JobRules.load(
        layers_of(opened.root, opened.settings.detect), opened.catalogue, models=(opened.root / MODELS).absolute()
    )


def _opening(opened: OpenStore) -> Opening:
    """How its tickets are opened."""
    from tickets.telling import Opening

    return Opening.of(opened.settings.tickets)


def _specs(
    opened: OpenStore,
    sources: tuple[str, ...],
    mapping: dict[str, str],
    time_zone: str | None,
    published: bool | None,
) -> list[SourceSpec]:
    chosen: list[SourceSpec] = []
    for text in sources:
        declared = opened.settings.declared(text)
        if declared is None:
            chosen.append(parse_spec(text, mapping=mapping, time_zone=time_zone, published=published))
        elif mapping or time_zone or published is not None:
            raise UsageError(
                f"The source {text!r} is declared in the settings; --map, --time-zone and --published are for others.",
                cure="Change the declaration in liucun.toml instead.",
            )
        else:
            chosen.append(declared)
    if not sources:
        chosen = list(opened.settings.source)
    if not chosen:
        raise UsageError(
            "No source was given and none is declared.",
            cure="Give --source CLASS:FORMAT:GLOB, or declare sources in the store's liucun.toml.",
        )
    names = [spec.name for spec in chosen]
    if len(set(names)) != len(names):
        raise UsageError("A source was given twice.", cure="Keep one of the two.")
    return chosen


def _run(job: Job | FlinkJob, meters: RunMeters, *, quiet: bool) -> RunSummary:
    from pipelines.job import Job

    said = Said(job, json=json_wished(), told=not isinstance(job, Job))
    # The present round ends first; a second Ctrl-C interrupts it.
    with stopping(job.stop, insist=True):
        if quiet or json_wished() or not sys.stderr.isatty():

            def watched(summary: RunSummary, waiting: int) -> None:
                meters.round(summary, waiting)
                said.round(summary, waiting)

            return job.run(watched)
        from liucun.run_progress import RunProgress

        with RunProgress() as progress:

            def seen(summary: RunSummary, waiting: int) -> None:
                meters.round(summary, waiting)
                progress.show(summary, waiting)

            return job.run(seen)
