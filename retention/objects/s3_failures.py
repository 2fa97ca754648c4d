"""What an S3 server says when something fails, in the classes of the one error tree; and what is worth a second try."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ResponseStreamingError,
    SSLError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from errors import LiucunError, NotPermittedError, SettingsError, StorageError, UnreachableError
from retention.errors import DiskFullError, ObjectLockedError
from retention.tls_failures import handshake_failure

MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound", "NoSuchVersion"})
EXISTS: Final = frozenset({"PreconditionFailed", "412"})
BEYOND: Final = frozenset({"InvalidRange", "416"})
UNLOCKED: Final = frozenset({"NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"})

_BUCKET: Final = frozenset({"NoSuchBucket", "InvalidBucketName", "PermanentRedirect", "AuthorizationHeaderMalformed"})
_REFUSED: Final = frozenset(
    {"AccessDenied", "403", "401", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
)
_SKEW: Final = "RequestTimeTooSkewed"
_FULL: Final = frozenset({"XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "507", "EntityTooLarge"})
_AGAIN: Final = frozenset(
    {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "ThrottlingException"}
    | {"ConditionalRequestConflict", "OperationAborted", "409", "XMinioServerNotInitialized"}
)


def code_of(error: ClientError) -> str:
    """The server's error code, e.g. ``NoSuchKey``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """The answer's HTTP status."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def worth_again(error: ClientError | BotoCoreError) -> bool:
    """Whether the same request may succeed in a moment."""
    if isinstance(error, ClientError):
        return code_of(error) in _AGAIN or (status_of(error) >= 500 and code_of(error) not in _FULL)
    if isinstance(error, SSLError):
        return False
    return isinstance(error, HTTPClientError | BotoConnectionError | IncompleteReadError | ResponseStreamingError)


def is_locked(error: ClientError) -> bool:
    """Whether a refused change says that the object is protected; servers have no common code for it."""
    said = str(error.response.get("Error", {}).get("Message", "")).lower()
    return code_of(error) in {"ObjectLocked", "InvalidRequest", "AccessDenied", "MethodNotAllowed"} and any(
        word in said for word in ("worm", "object lock", "retention", "legal hold", "locked", "protected")
    )


def failure(what: str, error: ClientError | BotoCoreError) -> LiucunError:
    """The project's error for one of the server or the client; ``what`` begins its sentence."""
    if isinstance(error, ClientError):
        return _answered(what, error)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
        return NotPermittedError(
            f"{what}: there are no credentials for the object store ({error}).",
            cure="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile in [archive.s3].",
        )
    if isinstance(error, SSLError):
        told, cure = handshake_failure(str(error), authority="[archive.s3] ca_file", address="[archive.s3] endpoint")
        return UnreachableError(f"{what}: the object store {told}.", cure=f"{cure}.")
    if worth_again(error):
        return UnreachableError(
            f"{what}: the object store does not answer ({error}).",
            cure="Check the server and the network; what was committed is safe, and the next run goes on from there.",
        )
    return SettingsError(f"{what}: {error}.", cure="Correct [archive.s3] in liucun.toml (docs/storage.md).")


def _answered(what: str, error: ClientError) -> LiucunError:
    code, said = code_of(error), str(error.response.get("Error", {}).get("Message", ""))
    if code == _SKEW:
        return NotPermittedError(
            f"{what}: this machine's clock and the object store's disagree.", cure="Set both by NTP, then try again."
        )
    if is_locked(error):
        return ObjectLockedError(
            f"{what}: it is under object lock or legal hold.",
            cure="Nobody can delete it before its day; `liucun doctor` and the object's retention date say when.",
        )
    if code in _REFUSED:
        return NotPermittedError(
            f"{what}: the object store refuses the credentials or the action ({code}: {said}).",
            cure="Check the access key and its policy (docs/storage.md lists the actions needed).",
        )
    if code in _BUCKET:
        return SettingsError(
            f"{what}: {code}: {said}", cure="Check bucket, region and endpoint in [archive] and [archive.s3]."
        )
    if code in _FULL:
        return DiskFullError(f"{what}: the object store is full ({code}).", cure="Enlarge it, then run again.")
    if worth_again(error):
        return UnreachableError(
            f"{what}: the object store cannot serve now ({code}: {said}).",
            cure="Check the server; what was committed is safe, and the next run goes on from there.",
        )
    return StorageError(f"{what}: {code or status_of(error)}: {said}", cure="Check the object store's log.")
