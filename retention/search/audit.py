"""The audit of the search index: it holds every record of the archive, nothing else, and has forgotten what it must."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from errors import LiucunError
from retention.audits.history import add_history
from retention.audits.report import AuditReport, Severity, Span
from retention.catalogue.events import EVENT
from retention.catalogue.tables import events, log_leaves, timestamp
from retention.search import book
from retention.search.compare import DESTROYED, RESTRICTED, Progress, reconcile
from retention.search.follower import FORGETS, Follower
from retention.search.lag import unindexed
from retention.transparency.verdict import LogVerdict

AUDIT: Final = "index"
FORGET_WITHIN: Final = timedelta(minutes=1)
"""Destruction and restriction must have reached the index by then; until then it is only named."""
INDEX_WITHIN: Final = timedelta(minutes=10)
"""A segment that waits longer to be indexed is named."""


def audit_index(
    leased: AbstractContextManager[Follower],
    *,
    sample: int | None = None,
    verdict: LogVerdict | None = None,
    tolerant: bool = False,
    now: datetime | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> AuditReport:
    """Compare archive and index: how many documents each segment has, and each document with its record.

    Args:
        leased: gives the follower with the index's lease held.
        sample: compare the documents of so many segments, drawn at random, instead of all; all are counted.
        verdict: what was found of the transparency log, which was brought up to date just before.
        tolerant: a cluster that cannot be asked is a fault of the report, not an error: one audit of several.

    Raises:
        As ``Follower.step``, unless ``tolerant``.
    """
    moment = now or datetime.now(UTC)
    report = AuditReport(AUDIT, moment, Span())
    try:
        with leased as follower:
            _compare(report, follower, sample, moment, progress)
    except LiucunError as error:
        if not tolerant:
            raise
        report.add("unread", "index", f"{error.what} {error.cure}")
    if verdict is not None:
        add_history(report, verdict, whole=False)
    return report


def _compare(report: AuditReport, follower: Follower, sample: int | None, moment: datetime, progress: Progress) -> None:
    state = book.state_of(follower.parts.catalogue, follower.settings)
    with follower.parts.catalogue.read() as connection:
        # Both before the comparison, which lets the follower go on.
        young = _young(connection, state.events_position, moment)
        behind = unindexed(connection, follower.settings)
    if behind.oldest is not None and moment - behind.oldest > INDEX_WITHIN:
        detail = f"{behind.segments} segments with {behind.records} records wait, since {timestamp(behind.oldest)}."
        report.add("indexing_late", "index", f"{detail} Does `liucun worker` run?", Severity.NOTICE)
    done = reconcile(follower, mend=False, contents=True, sample=sample, progress=progress)
    for found in done.findings:
        # A segment that the book knows under the name it had before a merge is named so, not as the log has it.
        fresh = found.where in young or (found.kind == DESTROYED and any(one.startswith("segment:") for one in young))
        fresh = fresh and found.kind in (DESTROYED, RESTRICTED)
        report.add(found.kind, found.where, found.detail, Severity.NOTICE if fresh else Severity.FAULT)
    report.checked.update(
        segments=done.segments,
        documents=done.documents,
        compared_documents=done.contents,
        compared_segments=done.of_segments,
        unindexed_segments=behind.segments,
        unindexed_seconds=int(behind.seconds(moment)),
    )
    if sample is not None:
        report.checked["sample"] = sample


def _young(connection: sa.Connection, position: int, moment: datetime) -> set[str]:
    """What was destroyed or restricted so short a time ago that the index need not have forgotten it yet."""
    leaf, e = log_leaves.c, events.c
    joined = log_leaves.join(events, sa.and_(leaf.type == EVENT, leaf.ref == sa.cast(e.id, sa.String)))
    chosen = sa.select(e.subject).select_from(joined).where(leaf.index >= position, e.kind.in_(FORGETS))
    return set(connection.execute(chosen.where(e.at > timestamp(moment - FORGET_WITHIN))).scalars())
