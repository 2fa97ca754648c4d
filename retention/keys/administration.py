"""Changes of keys, each with its events: rotation, rewrapping, shredding, escrow, restoring.

Keys lie in a database and in devices of their own, outside the catalogue's transactions. So an event
says what begins before it begins, and another how it ended; a cut-off change is seen by the missing end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import sqlalchemy as sa

from errors import LiucunError, NotPermittedError, UsageError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.key_use import live_segments
from retention.catalogue.tables import events as event_table
from retention.errors import KeyDestroyedError, KeyUnknownError
from retention.keys.periods import PeriodKeyRecord, PeriodKeys
from retention.keys.provider import KeyProvider
from retention.keys.rewrap import Progress, wrapped_kinds

SUBJECT: Final = "keys"
ESCROWED: Final = "keys.escrow.done"


@runtime_checkable
class Rotates(Protocol):
    """A provider that makes its next key itself."""

    def rotate(self) -> str:
        """Make a key, use it from now on, return its id."""
        ...


@runtime_checkable
class HoldsKeys(Protocol):
    """A provider that knows its keys one by one."""

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids, oldest first; the last is current."""
        ...

    def forget(self, key_id: str) -> None:
        """Drop a key that is not current."""
        ...


class KeyInUseError(NotPermittedError):
    """A key may not be shredded: the law, a hold or the archive itself still needs it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a rotation or a rewrapping did. ``forgotten``: provider keys that were dropped."""

    provider: str
    key_id: str
    rewrapped: int
    forgotten: tuple[str, ...]


def rotate(
    catalogue: Catalogue,
    keys: PeriodKeys,
    *,
    actor: str,
    forget_old: bool = False,
    progress: Progress | None = None,
) -> Change:
    """Make the provider's next key and rewrap everything under it. No segment is touched.

    Raises:
        UsageError: the provider's key is rotated by other means.
        KeyAccessError: the provider refused; what was wrapped before still opens.
    """
    provider = keys.provider
    who = provider.description
    if not isinstance(provider, Rotates):
        raise UsageError(
            f"The provider {who.kind} does not make its next key itself.",
            cure="Rotate with its own tools (docs/keys.md), then run `liucun keys rewrap`.",
        )
    with recorded(catalogue, "keys.rotate", actor, {"provider": who.kind, "from": who.key_id}) as done:
        key_id = provider.rotate()
        count = keys.rewrap(provider, progress)
        forgotten = _forget_old(provider) if forget_old else ()
        done.update({"to": key_id, "rewrapped": count, "forgotten": list(forgotten)})
    return Change(who.kind, key_id, count, forgotten)


def rewrap(
    catalogue: Catalogue,
    keys: PeriodKeys,
    new: KeyProvider,
    *,
    actor: str,
    forget_old: bool = False,
    progress: Progress | None = None,
) -> Change:
    """Wrap everything by ``new`` (another provider, or the present one's current key). No segment is touched.

    Raises:
        KeyAccessError: a provider refused; nothing was changed.
    """
    before, after = keys.provider.description, new.description
    body = {"provider": after.kind, "to": after.key_id, "from": f"{before.kind} {before.key_id}"}
    with recorded(catalogue, "keys.rewrap", actor, body) as done:
        moved = before.kind != after.kind and wrapped_kinds(keys.database) <= {after.kind}
        count = 0
        if moved:
            # A move that was cut off before the settings said so: everything is wrapped by the new provider already.
            keys.use(new)
        else:
            count = keys.rewrap(new, progress)
        forgotten = _forget_old(new) if forget_old else ()
        done.update({"rewrapped": count, "forgotten": list(forgotten)})
    return Change(after.kind, after.key_id, count, forgotten)


def shred(
    catalogue: Catalogue,
    keys: PeriodKeys,
    key_id: str,
    *,
    actor: str,
    reason: str,
    why_not: Callable[[str], str | None],
) -> PeriodKeyRecord:
    """Destroy a period key that seals nothing in the archive any more; ``why_not`` asks the policies and holds.

    Records go by a purge, which has a second person and a certificate; this is for keys that are left over.

    Raises:
        KeyInUseError: something is sealed under it, or a policy or hold keeps it.
        KeyUnknownError, KeyDestroyedError: there is no such key, or no longer.
    """
    record = next((item for item in keys.list() if item.key_id == key_id), None)
    if record is None:
        raise KeyUnknownError(f"There is no period key {key_id[:64]!r}.", cure="`liucun keys list` shows their ids.")
    if record.destroyed_at is not None:
        raise KeyDestroyedError(
            f"The key {key_id} was destroyed at {record.destroyed_at}.", cure="Nothing is left to do."
        )
    if record.record_class.startswith("system:"):
        raise KeyInUseError(
            f"The key {key_id} seals the store's own events and tickets.",
            cure="It lives as long as the store.",
        )
    sealed = _sealed_under(catalogue, record)
    kept = why_not(key_id)
    if sealed or kept:
        raise KeyInUseError(
            f"The key {key_id} seals {sealed:,} segments of the archive" + (f": {kept}." if kept else "."),
            cure="Records go by `liucun purge` once their period is over; it destroys their keys, with a certificate.",
        )
    with recorded(catalogue, "keys.shred", actor, {"key": key_id, "reason": reason}):
        keys.destroy(key_id)
    return record


def last_escrow(catalogue: Catalogue) -> dict[str, object] | None:
    """The newest escrow copy of the inventory: when, by whom, and what the event says. None if there never was one."""
    e = event_table.c
    with catalogue.read() as connection:
        row = connection.execute(
            sa.select(e.at, e.actor, e.body).where(e.kind == ESCROWED).order_by(e.id.desc()).limit(1)
        ).one_or_none()
    if row is None:
        return None
    return {"at": row.at, "actor": row.actor, **json.loads(row.body)}


def shredded_unused(catalogue: Catalogue) -> set[str]:
    """Ids of the period keys that ``shred`` was told to destroy: they sealed nothing, so no certificate names them."""
    e = event_table.c
    with catalogue.read() as connection:
        bodies = connection.execute(sa.select(e.body).where(e.kind == "keys.shred.begun")).scalars()
        return {str(json.loads(body)["key"]) for body in bodies}


@contextmanager
def recorded(catalogue: Catalogue, kind: str, actor: str, body: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Events around a change: ``KIND.begun``, then ``KIND.done`` (with what the caller adds) or ``KIND.failed``."""
    more: dict[str, object] = {}
    _append(catalogue, f"{kind}.begun", actor, body)
    try:
        yield more
    except LiucunError as error:
        _append(catalogue, f"{kind}.failed", actor, {**body, "error": type(error).__name__})
        raise
    _append(catalogue, f"{kind}.done", actor, {**body, **more})


def _append(catalogue: Catalogue, kind: str, actor: str, body: Mapping[str, object]) -> None:
    with catalogue.write() as connection:
        events.append(connection, kind=kind, actor=actor, subject=SUBJECT, body=body)


def _forget_old(provider: KeyProvider) -> tuple[str, ...]:
    if not isinstance(provider, HoldsKeys):
        return ()
    old = tuple(key_id for key_id in provider.key_ids if key_id != provider.description.key_id)
    for key_id in old:
        provider.forget(key_id)
    return old


def _sealed_under(catalogue: Catalogue, record: PeriodKeyRecord) -> int:
    with catalogue.read() as connection:
        return live_segments(connection, record.key_id, record.record_class)
