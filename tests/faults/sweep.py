"""The life of an archive under faults: records are taken in, numbered, merged and collected.

``python -m tests.faults.sweep`` (``make faults``) lets each operation fail in turn, as ``tests/faults/points.py``
describes; after each and a repetition the archive must be exact: every record once, every ticket once, the log
unbroken and witnessed, no file half written. ``--every K`` takes every Kth point only.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from tests.faults.points import Life, main
from tests.faults.stores import create_store, open_store

RECORDS: Final = 240
WARM: Final = (
    "liucun.store",
    "pipelines.job",
    "pipelines.embedded",
    "pipelines.decode",
    "retention.audits.coverage",
    "retention.audits.integrity",
    "retention.compaction.collect",
    "retention.compaction.merge",
    "retention.transparency.verify",
    "tickets.opening",
)


def prepare(folder: Path) -> None:
    """The input, a fresh store and its custodian's folder."""
    from detectors.default import default_detector

    create_store(folder)
    lines = []
    for n in range(RECORDS):
        text = "体育竞猜平台 赌球 上分下分 加微信" if n % 60 == 30 else f"很好用的商品 {n}"
        lines.append(f'{{"event_time":"2026-0{1 + n % 3}-05T08:00:00Z","user_id":"u{n % 7}","text":"{text}"}}\n')
    (folder / "in.ndjson").write_text("".join(lines), encoding="utf-8")
    default_detector()
    with open_store(folder) as store:
        store.bodies.blind("any", "ticket content")  # its key is made on first use, and tickets are compared by it


def live(folder: Path) -> None:
    """What is disturbed: take everything in, number it, merge it, collect."""
    from pipelines.job import Job, JobOptions
    from pipelines.sources.spec import parse_spec
    from retention.compaction.collect import collect
    from retention.compaction.merge import compact, plan

    with open_store(folder) as store:
        spec = parse_spec("content:ndjson:" + str(folder / "in.ndjson"), published=True)
        Job(store, [spec], JobOptions(batch_bytes=8 << 10, round_bytes=8 << 10)).run()
        store.log.keep()
        compact(store.catalogue, store.archive, plan(store.catalogue), progress=lambda *_: None)
        collect(store.catalogue, store.objects)


def contents(folder: Path) -> str:
    """A digest of all that must be exact, after every audit has passed."""
    import sqlalchemy as sa

    from retention.audits.coverage import audit_coverage
    from retention.audits.integrity import audit_integrity
    from retention.catalogue.tables import segments
    from retention.manifest import SegmentManifest
    from retention.segments import open_segment
    from retention.transparency.verify import verify_log
    from tickets.tables import findings, tickets

    with open_store(folder) as store:
        store.log.keep()
        for report in (audit_coverage(store), audit_integrity(store, threads=1)):
            assert report.ok, (report.audit, report.findings[:3])
            strange = {notice.kind for notice in report.notices} - {"orphan"}
            assert not strange, strange
        verdict = verify_log(store.log)
        assert verdict.faults == [], verdict.faults[:3]
        assert verdict.anchored, (verdict.size, verdict.witnessed, verdict.unsequenced, store.log.warnings)
        rows = []
        with store.catalogue.read() as connection:
            for data in connection.execute(sa.select(segments.c.manifest)).scalars():
                table = open_segment(store.archive, SegmentManifest.from_bytes(data)).parquet().read()
                rows += [(r["log_offset"], r["raw"], r["text"]) for r in table.to_pylist()]
            queue = sorted(
                tuple(row)
                for row in connection.execute(
                    sa.select(tickets.c.content_key, tickets.c.offset, tickets.c.findings, tickets.c.state)
                )
            )
            hits = connection.execute(sa.select(sa.func.count()).select_from(findings)).scalar_one()
        assert len(rows) == RECORDS, len(rows)
        assert len(queue) == RECORDS // 60, queue
    # The blinded key of a ticket's content is the store's own; all trials are copies of one store.
    return hashlib.sha256(repr((sorted(rows), queue, hits)).encode()).hexdigest()


LIFE: Final = Life(prepare, live, contents, warm=WARM)

if __name__ == "__main__":
    main(LIFE, "tests.faults.sweep", __doc__ or "")
