"""Period keys: one random key for each record class and Shanghai month, wrapped by the provider's key.

Destroying one makes every copy of what it sealed unreadable, so they lie in a database of
their own. SQLite overwrites what it deletes here, and its journal is emptied after a destruction.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from errors import LiucunError, UsageError
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.catalogue.retrying import retried
from retention.catalogue.tables import timestamp
from retention.errors import KeyDestroyedError, KeyUnknownError
from retention.keys.contexts import period_context
from retention.keys.index import IndexKeys
from retention.keys.memory import KeyMemory, PeriodKey
from retention.keys.overwriting import overwrite_old_rows
from retention.keys.provider import KeyProvider
from retention.keys.rewrap import Progress, rewrap_all
from retention.keys.tables import period_keys

KEY_BYTES: Final = 32
ALWAYS: Final = "always"
"""The period of keys that belong to no month."""
KEPT: Final = ".kept"
"""Ends the class name of keys for what outlives its month; the month is the one in which it will have run out."""
OPEN: Final = ".open"
"""The same for what has not ended; the month is the present one."""
HELD: Final = ".held"
"""The same for what is under hold or has an open ticket."""
_ID_TAIL: Final = 13
"""Characters of a key's id after its period: a dash and 6 random bytes in hexadecimal."""

LOG: Final = logging.getLogger("liucun.keys")
_SCRIPTS: Final = Path(__file__).parent / "migrations"
_CLASS: Final = re.compile(r"[a-z][a-z0-9_:.-]{0,63}")
_PERIOD: Final = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class PeriodKeyRecord:
    """What the store of keys says of a key. ``destroyed_at`` is None while it lives.

    ``collector``: a process made it that can write and not read.
    """

    key_id: str
    record_class: str
    period: str
    generation: int
    created_at: str
    destroyed_at: str | None
    collector: bool = False


def place_of(key_id: str) -> tuple[str, str]:
    """Class and period that a key was made for, by its id; of a class with colons these are dots."""
    record_class, dash, _ = key_id[:-_ID_TAIL].rpartition(f"-{ALWAYS}")
    if dash:
        return record_class, ALWAYS
    return key_id[: -_ID_TAIL - 8], key_id[-_ID_TAIL - 7 : -_ID_TAIL]


class PeriodKeys:
    """The store of period keys; safe for threads and processes. Open it with ``open``."""

    def __init__(self, database: Catalogue, provider: KeyProvider, index: IndexKeys | None = None) -> None:
        self._database = database
        self._provider = provider
        self._index = index
        self._memory = KeyMemory(self.sweep)

    def __repr__(self) -> str:
        return f"<PeriodKeys under {self._provider.description.key_id}>"

    @classmethod
    def open(cls, url: str, provider: KeyProvider, create: bool = False, index: IndexKeys | None = None) -> PeriodKeys:
        """Open the store at a SQLAlchemy URL; only ``create`` makes a SQLite file that is not there.

        Raises:
            KeyUnknownError: the file is missing.
            StorageError, SettingsError: the database cannot be used.
        """
        file = sa.make_url(url).database if url.startswith("sqlite") else None
        if file and file != ":memory:" and not create and not Path(file).is_file():
            raise KeyUnknownError(
                f"The store of period keys {file} is missing.",
                cure="Restore it from its newest backup: without it nothing in the archive can be read.",
            )
        database = Catalogue.open(url)
        try:
            migrate(database, room="keys", script_location=_SCRIPTS)
        except BaseException:
            database.close()
            raise
        if file and file != ":memory:" and create:
            Path(file).chmod(0o600)
        return cls(database, provider, index)

    @property
    def provider(self) -> KeyProvider:
        """Who wraps these keys."""
        return self._provider

    @property
    def database(self) -> Catalogue:
        """Where they lie, for what else is wrapped and kept beside them (``signing``)."""
        return self._database

    def current(self, record_class: str, period: str) -> PeriodKey:
        """The key that seals new data of a class and month (``YYYY-MM`` or ``always``), made on first use.

        Raises:
            UsageError: the class or period is malformed.
            KeyAccessError: the provider refuses.
        """
        if not _CLASS.fullmatch(record_class) or (period != ALWAYS and not _PERIOD.fullmatch(period)):
            raise UsageError(
                f"{record_class[:64]!r} in {period[:16]!r} names no period key.",
                cure="A class is a short lower-case word, a period YYYY-MM.",
            )
        place = (record_class, period)
        if (key := self._memory.fresh_of(place)) is not None:
            return key
        if not self._provider.description.can_unwrap:
            return self._memory.remember(self._own(place), place)
        found = retried(self._database, lambda: self._living(place))
        if found is None:
            self._make(place)
            found = retried(self._database, lambda: self._living(place))
        if found is None:
            raise KeyDestroyedError(
                f"The key of {record_class} {period} was destroyed in the moment it was made.", cure="Try again."
            )
        return self._memory.remember(
            PeriodKey(found[0], self._unwrapped(found[0], period_context(found[0], *place), found[1])), place
        )

    def renew(self, record_class: str, period: str) -> PeriodKey:
        """Make another key of a class and month and seal with it from now on; the older ones still open."""
        key = self._make((record_class, period), another=True)
        return self._memory.remember(key, (record_class, period))

    def index_key(self, record_class: str) -> bytes:
        """The key of 32 bytes for keyed hashes that every writer must compute alike.

        It comes from the store's index keys where there are any, else it is the class's own lasting key.

        Raises:
            KeyAccessError: there are no index keys, and the provider cannot unwrap.
        """
        return self._index.key(record_class) if self._index else self.current(record_class, ALWAYS).key

    def get(self, key_id: str) -> PeriodKey:
        """The key of this id.

        Raises:
            KeyUnknownError: there never was such a key here.
            KeyDestroyedError: it was destroyed.
            KeyAccessError: the provider refuses.
        """
        if (key := self._memory.fresh(key_id)) is not None:
            return key
        c = period_keys.c
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(c.record_class, c.period, c.wrapped, c.destroyed_at, c.collector).where(c.key_id == key_id)
            ).one_or_none()
        if row is None:
            raise KeyUnknownError(
                f"The store of period keys has no key {key_id[:64]!r}.",
                cure="Restore the store of period keys from a backup that is as new as the segment.",
            )
        if row.wrapped is None:
            self._memory.forget(key_id)
            raise KeyDestroyedError(
                f"The key {key_id} of {row.record_class} {row.period} was destroyed at {row.destroyed_at}.",
                cure="What it sealed is gone for good; its certificate of destruction says why.",
            )
        context = period_context(key_id, row.record_class, row.period, collector=row.collector)
        return self._memory.remember(PeriodKey(key_id, self._unwrapped(key_id, context, row.wrapped)))

    def destroy(self, key_id: str) -> None:
        """Overwrite a key. Nothing that it sealed can be read afterwards, by anybody, from any copy.

        Raises:
            KeyUnknownError, KeyDestroyedError: there is no such key, or no longer.
            BusyError: it is destroyed, but a reader keeps the journal open: run the same command again later.
        """
        changed = retried(self._database, lambda: self._overwrite(key_id))
        self._memory.forget(key_id)
        self.empty_journal()
        if not changed:
            self.get(key_id)

    def list(self) -> Iterator[PeriodKeyRecord]:
        """Every key that was ever made here, by class, period and generation."""
        c = period_keys.c
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(
                    c.key_id, c.record_class, c.period, c.generation, c.created_at, c.destroyed_at, c.collector
                ).order_by(c.record_class, c.period, c.generation)
            ).all()
        return (PeriodKeyRecord(*row) for row in rows)

    def rewrap(self, provider: KeyProvider, progress: Progress | None = None) -> int:
        """Wrap every living key by ``provider``, in one transaction, and use it from now on; returns how many.

        Raises:
            KeyAccessError: a provider refused; nothing was changed.
            BusyError: another process made a key meanwhile; nothing was changed.
        """
        count = rewrap_all(self._database, self._provider, provider, progress)
        self.use(provider)
        self.empty_journal()
        return count

    def use(self, provider: KeyProvider) -> None:
        """Unwrap and wrap by ``provider`` from now on; what is stored is not touched."""
        self._provider = provider

    def empty_journal(self) -> None:
        """Get rid of what the database still keeps of changed rows (SQLite's journal, PostgreSQL's dead rows).

        Raises:
            BusyError: a reader of another process keeps it open.
        """
        overwrite_old_rows(self._database)

    def close(self) -> None:
        """Give back connections and forget unwrapped keys."""
        self._memory.clear()
        self._database.close()

    def forget_idle(self) -> None:
        """Forget unwrapped keys that nobody asked for in ``IDLE_SECONDS``; a timer does it, whoever asks or not.

        A process that can wrap and not unwrap keeps the keys that it made, as long as they live: it has no other way
        to them.
        """
        idle, latest = self._memory.idle()
        if idle and not self._provider.description.can_unwrap:
            c = period_keys.c
            with self._database.read() as connection:
                lives = sa.select(c.key_id).where(c.key_id.in_(idle), c.wrapped.is_not(None))
                idle = sorted(set(idle) - set(connection.execute(lives).scalars()))
        for key_id in idle:
            self._memory.forget(key_id, unless_after=latest)

    def sweep(self) -> None:
        """Forget what is idle, and look again later while there is anything."""
        try:
            self.forget_idle()
        except LiucunError as error:
            LOG.warning("%s", error.what)
        self._memory.swept()

    def _living(self, place: tuple[str, str]) -> tuple[str, bytes] | None:
        c = period_keys.c
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(c.key_id, c.wrapped)
                .where(
                    c.record_class == place[0],
                    c.period == place[1],
                    c.wrapped.is_not(None),
                    c.collector.is_(sa.false()),
                )
                .order_by(c.generation.desc())
                .limit(1)
            ).one_or_none()
        return None if row is None else (row.key_id, row.wrapped)

    def _overwrite(self, key_id: str) -> bool:
        c = period_keys.c
        with self._database.write() as connection:
            changed = connection.execute(
                period_keys.update()
                .where(c.key_id == key_id, c.wrapped.is_not(None))
                .values(wrapped=None, destroyed_at=timestamp())
            )
            return changed.rowcount == 1

    def _own(self, place: tuple[str, str]) -> PeriodKey:
        """A key that this process made itself, for a provider that can wrap and not unwrap."""
        known = self._memory.known_of(place)
        c = period_keys.c
        if known is not None:
            with self._database.read() as connection:
                lives = sa.select(c.key_id).where(c.key_id == known.key_id, c.wrapped.is_not(None))
                if connection.execute(lives).first():
                    return known
        return self._make(place, another=True)

    def _make(self, place: tuple[str, str], *, another: bool = False) -> PeriodKey:
        """Insert a new generation; unless ``another``, not where somebody else just did."""
        key_id = f"{place[0].replace(':', '.')}-{place[1]}-{secrets.token_hex(6)}"
        key = PeriodKey(key_id, secrets.token_bytes(KEY_BYTES))
        collector = not self._provider.description.can_unwrap
        wrapped = self._provider.wrap(key.key, period_context(key_id, *place, collector=collector))
        retried(self._database, lambda: self._insert(key_id, place, wrapped, another=another, collector=collector))
        return key

    def _insert(self, key_id: str, place: tuple[str, str], wrapped: bytes, *, another: bool, collector: bool) -> None:
        c = period_keys.c
        with self._database.write() as connection:
            rows = connection.execute(
                sa.select(
                    c.key_id, c.generation, (c.wrapped.is_not(None) & c.collector.is_(sa.false())).label("lives")
                ).where(c.record_class == place[0], c.period == place[1])
            ).all()
            mine = any(row.key_id == key_id for row in rows)  # committed, and the server's answer was lost
            if mine or (not another and any(row.lives for row in rows)):
                return
            connection.execute(
                period_keys.insert().values(
                    key_id=key_id,
                    record_class=place[0],
                    period=place[1],
                    generation=max((row.generation for row in rows), default=0) + 1,
                    wrapped=wrapped,
                    created_at=timestamp(),
                    collector=collector,
                )
            )

    def _unwrapped(self, key_id: str, context: bytes, wrapped: bytes) -> bytes:
        known = self._memory.known(key_id)
        return known.key if known else self._provider.unwrap(wrapped, context)
