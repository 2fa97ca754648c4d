"""Secrets under a passphrase (Argon2id, RFC 9106): the cost, the derivation, and sealed JSON files.

A file says in the clear what is needed to derive its key, holds one sealed value, and carries a
checksum that tells damage from a wrong passphrase.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from argon2.low_level import Type, hash_secret_raw

from errors import UsageError
from retention.crypto import envelope
from retention.crypto.suites import DEFAULT, NAMES, Suite, suite
from retention.errors import AuthenticationError, KeyRingDamagedError, WrongPassphraseError

VERSION: Final = 1
KEY_BYTES: Final = 32
_MEMORY_KIB: Final = range(8, 256 * 1024 + 1)
_ITERATIONS: Final = range(1, 17)
_LANES: Final = range(1, 9)


@dataclass(frozen=True, slots=True)
class Cost:
    """Argon2id parameters; the default is RFC 9106's second choice with one lane. Bounded when read."""

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 1


DEFAULT_COST: Final = Cost()


def derive(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    """The key of 32 bytes.

    Raises:
        ValueError: the cost is out of bounds.
    """
    check_cost(cost)
    return hash_secret_raw(
        passphrase.encode("utf-8", "surrogatepass"),
        salt,
        time_cost=cost.iterations,
        memory_cost=cost.memory_kib,
        parallelism=cost.lanes,
        hash_len=KEY_BYTES,
        type=Type.ID,
    )


def check_cost(cost: Cost) -> None:
    """Raise ``ValueError`` for a cost that a hostile file may ask for."""
    for value, allowed in ((cost.memory_kib, _MEMORY_KIB), (cost.iterations, _ITERATIONS), (cost.lanes, _LANES)):
        if type(value) is not int or value not in allowed:
            raise ValueError("its key derivation asks for resources out of bounds")
    if cost.memory_kib < 8 * cost.lanes:
        raise ValueError("its key derivation asks for too little memory")


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON in one spelling."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def checksum(body: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical form, 64 hex digits."""
    return suite("AES-256-GCM-SHA256").hash(canonical(body)).hex()


def text(data: bytes) -> str:
    """Base64."""
    return base64.b64encode(data).decode("ascii")


def seal_file(
    kind: str,
    clear: Mapping[str, Any],
    secret: bytes,
    passphrase: str,
    *,
    suite_name: str = DEFAULT,
    cost: Cost = DEFAULT_COST,
) -> bytes:
    """A file of format ``kind`` whose ``clear`` part anyone reads and whose secret the passphrase opens.

    Raises:
        UsageError: the passphrase is empty.
    """
    if not passphrase:
        raise UsageError("The passphrase is empty.", cure="Choose a long one.")
    salt = secrets.token_bytes(16)
    head = {
        "format": kind,
        "version": VERSION,
        "suite": suite_name,
        "kdf": {"name": "argon2id", "salt": text(salt), **asdict(cost)},
        "clear": dict(clear),
    }
    sealed = envelope.seal(
        suite(suite_name), derive(passphrase, salt, cost), secret, purpose=kind, context=canonical(head)
    )
    body = {**head, "sealed": text(sealed)}
    return json.dumps({**body, "checksum": checksum(body)}, indent=2).encode() + b"\n"


def open_file(kind: str, data: bytes, passphrase: str, *, where: str) -> tuple[dict[str, Any], bytes]:
    """The clear part and the secret of ``seal_file``; ``where`` names the file in errors.

    Raises:
        KeyRingDamagedError: it is no such file, or it was changed.
        WrongPassphraseError: it is intact, and the passphrase does not open it.
    """
    try:
        head, chosen, cost, salt, sealed = _taken_apart(kind, json.loads(data))
        key = derive(passphrase, salt, cost)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise KeyRingDamagedError(
            f"{where} is damaged or not what it should be: {error}.", cure="Put it back from its escrow copy."
        ) from error
    try:
        return head["clear"], envelope.open_(chosen, key, sealed, purpose=kind, context=canonical(head))
    except AuthenticationError:
        raise WrongPassphraseError(
            f"The passphrase does not open {where}.",
            cure="Check LIUCUN_PASSPHRASE, LIUCUN_PASSPHRASE_FILE, or what you typed.",
        ) from None


def _taken_apart(kind: str, body: Any) -> tuple[dict[str, Any], Suite, Cost, bytes, bytes]:
    if not isinstance(body, dict) or body.pop("checksum") != checksum(body):
        raise ValueError("the checksum does not fit")
    sealed = base64.b64decode(body.pop("sealed"), validate=True)
    if set(body) != {"format", "version", "suite", "kdf", "clear"} or body["format"] != kind:
        raise ValueError(f"it is no {kind}")
    if body["version"] != VERSION or body["suite"] not in NAMES or not isinstance(body["clear"], dict):
        raise ValueError("its version or suite is unknown")
    kdf = body["kdf"]
    cost = Cost(kdf["memory_kib"], kdf["iterations"], kdf["lanes"])
    salt = base64.b64decode(kdf["salt"], validate=True)
    if kdf["name"] != "argon2id" or len(salt) != 16:
        raise ValueError("its key derivation is unknown")
    return body, suite(body["suite"]), cost, salt, sealed
