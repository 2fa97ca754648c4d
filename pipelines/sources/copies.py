"""New files that are copies in the making of files that are being read: to be left alone until that is over.

Rotation by copying (``copytruncate``) and compression show the copy beside its original for a while. Whoever took it up
then would take its records in twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from pipelines.sources.discovery import FoundFile
from pipelines.sources.identity import SMALL, digest
from pipelines.sources.reading import UnreadableError, open_reader
from pipelines.sources.tail import Tail

COPY_SECONDS: Final = 60.0
"""How long a copy must have stayed as it is beside its original to count as a file of its own."""
_COMPARED: Final = 4 << 10
_UNPACKED: Final = 64 << 10
_MOST_ALIKE: Final = 64
"""Files with the same beginning that are compared: where more have it, it says nothing."""


class Copies:
    """Recognises copies of files that are being read. ``follow``: whether the source is looked at again and again.

    A source that is read once takes copies for files of their own, but for ``NAME.gz`` beside ``NAME``.
    """

    def __init__(self, *, follow: bool) -> None:
        self._follow = follow
        self._paths: set[str] = set()
        self._tails: Sequence[Tail] = ()
        self._begin: dict[str, list[Tail]] | None = None
        self._seen: dict[str, tuple[str, float]] = {}

    def look(self, paths: set[str], tails: Sequence[Tail]) -> None:
        """What there is at present: all paths that were found, and the files that are being read under theirs."""
        self._paths, self._tails, self._begin = paths, tails, None
        self._seen = {path: seen for path, seen in self._seen.items() if path in paths}

    def original(self, file: FoundFile) -> str | None:
        """The path of the file of which a new one is a copy, None where it is to be taken up.

        Raises:
            UnreadableError: the file cannot be read.
        """
        unpacked = file.path.removesuffix(".gz")
        if file.compressed:
            return unpacked if unpacked in self._paths and _unpacks(file.path, unpacked) else None
        if not self._follow or file.size < SMALL:
            return None
        now = time.monotonic()
        hint, since = self._seen.get(file.path, (file.hint, now))
        since = since if hint == file.hint else now
        if now - since >= COPY_SECONDS:
            return None
        found = self._beginning_of(file)
        if found is not None:
            self._seen[file.path] = (file.hint, since)
        return found

    def _beginning_of(self, file: FoundFile) -> str | None:
        """The path of a file that is being read and holds all that this one does, by its first and last bytes."""
        with closing(open_reader(file.path)) as copy:
            alike = self._beginnings().get(digest(copy.read(0, SMALL)), ())
            size = min(file.size, _COMPARED)
            first, last = copy.read(0, size), copy.read(file.size - size, size)
        for tail in alike if len(alike) <= _MOST_ALIKE else ():
            try:
                with closing(open_reader(tail.file.path)) as reader:
                    if reader.read(0, size) == first and reader.read(file.size - size, size) == last:
                        return tail.file.path
            except UnreadableError:
                continue
        return None

    def _beginnings(self) -> dict[str, list[Tail]]:
        if self._begin is None:
            self._begin = {}
            for tail in self._tails:
                if begin := tail.beginning():
                    self._begin.setdefault(begin, []).append(tail)
        return self._begin


def _unpacks(path: str, other: str) -> bool:
    """Whether a compressed file holds, as far as can be seen by now, what the beginning of another one is."""
    with closing(open_reader(path)) as packed:
        begin = packed.read(0, _UNPACKED)
        if not begin and packed.damaged:
            return False
    try:
        with closing(open_reader(other)) as plain:
            return plain.read(0, len(begin)) == begin
    except UnreadableError:
        return False
