"""Errors of the search index."""

from __future__ import annotations

from errors import BusyError, CheckFailedError, NotPermittedError, SettingsError, StorageError, UnreachableError


class SearchOffError(SettingsError):
    """No search index is set up."""


class SearchRebuildError(SettingsError):
    """The indices are not those that this store's follower made, or were made under other settings."""


class SearchStreamsError(SettingsError):
    """Data streams are set, and the cluster has none, or has them in a way that cannot be followed into."""


class SearchRefusedError(NotPermittedError):
    """The cluster refuses the account, its password, or what the account may do."""


class SearchBlockedError(StorageError):
    """An index takes no writes: it is read-only, mostly because a disk of the cluster is nearly full."""


class SearchBusyError(BusyError):
    """The cluster turns work away for now."""


class SearchUnreachableError(UnreachableError):
    """The cluster does not answer."""


class SearchAnswerError(StorageError):
    """The cluster answered what cannot be gone on with."""


class SearchQuestionError(CheckFailedError):
    """A question to the index is not one."""

    exit_code = 2
