"""SM2 signatures on notes.

C2SP signed-note assigns SM2 no signature type, so it stands under 0xff followed by a longer
identifier of ours, as that specification recommends::

    key id = SHA-256(name || 0x0A || 0xff || "liucun/sm2-sm3/v1" || x || y)[:4]

The signature is r || s (64 bytes) of GB/T 32918.2 with SM3 and the identity 1234567812345678,
over the note's text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from retention.crypto import sm2
from retention.errors import KeyProviderError
from retention.transparency.note import NoteError

SIGNATURE_TYPE: Final = b"\xffliucun/sm2-sm3/v1"
PUBLIC_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Sm2Verifier:
    """SM2 public key x || y of 64 bytes; a ``Verifier`` of notes."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """See the top of this file."""
        return hashlib.sha256(self.name.encode() + b"\n" + SIGNATURE_TYPE + self.public).digest()[:4]

    def verify(self, text: bytes, signature: bytes) -> None:
        """Raise ``NoteError`` unless the signature holds."""
        try:
            sm2.verify(self.public, text, signature)
        except (sm2.Sm2SignatureError, sm2.Sm2KeyError) as error:
            raise NoteError(
                f"A checkpoint was refused: the signature of {self.name} does not hold.",
                cure="Compare it with the custodian's copy; do not replace either of them.",
            ) from error

    def encode(self) -> str:
        """``name+id+base64`` of C2SP signed-note."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(SIGNATURE_TYPE + self.public).decode()}"


@dataclass(frozen=True, slots=True, repr=False)
class DeviceSm2Signer:
    """A ``Signer`` of notes whose private key lies in a device; every signature is verified before it goes out."""

    name: str
    public: bytes
    signing: Callable[[bytes], bytes]

    @property
    def verifier(self) -> Sm2Verifier:
        """The public half."""
        return Sm2Verifier(self.name, self.public)

    def sign(self, text: bytes) -> bytes:
        """Return the signature of 64 bytes."""
        signature = self.signing(text)
        try:
            sm2.verify(self.public, text, signature)
        except sm2.Sm2SignatureError as error:
            raise KeyProviderError(
                "The device signed with another key than the one that it shows.", cure="Check [keys.sdf] sign_index."
            ) from error
        return signature

    def __repr__(self) -> str:
        return f"DeviceSm2Signer({self.name!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Sm2Signer:
    """SM2 key pair; a ``Signer`` of notes."""

    name: str
    pair: sm2.Sm2KeyPair

    @property
    def verifier(self) -> Sm2Verifier:
        """The public half."""
        return Sm2Verifier(self.name, self.pair.public)

    def sign(self, text: bytes) -> bytes:
        """Return the signature of 64 bytes."""
        return sm2.sign(self.pair, text)

    def __repr__(self) -> str:
        return f"Sm2Signer({self.name!r})"
