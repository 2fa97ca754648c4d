"""Segments that were opened for a look-up and stay so for a while: the next look-up reads only what it asks for.

An opened segment holds its data key. Whoever takes one out asks for its period key first, so that a destroyed one ends
it here too; and what nobody uses for a minute is let go of.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from retention.container_reader import ContainerReader
from retention.keys.memory import PeriodKey
from retention.lookups.blind import BlindKey
from retention.lookups.section import Head, find_head, footer_start, read_head

MOST: Final = 512
"""Segments that stay open; each holds about 130 KB."""
IDLE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class OpenedSection:
    """An open segment and its look-up section, at ``begin`` of its plaintext; ``head``: None without."""

    reader: ContainerReader
    head: Head | None
    begin: int


def open_section(reader: ContainerReader, key: PeriodKey) -> OpenedSection:
    """Find the section of an open segment.

    Raises:
        ValueError: it contradicts itself.
        UnknownVersionError: a later version of the program wrote it.
        ChunkRefusedError: a chunk does not authenticate.
    """
    footer = footer_start(reader.read_at(reader.size - 8, 8), reader.size)
    found = find_head(reader.read_at, footer, BlindKey(reader.suite, key))
    if found is None:
        return OpenedSection(reader, None, 0)
    head = read_head(found[1])
    if found[0] < head.section:
        raise ValueError("it is longer than the file")
    return OpenedSection(reader, head, found[0] - head.section)


class OpenedSegments:
    """Opened segments by id, the least used given up first; safe to use from many threads."""

    def __init__(self, most: int = MOST, idle: float = IDLE_SECONDS) -> None:
        self._most, self._idle = most, idle
        self._held: OrderedDict[str, tuple[OpenedSection, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, segment_id: str) -> bool:
        return segment_id in self._held

    def get(self, segment_id: str) -> OpenedSection | None:
        """The opened segment, which counts as used now."""
        with self._lock:
            found = self._held.get(segment_id)
            if found is None:
                return None
            self._held[segment_id] = (found[0], time.monotonic())
            self._held.move_to_end(segment_id)
            return found[0]

    def keep(self, segment_id: str, section: OpenedSection) -> None:
        """Keep one that was just opened."""
        with self._lock:
            self._held[segment_id] = (section, time.monotonic())
            self._held.move_to_end(segment_id)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
            self._wait()

    def clear(self) -> None:
        """Let go of all, because a key is gone or one of them is not intact."""
        with self._lock:
            self._held.clear()

    def _wait(self) -> None:
        """Look again when the longest unused one is idle."""
        if self._timer is None and self._held:
            used = next(iter(self._held.values()))[1]
            self._timer = threading.Timer(max(0.01, used + self._idle - time.monotonic()), self._let_go)
            self._timer.daemon = True
            self._timer.start()

    def _let_go(self) -> None:
        with self._lock:
            self._timer = None
            before = time.monotonic() - self._idle
            while self._held and next(iter(self._held.values()))[1] <= before:
                self._held.popitem(last=False)
            self._wait()
