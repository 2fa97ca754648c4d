"""Open stores of this process, so that stages name a store without carrying its secrets.

``setup()`` of a stage runs for every batch on some runners: keys, connections and
automata therefore live here, at module level, once a process.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from errors import KeyAccessError
from retention.store import Store, StoreSettings


@dataclass(frozen=True, slots=True)
class StoreRef:
    """Names a store to a worker; holds no secret and can be pickled."""

    root: str
    settings: StoreSettings


_lock = threading.Lock()
_open: dict[StoreRef, list[Store]] = {}
"""Open stores, one an owner that registered it; the last is given out."""


def register(store: Store) -> StoreRef:
    """Make a store that this process has opened known to the stages."""
    ref = StoreRef(str(store.root), store.settings)
    with _lock:
        _open.setdefault(ref, []).append(store)
    return ref


def release(ref: StoreRef, store: Store) -> None:
    """Forget a store as one owner registered it, who closes it; another's stays."""
    with _lock:
        left = _open.get(ref, [])
        at = next((n for n, one in enumerate(left) if one is store), None)
        if at is not None:
            del left[at]
        if not left:
            _open.pop(ref, None)


def store_of(ref: StoreRef) -> Store:
    """The open store of a reference; a worker of another process opens it with the passphrase of its environment.

    Raises:
        KeyAccessError: the worker has no passphrase, or a wrong one.
    """
    with _lock:
        if ref not in _open:
            _open[ref] = [Store.open(Path(ref.root), ref.settings, _worker_passphrase)]
        return _open[ref][-1]


def _worker_passphrase() -> str:
    given = os.environ.get("LIUCUN_PASSPHRASE")
    file = os.environ.get("LIUCUN_PASSPHRASE_FILE")
    if given:
        return given
    if file:
        return Path(file).read_text(encoding="utf-8").split("\n", 1)[0]
    raise KeyAccessError(
        "The worker has no passphrase.",
        cure="Set LIUCUN_PASSPHRASE_FILE in the environment of every worker.",
    )
