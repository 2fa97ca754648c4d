"""Progress of a run on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from pipelines.summary import RunSummary


class RunProgress:
    """A bar of bytes with records a second. Use it in a ``with`` statement."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[records]:,} records, {task.fields[rate]:,.0f}/s"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("Sealing 封存", total=None, records=0, rate=0.0)

    def show(self, summary: RunSummary, waiting: int) -> None:
        """Show the run so far; ``waiting`` bytes are known and not committed."""
        self._bar.update(
            self._task,
            completed=summary.bytes_in,
            total=summary.bytes_in + waiting,
            records=summary.records_in,
            rate=summary.records_in / max(summary.seconds, 1e-9),
        )

    def __enter__(self) -> RunProgress:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__(None, None, None)
