"""Imports Apache Beam without the warnings that it prints about clouds that Liucun does not use."""

from __future__ import annotations

import logging
import warnings

_root = logging.getLogger()
_handlers = list(_root.handlers)
logging.disable(logging.WARNING)
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import apache_beam as beam
        from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
        from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner
        from apache_beam.transforms.environments import EmbeddedPythonEnvironment
        from apache_beam.transforms.timeutil import TimeDomain
        from apache_beam.transforms.userstate import TimerSpec, on_timer
        from apache_beam.utils.timestamp import Duration, Timestamp
finally:
    logging.disable(logging.NOTSET)
    _root.handlers[:] = _handlers

__all__ = [
    "Duration",
    "EmbeddedPythonEnvironment",
    "FnApiRunner",
    "ManualWatermarkEstimator",
    "OffsetRange",
    "OffsetRestrictionTracker",
    "PipelineOptions",
    "TimeDomain",
    "TimerSpec",
    "Timestamp",
    "beam",
    "on_timer",
]
