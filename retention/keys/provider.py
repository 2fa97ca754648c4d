"""What the archive asks of whoever keeps the top key: wrap, unwrap, and say who you are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

UNCERTIFIED: Final = "uncertified"
"""The certification statement of everything that is no approved commercial-cryptography product."""

WRAPPED_LIMIT: Final = 4096
"""Longest wrapped key in bytes; more is refused before it is parsed."""


@dataclass(frozen=True, slots=True)
class ProviderDescription:
    """Who keeps the key.

    ``certification`` is what an approved product's certificate says, or ``uncertified``; ``can_unwrap`` is False
    where only the public half is present (collectors that write and cannot read).
    """

    kind: str
    key_id: str
    certification: str = UNCERTIFIED
    detail: str = ""
    can_unwrap: bool = True


class KeyProvider(Protocol):
    """Wraps period keys under a key that it does not hand out."""

    @property
    def description(self) -> ProviderDescription:
        """Kind of provider, its current key, and what certificate it has."""
        ...

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Seal a key of 16 to 64 bytes, bound to ``context``; the result names the provider's key.

        Raises:
            KeyProviderError: the device or service did not do it.
        """
        ...

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """The key that ``wrap`` sealed in the same context.

        Raises:
            KeyRefusedError: another key or context, or a changed blob.
            KeyProviderError: the device or service did not do it.
        """
        ...


@runtime_checkable
class SignsLog(Protocol):
    """A provider whose product may hold the SM2 key that signs the transparency log."""

    @property
    def log_public(self) -> bytes | None:
        """Its public key (x || y), None where the settings name no such key."""
        ...

    def sign_log(self, message: bytes) -> bytes:
        """SM2 signature r || s over the message, with the default identity.

        Raises:
            KeyProviderError: the device did not do it.
        """
        ...


@runtime_checkable
class Closes(Protocol):
    """A provider with a session or connections."""

    def close(self) -> None:
        """Give them back."""
        ...


def close_provider(provider: KeyProvider) -> None:
    """Give back what a provider holds, if it holds anything."""
    if isinstance(provider, Closes):
        provider.close()


@runtime_checkable
class Certifiable(Protocol):
    """A provider whose keys lie in somebody else's product, which may be an approved one."""

    certification: str
