"""The metrics of one process: what it counts itself, and what it reads of the store when it is asked."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from liucun.watching.catalogue import BY_NAME, METRICS, SECONDS

LOG: Final = logging.getLogger("liucun.watching")
CLOCK_SECONDS: Final = 1.0
JUMP_SECONDS: Final = 2.0
KEPT_SECONDS: Final = 10.0
"""How long figures read from the store serve again: several scrapers cost one reading."""

Samples = Callable[[], Iterator[tuple[str, tuple[str, ...], float]]]
"""Yields a metric's name, its labels' values, and its value."""


class Meters:
    """Counts of this process. ``root`` is the store's folder."""

    def __init__(self, where: str, root: Path) -> None:
        self.registry = CollectorRegistry()
        self._root = root
        self._made: dict[str, Any] = {}
        kinds: dict[str, Any] = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
        for metric in METRICS:
            if metric.where in {where, "all"} and not metric.name.startswith("liucun_collector_"):
                more = {"buckets": SECONDS} if metric.kind == "histogram" else {}
                self._made[metric.name] = kinds[metric.kind](
                    metric.name, metric.help, metric.labels, registry=self.registry, **more
                )
        self._made["liucun_disk_free_bytes"].set_function(lambda: shutil.disk_usage(root).free)
        self._made["liucun_disk_bytes"].set_function(lambda: shutil.disk_usage(root).total)
        self._stop = threading.Event()
        self._clock = threading.Thread(target=self._watch_clock, name="clock", daemon=True)
        self._clock.start()

    def add(self, name: str, value: float, *labels: str) -> None:
        """Add to a counter."""
        self._of(name, labels).inc(value)

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        self._of(name, labels).set(value)

    def observe(self, name: str, value: float) -> None:
        """Add to a histogram."""
        self._made[name].observe(value)

    def clear(self, name: str) -> None:
        """Forget a gauge's labels."""
        self._made[name].clear()

    def read(self, samples: Samples, *, kept: float = KEPT_SECONDS) -> None:
        """Show figures that are read when somebody asks."""
        self.registry.register(_Read(samples, kept))

    def close(self) -> None:
        """End the watch over the clock."""
        self._stop.set()
        self._clock.join()

    def _of(self, name: str, labels: tuple[str, ...]) -> Any:
        made = self._made[name]
        return made.labels(*labels) if labels else made

    def _watch_clock(self) -> None:
        """Compare the wall clock with the one that nobody sets: deadlines and retention go by the first."""
        before = time.time() - time.monotonic()
        while not self._stop.wait(CLOCK_SECONDS):
            now = time.time() - time.monotonic()
            if abs(now - before) > JUMP_SECONDS:
                self.add("liucun_clock_jumps", 1)
                LOG.error("the clock jumped by %+.1f seconds 时钟跳变", now - before)
            before = now


class _Read(Collector):
    def __init__(self, samples: Samples, kept: float) -> None:
        self._samples = samples
        self._kept = kept
        self._lock = threading.Lock()
        self._at = -kept
        self._found: list[Metric] = []

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> list[Metric]:
        with self._lock:
            if time.monotonic() - self._at >= self._kept:
                self._found = self._collected()
                self._at = time.monotonic()
            return self._found

    def _collected(self) -> list[Metric]:
        families: dict[str, Any] = {}
        for name, labels, value in self._samples():
            metric = BY_NAME[name]
            family = families.get(name)
            if family is None:
                kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                family = families[name] = kind(metric.name, metric.help, labels=metric.labels)
            family.add_metric(labels, value)
        return list(families.values())
