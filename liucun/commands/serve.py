"""``liucun serve``: the console and the HTTP API."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liucun.cli import json_option, print_json, store_option
from liucun.watching.logs import start_logs
from liucun.watching.server import metrics_option, shown
from tickets.rights import Right

if TYPE_CHECKING:
    from fastapi import FastAPI

    from console.parts import Parts
    from liucun.store import OpenStore
    from retention.intake.intake import Intake


@click.command(name="serve", short_help="Console and HTTP API for people and programs.")
@store_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8800, show_default=True, help="Port; 0 takes a free one."
)
@metrics_option
@json_option
def command(store: Path, host: str, port: int, metrics: str | None, as_json: bool) -> None:
    """Serve the console 控制台 and the HTTP API under /v1, until Ctrl+C.

    While there is no account, it prints a set-up link: good once, for a day. There is no
    default password. It listens on this machine only; for others, put a proxy with a
    certificate before it and set base_url in the section console of liucun.toml.
    """
    from console.access.first_run import setup_secret
    from console.migrate import prepare_tables
    from console.serving import check_address, serve
    from liucun.pins import pins_of_environment
    from liucun.store import open_store
    from liucun.watching.meters import Meters
    from liucun.watching.store import collector_figures, store_figures

    start_logs("serve")
    pinned = pins_of_environment()
    with open_store(store, Right.ARCHIVE_OPERATE) as opened, closing(Meters("serve", opened.root)) as meters:
        prepare_tables(opened.catalogue)
        opened.store.log.pinned = pinned  # for the audits that are made on its pages
        parts = parts_of(opened)
        meters.read(lambda: store_figures(opened))
        if (intake := parts.intake) is not None:
            meters.read(lambda: collector_figures(intake.figures(), intake.refused), kept=0)
        check_address(parts, host)

        def ready(_app: FastAPI, taken: int) -> None:
            shown = f"[{host}]" if ":" in host else host
            base = parts.settings.base_url or f"http://{shown}:{taken}"
            secret = setup_secret(opened.catalogue)
            link = f"{base}/setup?link={secret}" if secret else None
            if as_json:
                print_json({"url": base, "port": taken, "setup": link})
                return
            click.echo(f"Console 控制台: {base}")
            if link:
                click.echo("There is no account yet. Make the first one here (good once, for 24 hours) 首次使用:")
                click.echo(f"  {link}")
            click.echo("Stop with Ctrl+C.")

        with shown(metrics, meters, lambda: _answers(opened)):
            serve(parts, host=host, port=port, ready=ready)


def _answers(opened: OpenStore) -> None:
    with opened.catalogue.read() as connection:
        connection.exec_driver_sql("SELECT 1")


def parts_of(opened: OpenStore) -> Parts:
    """What the console is given of an open store."""
    from console.parts import Parts
    from liucun.calendar_file import calendar_of
    from liucun.key_statements import certification_of
    from liucun.monitoring import monitoring_of
    from liucun.rule_layers import layers_of

    return Parts(
        catalogue=opened.catalogue,
        archive=opened.archive,
        objects=opened.objects,
        period_keys=opened.period_keys,
        bodies=opened.bodies,
        root=opened.root,
        provider=opened.store.provider.description,
        calendar=lambda: calendar_of(opened.root),
        settings=opened.settings.console,
        sources=tuple(source.name for source in opened.settings.source),
        tickets=opened.settings.tickets,
        review=opened.settings.review,
        company=opened.settings.company,
        layers=layers_of(opened.root, opened.settings.detect),
        log=opened.store.log,
        intake=_intake(opened),
        retention=opened.settings.retention,
        monitoring=lambda: monitoring_of(opened.root, opened.settings, opened.catalogue),
        search=opened.settings.search,
        suite=opened.settings.archive.suite,
        certification=certification_of(opened.store),
    )


def _intake(opened: OpenStore) -> Intake | None:
    from retention.intake.intake import Intake

    sources = [source.name for source in opened.settings.source if source.kind == "collector"]
    if not sources:
        return None
    return Intake(opened.root, sources, opened.catalogue, opened.bodies, opened.settings.collector)
