"""What the tickets' room asks of whoever seals its texts (``retention.crypto.bodies`` in use)."""

from __future__ import annotations

from typing import Protocol


class Bodies(Protocol):
    """Seals small values for the database."""

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Seal a value, bound to the place it is kept at."""
        ...

    def open(self, blob: bytes, context: bytes) -> bytes:
        """Open it again; raises a member of the errors' tree."""
        ...

    def blind(self, value: str, purpose: str) -> str:
        """Keyed hash for look-ups by equality."""
        ...


def ticket_context(ticket_id: str) -> bytes:
    """What a ticket's body is bound to."""
    return f"ticket\x00{ticket_id}".encode()


def text_context(ticket_id: str, text_blind: str) -> bytes:
    """What a later text of a ticket is bound to."""
    return f"ticket text\x00{ticket_id}\x00{text_blind}".encode()


def note_context(ticket_id: str, at: str) -> bytes:
    """What a note is bound to."""
    return f"ticket note\x00{ticket_id}\x00{at}".encode()
