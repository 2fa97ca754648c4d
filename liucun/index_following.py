"""The search index follows the archive beside other work: in the worker, and after the commits of a run.

It has a lease of its own, so that of all processes of a store one follows; and a thread of its own, so that neither a
cluster that is away holds up the job, nor a long compaction a destruction on its way to the index.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from errors import BusyError, LiucunError
from retention.catalogue.retrying import retried

if TYPE_CHECKING:
    from liucun.store import OpenStore
    from retention.search.follower import Follower

EVERY: Final = 1.0
"""Seconds between two steps that found nothing left to do."""
AFTER_FAILURE: Final = 15.0


@contextmanager
def following(opened: OpenStore, *, wait: float = 0.0) -> Iterator[Follower]:
    """The follower, with the lease held.

    Raises:
        SearchOffError: no index is set up.
        BusyError: another process follows, and did for ``wait`` seconds.
    """
    from retention.search.leasing import leased

    with leased(opened.store, opened.settings.search, wait=wait) as follower:
        yield follower


def step(opened: OpenStore) -> dict[str, Any]:
    """Number what was committed and follow it for one step; the figures."""
    retried(opened.catalogue, lambda: opened.store.log.keep(ending=False))
    with following(opened) as follower:
        return follower.step().as_json()


class IndexThread:
    """Follows in a thread between ``start`` and ``stop``; a failure is told once and tried again until it goes away."""

    def __init__(self, opened: OpenStore, tell: Callable[[float, dict[str, Any], str | None], None]) -> None:
        self._opened, self._tell = opened, tell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="search-index", daemon=True)
        self._told: str | None = None

    def start(self) -> None:
        """Begin, where there is an index."""
        if self._opened.settings.search.on:
            self._thread.start()

    def stop(self) -> None:
        """Follow once more and end."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        ending = False
        while not ending:
            # One more step after the stop: what the last moments committed.
            ending = self._stop.is_set()
            began = time.monotonic()
            pause = EVERY
            try:
                figures = step(self._opened)
            except BusyError:
                pass  # another process follows
            except LiucunError as error:
                pause = AFTER_FAILURE
                self._say(began, {}, str(error))
            else:
                self._say(began, figures, None)
                if figures["behind"]:
                    continue
            self._stop.wait(pause)

    def _say(self, began: float, figures: dict[str, Any], error: str | None) -> None:
        if any(figures.values()) or error != self._told:
            self._tell(time.monotonic() - began, figures, error)
        self._told = error
