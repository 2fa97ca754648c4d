"""Logs of the long-running commands, in the form that ``LIUCUN_LOG`` asks for (``pipelines.logs``)."""

from __future__ import annotations

import logging
import os
import sys

from errors import LiucunError
from pipelines.logs import VARIABLE, JsonLines, json_wished


def start_logs(command: str) -> logging.Logger:
    """Set logging up for a command and return its logger. Raises as ``json_wished``."""
    handler = logging.StreamHandler(sys.stderr)
    if json_wished():
        handler.setFormatter(JsonLines(command))
        logging.captureWarnings(True)
    else:
        handler.setFormatter(logging.Formatter("liucun: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logger = logging.getLogger(f"liucun.{command}")
    logger.setLevel(logging.INFO if json_wished() else logging.WARNING)
    return logger


def log_failure(error: LiucunError) -> bool:
    """Say in JSON what ended a command, where its logs are JSON; otherwise return False."""
    if not isinstance(next(iter(logging.getLogger().handlers), None), logging.StreamHandler):
        return False
    if os.environ.get(VARIABLE) == "json" and logging.getLogger().handlers:
        logging.getLogger("liucun.end").error(
            "%s", error.what, extra={"fields": {"error.type": type(error).__name__, "error.cure": error.cure}}
        )
        return True
    return False
