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
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner
        from apache_beam.transforms.environments import EmbeddedPythonEnvironment
finally:
    logging.disable(logging.NOTSET)
    _root.handlers[:] = _handlers

__all__ = ["EmbeddedPythonEnvironment", "FnApiRunner", "PipelineOptions", "beam"]
