"""Bodies that seal visibly, for tests of what is sealed."""

from __future__ import annotations

import hashlib

from errors import IntegrityError


class PlainBodies:
    """Bound to their context, readable by whoever debugs."""

    def text_key(self, month: str, record_class: str = "ticket_text") -> str:
        return f"{record_class}-{month}"

    def seal(self, plaintext: bytes, context: bytes, *, under: str | None = None) -> bytes:
        return hashlib.sha256(context).digest() + plaintext[::-1]

    def open(self, blob: bytes, context: bytes) -> bytes:
        if blob[:32] != hashlib.sha256(context).digest():
            raise IntegrityError("Sealed for another place.", cure="-")
        return blob[32:][::-1]

    def blind(self, value: str, purpose: str) -> str:
        return hashlib.sha256(f"{purpose}\x00{value}".encode()).hexdigest()
