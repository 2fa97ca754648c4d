"""Errors of the archive: objects, containers, manifests, keys."""

from __future__ import annotations

from errors import (
    IntegrityError,
    KeyAccessError,
    NotPermittedError,
    SettingsError,
    StorageError,
    UnreachableError,
)


class ObjectExistsError(StorageError):
    """An object of this name is there already; objects are never overwritten."""


class ObjectMissingError(StorageError):
    """There is no object of this name."""


class ObjectNameError(StorageError):
    """An object's name is not allowed (empty parts, dots in front, signs outside ``A-Za-z0-9._-``)."""


class ObjectLockedError(NotPermittedError):
    """An object is under lock or legal hold: it cannot be deleted, nor its lock be shortened."""


class DiskFullError(StorageError):
    """The disk or quota that holds the objects is full."""


class CryptoUnavailableError(SettingsError):
    """The wished implementation of a cipher is not on this machine or fails its self-test."""


class AuthenticationError(IntegrityError):
    """A sealed value's tag does not verify: changed, cut, or sealed under another key or context."""


class ContainerError(IntegrityError):
    """A sealed segment is damaged or not what it should be; names the segment and, where known, the chunk."""

    def __init__(self, what: str, *, cure: str, segment: str, chunk: int | None = None) -> None:
        super().__init__(what, cure=cure)
        self.segment = segment
        self.chunk = chunk


class HeaderError(ContainerError):
    """A container's header cannot be read or is not authentic."""


class TruncatedError(ContainerError):
    """A container ends before its end, or goes on past it."""


class ChunkRefusedError(ContainerError):
    """A chunk's tag does not verify."""


class SegmentMismatchError(ContainerError):
    """A segment is intact in itself but is not the one that its manifest describes."""


class RowsChangedError(ContainerError):
    """Rows that were merged into a segment are not those that the log committed to when they were taken in."""


class RowsUnprovedError(ContainerError):
    """What a merged segment lacks to show that its rows are those that the log committed to."""


class EntryObjectError(IntegrityError):
    """An object of the transparency log's entries is damaged or not the one it should be."""


class LogForkedError(IntegrityError):
    """The log contradicts a checkpoint that a second custodian holds: history was rewritten or rolled back."""


class WitnessKeysError(UnreachableError):
    """The custodian does not list the keys that sign the log now: he cannot be reached with its checkpoints."""


class ManifestError(IntegrityError):
    """A manifest's bytes are not a manifest in canonical form."""


class KeyRingMissingError(KeyAccessError):
    """There is no key ring file."""


class KeyRingDamagedError(KeyAccessError):
    """The key ring file is not one of ours, is cut, or asks for absurd resources."""


class WrongPassphraseError(KeyAccessError):
    """The passphrase does not open the key ring."""


class KeyUnknownError(KeyAccessError):
    """The key store knows no such key."""


class KeyDestroyedError(KeyAccessError):
    """The key was destroyed on purpose: what it sealed cannot be read by anybody."""


class KeyRefusedError(KeyAccessError):
    """The provider cannot unwrap a key: it was wrapped by another provider key, or it is damaged."""


class KeyProviderError(KeyAccessError):
    """A key provider's device, library or service is missing, refuses, or answers wrongly."""


class FontMissingError(SettingsError):
    """No font with Chinese characters was found to set a PDF with."""
