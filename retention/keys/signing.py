"""The keys that sign the transparency log: a pair of Ed25519 and a pair of SM2, wrapped by the provider's key.

They are random, made on first use, and lie in the store of period keys. Public halves are
in the clear there, so that checkpoints can be verified without any secret; whoever relies
on that compares them with the ones that the second custodian holds.
"""

from __future__ import annotations

import secrets
from typing import Final

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retention.catalogue.retrying import retried
from retention.catalogue.tables import timestamp
from retention.crypto.sm2 import Sm2KeyPair
from retention.errors import KeyRefusedError
from retention.keys.contexts import signing_context
from retention.keys.periods import PeriodKeys
from retention.keys.provider import KeyProvider
from retention.keys.tables import signing_keys
from retention.transparency.note import Ed25519Signer, Ed25519Verifier, Signer, Verifier
from retention.transparency.sm2_note import Sm2Signer, Sm2Verifier

ED25519: Final = "ed25519"
SM2: Final = "sm2"


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
    return [_signer(row, period_keys.provider) for row in rows]


def load_verifiers(period_keys: PeriodKeys) -> list[Verifier]:
    """The public halves of all signing keys there ever were, newest first; empty before the first use."""
    c = signing_keys.c
    with period_keys.database.read() as connection:
        rows = connection.execute(sa.select(signing_keys).order_by(c.generation.desc(), c.algorithm)).all()
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
    ed25519, sm2 = Ed25519PrivateKey.generate(), Sm2KeyPair.generate()
    pairs = (
        (ED25519, ed25519.public_key().public_bytes_raw(), ed25519.private_bytes_raw()),
        (SM2, sm2.public, sm2.private),
    )
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


def _signer(row: sa.Row[tuple[object, ...]], provider: KeyProvider) -> Signer:
    private = provider.unwrap(row.wrapped, signing_context(row.algorithm, row.public))
    signer: Signer
    if row.algorithm == ED25519:
        signer = Ed25519Signer(row.name, private)
    else:
        pair = Sm2KeyPair(row.public, private)
        pair.check()
        signer = Sm2Signer(row.name, pair)
    if signer.verifier != _verifier(row):
        raise KeyRefusedError(
            "A signing key of the log does not fit its public half.",
            cure="Restore the store of period keys from its newest backup.",
        )
    return signer


def _verifier(row: sa.Row[tuple[object, ...]]) -> Verifier:
    if row.algorithm == ED25519:
        return Ed25519Verifier(row.name, bytes(row.public))
    return Sm2Verifier(row.name, bytes(row.public))
