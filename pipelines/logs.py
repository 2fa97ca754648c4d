"""Lines of a log: plain, or one JSON object each with ``LIUCUN_LOG=json``; a cluster's workers write them, too.

Neither holds personal data. Our own messages name sources, places, numbers and errors of the one tree, whose sentences
hold none; of any other error only its type and where it was raised are written, since its message may quote a record.
"""

from __future__ import annotations

import json
import logging
import os
import traceback
from datetime import UTC, datetime
from typing import Any, Final

from errors import LiucunError, SettingsError

VARIABLE: Final = "LIUCUN_LOG"
FORMS: Final = ("text", "json")


class JsonLines(logging.Formatter):
    """One object a line: ``@timestamp``, ``log.level``, ``log.logger``, ``message``, ``process.*``, ``error.*``."""

    def __init__(self, command: str) -> None:
        super().__init__()
        self._command = command

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        ours = record.name.split(".")[0] in {"liucun", "pipelines", "retention", "tickets", "console", "detectors"}
        said: dict[str, Any] = {
            "@timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "log.level": record.levelname.lower(),
            "log.logger": record.name,
            # The words of other libraries may quote what they work on.
            "message": record.getMessage() if ours else f"a message of {record.name}",
            "process.name": f"liucun {self._command}",
            "process.pid": record.process,
        }
        said.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            said.update(error_fields(record.exc_info[1]))
        return json.dumps(said, ensure_ascii=False, default=str)


def error_fields(error: BaseException) -> dict[str, str]:
    """What a log may say of an error."""
    frames = traceback.extract_tb(error.__traceback__)
    found = {"error.type": type(error).__name__}
    if isinstance(error, LiucunError):
        found["error.message"] = str(error)
    found["error.stack_trace"] = " ".join(f"{f.filename.rsplit('/', 2)[-1]}:{f.lineno}:{f.name}" for f in frames[-12:])
    return found


def worker_logs(command: str, text: str, level: int) -> None:
    """Log to standard error in the form that is asked for; ``text`` is the plain form. Raises as ``json_wished``."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(command) if json_wished() else logging.Formatter(text))
    # A warning at the import of a library may have set up a handler of its own already.
    logging.basicConfig(level=level, handlers=[handler], force=True)


def json_wished() -> bool:
    """Whether logs are to be JSON.

    Raises:
        SettingsError: the variable names no form.
    """
    form = os.environ.get(VARIABLE, "text")
    if form not in FORMS:
        raise SettingsError(f"{VARIABLE} is {form!r}.", cure=f"It may be {' or '.join(FORMS)}.")
    return form == "json"
