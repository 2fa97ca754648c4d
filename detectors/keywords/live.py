"""The packs of a running job: changed files are taken up between batches, and bad ones leave the last good in force."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

import pyarrow as pa

from detectors.errors import PackError
from detectors.keywords.engine import KeywordDetector
from detectors.keywords.layers import Layers, load_layers
from detectors.keywords.packset import PackSet
from detectors.keywords.rules import State

CHECK_SECONDS: Final = 1.0
"""How often files are looked at, at most."""
SETTLE_SECONDS: Final = 0.5
"""How long a changed file must have stayed as it is before it is read: an editor may still be writing it."""

Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """Changed packs are in force."""

    packs: PackSet


@dataclass(frozen=True, slots=True)
class Refused:
    """Changed packs are bad; ``in_force`` names those that go on."""

    alarm: PackError
    in_force: str


Change = Taken | Refused


class LivePacks:
    """Keeps the packs of ``layers`` up to date.

    Args:
        packs: packs known to be good; they stay in force until the files were read without a fault.
        today: the day by which rules' dates count; a new day reads the packs again.
    """

    def __init__(
        self,
        layers: Layers,
        packs: PackSet,
        today: Callable[[], date],
        *,
        check_seconds: float = CHECK_SECONDS,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._layers, self._today = layers, today
        self._check, self._settle = check_seconds, settle_seconds
        self._lock = threading.Lock()
        self._detector = KeywordDetector(packs)
        self._alarm: PackError | None = None
        self._read: tuple[Stamp, date] | None = None
        self._seen: tuple[Stamp, date] | None = None
        self._seen_at = self._checked_at = float("-inf")

    @property
    def detector(self) -> KeywordDetector:
        """The detector over the packs in force."""
        return self._detector

    @property
    def alarm(self) -> PackError | None:
        """What is wrong with the packs as they lie there, while older ones are in force."""
        return self._alarm

    def refresh(self) -> Change | None:
        """Look whether packs changed, and take them up if they are good.

        Cheap: some ``stat`` calls a second at most. Returns what changed, once; None if nothing did.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._checked_at < self._check:
                return None
            self._checked_at = now
            present = (stamp(self._layers), self._today())
            if present == self._read:
                return None
            if present != self._seen:
                self._seen, self._seen_at = present, now
                # The first look of all has nothing to compare with: files that lie there are taken as they are.
                if self._read is not None:
                    return None
            elif now - self._seen_at < self._settle:
                return None
            return self._take_up(present)

    def _take_up(self, present: tuple[Stamp, date]) -> Change | None:
        self._read = present
        try:
            detector = ready(load_layers(self._layers, present[1]))
        except PackError as alarm:
            same = self._alarm is not None and self._alarm.what == alarm.what
            self._alarm = alarm
            return None if same else Refused(alarm, self._detector.version)
        recovered, self._alarm = self._alarm is not None, None
        if detector.version == self._detector.version and not recovered:
            return None
        self._detector = detector
        return Taken(detector.packs)


def ready(packs: PackSet) -> KeywordDetector:
    """A detector whose automata are built.

    Raises:
        PackError: the packs were read, and yet no automaton can be built of them.
    """
    detector = KeywordDetector(packs)
    try:
        for state in (State.LIVE, State.SHADOW):
            detector.evidence(pa.array(["热身 warm-up"]), state)
    except Exception as error:  # whatever a matcher dislikes, the job must go on with what it has
        raise PackError(
            f"No matcher can be built of the rule packs: {type(error).__name__}: {error}",
            cure="Take back the last change to the packs.",
        ) from error
    return detector


def stamp(layers: Layers) -> Stamp:
    """What changes when a pack is edited, added or removed: path, time of change, size and file number of each."""
    found: list[tuple[str, int, int, int]] = []
    for path in layers.present:
        try:
            entries = [entry.path for entry in os.scandir(path)] if path.is_dir() else [str(path)]
        except OSError:
            found.append((str(path), -1, -1, -1))
            continue
        for name in entries:
            if name.endswith(".csv"):
                try:
                    status = os.stat(name)  # noqa: PTH116 - names of a listing, many a second
                except OSError:
                    continue
                found.append((name, status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(sorted(found))
