"""Escrow: the provider's keys sealed to a second custodian, so that a lost key ring is not a lost archive.

The copy is a JSON file that says in the clear which keys it holds and for whom, and whose secret
opens either with the custodian's SM2 private key or with a passphrase that only the custodian
knows. The store's index keys go along. Keys inside a token, a device or a service cannot be
exported; their vendors' backups serve.
An escrow copy does not undo a destruction: it holds provider keys, never period keys.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from errors import UsageError
from retention.crypto.sm2 import Sm2KeyPair
from retention.errors import KeyRefusedError, KeyRingDamagedError
from retention.keys.files import read_small, write_private
from retention.keys.keyring import KeyRing
from retention.keys.passphrase import DEFAULT_COST, Cost, canonical, checksum, open_file, seal_file, text
from retention.keys.provider import KeyProvider
from retention.keys.settings import KeySettings, Sm2Settings
from retention.keys.sm2_envelope import Sm2Envelope, key_id_of, open_with, pairs_from_bytes, seal_to

PASSPHRASE_FORMAT: Final = "liucun-escrow"
SM2_FORMAT: Final = "liucun-escrow-sm2"
_LIMIT: Final = 1 << 20
_PURPOSE: Final = "escrow"


@dataclass(frozen=True, slots=True)
class EscrowCopy:
    """What an escrow copy says of itself. ``digest`` (SHA-256 of the file) is what an inventory lists."""

    kind: str
    key_ids: tuple[str, ...]
    recipient: str
    made_at: str
    digest: str


def export(
    path: Path,
    provider: KeyProvider,
    *,
    recipient: bytes | None = None,
    passphrase: str | None = None,
    index: Path | None = None,
    cost: Cost = DEFAULT_COST,
) -> EscrowCopy:
    """Write an escrow copy to a new file, for an SM2 public key or under a passphrase.

    ``index`` is the store's file of index keys, which is put in where it exists.

    Raises:
        UsageError: the provider's keys cannot leave it, not exactly one recipient, or the file exists.
        StorageError: the disk refused.
    """
    if (recipient is None) == (passphrase is None):
        raise UsageError(
            "An escrow copy is for one recipient.", cure="Give an SM2 public key or a passphrase, one of both."
        )
    if not isinstance(provider, KeyRing | Sm2Envelope):
        kind = provider.description.kind
        raise UsageError(
            f"Keys of the provider {kind} cannot leave it: there is nothing to export.",
            cure="Have its own backup made and rehearsed as its manual says; docs/keys.md lists what to ask for.",
        )
    clear = {
        "kind": provider.description.kind,
        "key_ids": list(provider.key_ids),
        "recipient": key_id_of(recipient) if recipient else "passphrase",
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    shared = read_small(index, _LIMIT) if index else None
    secret = canonical({"provider": text(provider.export_secret()), "index": text(shared) if shared else None})
    if passphrase is not None:
        data = seal_file(PASSPHRASE_FORMAT, clear, secret, passphrase, cost=cost)
    else:
        assert recipient is not None
        body = {"format": SM2_FORMAT, "version": 1, "clear": clear}
        sealed = seal_to(recipient, secret, purpose=_PURPOSE, context=canonical(body))
        full = {**body, "sealed": text(sealed)}
        data = json.dumps({**full, "checksum": checksum(full)}, indent=2).encode() + b"\n"
    write_private(path, data, create=True)
    return describe(path)


def describe(path: Path) -> EscrowCopy:
    """What a copy says of itself; no secret is needed, and nothing is proved.

    Raises:
        KeyRingDamagedError: it is no escrow copy.
    """
    data, body = _read(path)
    clear = body["clear"]
    try:
        found = EscrowCopy(
            str(clear["kind"]),
            tuple(map(str, clear["key_ids"])),
            str(clear["recipient"]),
            str(clear["made_at"]),
            hashlib.sha256(data).hexdigest(),
        )
    except (KeyError, TypeError) as error:
        raise _damaged(path, f"it lacks {error}") from error
    return found


def restore(
    root: Path,
    settings: KeySettings,
    path: Path,
    *,
    new_passphrase: str,
    passphrase: Callable[[], str],
    private_keys: dict[str, Sm2KeyPair] | None = None,
    cost: Cost = DEFAULT_COST,
) -> EscrowCopy:
    """Put the provider's keys of an escrow copy back in the store, under a new passphrase; no file is replaced.

    ``passphrase`` asks for that of the copy; ``private_keys`` are the custodian's, by id.

    Raises:
        UsageError: there is a key ring already.
        KeyAccessError: the copy is damaged, or does not open.
    """
    copy = describe(path)
    secret, index = _parts(path, _open(path, passphrase, private_keys or {}))
    if copy.kind == "keyring":
        target = root / settings.keyring
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        KeyRing.restore(target, secret, new_passphrase, cost=cost)
    elif copy.kind == "sm2":
        pairs = pairs_from_bytes(secret, where=str(path))
        Sm2Envelope.restore(root, settings.sm2 or Sm2Settings(), pairs, new_passphrase, cost=cost)
    else:
        raise _damaged(path, f"keys of kind {copy.kind!r} cannot be restored")
    if index is not None and not (root / settings.index).exists():
        write_private(root / settings.index, index, create=True)
    return copy


def _open(path: Path, passphrase: Callable[[], str], private_keys: dict[str, Sm2KeyPair]) -> bytes:
    data, body = _read(path)
    if body["format"] == PASSPHRASE_FORMAT:
        return open_file(PASSPHRASE_FORMAT, data, passphrase(), where=str(path))[1]
    recipient = body["clear"].get("recipient")
    pair = private_keys.get(recipient)
    if pair is None:
        raise KeyRefusedError(
            f"The escrow copy {path} is for the SM2 key {recipient!r}, whose private half was not given.",
            cure="Give the custodian's private keys' file with --private-key.",
        )
    try:
        sealed = base64.b64decode(body["sealed"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "its sealed part is no base64") from error
    context = canonical({name: body[name] for name in ("format", "version", "clear")})
    return open_with(pair, sealed, purpose=_PURPOSE, context=context)


def _parts(path: Path, secret: bytes) -> tuple[bytes, bytes | None]:
    try:
        body = json.loads(secret)
        index = base64.b64decode(body["index"], validate=True) if body["index"] else None
        return base64.b64decode(body["provider"], validate=True), index
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"what was sealed in it makes no sense ({error})") from error


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    data = read_small(path, _LIMIT)
    if data is None:
        raise UsageError(f"There is no escrow copy {path}.", cure="Give the file that the custodian keeps.")
    try:
        body = json.loads(data)
        said = {name: value for name, value in body.items() if name != "checksum"}
        whole = body["checksum"] == checksum(said)
        known = (body["format"], body["version"]) in {(PASSPHRASE_FORMAT, 1), (SM2_FORMAT, 1)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not whole or not known or not isinstance(body["clear"], dict):
        raise _damaged(path, "its checksum does not fit" if not whole else "its format is unknown")
    return data, body


def _damaged(path: Path, why: str) -> KeyRingDamagedError:
    return KeyRingDamagedError(
        f"The escrow copy {path} is damaged or none: {why}.", cure="Take the custodian's own copy of it."
    )
