"""Objects in S3-compatible storage: create-only by conditional put, versioned, protected by object lock.

Every request is tried again while the server is away, up to ``retry_seconds``. A put that is tried again may meet
what its own first try has stored: each carries a random mark, so that this is told from another writer's object.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from errors import LiucunError, StorageError
from retention.errors import ObjectExistsError, ObjectLockedError
from retention.objects.base import checked_name, checked_range, missing
from retention.objects.s3_failures import EXISTS, MISSING, UNLOCKED, code_of, failure, status_of
from retention.objects.s3_parts import put_parts
from retention.objects.s3_retry import BeyondError, again
from retention.objects.s3_settings import S3Settings, bucket_and_prefix
from retention.tls_files import check_authorities

_MARK: Final = "liucun-put"
_POOL: Final = 32

T = TypeVar("T")


class S3Objects:
    """Objects below ``s3://bucket/prefix``; safe for threads and processes (each process opens its own).

    Raises:
        SettingsError: URL or settings are malformed, the profile is unknown, or ``ca_file`` cannot be used.
    """

    gap_bytes = 1 << 20
    """What lies between two parts that are wanted is rather read than left out by a second request."""
    look_ups_at_once = 16
    """Look-ups mostly wait for answers."""

    def __init__(self, url: str, settings: S3Settings) -> None:
        self.url = url
        self.settings = settings
        self.bucket, self._prefix = bucket_and_prefix(url)
        self.client = _client(settings)

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """See ``ObjectStore.put``."""
        key = self._key(name)
        mark = {_MARK: secrets.token_hex(8)}
        kept = bytes(data)
        part = self.settings.multipart_megabytes << 20
        # Each part of a big object is tried again by itself; its last step decides whose object it is.
        store = self._put_parts if len(kept) > part else self._put_whole
        tried = 0

        def attempt() -> None:
            nonlocal tried
            tried += 1
            try:
                store(key, kept, mark)
            except ClientError as error:
                if code_of(error) not in EXISTS:
                    raise
                if tried == 1 or self._head(name)["Metadata"].get(_MARK) != mark[_MARK]:
                    raise ObjectExistsError(
                        f"The object {name!r} exists already.",
                        cure="Nothing was overwritten; a retry takes a new name.",
                    ) from error

        self._again(f"The object {name!r} could not be stored", attempt)

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """See ``ObjectStore.read``."""
        checked_range(name, start, end)
        if end == start:
            self.size(name)
            return b""
        key = self._key(name)
        span: dict[str, str] = {}
        if start or end is not None:
            span["Range"] = f"bytes={start}-" + ("" if end is None else str(end - 1))

        def attempt() -> bytes:
            answer = self.client.get_object(Bucket=self.bucket, Key=key, **span)
            with answer["Body"] as body:
                found: bytes = body.read()
            if len(found) != answer["ContentLength"]:
                raise _cut(name, len(found), answer["ContentLength"])
            return found

        try:
            return self._again(f"The object {name!r} could not be read", attempt, name=name)
        except BeyondError:
            return b""

    def size(self, name: str) -> int:
        """See ``ObjectStore.size``."""
        return int(self._head(name)["ContentLength"])

    def exists(self, name: str) -> bool:
        """See ``ObjectStore.exists``."""
        return self._found(name) is not None

    def list(self, prefix: str = "") -> Iterator[str]:
        """See ``ObjectStore.list``."""
        tokens = {"NextContinuationToken": "ContinuationToken"}
        for page in self._pages(self.client.list_objects_v2, self._prefix + prefix, tokens):
            for item in page.get("Contents", ()):
                yield str(item["Key"])[len(self._prefix) :]

    def delete(self, name: str) -> None:
        """See ``ObjectStore.delete``. Every version of the object goes, so that nothing of it stays behind.

        Raises:
            ObjectLockedError: it is under lock or hold; nothing was deleted.
        """
        key = self._key(name)
        found = self._versions(key)
        if all(version["marker"] for version in found):
            raise missing(name)
        # The newest goes first: while it is locked, nothing else of the object is touched.
        for version in sorted(found, key=lambda item: not item["IsLatest"]):
            self._delete_version(name, key, version["VersionId"])

    def lock(self, name: str, until: datetime) -> None:
        """See ``LockingObjects.lock``."""
        moment = until.astimezone(UTC)
        known = self.locked_until(name)
        if known is not None and known >= moment:
            return
        self._change(
            name,
            "locked",
            self.client.put_object_retention,
            Retention={"Mode": self.settings.lock_mode, "RetainUntilDate": moment},
        )

    def locked_until(self, name: str) -> datetime | None:
        """See ``LockingObjects.locked_until``."""
        found = self._head(name).get("ObjectLockRetainUntilDate")
        return None if found is None else found.astimezone(UTC)

    def hold(self, name: str, on: bool) -> None:
        """See ``LockingObjects.hold``."""
        self._change(name, "held", self.client.put_object_legal_hold, LegalHold={"Status": "ON" if on else "OFF"})

    def held(self, name: str) -> bool:
        """See ``LockingObjects.held``."""
        return bool(self._head(name).get("ObjectLockLegalHoldStatus") == "ON")

    def versioning(self) -> bool:
        """Whether the bucket keeps versions."""
        answer = self._again(
            f"The bucket {self.bucket!r} could not be examined",
            lambda: self.client.get_bucket_versioning(Bucket=self.bucket),
        )
        return bool(answer.get("Status") == "Enabled")

    def locking(self) -> bool:
        """Whether the bucket was made with object lock."""

        def attempt() -> bool:
            try:
                answer = self.client.get_object_lock_configuration(Bucket=self.bucket)
            except ClientError as error:
                if code_of(error) in UNLOCKED or status_of(error) == 404:
                    return False
                raise
            return bool(answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled")

        return self._again(f"The bucket {self.bucket!r} could not be examined", attempt)

    def close(self) -> None:
        """Give back connections."""
        self.client.close()

    def _key(self, name: str) -> str:
        return self._prefix + checked_name(name)

    def _put_whole(self, key: str, data: bytes, mark: Mapping[str, str]) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data, IfNoneMatch="*", Metadata=dict(mark))

    def _put_parts(self, key: str, data: bytes, mark: Mapping[str, str]) -> None:
        settings = self.settings
        put_parts(
            self.client,
            {"Bucket": self.bucket, "Key": key},
            data,
            mark,
            part_bytes=settings.multipart_megabytes << 20,
            retry_seconds=settings.retry_seconds,
        )

    def _found(self, name: str) -> dict[str, Any] | None:
        key = self._key(name)

        def attempt() -> dict[str, Any] | None:
            try:
                answer: dict[str, Any] = self.client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if code_of(error) in MISSING:
                    return None
                raise
            return answer

        return self._again(f"The object {name!r} could not be read", attempt)

    def _head(self, name: str) -> dict[str, Any]:
        found = self._found(name)
        if found is None:
            raise missing(name)
        return found

    def _pages(self, call: Callable[..., Any], prefix: str, tokens: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Answers page by page; ``tokens`` maps what an answer says of the next page to the request's parameter."""
        what = f"The objects below {self.url!r} could not be listed"
        place: dict[str, str] = {"Bucket": self.bucket, "Prefix": prefix}
        while True:
            page: dict[str, Any] = self._again(what, lambda: call(**place))  # noqa: B023 - called at once
            yield page
            if not page.get("IsTruncated"):
                return
            place |= {parameter: page[said] for said, parameter in tokens.items() if page.get(said)}

    def _versions(self, key: str) -> tuple[dict[str, Any], ...]:
        tokens = {"NextKeyMarker": "KeyMarker", "NextVersionIdMarker": "VersionIdMarker"}
        pages = self._pages(self.client.list_object_versions, key, tokens)
        return tuple(
            {**item, "marker": kind == "DeleteMarkers"}
            for page in pages
            for kind in ("Versions", "DeleteMarkers")
            for item in page.get(kind, ())
            if item["Key"] == key
        )

    def _delete_version(self, name: str, key: str, version: str) -> None:
        def attempt() -> None:
            # A bucket that once had no versions calls them "null".
            self.client.delete_object(Bucket=self.bucket, Key=key, VersionId=version)

        self._again(f"The object {name!r} could not be deleted", attempt, name=name)

    def _change(self, name: str, done: str, call: Callable[..., Any], **what: Any) -> None:
        key = self._key(name)
        try:
            self._again(
                f"The object {name!r} could not be {done}",
                lambda: call(Bucket=self.bucket, Key=key, **what),
                name=name,
            )
        except StorageError as error:
            if isinstance(error.__cause__, ClientError) and code_of(error.__cause__) == "InvalidRequest":
                raise ObjectLockedError(
                    f"The object {name!r} cannot be {done}: {error.what}",
                    cure="The bucket must be made with object lock; `liucun doctor` probes it.",
                ) from error
            raise

    def _again(self, what: str, attempt: Callable[[], T], *, name: str | None = None) -> T:
        return again(what, attempt, seconds=self.settings.retry_seconds, name=name)


def _cut(name: str, got: int, promised: int) -> LiucunError:
    return StorageError(
        f"The object {name!r} came with {got} of {promised} bytes.", cure="Check the object store and its proxies."
    )


def _client(settings: S3Settings) -> Any:
    if settings.ca_file:
        check_authorities(settings.ca_file, "ca_file of the object store")
    try:
        session = boto3.Session(profile_name=settings.profile)
        return session.client(
            "s3",
            endpoint_url=settings.endpoint,
            # A server of one's own has no regions, but requests are signed for one.
            region_name=settings.region or session.region_name or ("us-east-1" if settings.endpoint else None),
            verify=settings.ca_file,
            config=Config(
                # Tries are counted here, where a put knows its own first one.
                retries={"total_max_attempts": 1, "mode": "standard"},
                connect_timeout=settings.connect_seconds,
                read_timeout=settings.read_seconds,
                max_pool_connections=_POOL,
                request_checksum_calculation=settings.checksums,
                response_checksum_validation=settings.checksums,
                s3={"addressing_style": settings.addressing},
                tcp_keepalive=True,
                user_agent_extra="liucun",
            ),
        )
    except (BotoCoreError, ValueError) as error:
        if isinstance(error, BotoCoreError):
            raise failure("The object store cannot be used", error) from error
        raise StorageError(
            f"The object store cannot be used: {error}.", cure="Correct [archive.s3] endpoint."
        ) from error
