"""The archive's branch of the tree of errors."""

from __future__ import annotations

from errors import IntegrityError, KeyAccessError, StorageError


class ObjectExistsError(StorageError):
    """An object of that name is there already; a written object is never changed."""


class ObjectMissingError(StorageError):
    """There is no object of that name."""


class SegmentDamagedError(IntegrityError):
    """A segment, or its manifest, is not what was sealed. The message names segment and chunk."""


class PassphraseError(KeyAccessError):
    """The passphrase does not open the key ring."""


class KeyRingDamagedError(KeyAccessError):
    """The key ring's file is not one, or was changed."""


class KeyMissingError(KeyAccessError):
    """A key, or the file that holds it, is not there."""


class KeyDestroyedError(KeyAccessError):
    """The key was destroyed (crypto-shredding): nothing that it sealed can be read again."""
