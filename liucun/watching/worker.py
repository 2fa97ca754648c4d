"""The metrics of ``liucun worker``: its steps, and the store's own figures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from liucun.watching.meters import Meters
from liucun.watching.store import store_figures

if TYPE_CHECKING:
    from liucun.store import OpenStore
    from liucun.timed_work import Outcome


class WorkerMeters(Meters):
    """Metrics of one worker; one that waits for the lease shows the store's figures too."""

    def __init__(self, opened: OpenStore) -> None:
        super().__init__("worker", opened.root)
        self._opened = opened
        self.read(lambda: store_figures(opened))

    def step(self, outcome: Outcome) -> None:
        """Take note of a step."""
        self.add("liucun_step_seconds", outcome.seconds, outcome.step)
        if outcome.error is not None:
            self.add("liucun_step_failures", 1, outcome.step)
        else:
            self.set("liucun_step_timestamp_seconds", time.time(), outcome.step)

    def ready(self) -> None:
        """Raise the catalogue's error while it does not answer."""
        with self._opened.catalogue.read() as connection:
            connection.exec_driver_sql("SELECT 1")
