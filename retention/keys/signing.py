"""The keys that sign the transparency log: a pair of Ed25519 and a pair of SM2, wrapped by the provider's key.

They are random, made on first use, and lie in the store of period keys. Where the provider's
product signs by SM2 itself, its key takes the place of that pair, and a digest of its public
half is wrapped instead: so nobody can plant a public key in the database. The second custodian
holds the public halves, too.
"""

from __future__ import annotations

import secrets
from typing import Final
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retention.catalogue.retrying import retried
from retention.catalogue.tables import timestamp
from retention.crypto.sm2 import Sm2KeyPair
from retention.crypto.suites import suite
from retention.errors import KeyRefusedError
from retention.keys.contexts import signing_context
from retention.keys.periods import PeriodKeys
from retention.keys.provider import KeyProvider, SignsLog
from retention.keys.tables import signing_keys
from retention.transparency.note import Ed25519Signer, Ed25519Verifier, Signer, Verifier
from retention.transparency.sm2_note import DeviceSm2Signer, Sm2Signer, Sm2Verifier

ED25519: Final = "ed25519"
SM2: Final = "sm2"
DEVICE: Final = "sm2-device"

_known: WeakKeyDictionary[PeriodKeys, set[tuple[str, str, bytes, bytes]]] = WeakKeyDictionary()
"""Rows found authentic by this process: devices and services are slow."""


def load_signers(period_keys: PeriodKeys) -> list[Signer]:
    """The signers of this store's log, Ed25519 first, made on first use; both have one name, the log's origin.

    Raises:
        KeyAccessError: the provider refuses (a collector that holds only a public key cannot sign).
        StorageError: the store of keys cannot be used.
    """
    rows = _newest(period_keys)
    if not rows:
        _make(period_keys, f"liucun/{secrets.token_hex(8)}", generation=1)
        rows = _newest(period_keys)
    elif _device_key(rows) != _log_public(period_keys.provider):
        # The device that signed has gone, another has come, or the first one.
        _make(period_keys, rows[0].name, generation=rows[0].generation + 1)
        rows = _newest(period_keys)
    return [_signer(row, period_keys.provider) for row in rows]


def load_verifiers(period_keys: PeriodKeys) -> list[Verifier]:
    """The public halves of all signing keys there ever were, newest first; empty before the first use.

    Where the provider can unwrap, a public half counts only with what the provider wrapped beside it.

    Raises:
        KeyRefusedError: somebody put a public key into the database.
    """
    c = signing_keys.c
    with period_keys.database.read() as connection:
        rows = connection.execute(sa.select(signing_keys).order_by(c.generation.desc(), c.algorithm)).all()
    if period_keys.provider.description.can_unwrap:
        known = _known.setdefault(period_keys, set())
        for row in rows:
            found = (row.name, row.algorithm, bytes(row.public), bytes(row.wrapped))
            if found not in known:
                _authenticated(row, period_keys.provider)
                known.add(found)
    return [_verifier(row) for row in rows]


def renew_signers(period_keys: PeriodKeys) -> list[Signer]:
    """Make fresh signing keys under the same name; the old ones sign no more and still verify."""
    rows = _newest(period_keys)
    if rows:
        _make(period_keys, rows[0].name, generation=rows[0].generation + 1)
    return load_signers(period_keys)


def _newest(period_keys: PeriodKeys) -> list[sa.Row[tuple[object, ...]]]:
    c = signing_keys.c
    with period_keys.database.read() as connection:
        newest = sa.select(sa.func.max(c.generation)).scalar_subquery()
        rows = connection.execute(sa.select(signing_keys).where(c.generation == newest).order_by(c.algorithm))
        return list(rows.all())


def _make(period_keys: PeriodKeys, name: str, *, generation: int) -> None:
    """Insert both pairs, unless somebody else just did."""
    ed25519 = Ed25519PrivateKey.generate()
    pairs = [(ED25519, ed25519.public_key().public_bytes_raw(), ed25519.private_bytes_raw())]
    public = _log_public(period_keys.provider)
    if public is None:
        sm2 = Sm2KeyPair.generate()
        pairs.append((SM2, sm2.public, sm2.private))
    else:
        pairs.append((DEVICE, public, suite().hash(public)))
    values: list[dict[str, object]] = [
        {
            "name": name,
            "algorithm": algorithm,
            "generation": generation,
            "public": public,
            "wrapped": period_keys.provider.wrap(private, signing_context(algorithm, public)),
            "created_at": timestamp(),
        }
        for algorithm, public, private in pairs
    ]
    retried(period_keys.database, lambda: _insert(period_keys, generation, values))


def _insert(period_keys: PeriodKeys, generation: int, values: list[dict[str, object]]) -> None:
    with period_keys.database.write() as connection:
        taken = sa.select(signing_keys.c.name).where(signing_keys.c.generation == generation).limit(1)
        if connection.execute(taken).first() is None:
            connection.execute(signing_keys.insert(), values)


def _log_public(provider: KeyProvider) -> bytes | None:
    return provider.log_public if isinstance(provider, SignsLog) else None


def _device_key(rows: list[sa.Row[tuple[object, ...]]]) -> bytes | None:
    return next((bytes(row.public) for row in rows if row.algorithm == DEVICE), None)


def _signer(row: sa.Row[tuple[object, ...]], provider: KeyProvider) -> Signer:
    private = _authenticated(row, provider)
    if row.algorithm == ED25519:
        return Ed25519Signer(row.name, private)
    if row.algorithm == DEVICE and isinstance(provider, SignsLog):
        return DeviceSm2Signer(row.name, bytes(row.public), provider.sign_log)
    return Sm2Signer(row.name, Sm2KeyPair(bytes(row.public), private))


def _authenticated(row: sa.Row[tuple[object, ...]], provider: KeyProvider) -> bytes:
    """What is wrapped beside a public half, once it is found to belong to it."""
    public = bytes(row.public)
    private = provider.unwrap(row.wrapped, signing_context(row.algorithm, public))
    if row.algorithm == ED25519:
        fits = Ed25519Signer(row.name, private).verifier.public == public
    elif row.algorithm == DEVICE:
        fits = suite().hash(public) == private
    else:
        Sm2KeyPair(public, private).check()
        fits = True
    if not fits:
        raise KeyRefusedError(
            "A signing key of the log does not fit its public half.",
            cure="Restore the store of period keys from its newest backup.",
        )
    return private


def _verifier(row: sa.Row[tuple[object, ...]]) -> Verifier:
    if row.algorithm == ED25519:
        return Ed25519Verifier(row.name, bytes(row.public))
    return Sm2Verifier(row.name, bytes(row.public))
