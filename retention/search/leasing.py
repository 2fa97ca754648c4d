"""The index's lease: of all processes of a store one follows, compares or rebuilds at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from errors import BusyError
from retention.catalogue.lease import Lease
from retention.search.errors import SearchOffError
from retention.search.follower import Follower
from retention.search.settings import SearchSettings
from retention.search.writer import Parts

LEASE: Final = "search"
RENEW: Final = 20.0
"""Seconds after which a holder at work renews it."""


@contextmanager
def leased(parts: Parts, settings: SearchSettings, *, wait: float = 0.0) -> Iterator[Follower]:
    """The follower, with the lease held.

    Raises:
        SearchOffError: no index is set up.
        BusyError: another process follows, and did for ``wait`` seconds.
    """
    if not settings.on:
        raise SearchOffError("No search index is set up.", cure="Set [search] urls in liucun.toml; see docs/search.md.")
    lease = Lease(parts.catalogue, LEASE)
    _take(lease, wait)
    renewed = time.monotonic()

    def pulse() -> None:
        nonlocal renewed
        if time.monotonic() - renewed > RENEW:
            lease.take()
            renewed = time.monotonic()

    try:
        follower = Follower(parts, settings, pulse=pulse)
        try:
            yield follower
        finally:
            follower.close()
    finally:
        lease.give_back()


def _take(lease: Lease, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            lease.take()
        except BusyError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.2)
        else:
            return
