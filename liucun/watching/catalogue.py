"""Every metric of the program, with its meaning: the one place where they are named.

Labels hold names of classes, categories, sources, partitions and steps; never an account, an address or a text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]
Where = Literal["run", "worker", "serve", "store", "all"]
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """``name`` without the suffix ``_total``; ``where``: which command shows it (``store``: worker and serve)."""

    name: str
    kind: Kind
    where: Where
    help: str
    labels: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """Its name as Prometheus has it."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


METRICS: Final = (
    Metric("liucun_records", "counter", "run", "Records archived.", ("record_class",)),
    Metric("liucun_unparsed_records", "counter", "run", "Records archived as they came.", ("reason",)),
    Metric("liucun_skipped_lines", "counter", "run", "Headers and blank lines."),
    Metric("liucun_read_bytes", "counter", "run", "Bytes taken in from sources."),
    Metric("liucun_stored_bytes", "counter", "run", "Bytes of sealed segments."),
    Metric("liucun_segments", "counter", "run", "Segments sealed."),
    Metric("liucun_batches", "counter", "run", "Batches committed."),
    Metric("liucun_findings", "counter", "run", "What the detectors found.", ("category",)),
    Metric("liucun_tickets_opened", "counter", "run", "Tickets opened."),
    Metric("liucun_batch_seconds", "histogram", "run", "Seconds to seal and commit a batch (embedded engine)."),
    Metric("liucun_commit_seconds", "histogram", "run", "Seconds of a batch's transaction (embedded engine)."),
    Metric("liucun_waiting_bytes", "gauge", "run", "Bytes known and not read yet, of all sources."),
    Metric("liucun_lag", "gauge", "run", "Offsets known and not read (the 100 most).", ("source", "partition")),
    Metric("liucun_source_problems", "gauge", "run", "Places of a source that cannot be read.", ("source",)),
    Metric("liucun_round_timestamp_seconds", "gauge", "run", "When the run last went round, also without work."),
    Metric("liucun_step_timestamp_seconds", "gauge", "worker", "When a step last succeeded.", ("step",)),
    Metric("liucun_step_failures", "counter", "worker", "Failures of a step.", ("step",)),
    Metric("liucun_step_seconds", "counter", "worker", "Seconds spent in a step.", ("step",)),
    Metric("liucun_collector_requests", "counter", "serve", "Requests whose lines were kept.", ("source",)),
    Metric("liucun_collector_lines", "counter", "serve", "Lines kept.", ("source",)),
    Metric("liucun_collector_bytes", "counter", "serve", "Bytes of lines kept.", ("source",)),
    Metric("liucun_collector_repeated", "counter", "serve", "Requests known by their key.", ("source",)),
    Metric("liucun_collector_refused", "counter", "serve", "Requests refused with 429 or 503.", ("source", "reason")),
    Metric("liucun_collector_failures", "counter", "serve", "Writes of the journal that failed.", ("source",)),
    Metric("liucun_collector_syncs", "counter", "serve", "Syncs of the journal.", ("source",)),
    Metric("liucun_collector_sync_seconds", "counter", "serve", "Seconds spent in them.", ("source",)),
    Metric("liucun_collector_backlog_bytes", "gauge", "serve", "Lines kept and not archived.", ("source",)),
    Metric("liucun_open_tickets", "gauge", "store", "Open tickets by working days left.", ("days_left",)),
    Metric("liucun_calendar_horizon_days", "gauge", "store", "Days until the official calendar is no longer known."),
    Metric("liucun_key_horizon_days", "gauge", "store", "Days until the first stated certificate of a product ends."),
    Metric("liucun_log_pending_entries", "gauge", "store", "Commits that the transparency log has not numbered."),
    Metric("liucun_suspect_partitions", "gauge", "store", "Partitions over whose next records workers died."),
    Metric("liucun_condemned_records", "gauge", "store", "Records archived unread because workers died over them."),
    Metric("liucun_commit_timestamp_seconds", "gauge", "store", "When a source last committed a batch.", ("source",)),
    Metric("liucun_outbox_messages", "gauge", "store", "Messages to platform and people by state.", ("state",)),
    Metric("liucun_oldest_unindexed_seconds", "gauge", "store", "Age of the oldest segment that search has not."),
    Metric("liucun_disk_free_bytes", "gauge", "all", "Free space where the store's folder lies."),
    Metric("liucun_disk_bytes", "gauge", "all", "Size of that file system."),
    Metric("liucun_clock_jumps", "counter", "all", "Times that the wall clock jumped by over two seconds."),
    Metric("liucun_clock_behind_seconds", "gauge", "store", "How far the newest commit lies in the clock's future."),
    Metric("liucun_store_readable", "gauge", "store", "1 when the catalogue answered the last time it was asked."),
)  # fmt: skip
BY_NAME: Final = {metric.name: metric for metric in METRICS}
