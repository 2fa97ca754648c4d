"""The source of what the collector took over: reads the intake journal's files, each a partition, in lines' bytes.

Frames come whole and in order, synced and authenticated; so a range of offsets always holds the same bytes, and the
cursor alone says where to go on.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy.exc

from errors import IntegrityError, LiucunError
from pipelines.batches import Place, RawBatch
from pipelines.sources.caution import Caution
from pipelines.sources.problems import SourceProblem
from pipelines.sources.spec import SourceSpec
from retention.catalogue import progress
from retention.catalogue.engine import Catalogue
from retention.catalogue.failures import ConflictError
from retention.intake.frames import Cipher
from retention.intake.reading import JournalReader, journal_files


class JournalSource:
    """Plans the batches of one source of kind ``collector``; one thread at a time.

    Every batch handed out must be committed before ``plan`` is called again, or the source be made anew.
    """

    def __init__(
        self,
        spec: SourceSpec,
        catalogue: Catalogue,
        folder: Path,
        cipher: Cipher,
        *,
        follow: bool = False,
        batch_bytes: int = 8 << 20,
    ) -> None:
        self.spec = spec
        self._catalogue = catalogue
        self._folder = folder
        self._cipher = cipher
        self._follow = follow
        self._batch_bytes = batch_bytes
        self._caution = Caution(spec, catalogue)
        self._readers: dict[str, JournalReader] = {}
        self._damaged: dict[str, SourceProblem] = {}
        self._finished: set[str] = set()
        self._put_off: set[str] = set()
        self._looked = False

    @property
    def problems(self) -> list[SourceProblem]:
        """Files that are damaged, or cannot be read, and records over which workers died."""
        return [*(self._damaged[name] for name in sorted(self._damaged)), *self._caution.problems]

    def lag(self) -> int:
        """Bytes known and not planned."""
        return sum(max(reader.mark().lines - reader.position, 0) for reader in self._readers.values())

    def lags(self) -> dict[str, int]:
        """Bytes known and not planned, by partition."""
        return {name: max(r.mark().lines - r.position, 0) for name, r in self._readers.items()}

    def done(self) -> bool:
        """Whether everything known is planned; never so while following."""
        return not self._follow and self._looked and self.lag() == 0 and not self.waiting

    @property
    def waiting(self) -> bool:
        """Whether a file is put off for a while, because workers died over its next record."""
        return bool(self._put_off)

    def plan(self, max_bytes: int) -> list[RawBatch]:
        """The next batches, of about ``max_bytes`` together; none when nothing (more) is there.

        Raises:
            StorageError, UnreachableError: the catalogue cannot be used.
        """
        self._look()
        batches: list[RawBatch] = []
        size = 0
        for name, reader in list(self._readers.items()):
            while size < max_bytes and name not in self._damaged:
                start = reader.position
                try:
                    data = reader.read(min(self._batch_bytes, max_bytes))
                except (IntegrityError, OSError) as error:
                    what = error.what if isinstance(error, LiucunError) else f"cannot be read: {error.strerror}"
                    self._damaged[name] = SourceProblem(str(reader.path), what)
                    break
                if not data:
                    break
                place = Place(self.spec.name, name, start, start + len(data))
                batches.append(RawBatch(place, data, first=start == 0, last=False))
                size += len(data)
        return self._caution.guarded(batches)

    def close(self) -> None:
        """Give everything back."""
        self._readers.clear()

    def _look(self) -> None:
        """Take up files that are new, and let go of those that are archived to their end."""
        self._looked = True
        found = {path.stem: path for path in journal_files(self._folder)}
        for name in [name for name in self._readers if name not in found]:
            del self._readers[name]  # archived and deleted by the writer
            self._caution.drop(name)
        for name, reader in list(self._readers.items()):
            mark = reader.mark()
            if mark.closed and reader.position == mark.lines:
                self._finish(name)
        unread = [name for name in found if name not in self._readers and name not in self._finished]
        fresh = [name for name in unread if self._caution.due(name)]
        self._put_off = set(unread).difference(fresh)
        if not fresh:
            return
        with self._catalogue.read() as connection:
            known = {item.partition: item for item in progress.partitions(connection, self.spec.name)}
        for name in sorted(fresh):
            if name not in known:
                self._enter(name, found[name])
            elif known[name].finished:
                self._finished.add(name)
                continue
            cursor = known[name].cursor if name in known else 0
            if self._caution.take_up(name, cursor):
                self._readers[name] = JournalReader(found[name], self._cipher, cursor)
            else:
                self._put_off.add(name)

    def _finish(self, name: str) -> None:
        with self._catalogue.write() as connection:
            progress.finish_partition(connection, self.spec.name, name)
        self._finished.add(name)
        del self._readers[name]

    def _enter(self, name: str, path: Path) -> None:
        try:
            with self._catalogue.write() as connection:
                progress.add_partition(
                    connection,
                    source=self.spec.name,
                    partition=name,
                    path=f"{self.spec.name}/{path.name}",
                    generation=1,
                )
        except (sqlalchemy.exc.IntegrityError, ConflictError):
            pass  # another run was first: the cursor sorts out whose batches count
