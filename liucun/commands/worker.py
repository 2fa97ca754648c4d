"""``liucun worker``: all timed work under one lease."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from errors import BusyError, StorageError, UnreachableError
from liucun.cli import json_option, store_option
from liucun.watching.logs import start_logs
from liucun.watching.server import metrics_option, shown
from pipelines.logs import json_wished
from pipelines.stopping import stopping
from tickets.rights import Right

if TYPE_CHECKING:
    from liucun.timed_work import Outcome
    from retention.catalogue.lease import Lease

LOG = logging.getLogger("liucun.worker")
_PATIENCE = 5.0
"""Seconds between two tries for the lease, and the longest pause without renewing it."""


@click.command(name="worker", short_help="Timed work: clocks, messages, log, retention, compaction.")
@store_option
@click.option("--once", is_flag=True, help="Do everything once and end; exit 1 when a step failed.")
@click.option("--max-seconds", type=click.FloatRange(min=0), metavar="N", help="End after so many seconds.")
@metrics_option
@json_option
def command(store: Path, once: bool, max_seconds: float | None, metrics: str | None, as_json: bool) -> None:
    """Do all timed work under one lease 定时任务.

    Alarms and warnings of the clocks, messages to the platform and to people, the transparency log
    and its custodian, approved purges, compaction, samples for human review, the search index. Of several
    workers of a store one works, the others wait to take over. A step that fails is said and tried again;
    it stops no other.
    """
    from liucun.index_following import IndexThread
    from liucun.store import open_store
    from liucun.timed_work import Outcome, Schedule, index_step, steps
    from liucun.watching.worker import WorkerMeters
    from retention.catalogue.lease import Lease

    stop = threading.Event()
    began = time.monotonic()
    failed = False

    def over() -> bool:
        return stop.is_set() or (max_seconds is not None and time.monotonic() - began >= max_seconds)

    start_logs("worker")
    with (
        stopping(stop.set),
        open_store(store, Right.ARCHIVE_OPERATE) as opened,
        closing(WorkerMeters(opened)) as meters,
        shown(metrics, meters, meters.ready),
    ):
        schedule = Schedule(opened, [*steps(), *index_step(opened)] if once else steps())
        lease = Lease(opened.catalogue, "worker")
        held = partial(_held, lease, set(), must=once)
        index = IndexThread(
            opened, lambda seconds, figures, error: _say(Outcome("index", seconds, figures, error), as_json)
        )
        if not once:
            index.start()
        try:
            while not over():
                if not held():
                    stop.wait(_PATIENCE)
                    continue
                for outcome in schedule.run_due(over):
                    failed = failed or outcome.error is not None
                    meters.step(outcome)
                    _say(outcome, as_json)
                    if not held():
                        break
                if once:
                    break
                stop.wait(min(schedule.pause(), _PATIENCE))
        finally:
            index.stop()
            try:
                lease.give_back()
            except (BusyError, UnreachableError, StorageError) as error:
                # It runs out by itself.
                LOG.warning("%s", error.what)
    if once and failed:
        sys.exit(1)


def _held(lease: Lease, told: set[str], *, must: bool) -> bool:
    """Whether the lease is this worker's; each reason why not is said once until it is. ``must`` raises it."""
    try:
        lease.take()
    except (BusyError, UnreachableError, StorageError) as error:
        if must:
            raise
        if type(error).__name__ not in told:
            LOG.warning("%s Waiting 等待.", error.what)
        told.add(type(error).__name__)
        return False
    told.clear()
    return True


def _say(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps({"at": datetime.now(UTC).isoformat(), **asdict(outcome)}, ensure_ascii=False, default=str)
        )
        return
    if outcome.error is not None:
        LOG.error("%s failed 失败: %s", outcome.step, outcome.error)
        return
    if json_wished():
        LOG.info("step %s", outcome.step, extra={"fields": {"liucun.figures": outcome.figures}})
        return
    figures = {name: value for name, value in outcome.figures.items() if value}
    if figures:
        click.echo(f"{outcome.step}: {json.dumps(figures, ensure_ascii=False, default=str)}")
