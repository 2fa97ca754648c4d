"""Keeps an error of a stage as it was raised: runners pass on its text only, and with it its exit code is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipelines import handover
from pipelines.beam import beam


class Failing(beam.DoFn):
    """A DoFn whose errors are also left in the job's round; subclasses implement ``work``."""

    def __init__(self, job: str) -> None:
        super().__init__()
        self.job = job

    def work(self, element: Any) -> Iterator[Any]:
        """Yield the outputs of one element."""
        raise TypeError(f"{type(self).__name__} has no work() of its own.")

    def process(self, element: Any) -> Iterator[Any]:
        try:
            yield from self.work(element)
        except Exception as error:
            handover.failed(self.job, error)
            raise
