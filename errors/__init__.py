"""The one tree of errors: what happened, what to do, and the exit code.

Every room raises members of this tree for what a person can meet in use; the
front door prints ``what`` and ``cure`` and exits with ``exit_code``. The codes
are a contract (see docs/cli.md): 0 fine, 1 a check found something wrong,
2 wrong use, 3 settings, 4 key or passphrase, 5 authentication or integrity,
6 storage, 7 busy, 8 service unreachable, 9 not permitted.

Rooms narrow these classes in files of their own; nothing here knows them.
"""

from __future__ import annotations


class LiucunError(Exception):
    """Base of every error that is meant for a person.

    Args:
        what: one sentence, what happened and where.
        cure: one sentence, what to do about it.
    """

    exit_code: int = 1

    def __init__(self, what: str, *, cure: str) -> None:
        super().__init__(what, cure)
        self.what = what
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.what} {self.cure}"

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross Beam's worker boundary by pickle; keyword-only arguments need help there.
        return (_rebuild, (type(self), self.what, self.cure, dict(self.__dict__)))


def _rebuild(cls: type[LiucunError], what: str, cure: str, state: dict[str, object]) -> LiucunError:
    error = cls.__new__(cls)
    Exception.__init__(error, what, cure)
    error.__dict__.update(state)
    return error


class CheckFailedError(LiucunError):
    """An audit, lint or verification found something wrong."""

    exit_code = 1


class UsageError(LiucunError):
    """The command or the call was used wrongly."""

    exit_code = 2


class SettingsError(LiucunError):
    """A settings file, rule pack or calendar file is missing or damaged."""

    exit_code = 3


class KeyAccessError(LiucunError):
    """A key or passphrase is missing, wrong, destroyed or refused by its provider."""

    exit_code = 4


class IntegrityError(LiucunError):
    """Stored data failed authentication or contradicts its proof."""

    exit_code = 5


class StorageError(LiucunError):
    """A disk, object store or database could not store or return data."""

    exit_code = 6


class BusyError(LiucunError):
    """Somebody else holds what this needs; nothing was changed."""

    exit_code = 7


class UnreachableError(LiucunError):
    """A service that this depends on does not answer."""

    exit_code = 8


class NotPermittedError(LiucunError):
    """The acting account has no right to do this."""

    exit_code = 9
