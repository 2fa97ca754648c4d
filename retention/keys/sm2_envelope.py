"""The SM2 envelope: keys are wrapped under a public key, so that who holds only that can write and cannot read.

``sealed`` is ``tag (32 bytes) || len (2 bytes) || SM2 ciphertext of a fresh key || the wrapped key``, the
last sealed under the fresh key (``envelope``, purpose ``sm2-wrap``, bound to the caller's context and the
public key). Anyone with the public key can wrap; so who has the private key adds a tag, HMAC-SM3 over all
of it under a key derived from the private key, and without the tag only keys of collectors are opened
(``contexts.BY_COLLECTOR``), under which nothing but theirs is sealed. A collector's tag is zeros.
"""

from __future__ import annotations

import hmac
import json
import secrets
from pathlib import Path
from typing import Final

from errors import UsageError
from retention.crypto import envelope, sm2
from retention.crypto.sm2_encoding import public_to_pem
from retention.crypto.suites import suite
from retention.errors import AuthenticationError, KeyRefusedError, KeyRingDamagedError, KeyRingMissingError
from retention.keys.contexts import BY_COLLECTOR
from retention.keys.files import read_small, write_private
from retention.keys.opening import Secret
from retention.keys.passphrase import DEFAULT_COST, Cost, open_file, seal_file
from retention.keys.provider import ProviderDescription
from retention.keys.settings import Sm2Settings
from retention.keys.wrapped import Wrapped

KIND: Final = "sm2"
FORMAT: Final = "liucun-sm2-private-keys"
_LIMIT: Final = 1 << 20
_KEY_BYTES: Final = 32
_TAG: Final = 32


def key_id_of(public: bytes) -> str:
    """The id of a public key: the first 8 bytes of its SM3 in hex."""
    return f"sm2-{suite().hash(public)[:8].hex()}"


def seal_to(public: bytes, secret: bytes, *, purpose: str, context: bytes) -> bytes:
    """Seal a value of any length to an SM2 public key."""
    own = secrets.token_bytes(_KEY_BYTES)
    head = sm2.encrypt(public, own)
    body = envelope.seal(suite(), own, secret, purpose=purpose, context=public + context)
    return len(head).to_bytes(2) + head + body


def open_with(pair: sm2.Sm2KeyPair, sealed: bytes, *, purpose: str, context: bytes) -> bytes:
    """The value of ``seal_to``.

    Raises:
        KeyRefusedError: changed, cut, for another key or of another context.
    """
    length = int.from_bytes(sealed[:2])
    head, body = sealed[2 : 2 + length], sealed[2 + length :]
    try:
        own = sm2.decrypt(pair.private, head)
        return envelope.open_(suite(), own, body, purpose=purpose, context=pair.public + context)
    except (sm2.Sm2DecryptionError, AuthenticationError):
        raise KeyRefusedError(
            "A value sealed to an SM2 key does not open: it was changed, or belongs elsewhere.",
            cure="Restore it from its newest backup, and use the private key that belongs to it.",
        ) from None


def _tag(pair: sm2.Sm2KeyPair, context: bytes, sealed: bytes) -> bytes:
    own = suite().hkdf_expand(pair.private, b"liucun/sm2-holder/v1", _KEY_BYTES)
    return suite().hmac(own, len(context).to_bytes(4) + context + sealed)


class Sm2Envelope:
    """A ``KeyProvider``. Without private keys it wraps only."""

    def __init__(self, root: Path, settings: Sm2Settings, public: bytes, pairs: dict[str, sm2.Sm2KeyPair]) -> None:
        self._root = root
        self._settings = settings
        self._public = public
        self._pairs = pairs
        self._save: tuple[str, Cost] | None = None

    def __repr__(self) -> str:
        return f"<Sm2Envelope {key_id_of(self._public)}>"

    @classmethod
    def create(cls, root: Path, settings: Sm2Settings, passphrase: str, *, cost: Cost = DEFAULT_COST) -> Sm2Envelope:
        """Make a key pair; neither file may exist.

        Raises:
            UsageError: the passphrase is empty, or a file exists.
            StorageError: the disk refused.
        """
        pair = sm2.Sm2KeyPair.generate()
        made = cls(root, settings, pair.public, {key_id_of(pair.public): pair})
        made._save = passphrase, cost
        made._write_private(create=True)
        made._write_public(create=True)
        return made

    @classmethod
    def open(cls, root: Path, settings: Sm2Settings, secret: Secret) -> Sm2Envelope:
        """Open the public key, and the private keys if their file is here (only then is the passphrase asked for).

        Raises:
            KeyRingMissingError: the public key is not here.
            Sm2KeyError, KeyRingDamagedError: a file holds no such key.
            WrongPassphraseError: the passphrase does not open the private keys.
        """
        path = root / settings.public_key
        data = read_small(path, _LIMIT)
        if data is None:
            raise KeyRingMissingError(
                f"There is no SM2 public key at {path}.",
                cure="Put it back, or correct [keys.sm2] public_key in the settings.",
            )
        public = sm2.read_public(data.decode("utf-8", "replace"), where=str(path))
        private = read_small(root / settings.private_key, _LIMIT)
        if private is None:
            return cls(root, settings, public, {})
        passphrase = secret()
        pairs = read_pairs(private, passphrase, where=str(root / settings.private_key))
        if key_id_of(public) not in pairs:
            raise KeyRefusedError(
                f"The private keys of {root / settings.private_key} are not those of the public key {path}.",
                cure="Put the two files of one store side by side.",
            )
        opened = cls(root, settings, public, pairs)
        opened._save = passphrase, DEFAULT_COST
        return opened

    @property
    def description(self) -> ProviderDescription:
        """See ``KeyProvider``."""
        return ProviderDescription(
            kind=KIND,
            key_id=key_id_of(self._public),
            detail=f"SM2 envelope, {sm2.implementation()}"
            + ("" if self._pairs else "; public key only: this machine writes and cannot read 只写不读"),
            can_unwrap=bool(self._pairs),
        )

    @property
    def public(self) -> bytes:
        """The current public key."""
        return self._public

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See ``KeyProvider``."""
        sealed = seal_to(self._public, key, purpose="sm2-wrap", context=context)
        pair = self._pairs.get(key_id_of(self._public))
        tag = _tag(pair, context, sealed) if pair else bytes(_TAG)
        return Wrapped(KIND, key_id_of(self._public), tag + sealed).to_bytes()

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """See ``KeyProvider``."""
        wrapped = Wrapped.from_bytes(blob, kind=KIND)
        if not self._pairs:
            raise KeyRefusedError(
                "This machine holds only the public key: it can write and cannot read.",
                cure=f"Read where the private key is, or put its file at {self._root / self._settings.private_key}.",
            )
        pair = self._pairs.get(wrapped.key_id)
        if pair is None:
            raise KeyRefusedError(
                f"A key was wrapped under the SM2 key {wrapped.key_id!r}, whose private half is not here.",
                cure="Use the private keys of this store, or their escrow copy.",
            )
        tag, sealed = wrapped.sealed[:_TAG], wrapped.sealed[_TAG:]
        by_holder = hmac.compare_digest(tag, _tag(pair, context, sealed))
        by_collector = context.startswith(BY_COLLECTOR) and tag == bytes(_TAG)
        if not by_holder and not by_collector:
            raise KeyRefusedError(
                "A wrapped key was not made by a holder of the private key, or was changed.",
                cure="Somebody wrote to the store of period keys: restore it from its newest backup and find out who.",
            )
        return open_with(pair, sealed, purpose="sm2-wrap", context=context)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of the private keys that are here, oldest first."""
        return tuple(self._pairs)

    def rotate(self) -> str:
        """Make a fresh pair the current one; the old private keys stay until ``forget``. Returns its id.

        Raises:
            UsageError: the private keys are not here.
        """
        self._writable()
        pair = sm2.Sm2KeyPair.generate()
        before = self._public
        self._pairs[key_id_of(pair.public)] = pair
        try:
            self._write_private()
            self._public = pair.public
            self._write_public()
        except BaseException:
            self._public = before
            raise
        return key_id_of(pair.public)

    def forget(self, key_id: str) -> None:
        """Drop a private key that is not current: what only it wrapped can never be unwrapped again."""
        self._writable()
        if key_id == key_id_of(self._public) or key_id not in self._pairs:
            raise UsageError(
                f"The SM2 key {key_id!r} is the current one or not here.",
                cure="Rotate and rewrap first; `liucun keys list` shows the ids.",
            )
        kept = self._pairs.pop(key_id)
        try:
            self._write_private()
        except BaseException:
            self._pairs[key_id] = kept
            raise

    def export_secret(self) -> bytes:
        """The private keys, for an escrow copy.

        Raises:
            UsageError: they are not here.
        """
        self._writable()
        return _pairs_to_bytes(self._pairs)

    @classmethod
    def restore(
        cls,
        root: Path,
        settings: Sm2Settings,
        pairs: dict[str, sm2.Sm2KeyPair],
        passphrase: str,
        *,
        cost: Cost = DEFAULT_COST,
    ) -> Sm2Envelope:
        """Write the files of private keys that were in escrow; the public key's file is made if it is not there.

        Raises:
            UsageError: the passphrase is empty, or the private keys' file exists.
        """
        newest = list(pairs.values())[-1]
        made = cls(root, settings, newest.public, pairs)
        made._save = passphrase, cost
        made._write_private(create=True)
        if not (root / settings.public_key).exists():
            made._write_public(create=True)
        return made

    def _writable(self) -> None:
        if self._save is None:
            raise UsageError("The SM2 private keys are not on this machine.", cure="Do this where they are.")

    def _write_private(self, *, create: bool = False) -> None:
        assert self._save is not None
        passphrase, cost = self._save
        path = self._root / self._settings.private_key
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        clear = {"public": [pair.public.hex() for pair in self._pairs.values()]}
        data = seal_file(FORMAT, clear, _pairs_to_bytes(self._pairs), passphrase, cost=cost)
        write_private(path, data, create=create)

    def _write_public(self, *, create: bool = False) -> None:
        path = self._root / self._settings.public_key
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, public_to_pem(self._public).encode(), create=create)


def read_pairs(data: bytes, passphrase: str, *, where: str) -> dict[str, sm2.Sm2KeyPair]:
    """The key pairs of a private keys' file, by id, oldest first.

    Raises:
        KeyRingDamagedError, WrongPassphraseError, Sm2KeyError: it does not open, or holds no key pairs.
    """
    _, secret = open_file(FORMAT, data, passphrase, where=where)
    return pairs_from_bytes(secret, where=where)


def pairs_from_bytes(secret: bytes, *, where: str) -> dict[str, sm2.Sm2KeyPair]:
    """Key pairs from what ``export_secret`` gave.

    Raises:
        KeyRingDamagedError, Sm2KeyError: they are none.
    """
    try:
        rows = json.loads(secret)
        pairs = [sm2.Sm2KeyPair(bytes.fromhex(row["public"]), bytes.fromhex(row["private"])) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise KeyRingDamagedError(
            f"{where} holds no SM2 keys: {error}.", cure="Put it back from its escrow copy."
        ) from error
    if not pairs:
        raise KeyRingDamagedError(f"{where} holds no SM2 keys.", cure="Put it back from its escrow copy.")
    for pair in pairs:
        pair.check()
    return {key_id_of(pair.public): pair for pair in pairs}


def _pairs_to_bytes(pairs: dict[str, sm2.Sm2KeyPair]) -> bytes:
    return json.dumps([{"public": p.public.hex(), "private": p.private.hex()} for p in pairs.values()]).encode()
