"""Integrity: every segment is, bit for bit, what was sealed, and its rows stand where its manifest says.

Each object is read whole, its ciphertext and plaintext digests compared, every chunk authenticated, the Parquet
inside read, the offsets of its rows counted place by place, and its postings made anew and compared. The rows of a
merged segment are compared with what the manifests commit to under which they were taken in.
"""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from errors import KeyAccessError, LiucunError, StorageError
from retention.audits.figures import show_verified
from retention.audits.report import AuditReport, Finding, Severity, Span
from retention.audits.subject import Progress, Subject, no_progress, within
from retention.catalogue.tables import segments
from retention.errors import ObjectMissingError, RowsChangedError, RowsUnprovedError
from retention.lineage import check_rows, descent, stored_manifests
from retention.lookups.check import check_look_ups
from retention.manifest import SegmentManifest
from retention.segment_check import check_stored
from retention.segments import Archive, open_segment

_AHEAD: Final = 4
"""Segments in work for each thread: enough to keep it busy, few enough for memory."""


def audit_integrity(
    subject: Subject,
    *,
    span: Span | None = None,
    sample: int | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> AuditReport:
    """Verify every segment, or ``sample`` of them drawn at random by the system's generator."""
    report = AuditReport("integrity", datetime.now(UTC), span or Span())
    chosen = _chosen(subject, report, sample)
    workers = threads or os.cpu_count() or 1
    verified: list[SegmentManifest] = []
    unproved = 0
    with ThreadPoolExecutor(workers, thread_name_prefix="verify") as pool:
        for number, (found, manifest, loose) in enumerate(_in_order(pool, subject, chosen, workers * _AHEAD), 1):
            report.findings.extend(found)
            unproved += loose
            if manifest is not None:
                verified.append(manifest)
            progress("segments", number, len(chosen))
    report.checked.update(
        segments=len(chosen),
        verified=len(verified),
        rows=sum(manifest.rows for manifest in verified),
        bytes=sum(manifest.bytes_stored for manifest in verified),
    )
    if unproved:
        report.add(
            "rows_uncommitted",
            "segments",
            f"{unproved} records were taken in before manifests committed to rows, and merged since: that none of "
            "them was changed in the merge, nothing shows.",
            Severity.NOTICE,
        )
    show_verified(report, verified)
    return report


def _chosen(subject: Subject, report: AuditReport, sample: int | None) -> list[str]:
    g = segments.c
    with subject.catalogue.read() as connection:
        seen = sa.select(g.segment_id).where(within(report.span, g.committed_at)).order_by(g.committed_at, g.segment_id)
        names = list(connection.execute(seen).scalars())
    if sample is None or sample >= len(names):
        report.checked["of"] = len(names)
        return names
    report.checked["of"] = len(names)
    report.checked["sample"] = sample
    return random.SystemRandom().sample(names, sample)


_Result = tuple[list[Finding], SegmentManifest | None, int]
"""Findings, the manifest where there is none, and how many merged rows nothing commits to."""


def _in_order(pool: ThreadPoolExecutor, subject: Subject, names: list[str], ahead: int) -> Iterator[_Result]:
    waiting: deque[Future[_Result]] = deque()
    try:
        for name in names:
            waiting.append(pool.submit(_verify, subject, name))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _verify(subject: Subject, segment_id: str) -> _Result:
    g = segments.c
    with subject.catalogue.read() as connection:
        row = connection.execute(sa.select(g.object_name, g.manifest).where(g.segment_id == segment_id)).one_or_none()
    if row is None:
        return [], None, 0  # it was merged into another segment since the list was made
    try:
        manifest = SegmentManifest.from_bytes(row.manifest)
        check_segment(subject.archive, manifest)
        loose = _check_merged(subject, manifest)
    except LiucunError as error:
        return [Finding(_kind(error), row.object_name, error.what)], None, 0
    return [], manifest, loose


def _check_merged(subject: Subject, manifest: SegmentManifest) -> int:
    """Compare the rows of a merged segment with what the log committed to; of how many it cannot be done.

    Whatever else a segment holds, its own digests in the log are over it as it was taken in.
    """
    found = descent(manifest, stored_manifests(subject.catalogue))
    if all(item.segment_id == manifest.segment_id for item in found.commitments):
        return found.rows_unproved if manifest.replaces else 0
    check_rows(open_segment(subject.archive, manifest), found)
    return found.rows_unproved


def check_segment(archive: Archive, manifest: SegmentManifest) -> None:
    """Verify a segment, the places of its rows, and that look-ups find them.

    Raises:
        IntegrityError: naming what does not hold.
        KeyAccessError, StorageError: it cannot be read.
    """
    segment = check_stored(archive, manifest)
    check_look_ups(segment.reader, archive.period_keys.get(manifest.key_id))


def _kind(error: LiucunError) -> str:
    if isinstance(error, RowsChangedError):
        return "rows_changed"
    if isinstance(error, RowsUnprovedError):
        return "rows_unproved"
    if isinstance(error, ObjectMissingError):
        return "object_missing"
    if isinstance(error, KeyAccessError):
        return "key_unavailable"
    if isinstance(error, StorageError):
        return "object_unreadable"
    return "segment_damaged"
