"""Joins the log's many small entry objects into few large ones; the entries, and their numbers, stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from errors import IntegrityError
from retention.catalogue.naming import take_names
from retention.catalogue.tables import log_entries, log_leaves
from retention.transparency import merkle
from retention.transparency.entries import Entry, object_name, open_entries, seal_entries
from retention.transparency.keeping import LogKeeper

TARGET_BYTES: Final = 8 << 20
"""Stored bytes of a joined object, about."""
_LEAST: Final = 16
"""Objects that are worth joining."""


def join_entries(log: LogKeeper, *, target_bytes: int = TARGET_BYTES, least: int = _LEAST) -> int:
    """Join runs of small objects; returns how many objects are no longer needed (they are orphans from now on).

    Raises:
        IntegrityError: an object does not hold what the log has: nothing was changed.
    """
    with log.catalogue.read() as connection:
        rows = connection.execute(sa.select(log_entries).order_by(log_entries.c.start)).all()
    joined = 0
    run: list[sa.Row[Any]] = []
    size = 0
    for row in [*rows, None]:
        length = 0 if row is None else log.objects.size(row.object_name)
        if row is None or size + length > target_bytes:
            joined += _join(log, run) if len(run) >= least else 0
            run, size = [], 0
        if row is not None and length * 2 < target_bytes:
            run.append(row)
            size += length
        elif row is not None:
            joined += _join(log, run) if len(run) >= least else 0
            run, size = [], 0
    return joined


def _join(log: LogKeeper, run: Sequence[sa.Row[Any]]) -> int:
    origin = log.signers[0].verifier.name
    entries: list[Entry] = []
    for row in run:
        entries += open_entries(log.period_keys, origin, row.object_name, log.objects.read(row.object_name))
    start, end = run[0].start, run[-1].end
    _compare(log, entries, start, end)
    name = object_name(start, end)
    month = f"{datetime.now(UTC):%Y-%m}"
    log.objects.put(name, seal_entries(log.suite, log.period_keys, origin, start, entries, month=month))
    e = log_entries.c
    with log.catalogue.write() as connection:
        gone = connection.execute(log_entries.delete().where(e.object_name.in_([row.object_name for row in run])))
        if gone.rowcount != len(run):
            connection.rollback()
            return 0  # another compaction was quicker; ours is an orphan
        take_names(connection, [name])
        connection.execute(log_entries.insert().values(start=start, end=end, object_name=name))
    return len(run)


def _compare(log: LogKeeper, entries: Sequence[Entry], start: int, end: int) -> None:
    leaf = log_leaves.c
    with log.catalogue.read() as connection:
        stored = connection.execute(
            sa.select(leaf.hash).where(leaf.index >= start, leaf.index < end).order_by(leaf.index)
        ).scalars()
        hashes = [bytes(value) for value in stored]
    if hashes != [merkle.leaf_hash(log.suite.hash, entry.data(log.suite)) for entry in entries]:
        raise IntegrityError(
            f"The objects of the log's entries {start} to {end} hold others than the log.",
            cure="Run `liucun audit integrity`, and restore the objects it names.",
        )
