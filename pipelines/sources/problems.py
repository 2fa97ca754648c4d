"""What a source could not read; shown in the run's summary, never swallowed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """``path`` as found, ``what`` happened in words."""

    path: str
    what: str

    def __str__(self) -> str:
        shown = self.path.encode("utf-8", "backslashreplace").decode()
        return f"{shown}: {self.what}"
