"""All journals of a store: one a source of kind ``collector``, opened when the first lines for it come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from errors import LiucunError
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import partitions
from retention.intake.errors import IntakeBusyError, IntakeFullError, IntakeSourceError
from retention.intake.frames import Cipher
from retention.intake.journal import Figures, Journal
from retention.intake.reading import journal_files
from retention.intake.settings import CollectorSettings


class Intake:
    """Takes lines over for the sources that it is given."""

    def __init__(
        self, root: Path, sources: Iterable[str], catalogue: Catalogue, cipher: Cipher, limits: CollectorSettings
    ) -> None:
        self.sources = tuple(sources)
        self.limits = limits
        self._root = root
        self._catalogue = catalogue
        self._cipher = cipher
        self._lock = threading.Lock()
        self._journals: dict[str, Journal] = {}
        self._arriving = 0
        self.refused = 0

    def journal(self, source: str | None) -> tuple[str, Journal]:
        """The journal of a source; with None that of the only one.

        Raises:
            IntakeSourceError: there is no such source.
            IntakeFullError: it cannot be written.
        """
        if source is None and len(self.sources) == 1:
            source = self.sources[0]
        if source is None or source not in self.sources:
            raise IntakeSourceError(
                "There is no such source of kind collector."
                if source is not None
                else "Which source the lines are for was not said.",
                cure=f"Say ?source=NAME; declared are: {', '.join(self.sources) or 'none'}.",
            )
        with self._lock:
            found = self._journals.get(source)
            if found is None:
                found = self._journals[source] = self._open(source)
            return source, found

    @contextmanager
    def arriving(self, size: int) -> Iterator[None]:
        """Hold memory for a request of so many bytes while it arrives and is synced.

        Raises:
            IntakeBusyError: too much is arriving already.
        """
        with self._lock:
            if self._arriving and self._arriving + size > self.limits.waiting_megabytes << 20:
                self.refused += 1
                raise IntakeBusyError("More is arriving than can be held.", cure="Send the same again in a second.")
            self._arriving += size
        try:
            yield
        finally:
            with self._lock:
                self._arriving -= size

    def tend(self) -> None:
        """Housekeeping of every journal, also of those that lie there from before.

        Raises:
            LiucunError: as ``Journal.tend``, of the first that failed; the others are done all the same.
        """
        wrong: LiucunError | None = None
        for source in self.sources:
            try:
                if source in self._journals or journal_files(self.limits.place(self._root, source)):
                    self.journal(source)[1].tend()
            except LiucunError as error:
                wrong = wrong or error
            except OSError as error:
                what = f"The journal of {source} cannot be looked at: {error.strerror or error}."
                wrong = wrong or IntakeFullError(what, cure="Check the folder and its rights.")
        if wrong is not None:
            raise wrong

    def figures(self) -> Mapping[str, Figures]:
        """Counts by source."""
        return {name: journal.figures for name, journal in list(self._journals.items())}

    def close(self) -> None:
        """Close every journal."""
        with self._lock:
            for journal in self._journals.values():
                journal.close()
            self._journals.clear()

    def _open(self, source: str) -> Journal:
        place = self.limits.place(self._root, source)
        return Journal(place, self._cipher, self.limits, self._cursors(source))

    def _cursors(self, source: str) -> Callable[[list[str]], Mapping[str, int]]:
        def archived(names: list[str]) -> Mapping[str, int]:
            p = partitions.c
            with self._catalogue.read() as connection:
                rows = connection.execute(
                    sa.select(p.partition, p.cursor).where(p.source == source, p.partition.in_(names))
                ).all()
            return {str(row.partition): int(row.cursor) for row in rows}

        return archived
