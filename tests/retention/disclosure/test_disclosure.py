"""Disclosure: two other people approve, exactly the scope goes out, and a bundle that was touched is refused."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from errors import KeyAccessError, LiucunError, StorageError, UsageError
from retention.crypto.sm2 import Sm2KeyPair
from retention.disclosure import bundle, serving
from retention.disclosure.errors import (
    BundleRefusedError,
    DisclosureKeyError,
    DisclosureScopeError,
    DisclosureStateError,
)
from retention.disclosure.export import Exported, export
from retention.disclosure.paper import Records, paper
from retention.disclosure.prepare import prepare_disclosure
from retention.disclosure.register import Case, Disclosure, document, list_disclosures, read
from retention.disclosure.requests import approve, refuse, request
from retention.disclosure.scope import Scope
from retention.disclosure.verify import verify
from retention.policies.prepare import prepare_policies
from retention.printing.blocks import Grid, Paragraph
from retention.printing.pdf import write_pdf
from retention.second_person import SecondPersonError
from retention.transparency.keeping import LogKeeper
from retention.transparency.verify import verify_log
from tests.retention.sealed_store import START, SealedStore, hours

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CASE = Case("某市公安局", "网安〔2026〕17号", "网络安全法 第三十条", "调查电信诈骗")
SCOPE = Scope.of(("user_log",), ("u1", "u3"), ("source_ip", "event_id"), START, START + timedelta(days=2))
LONG = "a-Long-password-7"
DISCLOSED = Disclosure(
    "D1", "approved", CASE, SCOPE, "user:ann", NOW.isoformat(), NOW.isoformat(), "0" * 64, "0" * 64, ("user:ben",), 1
)


@pytest.fixture
def archive(sealed: SealedStore) -> Iterator[SealedStore]:
    """A store with a hundred hours of ten users."""
    prepare_policies(sealed.catalogue)
    prepare_disclosure(sealed.catalogue)
    sealed.add(hours(50, source_ip="10.0.0.1"))
    sealed.add(hours(50, first=START + timedelta(hours=50)))
    return sealed


def log_of(store: SealedStore) -> LogKeeper:
    """The store's log."""
    return LogKeeper(store.catalogue, store.objects, store.period_keys, store.archive.suite)


def requested(store: SealedStore, scope: Scope = SCOPE) -> str:
    """A request by ann."""
    return request(store, CASE, scope, b"%PDF case", expires_at=NOW + timedelta(days=30), actor="user:ann", now=NOW)


def exported(store: SealedStore, scope: Scope = SCOPE) -> Exported:
    """An approved and exported disclosure."""
    number = requested(store, scope)
    for actor in ("user:ben", "user:cid"):
        approve(store, number, actor=actor, now=NOW)
    return export(store, log_of(store), number, actor="user:ann", now=NOW)


def test_exactly_the_scope_goes_out_and_holds(archive: SealedStore) -> None:
    made = exported(archive)
    assert made.rows == {"data/user_log.csv": 10}
    files = bundle.unpack(made.data)
    header, *rows = files["data/user_log.csv"].decode().splitlines()
    assert header == "log_source,log_partition,log_offset,event_time,event_id,user_id,source_ip"
    assert {row.split(",")[5] for row in rows} == {"u1", "u3"}
    verdict = verify(made.data)
    assert verdict.rows == {"data/user_log.csv": 10}
    assert verdict.segments == 1
    assert not verdict.trusted
    trusted = verify(made.data, known_keys=[v.encode() for v in log_of(archive).verifiers])
    assert trusted.trusted
    assert any("All 10 rows lie within the approved scope" in line for line in verdict.words)
    found = read(archive, made.disclosure.disclosure_id)
    assert found.exports == 1
    assert document(archive, found.disclosure_id, actor="user:ben", now=NOW) == b"%PDF case"
    log = log_of(archive)
    log.keep()
    assert verify_log(log).faults == []


def test_two_people_other_than_the_requester_approve(archive: SealedStore) -> None:
    number = requested(archive)
    with pytest.raises(DisclosureStateError, match="approved by 0 of 2"):
        export(archive, log_of(archive), number, actor="user:ann", now=NOW)
    for actor in ("user:ann", "os:root", "system:worker"):
        with pytest.raises(SecondPersonError):
            approve(archive, number, actor=actor, now=NOW)
    approve(archive, number, actor="user:ben", now=NOW)
    with pytest.raises(SecondPersonError):
        approve(archive, number, actor="user:ben", now=NOW)
    with pytest.raises(DisclosureStateError, match="approved by 1 of 2"):
        export(archive, log_of(archive), number, actor="user:ann", now=NOW)
    assert approve(archive, number, actor="user:cid", now=NOW).state == "approved"
    with pytest.raises(DisclosureStateError, match="expired"):
        export(archive, log_of(archive), number, actor="user:ann", now=NOW + timedelta(days=30))
    refuse(archive, number, reason="withdrawn", actor="user:dan", now=NOW)
    with pytest.raises(DisclosureStateError, match="refused"):
        export(archive, log_of(archive), number, actor="user:ann", now=NOW)
    with pytest.raises(DisclosureStateError, match="over"):
        approve(archive, number, actor="user:eve", now=NOW)
    assert [item.state for item in list_disclosures(archive)] == ["refused"]


def test_one_that_is_refused_while_its_bundle_is_made_is_not_handed_out(
    archive: SealedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = requested(archive)
    for actor in ("user:ben", "user:cid"):
        approve(archive, number, actor=actor, now=NOW)

    def made(*_given: object, **_more: object) -> bytes:
        refuse(archive, number, reason="the case was closed", actor="user:ben", now=NOW)
        return b"%PDF"

    monkeypatch.setattr("retention.disclosure.export.write_pdf", made)
    with pytest.raises(DisclosureStateError, match="refused"):
        export(archive, log_of(archive), number, actor="user:ann", now=NOW)
    assert read(archive, number).exports == 0


@pytest.mark.parametrize("what", ["refused", "taken back"])
def test_what_ends_while_an_answer_is_made_is_not_served(
    archive: SealedStore, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    number = requested(archive)
    for actor in ("user:ben", "user:cid"):
        approve(archive, number, actor=actor, now=NOW)
    key = serving.issue_key(archive, number, actor="user:ann", now=NOW)
    found = serving.opened_by(archive, key, now=NOW)
    assert serving.serve(archive, found, "user_log", key=key, now=NOW).rows == 10
    asked = serving.run_query

    def ended(*given: Any, **more: Any) -> Any:
        if what == "refused":
            refuse(archive, number, reason="x", actor="user:ben", now=NOW)
        else:
            serving.revoke_key(archive, number, serving.key_id_of(key), actor="user:ann", now=NOW)
        return asked(*given, **more)

    monkeypatch.setattr(serving, "run_query", ended)
    with pytest.raises(DisclosureKeyError):
        serving.serve(archive, found, "user_log", key=key, now=NOW)


def test_what_is_asked_for_must_exist_and_be_bounded(archive: SealedStore) -> None:
    day = timedelta(days=1)
    wrong: list[Callable[[], object]] = [
        lambda: Scope.of((), ("u",), ("source_ip",), START, START + day),
        lambda: Scope.of(("nothing",), ("u",), ("source_ip",), START, START + day),
        lambda: Scope.of(("user_log",), (), ("source_ip",), START, START + day),
        lambda: Scope.of(("user_log",), ("",), ("source_ip",), START, START + day),
        lambda: Scope.of(("user_log",), ("u",), ("no_such_column",), START, START + day),
        lambda: Scope.of(("user_log",), ("u",), ("source_ip",), START, START),
        lambda: Scope.of(("user_log",), ("u",), ("source_ip",), datetime(2026, 1, 1), START),
        lambda: Scope.from_json({}),
        lambda: request(archive, CASE, SCOPE, b"", expires_at=NOW + day, actor="a", now=NOW),
        lambda: request(archive, CASE, SCOPE, b"x", expires_at=NOW + 91 * day, actor="a", now=NOW),
        lambda: request(archive, CASE, SCOPE, b"x", expires_at=NOW, actor="a", now=NOW),
        lambda: request(
            archive, Case("a" * 2001, "1", "b", "r"), SCOPE, b"x", expires_at=NOW + day, actor="a", now=NOW
        ),
        lambda: request(archive, Case("a", "\udcff", "b", "r"), SCOPE, b"x", expires_at=NOW + day, actor="a", now=NOW),
        *(
            (lambda name=name: request(archive, CASE, about(name), b"x", expires_at=NOW + day, actor="a", now=NOW))
            for name in ("a\0b", "\udcff", "a" * 1001)
        ),
        lambda: request(archive, Case("", "1", "b", "r"), SCOPE, b"x", expires_at=NOW + day, actor="a", now=NOW),
    ]
    for attempt in wrong:
        with pytest.raises(DisclosureScopeError):
            attempt()
    assert list_disclosures(archive) == []


def about(account: str) -> Scope:
    return Scope.of(("user_log",), (account,), ("source_ip",), START, START + timedelta(days=2))


def test_names_that_would_break_a_query_are_only_names(archive: SealedStore) -> None:
    scope = Scope.of(("user_log",), ("u1' OR '1'='1", 'x"; DROP'), ("event_id",), START, START + timedelta(days=9))
    made = exported(archive, scope)
    assert made.rows == {"data/user_log.csv": 0}
    assert verify(made.data).segments == 0


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


CSV = "data/user_log.csv"


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


def test_the_pdf_says_whom_it_is_for_and_holds_the_rows(archive: SealedStore) -> None:
    made = exported(archive)
    printed = bundle.unpack(made.data)[bundle.PAPER]
    assert printed.startswith(b"%PDF-")
    found = paper(
        made.disclosure,
        {"user_log": Records(3000, [{"event_time": START, "user_id": "u1", "log_source": "app", "log_partition": "p",
                                     "log_offset": 7, "source_ip": "10.0.0.1", "event_id": None}])},
        actor="user:ann",
        now=NOW,
        watermark="W",
    )  # fmt: skip
    assert CASE.number in found.watermark
    assert CASE.authority in found.watermark
    (grid,) = [block for block in found.blocks if isinstance(block, Grid)]
    assert grid.rows == (("1", "2026-03-01 08:00:00", "u1", "app p @ 7", "source_ip: 10.0.0.1\nevent_id: —"),)
    assert any("只印前 1 条" in block.text for block in found.blocks if isinstance(block, Paragraph))


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


def test_a_record_longer_than_a_page_is_printed_in_part() -> None:
    row = {"event_time": START, "user_id": "u1", "log_source": "a", "log_partition": "p", "log_offset": 1}
    found = paper(
        DISCLOSED,
        {"content": Records(1, [{**row, "text": "长" * 5000, "url": "x" * 5000}])},
        actor="user:ann",
        now=NOW,
        watermark="W",
    )
    (grid,) = [block for block in found.blocks if isinstance(block, Grid)]
    assert "全文 5,000 字见 CSV" in grid.rows[0][4]
    assert write_pdf(found, made_at=NOW).startswith(b"%PDF-")
