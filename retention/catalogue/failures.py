"""What a database says when something fails, in the words and classes of the one error tree.

PostgreSQL is judged by its SQLSTATE (PostgreSQL manual, appendix A), never by words.
Broken constraints pass as they are: they belong to whoever declared them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError

from errors import BusyError, LiucunError, NotPermittedError, SettingsError, StorageError, UnreachableError
from retention.errors import DiskFullError

_CONFLICT: Final = frozenset({"40001", "40P01"})
"""serialization_failure, deadlock_detected."""
_WAITED: Final = frozenset({"55P03", "57014"})
"""lock_not_available (lock_timeout), query_canceled (statement_timeout)."""
_AWAY: Final = frozenset({"57P01", "57P02", "57P03", "25P03", "53300"})
"""admin_shutdown, crash_shutdown, cannot_connect_now, idle_in_transaction_session_timeout, too_many_connections."""
_FULL: Final = frozenset({"53100"})
_REFUSED: Final = frozenset({"28000", "28P01", "42501"})
"""invalid_authorization_specification, invalid_password, insufficient_privilege."""
_CERTIFICATE_WANTED: Final = re.compile(
    r"valid client certificate|certificate authentication failed|SSL error: \S+ alert "
    r"(unknown ca|access denied|(bad|unsupported) certificate|certificate \w+)"
)
_FILE_UNUSABLE: Final = re.compile(
    r"root certificate file|private key file|certificate file|invalid ssl\w* value|weak sslmode"
)
_SERVER_UNTRUSTED: Final = re.compile(r"certificate verify failed|does not match host name|does not support SSL")
"""The words of the client's library (libpq), which has no codes for TLS; they come before any SQLSTATE."""
_NO_DATABASE: Final = "3D000"


class ConflictError(BusyError):
    """Two writers met and the database chose the other; nothing was written. Worth an immediate second try."""


class LostCommitError(UnreachableError):
    """The connection broke inside a transaction: whether it was committed is not known until one looks."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the database's errors inside the block into the project's."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except (DatabaseError, InterfaceError) as error:
        raise _failure(error) from error
    except sa.exc.TimeoutError as error:
        raise BusyError(
            "All connections to the catalogue are in use.", cure="Wait for other work to end and try again."
        ) from error


def _failure(error: DatabaseError | InterfaceError) -> LiucunError:
    text = str(error.orig).strip().partition("\n")[0].rstrip(".")
    if type(error.orig).__module__.startswith("psycopg"):
        return _postgres(error, getattr(error.orig, "sqlstate", None), text)
    if isinstance(error, OperationalError) and ("locked" in text or "busy" in text):
        return BusyError(
            "The catalogue is held by another writer.", cure="Wait for the other command to end and try again."
        )
    if isinstance(error, OperationalError):
        return StorageError(
            f"The catalogue cannot be used: {text}.",
            cure="Check the disk's free space, the file's rights and `liucun doctor`.",
        )
    return StorageError(
        f"The catalogue is damaged or not one of Liucun's: {text}.",
        cure="Restore it from a backup, or rebuild it from the archive's objects.",
    )


def _postgres(error: DatabaseError | InterfaceError, state: str | None, text: str) -> LiucunError:
    if state in _CONFLICT:
        return ConflictError("Another writer changed the same part of the catalogue.", cure="Try again.")
    if state in _WAITED:
        return BusyError("Another writer holds what this needs.", cure="Wait for the other command to end, try again.")
    if state in _FULL:
        return DiskFullError("The disk of the catalogue's server is full.", cure="Enlarge it, then run again.")
    if state is None and (failed := _tls(text)) is not None:
        return failed
    if state in _REFUSED or "authentication failed" in text or "no password supplied" in text:
        return NotPermittedError(
            f"PostgreSQL refuses the account: {text}.",
            cure="Check user and password (catalogue URL, PGPASSWORD or PGPASSFILE) and the account's rights.",
        )
    if state == _NO_DATABASE or (state is None and "does not exist" in text):
        return StorageError(f"PostgreSQL has no such database: {text}.", cure="Create it, or correct the URL.")
    if error.connection_invalidated or state in _AWAY or (state or "").startswith("08"):
        in_transaction = error.statement is not None or error.connection_invalidated
        return (LostCommitError if in_transaction else UnreachableError)(
            f"PostgreSQL went away: {text}." if in_transaction else f"PostgreSQL cannot be reached: {text}.",
            cure="Check the server; what was committed is safe, and the next run goes on from there.",
        )
    if state is None and isinstance(error, OperationalError | InterfaceError):
        return UnreachableError(
            f"PostgreSQL cannot be reached: {text}.", cure="Check host, port and network, then try again."
        )
    return StorageError(
        f"The catalogue refuses: {text} (SQLSTATE {state}).",
        cure="Check that its tables are Liucun's and of this version: `liucun doctor`.",
    )


def _tls(text: str) -> LiucunError | None:
    """What failed in TLS before a session began; None if it was something else."""
    if _CERTIFICATE_WANTED.search(text):
        return NotPermittedError(
            f"PostgreSQL refuses this client's certificate, or it gave none: {text}.",
            cure="Name sslcert and sslkey in the URL: signed by the authority that the server knows, for this user.",
        )
    if _FILE_UNUSABLE.search(text):
        return SettingsError(
            f"PostgreSQL cannot be reached over TLS: {text}.",
            cure="Correct sslmode, sslrootcert, sslcert or sslkey in the URL, or the file's content and rights.",
        )
    if _SERVER_UNTRUSTED.search(text):
        return UnreachableError(
            f"PostgreSQL's certificate is not trusted: {text}.",
            cure="Name its authority's certificate as sslrootcert and the server by its certificate's name; "
            "if those are right, the certificate has expired and must be renewed, or the server speaks no TLS.",
        )
    return None
