"""Small encrypted values of the database (texts of tickets, bodies of events), and blind indexes over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from retention.crypto import envelope
from retention.crypto.ciphers import Buffer
from retention.crypto.suites import NAMES, Suite
from retention.crypto.suites import suite as suite_named
from retention.errors import AuthenticationError
from retention.keys.periods import ALWAYS, PeriodKeys

TEXTS: Final = "ticket_text"
"""Class of the keys for what is kept with tickets: one a month, so that it can be destroyed with its key."""
REPORTS: Final = "report"
"""The same for what reports to authorities say."""
MESSAGES: Final = "message"
"""The same for messages of the outbox."""
DUTIES: Final = "duty"
"""The same for titles and evidence of duties."""
DISCLOSURES: Final = "disclosure"
"""The same for the cases and documents of disclosures to authorities."""
BESIDE: Final = frozenset({TEXTS, REPORTS, MESSAGES, DUTIES, DISCLOSURES})
"""What is sealed in the database, beside the archive's segments, and destroyed with a month's key."""
_VERSION: Final = 1
_LONGEST_ID: Final = 255
"""Its length is one byte of the head."""


class BodyCipher:
    """Seals values under one long-lived key a purpose, or under a month's key where it is named.

    The sealed form is ``0x01 || len || suite || len || key id || envelope``, all of it but the
    envelope repeated in the authenticated context.
    """

    def __init__(self, period_keys: PeriodKeys, suite: Suite, purpose: str) -> None:
        self._keys = period_keys
        self._suite = suite
        self._purpose = purpose
        self._blinding: dict[tuple[bytes, str], Callable[[Buffer], bytes]] = {}

    def __repr__(self) -> str:
        return f"<BodyCipher for {self._purpose}>"

    @classmethod
    def from_period_keys(cls, period_keys: PeriodKeys, suite: Suite, purpose: str) -> BodyCipher:
        """A cipher whose key is the one of ``purpose`` (a short lower-case word), made on first use."""
        return cls(period_keys, suite, purpose)

    def seal(self, plaintext: bytes, context: bytes, *, under: str | None = None) -> bytes:
        """Seal a value, bound to ``context`` (where it stands: table, row, column).

        Args:
            under: id of the key, as ``text_key`` gives it; the lasting one without.
        """
        key = self._keys.current(f"system:{self._purpose}", ALWAYS) if under is None else self._keys.get(under)
        head = _head(self._suite.name, key.key_id)
        return head + envelope.seal(
            self._suite, key.key, plaintext, purpose="body", context=_bound(head, context, self._purpose)
        )

    def text_key(self, month: str, record_class: str = TEXTS) -> str:
        """Id of the key for what is kept with the tickets (or reports, messages …) of a month, made on first use.

        Args:
            month: ``YYYY-MM``.
            record_class: one of ``BESIDE``.
        """
        return self._keys.current(record_class, month).key_id

    def open(self, blob: bytes, context: bytes) -> bytes:
        """The value.

        Raises:
            AuthenticationError: changed, cut, or of another place.
            KeyAccessError: its key is missing or destroyed.
        """
        suite_name, key_id, length = _parse(blob)
        key = self._keys.get(key_id)
        return envelope.open_(
            suite_named(suite_name),
            key.key,
            blob[length:],
            purpose="body",
            context=_bound(blob[:length], context, self._purpose),
        )

    def blind(self, value: str, purpose: str) -> str:
        """A keyed hash (64 hex digits) for equality look-ups: the same value and purpose give the same hash here."""
        key = self._keys.index_key(f"system:{self._purpose}")
        blinded = self._blinding.get((key, purpose))
        if blinded is None:
            own = self._suite.hkdf_expand(key, b"liucun/blind/v1\x00" + purpose.encode("utf-8"), 32)
            blinded = self._blinding[key, purpose] = self._suite.hmac_under(own)
        return blinded(value.encode("utf-8")).hex()


def heads_under(key_id: str) -> tuple[bytes, ...]:
    """How every value begins that a key of this id seals, whatever its suite; none of an id that no key has."""
    if not key_id.isascii() or len(key_id) > _LONGEST_ID:
        return ()
    return tuple(_head(name, key_id) for name in sorted(NAMES))


def _head(suite_name: str, key_id: str) -> bytes:
    first, second = suite_name.encode("ascii"), key_id.encode("ascii")
    return bytes([_VERSION, len(first)]) + first + bytes([len(second)]) + second


def _bound(head: bytes, context: bytes, purpose: str) -> bytes:
    word = purpose.encode("ascii")
    return b"liucun/body/v1\x00" + head + bytes([len(word)]) + word + context


def _parse(blob: bytes) -> tuple[str, str, int]:
    try:
        return _taken_apart(blob)
    except (ValueError, IndexError):
        raise AuthenticationError(
            "A sealed value of the database is malformed.", cure="Restore the catalogue from a backup."
        ) from None


def _taken_apart(blob: bytes) -> tuple[str, str, int]:
    first = 2 + blob[1]
    second = first + 1 + blob[first]
    suite_name, key_id = blob[2:first].decode("ascii"), blob[first + 1 : second].decode("ascii")
    if blob[0] != _VERSION or len(blob) < second or suite_name not in NAMES:
        raise ValueError
    return suite_name, key_id, second
