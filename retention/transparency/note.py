"""Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint): text that anyone can read, keep and compare.

A checkpoint says: this log (origin) had so many entries, and their root was this.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from errors import IntegrityError, KeyAccessError

MAX_NOTE_BYTES: Final = 64 << 10
MAX_SIGNATURES: Final = 100
_ED25519: Final = b"\x01"
_DASH: Final = "\u2014 "


class NoteError(IntegrityError):
    """A note is malformed, or no trusted key signed it."""


class Signer(Protocol):
    """Signs notes under a name; ``verifier`` checks what it signed."""

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Return the raw signature."""
        ...


class Verifier(Protocol):
    """Checks signatures of one key."""

    @property
    def name(self) -> str:
        """The key's name, without spaces and plus signs."""
        ...

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        ...

    def verify(self, text: bytes, signature: bytes) -> None:
        """Raise ``NoteError`` unless the signature is this key's over the text."""
        ...

    def encode(self) -> str:
        """The verifier key as text, ``name+id+base64``."""
        ...


@dataclass(frozen=True, slots=True)
class Ed25519Verifier:
    """Ed25519 (RFC 8032) public key of 32 bytes."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || 0x01 || key)[:4]."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def verify(self, text: bytes, signature: bytes) -> None:
        """Raise ``NoteError`` unless the signature holds."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError) as error:
            raise _refused(f"the signature of {self.name} does not hold") from error

    def encode(self) -> str:
        """``name+id+base64`` of C2SP signed-note."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"


@dataclass(frozen=True, slots=True, repr=False)
class Ed25519Signer:
    """Ed25519 private key: a seed of 32 bytes."""

    name: str
    seed: bytes

    @property
    def verifier(self) -> Ed25519Verifier:
        """The public half."""
        return Ed25519Verifier(self.name, self._key().public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """Return the signature of 64 bytes."""
        return self._key().sign(text)

    def _key(self) -> Ed25519PrivateKey:
        try:
            return Ed25519PrivateKey.from_private_bytes(self.seed)
        except ValueError as error:
            raise KeyAccessError(
                "The log's signing key is damaged.", cure="Restore the key store from its own backup."
            ) from error

    def __repr__(self) -> str:
        return f"Ed25519Signer({self.name!r})"


def read_verifier(text: str) -> Verifier:
    """Read a verifier key ``name+id+base64``, Ed25519 or SM2 (``sm2_note``).

    Raises:
        NoteError: it is not one, or its id contradicts its key.
    """
    # The SM2 half builds on this module.
    from retention.transparency.sm2_note import PUBLIC_BYTES, SIGNATURE_TYPE, Sm2Verifier

    parts = text.strip().split("+", 2)
    try:
        name, key_id, encoded = parts
        raw = _decode(encoded)
    except ValueError as error:
        raise _refused("a verifier key is not of the form name+id+base64") from error
    found: Verifier | None = None
    if raw[:1] == _ED25519 and len(raw) == 33:
        found = Ed25519Verifier(name, raw[1:])
    elif raw.startswith(SIGNATURE_TYPE) and len(raw) == len(SIGNATURE_TYPE) + PUBLIC_BYTES:
        found = Sm2Verifier(name, raw.removeprefix(SIGNATURE_TYPE))
    if found is None or found.key_id.hex() != key_id:
        raise _refused(f"the verifier key {name!r} is damaged or of an unknown algorithm")
    return found


def sign_note(text: str, *signers: Signer) -> str:
    """Sign a text that ends in a line break; returns the note."""
    lines = []
    for signer in signers:
        verifier = signer.verifier
        blob = base64.b64encode(verifier.key_id + signer.sign(text.encode())).decode()
        lines.append(f"{_DASH}{verifier.name} {blob}\n")
    return f"{text}\n{''.join(lines)}"


def open_note(note: str, verifiers: Mapping[str, Verifier] | Iterable[Verifier]) -> str:
    """Return a note's text once every signature by a known key holds and there is at least one.

    ``verifiers``: by name, or any number of them, keys of one name told apart by their ids. Signatures of unknown
    keys are passed over, as the specification says.

    Raises:
        NoteError: the note is malformed, no known key signed it, or a known key's signature does not hold.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise _refused("it is larger than 64 KiB")
    text, separator, signatures = note.rpartition("\n\n")
    text += "\n"
    if not separator or not signatures.endswith("\n"):
        raise _refused("it has no signatures")
    rows = signatures[:-1].split("\n")
    if len(rows) > MAX_SIGNATURES:
        raise _refused("it has too many signatures")
    known = verifiers.values() if isinstance(verifiers, Mapping) else verifiers
    by_id = {(verifier.name, verifier.key_id): verifier for verifier in known}
    held = 0
    for row in rows:
        name, _, encoded = row.removeprefix(_DASH).partition(" ")
        try:
            blob = _decode(encoded)
        except ValueError as error:
            raise _refused("a signature line is malformed") from error
        if not row.startswith(_DASH) or not name or len(blob) < 5:
            raise _refused("a signature line is malformed")
        verifier = by_id.get((name, blob[:4]))
        if verifier is not None:
            verifier.verify(text.encode(), blob[4:])
            held += 1
    if not held:
        raise _refused("no known key signed it")
    return text


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of a log: ``root`` over its first ``size`` entries; ``extension`` lines follow it (we write the time)."""

    origin: str
    size: int
    root: bytes
    extension: tuple[str, ...] = ()

    def text(self) -> str:
        """The note's text."""
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extension]
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def read(cls, text: str) -> Checkpoint:
        """Read a checkpoint's text.

        Raises:
            NoteError: it is malformed.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not lines[0]:
            raise _refused("a checkpoint has three lines or more")
        origin, size, root, *extension = lines[:-1]
        if not size.isascii() or not size.isdigit() or (size != "0" and size.startswith("0")) or len(size) > 18:
            raise _refused("a checkpoint's size is no decimal number")
        try:
            decoded = _decode(root)
        except ValueError as error:
            raise _refused("a checkpoint's root is not base64") from error
        if len(decoded) != 32:
            raise _refused("a checkpoint's root is not of 32 bytes")
        return cls(origin, int(size), decoded, tuple(extension))


def _decode(text: str) -> bytes:
    """Base64 in its one canonical spelling; others would let a note change without its signature failing."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("not canonical base64")
    return raw


def _refused(what: str) -> NoteError:
    return NoteError(
        f"A checkpoint was refused: {what}.",
        cure="Compare it with the custodian's copy; do not replace either of them.",
    )
