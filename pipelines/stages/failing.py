"""Keeps an error of a stage as it was raised: runners pass on its text only, and with it its exit code is lost.

On a cluster that text, with those of all errors behind it, is printed by the worker and goes into Flink's logs. A
database's error quotes the row, a decoder's the line: there an error leaves a stage with nobody's words but our own.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from typing import Any

from errors import LiucunError
from pipelines import handover, under_way
from pipelines.batches import DetectedBatch, PairedBatch, Place, RawBatch
from pipelines.beam import beam

_LOG = logging.getLogger(__name__)


class StageError(Exception):
    """An error that is none of the tree, by its type and where it was raised."""


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
            if (place := _place(element)) is not None:
                under_way.failed(self.job, place, error)
            if handover.failed(self.job, error):
                raise
            said = without_foreign_words(error)
            _LOG.error("a stage failed: %s", said)
            raise said from None


def _place(element: Any) -> Place | None:
    raw = element.raw if isinstance(element, PairedBatch | DetectedBatch) else element
    return raw.place if isinstance(raw, RawBatch) else None


def without_foreign_words(error: Exception) -> Exception:
    """The error itself where its sentences are ours, with none behind it; else a ``StageError`` that stands for it."""
    if isinstance(error, LiucunError):
        error.__cause__ = error.__context__ = None
        return error
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{f.filename.rsplit('/', 2)[-1]}:{f.lineno} {f.name}" for f in frames[:-7:-1])
    return StageError(f"{type(error).__name__} at {where}")
