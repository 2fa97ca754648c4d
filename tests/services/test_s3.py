"""Objects on a real S3 server: locks, holds, versions, answers that get lost, a server that goes away."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from errors import LiucunError, NotPermittedError, SettingsError, UnreachableError, UsageError
from retention.errors import ObjectExistsError, ObjectLockedError, ObjectMissingError
from retention.objects.locking import can_lock
from retention.objects.opening import open_objects, refuse_used
from retention.objects.probing import probe
from retention.objects.s3 import S3Objects
from retention.objects.s3_settings import S3Settings, bucket_and_prefix
from tests.certificates import Authority, speaks
from tests.services import servers
from tests.services.dropping_proxy import dropping_proxy

pytestmark = pytest.mark.services


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def versions(objects: S3Objects, name: str) -> list[str]:
    return [item["VersionId"] for item in objects._versions(objects._key(name))]


def test_under_lock_nothing_that_the_account_can_do_deletes_before_the_day(s3_objects: S3Objects) -> None:
    """Every way that the S3 protocol offers is tried with the archive's own credentials, the bypass included."""
    name, until = "segments/one.lcs", soon(60)
    s3_objects.put(name, b"kept by law")
    s3_objects.lock(name, until)
    found = s3_objects.locked_until(name)
    assert found is not None
    assert abs((found - until).total_seconds()) < 1
    with pytest.raises(ObjectLockedError, match="object lock") as caught:
        s3_objects.delete(name)
    assert caught.value.exit_code == 9

    client, place = s3_objects.client, {"Bucket": s3_objects.bucket, "Key": s3_objects._key(name)}
    (version,) = versions(s3_objects, name)
    for attempt in (
        lambda: client.delete_object(**place, VersionId=version, BypassGovernanceRetention=True),
        lambda: client.put_object_retention(
            **place, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": soon(1)}, BypassGovernanceRetention=True
        ),
        lambda: client.put_object_retention(
            **place, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until}, BypassGovernanceRetention=True
        ),
        lambda: client.put_object_retention(**place, Retention={}, BypassGovernanceRetention=True),
    ):
        with pytest.raises(client.exceptions.ClientError):
            attempt()
    # Deleting by name only lays a marker over it, writing only a version: what is locked stays.
    client.delete_object(**place)
    client.put_object(**place, Body=b"forged")
    client.delete_objects(Bucket=place["Bucket"], Delete={"Objects": [{"Key": place["Key"], "VersionId": version}]})
    answer = client.get_object(**place, VersionId=version)
    with answer["Body"] as body:
        assert body.read() == b"kept by law"


def test_after_the_day_it_is_deleted_with_every_version(s3_objects: S3Objects) -> None:
    s3_objects.put("one", b"1")
    s3_objects.lock("one", soon(5))
    with pytest.raises(ObjectLockedError):
        s3_objects.delete("one")

    def gone() -> bool:
        try:
            s3_objects.delete("one")
        except ObjectLockedError:
            return False
        return True

    servers.wait_until("deletion after the lock's day", gone, seconds=30)
    assert versions(s3_objects, "one") == []
    assert not s3_objects.exists("one")


def test_a_lock_is_made_longer_never_shorter(s3_objects: S3Objects) -> None:
    s3_objects.put("one", b"1")
    assert s3_objects.locked_until("one") is None
    s3_objects.lock("one", soon(60))
    s3_objects.lock("one", soon(120))
    longer = s3_objects.locked_until("one")
    s3_objects.lock("one", soon(1))
    assert s3_objects.locked_until("one") == longer
    assert longer is not None
    assert longer > soon(110)


def test_a_hold_holds_until_it_is_taken_off(s3_objects: S3Objects) -> None:
    s3_objects.put("one", b"1")
    assert not s3_objects.held("one")
    s3_objects.hold("one", True)
    assert s3_objects.held("one")
    with pytest.raises(ObjectLockedError):
        s3_objects.delete("one")
    assert s3_objects.read("one") == b"1"
    s3_objects.hold("one", False)
    s3_objects.delete("one")
    assert not s3_objects.exists("one")


def test_locks_of_missing_objects_are_named(s3_objects: S3Objects) -> None:
    assert can_lock(s3_objects)
    for call in (
        lambda: s3_objects.lock("no/such", soon(60)),
        lambda: s3_objects.hold("no/such", True),
        lambda: s3_objects.locked_until("no/such"),
        lambda: s3_objects.held("no/such"),
    ):
        with pytest.raises(ObjectMissingError, match="'no/such'"):
            call()


def test_deleting_leaves_no_version_behind(s3_objects: S3Objects) -> None:
    s3_objects.put("one", b"1")
    key = s3_objects._key("one")
    s3_objects.client.delete_object(Bucket=s3_objects.bucket, Key=key)
    assert not s3_objects.exists("one")
    s3_objects.delete("one")
    assert versions(s3_objects, "one") == []
    with pytest.raises(ObjectMissingError):
        s3_objects.delete("one")


def test_of_many_writers_of_one_name_one_wins(s3_objects: S3Objects) -> None:
    won: list[int] = []

    def write(number: int) -> None:
        try:
            s3_objects.put("one", bytes([number]) * 100_000)
            won.append(number)
        except ObjectExistsError:
            pass

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert s3_objects.read("one") == bytes(won) * 100_000
    assert len(versions(s3_objects, "one")) == 1


def test_big_objects_go_in_parts_and_are_create_only_too(s3_url: str, s3_settings: S3Settings) -> None:
    objects = S3Objects(s3_url, s3_settings.model_copy(update={"multipart_megabytes": 5}))
    data = bytes(range(256)) * (12 << 12)
    objects.put("big", memoryview(data))
    assert objects.size("big") == len(data)
    assert objects.read("big", len(data) - 300, len(data) - 10) == data[-300:-10]
    with pytest.raises(ObjectExistsError):
        objects.put("big", data)
    assert objects.read("big") == data
    uploads = objects.client.list_multipart_uploads(Bucket=objects.bucket, Prefix=objects._key("big"))
    assert "Uploads" not in uploads
    objects.close()


def test_a_long_list_comes_whole_and_in_order(s3_objects: S3Objects) -> None:
    names = [f"many/{number:05}" for number in range(1100)]

    def write(part: list[str]) -> None:
        for name in part:
            s3_objects.put(name, b"")

    threads = [threading.Thread(target=write, args=(names[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(s3_objects.list("many/")) == names
    assert list(s3_objects.list("many/0109")) == names[1090:]


@pytest.mark.parametrize("parts", [False, True])
def test_a_lost_answer_of_a_put_is_not_taken_for_another_writer(
    s3_url: str, s3_settings: S3Settings, s3_server: tuple[str, str, str], parts: bool
) -> None:
    where = urlsplit(s3_server[0])
    assert where.hostname is not None
    assert where.port is not None
    with dropping_proxy(where.hostname, where.port) as proxy:
        settings = s3_settings.model_copy(
            update={"endpoint": f"http://127.0.0.1:{proxy.port}", "multipart_megabytes": 5}
        )
        objects = S3Objects(s3_url, settings)
        data = b"x" * (6 << 20 if parts else 1000)
        if parts:
            # Every answer of the upload is lost once in turn: of its begin, its two parts, and its end.
            for lost in range(4):
                before = proxy.dropped
                watcher = _drop_at(objects, proxy, lost)
                objects.put(f"big-{lost}", data)
                watcher()
                assert proxy.dropped == before + 1, lost
                assert objects.read(f"big-{lost}") == data
        else:
            proxy.drop = 1
            objects.put("one", data)
            assert proxy.dropped == 1
            assert objects.read("one") == data
            assert len(versions(objects, "one")) == 1
            with pytest.raises(ObjectExistsError):
                objects.put("one", b"another")
            proxy.drop = 2
            assert objects.read("one") == data
        objects.close()


def _drop_at(objects: S3Objects, proxy, number: int):
    """Let the answer of the ``number``-th request from now be lost; returns what ends it."""
    seen = 0

    def before_send(**_: object) -> None:
        nonlocal seen
        if seen == number:
            proxy.drop = 1
        seen += 1

    objects.client.meta.events.register("before-send.s3", before_send)
    return lambda: objects.client.meta.events.unregister("before-send.s3", before_send)


def test_tls_is_checked_against_the_authority_of_the_settings(
    s3_url: str, s3_settings: S3Settings, s3_server: tuple[str, str, str], tmp_path: Path
) -> None:
    where = urlsplit(s3_server[0])
    authority = Authority.made(tmp_path)
    with dropping_proxy(str(where.hostname), int(str(where.port)), speaks(authority.issue("s3"))) as proxy:
        update = {"endpoint": f"https://127.0.0.1:{proxy.port}", "retry_seconds": 0}
        stranger = S3Objects(s3_url, s3_settings.model_copy(update=update))
        with pytest.raises(UnreachableError, match="not trusted"):
            stranger.put("one", b"1")
        stranger.close()
        known = S3Objects(s3_url, s3_settings.model_copy(update={**update, "ca_file": str(authority.file)}))
        known.put("one", b"1")
        assert known.read("one") == b"1"
        known.close()


def test_a_server_that_restarts_is_waited_for(s3_objects: S3Objects) -> None:
    s3_objects.put("one", b"1")
    servers.control("s3", "kill")
    helper = threading.Timer(1.0, servers.control, ("s3", "start"))
    helper.start()
    try:
        s3_objects.put("two", b"2")
        assert s3_objects.read("one") == b"1"
    finally:
        helper.join()
    assert list(s3_objects.list()) == ["one", "two"]


def test_a_server_that_stays_away_is_exit_code_8(s3_url: str, s3_settings: S3Settings) -> None:
    objects = S3Objects(s3_url, s3_settings.model_copy(update={"endpoint": "http://127.0.0.1:1", "retry_seconds": 0}))
    for call in (
        lambda: objects.put("one", b"1"),
        lambda: objects.read("one"),
        lambda: objects.size("one"),
        lambda: list(objects.list()),
        lambda: objects.delete("one"),
        lambda: objects.lock("one", soon(1)),
    ):
        with pytest.raises(UnreachableError) as caught:
            call()
        assert caught.value.exit_code == 8
    objects.close()


def test_wrong_credentials_bucket_and_profile_are_told_apart(
    s3_url: str, s3_settings: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, prefix = bucket_and_prefix(s3_url)
    absent = S3Objects(f"s3://no-such-bucket-here/{prefix}", s3_settings)
    with pytest.raises(SettingsError, match="NoSuchBucket"):
        absent.put("one", b"1")
    absent.close()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret-key-of-tests")
    refused = S3Objects(s3_url, s3_settings)
    for call in (lambda: refused.put("one", b"1"), lambda: refused.size("one"), lambda: list(refused.list())):
        with pytest.raises(NotPermittedError, match="credentials") as caught:
            call()
        assert "wrong-secret" not in str(caught.value)
    refused.close()
    with pytest.raises(NotPermittedError, match="no-such-profile"):
        S3Objects(s3_url, s3_settings.model_copy(update={"profile": "no-such-profile"}))


def test_doctor_finds_every_promise_kept(s3_objects: S3Objects) -> None:
    seen = {item.promise: item.kept for item in probe(s3_objects)}
    assert seen == {"create-only put": True, "versions": True, "legal hold": True, "object lock": True}
    assert list(s3_objects.list()) == []


def test_doctor_finds_a_bucket_without_versions_and_lock(s3_objects: S3Objects, s3_settings: S3Settings) -> None:
    name = f"{s3_objects.bucket}-plain"
    s3_objects.client.create_bucket(Bucket=name)
    plain = S3Objects(f"s3://{name}/x", s3_settings)
    try:
        seen = {item.promise: item.kept for item in probe(plain)}
        assert seen == {"create-only put": True, "versions": False, "object lock": False}
        plain.put("one", b"1")
        with pytest.raises(LiucunError, match="lock"):
            plain.lock("one", soon(60))
        plain.delete("one")
        assert not plain.exists("one")
    finally:
        plain.close()
        s3_objects.client.delete_bucket(Bucket=name)


def test_a_used_place_is_no_place_for_a_new_store(s3_objects: S3Objects, s3_settings: S3Settings) -> None:
    refuse_used(s3_objects, s3_objects.url)
    s3_objects.put("segments/one", b"1")
    with pytest.raises(UsageError, match="segments/one"):
        refuse_used(s3_objects, s3_objects.url)


def test_prefixes_keep_stores_apart(s3_url: str, s3_settings: S3Settings, tmp_path) -> None:
    one, ten = (open_objects(tmp_path, f"{s3_url}/{name}", s3_settings) for name in ("1", "10"))
    one.put("a", b"1")
    ten.put("a", b"10")
    ten.put("b", b"10")
    assert (list(one.list()), list(ten.list())) == (["a"], ["a", "b"])
    assert one.read("a") == b"1"
    for objects in (one, ten):
        assert isinstance(objects, S3Objects)
        objects.close()
