"""The embedded key provider: provider keys in a file, under a passphrase (Argon2id, RFC 9106).

The file is JSON: what is needed to derive the sealing key in the clear, the keys
themselves in one sealed value, and a checksum that tells damage from a wrong passphrase.
It holds one current key and those that rotation left behind, until everything is rewrapped.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from errors import SettingsError, UsageError
from retention.crypto import envelope
from retention.crypto.suites import DEFAULT, NAMES, Suite, suite
from retention.errors import (
    AuthenticationError,
    KeyRefusedError,
    KeyRingDamagedError,
    KeyRingMissingError,
    WrongPassphraseError,
)
from retention.keys.files import read_small, write_private
from retention.keys.passphrase import DEFAULT_COST, KEY_BYTES, Cost, canonical, check_cost, derive
from retention.keys.passphrase import checksum as _checksum
from retention.keys.passphrase import text as _text
from retention.keys.provider import ProviderDescription
from retention.keys.wrapped import Wrapped

FORMAT: Final = "liucun-keyring"
VERSION: Final = 1
FILE_LIMIT: Final = 1 << 20
_FOLLOWING: Final = threading.Lock()
"""One thread at a time looks whether a file changed. Of the module: a key ring may be copied to another process."""


@dataclass(frozen=True, slots=True)
class _ProviderKey:
    key_id: str
    created_at: str
    key: bytes

    def __repr__(self) -> str:
        return f"<provider key {self.key_id}>"


class KeyRing:
    """A ``KeyProvider`` whose keys lie in a file. Uncertified, and says so."""

    def __init__(self, path: Path, chosen: Suite, cost: Cost, salt: bytes, sealing_key: bytes) -> None:
        self.path = path
        self._suite = chosen
        self._cost = cost
        self._salt = salt
        self._sealing_key = sealing_key
        self._keys: dict[str, _ProviderKey] = {}
        self._current = ""
        self._read = _stamp(path)

    def __repr__(self) -> str:
        return f"<KeyRing {self.path} current {self._current}>"

    @classmethod
    def create(cls, path: Path, passphrase: str, *, suite_name: str = DEFAULT, cost: Cost = DEFAULT_COST) -> KeyRing:
        """Make a key ring with one fresh key; the file must not exist.

        Raises:
            UsageError: the passphrase is empty, or the file exists.
            StorageError: the disk refused.
        """
        if not passphrase:
            raise UsageError("The passphrase is empty.", cure="Choose a long one: it guards every record.")
        chosen, salt = suite(suite_name), secrets.token_bytes(16)
        ring = cls(path, chosen, cost, salt, derive(passphrase, salt, cost))
        ring._add_key()
        ring._save(create=True)
        return ring

    @classmethod
    def open(cls, path: Path, passphrase: str) -> KeyRing:
        """Open a key ring.

        Raises:
            KeyRingMissingError: there is no file.
            KeyRingDamagedError: it is not a key ring, or it was changed.
            WrongPassphraseError: it is intact, and the passphrase does not open it.
        """
        stamp = _stamp(path)
        (chosen, cost, salt), sealed = _parse(path, _bytes(path))
        ring = cls(path, chosen, cost, salt, derive(passphrase, salt, cost))
        ring._read = stamp
        try:
            inner = envelope.open_(chosen, ring._sealing_key, sealed, purpose="keyring", context=ring._context())
        except AuthenticationError:
            raise WrongPassphraseError(
                f"The passphrase does not open the key ring {path}.",
                cure="Check LIUCUN_PASSPHRASE, LIUCUN_PASSPHRASE_FILE, or what you typed.",
            ) from None
        ring._load(inner)
        return ring

    @property
    def description(self) -> ProviderDescription:
        """See ``KeyProvider``."""
        return ProviderDescription(
            kind="keyring",
            key_id=self._current,
            detail=f"passphrase, Argon2id {self._cost.memory_kib} KiB x {self._cost.iterations}, {self._suite.name}",
        )

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See ``KeyProvider``. By the file's current key: one forgotten meanwhile would lose what it wraps."""
        with _FOLLOWING:
            self._follow()
            current, own = self._current, self._own(self._current)
        sealed = envelope.seal(self._suite, own, key, purpose="provider-wrap", context=context)
        return Wrapped("keyring", current, sealed).to_bytes()

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """See ``KeyProvider``."""
        wrapped = Wrapped.from_bytes(blob, kind="keyring")
        own = self._keys.get(wrapped.key_id)
        if own is None:
            with _FOLLOWING:
                self._follow()
                own = self._keys.get(wrapped.key_id)
        if own is None:
            raise KeyRefusedError(
                f"A key was wrapped by the provider key {wrapped.key_id!r}, which is not in {self.path}.",
                cure="Use the key ring that belongs to this store, or its escrow copy from before the last rotation.",
            )
        try:
            return envelope.open_(self._suite, own.key, wrapped.sealed, purpose="provider-wrap", context=context)
        except AuthenticationError:
            raise KeyRefusedError(
                "A wrapped key does not authenticate: it was changed, or belongs elsewhere.",
                cure="Restore the store of period keys from its newest backup.",
            ) from None

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of all provider keys, oldest first; the last is current."""
        return tuple(self._keys)

    def rotate(self) -> str:
        """Add a fresh key and make it the current one; old keys stay until ``forget``. Returns its id."""
        with _FOLLOWING:
            self._follow()
        before = dict(self._keys), self._current
        self._add_key()
        try:
            self._save()
        except BaseException:
            self._keys, self._current = before
            raise
        return self._current

    def forget(self, key_id: str) -> None:
        """Drop a key that is not current: what only it wrapped can never be unwrapped again.

        Raises:
            UsageError: it is the current key, or there is no such key.
        """
        with _FOLLOWING:
            self._follow()
        if key_id == self._current or key_id not in self._keys:
            raise UsageError(
                f"The provider key {key_id!r} is the current one or not in the key ring.",
                cure="Rotate and rewrap first; `liucun keys list` shows the ids.",
            )
        kept = self._keys.pop(key_id)
        try:
            self._save()
        except BaseException:
            self._keys[key_id] = kept
            raise

    def change_passphrase(self, new: str) -> None:
        """Seal the same keys under another passphrase, with a fresh salt.

        Raises:
            UsageError: the new passphrase is empty.
        """
        if not new:
            raise UsageError("The new passphrase is empty.", cure="Choose a long one.")
        before = self._salt, self._sealing_key
        self._salt = secrets.token_bytes(16)
        self._sealing_key = derive(new, self._salt, self._cost)
        try:
            self._save()
        except BaseException:
            self._salt, self._sealing_key = before
            raise

    def export_secret(self) -> bytes:
        """The keys themselves and the suite that they wrap with, for an escrow copy."""
        return canonical({"suite": self._suite.name, **json.loads(self._inner())})

    @classmethod
    def restore(cls, path: Path, secret: bytes, passphrase: str, *, cost: Cost = DEFAULT_COST) -> KeyRing:
        """Make a key ring of what ``export_secret`` gave, under a new passphrase; the file must not exist.

        Raises:
            UsageError: the passphrase is empty, or the file exists.
            KeyRingDamagedError: there are no keys in it.
        """
        if not passphrase:
            raise UsageError("The new passphrase is empty.", cure="Choose a long one.")
        salt = secrets.token_bytes(16)
        try:
            ring = cls(path, suite(json.loads(secret)["suite"]), cost, salt, derive(passphrase, salt, cost))
            ring._load(secret)
            whole = ring._current in ring._keys and all(len(k.key) == KEY_BYTES for k in ring._keys.values())
        except (ValueError, KeyError, TypeError, SettingsError) as error:
            raise KeyRingDamagedError(f"The keys cannot be read: {error}.", cure="Take another copy.") from error
        if not whole:
            raise KeyRingDamagedError("The keys are not those of a key ring.", cure="Take another copy.")
        ring._save(create=True)
        return ring

    def _follow(self) -> None:
        """Read the file again if it changed: another process rotated while this one goes on.

        Raises:
            KeyRingMissingError, KeyRingDamagedError: as ``open``.
            WrongPassphraseError: it lies under another passphrase now.
        """
        stamp = _stamp(self.path)
        if stamp == self._read:
            return
        (chosen, cost, salt), sealed = _parse(self.path, _bytes(self.path))
        if (chosen.name, cost, salt) != (self._suite.name, self._cost, self._salt):
            raise WrongPassphraseError(
                f"The key ring {self.path} lies under another passphrase since this process read it.",
                cure="Start it again with the new passphrase.",
            )
        try:
            inner = envelope.open_(chosen, self._sealing_key, sealed, purpose="keyring", context=self._context())
        except AuthenticationError:
            raise WrongPassphraseError(
                f"The key ring {self.path} is another one since this process read it.",
                cure="Put the store's key ring back, or start the process again.",
            ) from None
        self._load(inner)
        self._read = stamp

    def _own(self, key_id: str) -> bytes:
        return self._keys[key_id].key

    def _add_key(self) -> None:
        key_id = f"ring-{secrets.token_hex(8)}"
        self._keys[key_id] = _ProviderKey(key_id, datetime.now(UTC).isoformat(), secrets.token_bytes(KEY_BYTES))
        self._current = key_id

    def _clear(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "suite": self._suite.name,
            "kdf": {"name": "argon2id", "salt": _text(self._salt), **asdict(self._cost)},
        }

    def _context(self) -> bytes:
        return canonical(self._clear())

    def _save(self, *, create: bool = False) -> None:
        sealed = envelope.seal(
            self._suite, self._sealing_key, self._inner(), purpose="keyring", context=self._context()
        )
        body = {**self._clear(), "sealed": _text(sealed)}
        body["checksum"] = _checksum(body)
        write_private(self.path, json.dumps(body, indent=2).encode() + b"\n", create=create)
        self._read = _stamp(self.path)

    def _inner(self) -> bytes:
        keys = [{"id": k.key_id, "created_at": k.created_at, "key": _text(k.key)} for k in self._keys.values()]
        return canonical({"current": self._current, "keys": keys})

    def _load(self, inner: bytes) -> None:
        parsed = json.loads(inner)
        self._keys = {
            item["id"]: _ProviderKey(item["id"], item["created_at"], base64.b64decode(item["key"]))
            for item in parsed["keys"]
        }
        self._current = parsed["current"]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes with the file; None where there is none, or it cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _bytes(path: Path) -> bytes:
    data = read_small(path, FILE_LIMIT)
    if data is None:
        raise KeyRingMissingError(
            f"There is no key ring at {path}.",
            cure="Put it back from its escrow copy, or correct [keys] keyring in the settings.",
        )
    return data


def _parse(path: Path, data: bytes) -> tuple[tuple[Suite, Cost, bytes], bytes]:
    try:
        return _taken_apart(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise KeyRingDamagedError(
            f"The key ring {path} is damaged: {error}.", cure="Put it back from its escrow copy."
        ) from error


def _taken_apart(body: Any) -> tuple[tuple[Suite, Cost, bytes], bytes]:
    if not isinstance(body, dict) or body.pop("checksum") != _checksum(body):
        raise ValueError("the checksum does not fit")
    if set(body) != {"format", "version", "suite", "kdf", "sealed"} or body["format"] != FORMAT:
        raise ValueError("it is no key ring")
    if body["version"] != VERSION:
        raise ValueError(f"version {body['version']!r} is unknown")
    if body["suite"] not in NAMES:
        raise ValueError("its suite is unknown")
    kdf = body["kdf"]
    cost = Cost(kdf["memory_kib"], kdf["iterations"], kdf["lanes"])
    check_cost(cost)
    salt = base64.b64decode(kdf["salt"], validate=True)
    if kdf["name"] != "argon2id" or len(salt) != 16:
        raise ValueError("its key derivation is unknown")
    return (suite(body["suite"]), cost, salt), base64.b64decode(body["sealed"], validate=True)
