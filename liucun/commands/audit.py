"""``liucun audit``: prove that the archive is complete and unchanged."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from errors import UsageError
from liucun.cli import json_option, print_json, store_option
from liucun.pins import LOG_KEYS
from tickets.rights import Right

if TYPE_CHECKING:
    from liucun.store import OpenStore
    from retention.audits.report import AuditReport

ALL_AUDITS = ("coverage", "integrity", "retention", "keys", "access", "samples")
"""What every store is audited for; one with a search index for that, too."""
PATIENCE = 120.0
"""Seconds to wait for a follower of the index that is at work in the worker or a run."""
SHOWN = 50
"""Findings that the terminal shows; the files and --json hold all."""


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What every audit takes."""
    for option in reversed(
        (
            store_option,
            click.option("--since", metavar="TIME", help="Only what was committed from this date or time on."),
            click.option("--until", metavar="TIME", help="Only what was committed before this date or time."),
            click.option(
                "--report",
                type=_PATH,
                help="Write the report to this file: .pdf, .html or .json; another name is a signed zip of all.",
            ),
            click.option("--html", type=_PATH, help="Write the report as a page for print to this file."),
            click.option(
                "--log-keys",
                type=_PATH,
                envvar=LOG_KEYS,
                help="The log's verifier keys, one a line, kept outside of the store: another log is a fault. "
                f"[default: {LOG_KEYS}]",
            ),
            json_option,
        )
    ):
        function = option(function)
    return function


_PATH = click.Path(path_type=Path, dir_okay=False)
_SAMPLE = click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="Verify N segments drawn at random instead of all."
)


@click.group(name="audit", short_help="Prove completeness and integrity; exit 1 when something is wrong.")
def command() -> None:
    """Prove that the archive is complete and unchanged 审计.

    Exit code 0: everything checked holds. 1: a fault was found; each is named with its place.
    Notices are for a person to decide on and do not fail an audit. Every audit says whether a
    second custodian anchors it, and what certificate the cryptography has.
    """


@command.command(short_help="Every offset of every source is archived exactly once.")
@_options
def coverage(**options: Any) -> None:
    """Coverage 完整性: every offset of every source is there exactly once, and nothing else.

    Compares cursors, committed batches, segments, manifests and objects. Names gaps, overlaps,
    missing or surplus rows, missing objects, and lists planned ranges, orphans, and sources
    whose text nobody has declared public or private.
    """
    _run(("coverage",), options)


@command.command(short_help="Every segment is, bit for bit, what was sealed.")
@_SAMPLE
@_options
def integrity(**options: Any) -> None:
    """Integrity 真实性: every segment is what was sealed, and its rows are those of its manifest.

    Reads and decrypts every segment, so it takes a while; --sample N verifies N at random.
    """
    _run(("integrity",), options)


@command.command(name="retention", short_help="Nothing went early, nothing stays late, class by class.")
@_options
def retention_command(**options: Any) -> None:
    """Retention 留存期限: nothing went before its floor or without a certificate, nothing stays late unexplained.

    What was destroyed is judged anew from its manifest and the floors of the law. Names policies under
    a floor, silent orders, purges that wait, and requests of persons past their day. It looks at all of it,
    whatever --since and --until say.
    """
    _run(("retention",), options)


@command.command(short_help="Every key lives as long as it must, and no longer.")
@_options
def keys(**options: Any) -> None:
    """Keys 密钥: each lives as long as what it seals must be read, and no longer.

    Names keys past their period, destroyed without a certificate, lost or brought back by a backup. It
    looks at all of them, whatever --since and --until say.
    """
    _run(("keys",), options)


@command.command(short_help="Who asked what, why, and how many rows.")
@_options
def access(**options: Any) -> None:
    """Access 访问: who asked the archive what, why, how many rows; --since and --until by the time of the query.

    Names queries without a purpose or a legal ground, answers that were not recorded first, and, as notices,
    large results, work at night, bursts.
    """
    _run(("access",), options)


@command.command(short_help="What the detectors passed, looked at by people: the miss rate.")
@_options
def samples(**options: Any) -> None:
    """Human samples 人工抽检: the miss rate of what the detectors passed, with its interval, by week and type.

    Names days without a sample, samples that wait too long, and what was missed; --since and --until by the day
    of publication.
    """
    _run(("samples",), options)


@command.command(short_help="The search index agrees with the archive, record for record.")
@_SAMPLE
@_options
def index(**options: Any) -> None:
    """Search index 检索索引: every record is in it once, as the archive has it; nothing else is.

    Names documents that are missing, too many or altered, those of destroyed segments and of restricted accounts,
    and how long records wait to be indexed. Counts all; --sample N compares the documents of N segments one by one
    instead of all. It looks at all of it, whatever --since and --until say.
    """
    _run(("index",), options)


@command.command(name="all", short_help="All audits in one report.")
@_SAMPLE
@_options
def everything(**options: Any) -> None:
    """All audits in one report 全部审计, for example for an inspector.

    \b
    liucun audit all --report audit.pdf        for print
    liucun audit all --report audit.zip        PDF, HTML and JSON, signed

    Figures, calendars of 400 days, findings, and the clause of the licence that each answers.
    """
    _run(ALL_AUDITS, options, indexed=True)


def _run(names: Sequence[str], options: dict[str, Any], *, indexed: bool = False) -> None:
    from liucun.audit_facts import duties_of, facts_of
    from liucun.audit_progress import progress
    from liucun.audit_report import write_report
    from liucun.index_following import following
    from liucun.key_statements import certification_of
    from liucun.monitoring import monitoring_of
    from liucun.reviewing import frames
    from liucun.store import open_store
    from retention.audits.document import Context
    from retention.audits.making import make_audit, verified_log
    from retention.audits.report import Span, combined
    from retention.search.audit import AUDIT as INDEX
    from retention.search.audit import audit_index
    from retention.transparency.pinning import read_pins
    from tickets.samples.audit import AUDIT as SAMPLES
    from tickets.samples.audit import audit_samples

    span = Span(_moment(options["since"], "--since"), _moment(options["until"], "--until"))
    targets = [path for path in (options["report"], options["html"]) if path is not None]
    for path in targets:
        _check_target(path)
    pinned = () if options["log_keys"] is None else read_pins(options["log_keys"])
    with open_store(options["store"], Right.AUDIT_RUN) as opened:
        opened.store.log.pinned = pinned
        settings = opened.settings
        with progress(quiet=options["as_json"]) as show:
            verdict = verified_log(opened.store.log, progress=show)
            monitoring = monitoring_of(opened.root, settings, opened.catalogue) if "coverage" in names else None

            def make(name: str) -> AuditReport:
                if name == SAMPLES:
                    size, lag = settings.review.size, settings.review.lag_hours
                    return audit_samples(
                        opened.catalogue, frames=frames(opened), size=size, lag_hours=lag, span=span, verdict=verdict
                    )
                if name == INDEX:
                    return audit_index(
                        following(opened, wait=PATIENCE),
                        sample=options.get("sample"),
                        verdict=verdict,
                        tolerant=len(names) > 1,
                        progress=show,
                    )
                return make_audit(
                    name,
                    opened,
                    verdict=verdict,
                    span=span,
                    settings=settings.retention,
                    monitoring=monitoring,
                    sample=options.get("sample"),
                    progress=show,
                )

            names = (*names, INDEX) if indexed and settings.search.on else names
            reports = [make(name) for name in names]
        for report in reports:
            report.certification = certification_of(opened.store)
        _record(opened, reports)
        context = Context(
            store=str(opened.root.resolve()),
            actor=opened.actor,
            company=settings.company.name,
            licence=settings.company.licence_number,
            suite=settings.archive.suite,
            duties=duties_of(opened) if targets else {},
            facts=facts_of(opened) if targets else {},
        )
        signers = opened.store.log.signers if opened.store.provider.description.can_unwrap else ()
        for path in targets:
            form = "html" if path == options["html"] else path.suffix.removeprefix(".").lower()
            write_report(path, form, reports, context, fonts=settings.company.fonts, signers=signers)
    shown = reports[0].as_json() if len(reports) == 1 else combined(reports)
    if options["as_json"]:
        print_json(shown)
    else:
        _print(reports, targets)
    if not all(report.ok for report in reports):
        sys.exit(1)


def _record(opened: OpenStore, reports: Sequence[AuditReport]) -> None:
    """Leave a trace of each audit: that it was made, by whom, and what came out."""
    from retention.catalogue import events

    with opened.catalogue.write() as connection:
        for report in reports:
            events.append(
                connection,
                kind="audit.made",
                actor=opened.actor,
                subject=f"audit:{report.audit}",
                body={
                    "ok": report.ok,
                    "outcome": report.outcome.value,
                    "span": report.span.words(),
                    "checked": report.checked,
                    "faults": len(report.faults),
                    "notices": len(report.notices),
                },
            )


def _print(reports: Sequence[AuditReport], targets: Sequence[Path]) -> None:
    from retention.audits.words import CHECKED, TITLES

    for report in reports:
        chinese, english, _, claim = TITLES[report.audit]
        click.secho(f"{chinese} {english}: {report.outcome.headline}", bold=True)
        click.echo(f"  {claim}")
        for name, value in report.checked.items():
            click.echo(f"  {CHECKED.get(name, name)}: {f'{value:,}' if isinstance(value, int) else value}")
        for finding in report.findings[:SHOWN]:
            mark = "FAULT " if finding in report.faults else "notice"
            click.echo(f"  {mark} {finding.kind}  {finding.where}\n         {finding.detail}")
        if len(report.findings) > SHOWN:
            click.echo(f"  … and {len(report.findings) - SHOWN} more; --json or --report FILE gives all.")
    if not all(report.anchored for report in reports):
        click.echo("anchored: false 未锚定 — no second custodian holds a checkpoint: who can write the whole store")
        click.echo("  could rewrite data and record together unseen.")
    if any("uncertified" in report.certification for report in reports):
        click.echo("uncertified 未认证 — software cryptography without a commercial-cryptography product certificate.")
    for words in sorted({report.certification for report in reports} - {"uncertified"}):
        click.echo(f"  {words}")
    for path in targets:
        click.echo(f"Written to {path}.")


def _moment(text: str | None, option: str) -> datetime | None:
    from liucun.times import read_time

    try:
        return None if text is None else read_time(text)
    except UsageError as error:
        raise UsageError(
            f"{option} {text!r} is no date or time.", cure="Write 2026-11-24 or 2026-11-24T08:00:00+08:00."
        ) from error


def _check_target(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} exists already.", cure="Name a file that does not exist yet.")
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}.", cure="Make it, or name a file elsewhere.")
