"""Runs a transaction again when the database chose another writer, or restarted in the middle.

What is run again must be whole: it begins its own transaction and decides everything anew inside it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

import sqlalchemy.exc

from errors import UnreachableError
from retention.catalogue.engine import Catalogue
from retention.catalogue.failures import ConflictError

RETRY_SECONDS: Final = 60.0
"""How long conflicts and a server that comes and goes are put up with."""
_CONSTRAINTS: Final = 5
"""How often a broken constraint counts as another writer who was faster; then it is a fault of the program."""
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 1.0

T = TypeVar("T")


def retried(catalogue: Catalogue, work: Callable[[], T], *, seconds: float = RETRY_SECONDS) -> T:
    """Call ``work`` until it succeeds; each call must be one whole transaction that is right to repeat.

    Raises:
        ConflictError: other writers were faster for ``seconds`` on end.
        UnreachableError: the server stayed away; whether the last call was committed is not known.
    """
    until = time.monotonic() + seconds
    pause, broken = _FIRST_PAUSE, 0
    while True:
        try:
            return work()
        except (ConflictError, UnreachableError):
            if time.monotonic() + pause > until:
                raise
        except sqlalchemy.exc.IntegrityError:
            # SQLite's writers are alone: there a broken constraint has no other explanation.
            broken += 1
            if catalogue.engine.dialect.name == "sqlite" or broken >= _CONSTRAINTS:
                raise
        time.sleep(pause * random.uniform(0.5, 1.5))
        pause = min(pause * 2, _LONGEST_PAUSE)
