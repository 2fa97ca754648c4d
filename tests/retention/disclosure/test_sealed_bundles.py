"""A bundle on its way: sealed to its recipient, opened with the tools that authorities have, unpacked safely."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from errors import KeyAccessError, StorageError, UsageError
from retention.crypto.sm2 import Sm2KeyPair
from retention.disclosure import bundle
from retention.disclosure.errors import BundleRefusedError
from retention.disclosure.verify import verify
from tests.retention.disclosure.exports import CSV, exported, log_of
from tests.retention.sealed_store import SealedStore

LONG = "a-Long-password-7"


def test_a_bundle_is_sealed_to_its_recipient(archive: SealedStore) -> None:
    made = exported(archive)
    number = made.disclosure.disclosure_id
    for_password = bundle.seal(number, made.data, password=LONG)
    assert bundle.unseal(for_password, password=LONG) == made.data
    for password in (None, "", "another"):
        with pytest.raises(KeyAccessError):
            bundle.unseal(for_password, password=password)
    pair, stranger = Sm2KeyPair.generate(), Sm2KeyPair.generate()
    for_key = bundle.seal(number, made.data, recipient=pair.public)
    assert bundle.unseal(for_key, pair=pair) == made.data
    for other in (None, stranger):
        with pytest.raises(KeyAccessError):
            bundle.unseal(for_key, pair=other)
    with pytest.raises(BundleRefusedError):
        bundle.unseal(for_key[:-1], pair=pair)
    assert bundle.unseal(made.data) == made.data


@pytest.mark.parametrize(
    "weak", ["short", "aaaaaaaaaaaaaaaaaaaaaaaa", "一个很长很长很长很长很长很长的口令", "tab\tin the password 1"]
)
def test_a_zip_is_not_put_under_a_weak_password(weak: str) -> None:
    with pytest.raises(UsageError):
        bundle.seal("D1", b"x", password=weak)
    with pytest.raises(UsageError):
        bundle.check_recipient(None, weak)


def test_no_byte_of_a_sealed_zip_can_be_changed() -> None:
    sealed = bundle.seal("D1", b"what is inside" * 3, password=LONG)
    assert bundle.unseal(sealed, password=LONG) == b"what is inside" * 3
    for n in range(len(sealed)):
        changed = sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :]
        with pytest.raises((BundleRefusedError, KeyAccessError)):
            verify(bundle.unseal(changed, password=LONG))
    for cut in (sealed[:-1], sealed + b"x", sealed[:40], b"PK\x03\x04" + bytes(26) + b"\x00" * 9):
        with pytest.raises((BundleRefusedError, KeyAccessError)):
            verify(bundle.unseal(cut, password=LONG))


@pytest.mark.skipif(shutil.which("7zz") is None and shutil.which("7z") is None, reason="7-Zip is not installed")
def test_the_authority_opens_it_with_7_zip_and_reads_it(archive: SealedStore, tmp_path: Path) -> None:
    made = exported(archive)
    number = made.disclosure.disclosure_id
    (tmp_path / "bundle.zip").write_bytes(bundle.seal(number, made.data, password=LONG))
    seven = shutil.which("7zz") or shutil.which("7z")
    assert seven
    wrong = subprocess.run([seven, "t", "-pwrong", tmp_path / "bundle.zip"], capture_output=True, check=False)
    assert wrong.returncode != 0
    subprocess.run([seven, "x", f"-p{LONG}", f"-o{tmp_path}", tmp_path / "bundle.zip"], capture_output=True, check=True)
    inner = tmp_path / f"{number}.zip"
    assert inner.read_bytes() == made.data
    subprocess.run([seven, "x", f"-o{tmp_path / 'read'}", inner], capture_output=True, check=True)
    listed = json.loads((tmp_path / "read" / "digests.json").read_text())["files"]
    for name, said in listed.items():
        body = (tmp_path / "read" / name).read_bytes()
        assert hashlib.sha256(body).hexdigest() == said["sha256"]
        assert hashlib.new("sm3", body).hexdigest() == said["sm3"]
    assert {"printed.pdf", CSV, "README.txt", "scope.json"} <= listed.keys()


def test_a_bundle_is_unpacked_below_its_folder_and_nowhere_else(archive: SealedStore, tmp_path: Path) -> None:
    made = exported(archive)
    bundle.extracted(made.data, tmp_path / "out")
    assert (tmp_path / "out" / CSV).read_bytes() == bundle.unpack(made.data)[CSV]
    with pytest.raises(StorageError):
        bundle.extracted(made.data, tmp_path / "out")
    for name in ("../evil", "/evil", "a/../../evil", "a//b", "a\\b", ".."):
        hostile = bundle.pack("D1", {name: b"x"}, {}, log_of(archive).signers)
        with pytest.raises(BundleRefusedError):
            bundle.extracted(hostile, tmp_path / "hostile")
        assert not (tmp_path / "hostile").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_only_what_every_tool_opens_is_unpacked(method: int) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive_:
        archive_.writestr("a", b"x" * 1000)
    whole = sink.getvalue()
    for data in (whole, whole[:40] + bytes([whole[40] ^ 0xFF]) + whole[41:]):
        with pytest.raises(BundleRefusedError, match="packed"):
            bundle.unpack(data)
