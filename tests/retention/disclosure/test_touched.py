"""A bundle that was touched is refused: every byte, whatever lies outside the scope even if signed, other keys."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from errors import LiucunError
from retention.disclosure import bundle
from retention.disclosure.errors import BundleRefusedError
from retention.disclosure.verify import verify
from tests.retention.disclosure.exports import CSV, exported, log_of
from tests.retention.sealed_store import SealedStore


def changed(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """A bundle packed again after a change, with its old digests and signature."""
    files = bundle.unpack(data)
    change(files)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive_:
        for name, body in files.items():
            archive_.writestr(name, body)
    return sink.getvalue()


def signed_anew(store: SealedStore, data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """A bundle changed by somebody who owns the signing keys."""
    files = bundle.unpack(data)
    stated = {n: v["rows"] for n, v in json.loads(files[bundle.DIGESTS])["files"].items() if "rows" in v}
    for name in (bundle.DIGESTS, bundle.SIGNATURE):
        del files[name]
    change(files)
    number = json.loads(files[bundle.SCOPE])["disclosure_id"]
    return bundle.pack(number, files, stated, log_of(store).signers)


def line(files: dict[str, bytes], number: int) -> bytes:
    return files[CSV].splitlines(keepends=True)[number]


CHANGES: list[Callable[[dict[str, bytes]], object]] = [
    lambda f: f.update({CSV: f[CSV].replace(line(f, 2), b"")}),
    lambda f: f.update({CSV: f[CSV] + line(f, 1)}),
    lambda f: f.update({CSV: f[CSV].replace(b"u1", b"u2", 1)}),
    lambda f: f.update({CSV: f[CSV].replace(b"10.0.0.1", b"10.0.0.2", 1)}),
    lambda f: f.update({CSV: b""}),
    lambda f: f.pop(CSV),
    lambda f: f.pop(bundle.SIGNATURE, None) and None,
    lambda f: f.update({"data/content.csv": f[CSV]}),
    lambda f: f.update({bundle.SCOPE: f[bundle.SCOPE].replace(b'"u3"', b'"u4"')}),
    lambda f: f.update({bundle.SCOPE: f[bundle.SCOPE].replace(b"2026-03-03", b"2026-03-02")}),
    lambda f: f.update({bundle.SCOPE: f[bundle.SCOPE].replace(b"user:cid", b"user:ben")}),
    lambda f: f.update({bundle.SCOPE: f[bundle.SCOPE].replace(b"user:ben", b"user:ann", 1)}),
    lambda f: f.update({bundle.SCOPE: b"[]"}),
    lambda f: f.update({bundle.SEGMENTS: b"[]"}),
    lambda f: f.update({bundle.SEGMENTS: f[bundle.SEGMENTS].replace(b'\\"rows\\":50', b'\\"rows\\":51')}),
    lambda f: f.update({bundle.CHECKPOINT: b"nonsense"}),
    lambda f: f.update({bundle.KEYS: b""}),
    lambda f: f.update({bundle.KEYS: b"x+y+z\n"}),
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_bundle_that_was_touched_is_refused(archive: SealedStore, number: int) -> None:
    data = exported(archive).data
    with pytest.raises(BundleRefusedError):
        verify(changed(data, CHANGES[number]))  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [0, 1, 2, 4, 7, 8, 9, 10, 11, 13, 14, 15])
def test_what_lies_outside_the_scope_is_refused_even_if_it_is_signed(archive: SealedStore, number: int) -> None:
    data = exported(archive).data
    with pytest.raises(BundleRefusedError):
        verify(signed_anew(archive, data, CHANGES[number]))  # type: ignore[arg-type]


def test_every_changed_byte_is_refused(archive: SealedStore) -> None:
    data = exported(archive).data
    for position in range(0, len(data), 211):
        broken = bytearray(data)
        broken[position] ^= 0x55
        try:
            verdict = verify(bytes(broken))
        except BundleRefusedError:
            continue
        # A zip file repeats names and lengths where nobody reads them: then every file is what it was.
        assert bundle.unpack(bytes(broken)) == bundle.unpack(data), position
        assert verdict.rows == {CSV: 10}


@pytest.mark.parametrize("data", [b"", b"PK", b"\x00" * 1000, b"LCDB\x01", b"LCDB\x01" + b"\xff" * 90])
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(LiucunError):
        verify(bundle.unseal(data, password="p"))


def test_other_keys_than_the_custodians_are_refused(archive: SealedStore, tmp_path: Path) -> None:
    from tests.retention.sealed_store import make_store

    data = exported(archive).data
    (tmp_path / "other").mkdir()
    other = make_store(tmp_path / "other")
    keys = [signer.verifier.encode() for signer in log_of(other).signers]
    with pytest.raises(BundleRefusedError, match="other keys"):
        verify(data, known_keys=keys)
    with pytest.raises(BundleRefusedError, match="malformed"):
        verify(data, known_keys=["nonsense"])
    other.catalogue.close()
    other.period_keys.close()
