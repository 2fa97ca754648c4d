"""What the tickets' room asks of whoever seals its texts (``retention.crypto.bodies`` in use)."""

from __future__ import annotations

from typing import Protocol

from errors import KeyAccessError
from retention.policies.periods import stored_date
from retention.purge import beside


class Bodies(beside.Bodies, Protocol):
    """Seals small values for the database, and hashes what they are looked up by."""

    def blind(self, value: str, purpose: str) -> str:
        """Keyed hash for look-ups by equality."""
        ...


def seal_beside(bodies: Bodies, plaintext: bytes, context: bytes, key_id: str | None, now: str) -> tuple[bytes, str]:
    """Seal what joins a ticket under the ticket's own key, so that both go together; returns that key, too.

    Under the present month's where that key is gone, or belongs to another process of a collector that cannot unwrap.

    Args:
        key_id: the ticket's key; None of a ticket from before there were such keys.
        now: the present time, as the catalogue writes it.
    """
    if key_id is not None:
        try:
            return bodies.seal(plaintext, context, under=key_id), key_id
        except KeyAccessError:
            pass
    key_id = bodies.text_key(month_of(now))
    return bodies.seal(plaintext, context, under=key_id), key_id


def month_of(at: str) -> str:
    """The month (``YYYY-MM``, Asia/Shanghai, as of every key) of a time as the catalogue writes it."""
    return f"{stored_date(at):%Y-%m}"


def ticket_context(ticket_id: str) -> bytes:
    """What a ticket's body is bound to."""
    return f"ticket\x00{ticket_id}".encode()


def text_context(ticket_id: str, text_blind: str) -> bytes:
    """What a later text of a ticket is bound to."""
    return f"ticket text\x00{ticket_id}\x00{text_blind}".encode()


def note_context(ticket_id: str, at: str) -> bytes:
    """What a note is bound to."""
    return f"ticket note\x00{ticket_id}\x00{at}".encode()
