"""Rewrapping: every living key under another provider's key, all of them or none."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import sqlalchemy as sa

from errors import BusyError
from retention.catalogue.engine import Catalogue
from retention.keys.contexts import period_context, signing_context
from retention.keys.provider import KeyProvider
from retention.keys.tables import period_keys, signing_keys
from retention.keys.wrapped import kind_of

Progress = Callable[[str, int, int], None]
"""Told the word ``keys``, how many are rewrapped, and of how many."""


def rewrap_all(database: Catalogue, old: KeyProvider, new: KeyProvider, progress: Progress | None = None) -> int:
    """Wrap the living period keys and the signing keys by ``new``; returns how many.

    Devices are slow, so everything is wrapped before the one transaction begins.

    Raises:
        KeyAccessError: a provider refused; nothing was changed.
        BusyError: another process made or destroyed a key meanwhile; nothing was changed.
    """
    p, s = period_keys.c, signing_keys.c
    living = sa.select(p.key_id, p.record_class, p.period, p.wrapped, p.collector).where(p.wrapped.is_not(None))
    with database.read() as connection:
        periods = connection.execute(living).all()
        signing = connection.execute(sa.select(signing_keys)).all()
    total, done = len(periods) + len(signing), count(1)

    def renew(wrapped: bytes, context: bytes) -> bytes:
        again = new.wrap(old.unwrap(wrapped, context), context)
        if progress:
            progress("keys", next(done), total)
        return again

    renewed = {
        row.key_id: (
            row.wrapped,
            renew(row.wrapped, period_context(row.key_id, row.record_class, row.period, collector=row.collector)),
        )
        for row in periods
    }
    signers = {
        (row.algorithm, row.generation): (
            row.wrapped,
            renew(row.wrapped, signing_context(row.algorithm, row.public)),
        )
        for row in signing
    }
    with database.write() as connection:
        now = {row.key_id: row.wrapped for row in connection.execute(living)}
        signing_now = {(r.algorithm, r.generation): r.wrapped for r in connection.execute(sa.select(signing_keys))}
        before = {key: wrapped for key, (wrapped, _) in renewed.items()}
        if now != before or signing_now != {key: wrapped for key, (wrapped, _) in signers.items()}:
            raise BusyError(
                "Another process made, destroyed or rewrapped a key in the same moment; nothing was changed.",
                cure="Stop other Liucun processes and run the same command again.",
            )
        for key_id, (_, wrapped) in renewed.items():
            connection.execute(period_keys.update().where(p.key_id == key_id).values(wrapped=wrapped))
        for (algorithm, generation), (_, wrapped) in signers.items():
            connection.execute(
                signing_keys.update()
                .where(s.algorithm == algorithm, s.generation == generation)
                .values(wrapped=wrapped)
            )
    return len(renewed) + len(signers)


def wrapped_kinds(database: Catalogue) -> set[str]:
    """Kinds of the providers that wrapped the living keys."""
    with database.read() as connection:
        blobs = [
            *connection.execute(sa.select(period_keys.c.wrapped).where(period_keys.c.wrapped.is_not(None))).scalars(),
            *connection.execute(sa.select(signing_keys.c.wrapped)).scalars(),
        ]
    return {kind_of(bytes(blob)) for blob in blobs}
