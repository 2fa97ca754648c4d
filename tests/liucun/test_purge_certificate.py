"""A certificate of destruction on paper and for programs: who, what, why, where the log says so, how to check it."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pypdf import PdfReader

from errors import UsageError
from liucun.cli import main_group
from liucun.store import open_store
from retention.catalogue import events
from retention.crypto.suites import suite
from retention.policies.settings import RetentionSettings
from retention.purge.certificate import certify
from retention.purge.errors import CertificateError, PurgeUnknownError
from retention.purge.tables import purge_segments, purge_units, purges
from retention.transparency.note import open_note, read_verifier

PLANNED = datetime(2026, 11, 1, 1, 2, 3, tzinfo=UTC)
APPROVED, DONE = PLANNED + timedelta(hours=5), PLANNED + timedelta(days=8)
PRINT = "7c" * 32


@pytest.fixture
def purged(store: Path) -> Path:
    """A store with one purge that ran to its certificate: one unit destroyed, one dropped."""
    with open_store(store, ()) as opened:
        keys = opened.period_keys
        gone, kept = (keys.current("user_log", month).key_id for month in ("2024-02", "2024-03"))
        steps = (
            ("planned", "user:ann", PLANNED),
            ("approved", "user:ben", APPROVED),
            ("started", "system:worker", DONE),
        )
        unit = {
            "purge_id": "P1", "record_class": "user_log", "segments": 0, "rows": 12345, "bytes_stored": 678901,
            "kept_rows": 0, "policy": "user_log v1: P1Y event_time; 网络安全法", "expired_on": "2025-03-01",
        }  # fmt: skip
        with opened.catalogue.write() as connection:
            connection.execute(
                purges.insert().values(
                    purge_id="P1", state="running", reason="2024 年二月到期", plan_digest=suite().hash(b"plan").hex(),
                    planned_by="user:ann", planned_at=PLANNED.isoformat(), approved_by="user:ben",
                    approved_at=APPROVED.isoformat(), started_at=DONE.isoformat(),
                )
            )  # fmt: skip
            went = {"unit_id": 1, "key_id": gone, "state": "shredded", "periods": "2024-02", "why_not": None}
            went |= {"key_fingerprint": PRINT, "destroyed_at": DONE.isoformat()}
            stays = {
                "unit_id": 2,
                "key_id": kept,
                "state": "dropped",
                "periods": "2024-03",
                "why_not": "a hold",
            }
            stays |= {"key_fingerprint": None, "destroyed_at": None}
            connection.execute(purge_units.insert(), [{**unit, **went}, {**unit, **stays}])
            connection.execute(
                purge_segments.insert().values(
                    purge_id="P1", segment_id="seg-1", unit_id=1, object_name="segments/gone", rows=12345,
                    bytes_stored=678901, key_id=gone, ciphertext_digest="cd" * 32,
                )
            )  # fmt: skip
            for kind, actor, at in steps:
                events.append(connection, kind=f"purge.{kind}", actor=actor, subject="purge:P1", body={}, at=at)
            events.append(
                connection, kind="purge.unit_destroyed", actor="system:worker", subject="purge:P1", body={"key": gone},
                at=DONE,
            )  # fmt: skip
        keys.destroy(gone)
        settings, log = RetentionSettings(), opened.store.log
        certify(opened, "P1", signers=log.signers, actor="system:worker", now=DONE, settings=settings)
        log.keep()
    return store


def asked(store: Path, *words: str) -> Result:
    return CliRunner().invoke(main_group, ["purge", *words, "--store", str(store)])


def test_the_paper_says_what_a_reader_asks(purged: Path, tmp_path: Path) -> None:
    target = tmp_path / "certificate.pdf"
    result = asked(purged, "--certificate", "P1", "--report", str(target))
    assert result.exit_code == 0, result.output
    assert f"Written to {target}." in result.output
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(target.read_bytes())).pages]
    text = "".join(pages).replace("\u200b", "")
    flat = "".join(text.split())
    for said in (
        "销毁证明", "2024年二月到期", "user:ann2026-11-0109:02:03", "user:ben2026-11-0114:02:03",
        "system:worker2026-11-0909:02:03", "自2026-12-0909:02:03起才最终生效", "网络安全法", "保存1年year", "ahold",
        PRINT[:32], "用户日志user_log2024-02", "liucunpurge--certificateP1", "liucunproveevent",
        "liucunverifyproof.json", "销毁记录Records12,345", "密文字节Sealedbytes678,901", "未认证uncertified",
    ):  # fmt: skip
        assert said in flat, said
    assert all("销毁证明 P1" in page for page in pages), "every page names the certificate"


def test_the_page_names_the_places_in_the_log_and_the_signature(purged: Path, tmp_path: Path) -> None:
    page, exact = tmp_path / "certificate.html", tmp_path / "certificate.json"
    for target in (page, exact):
        assert asked(purged, "--certificate", "P1", "--report", str(target)).exit_code == 0
    found, html = json.loads(exact.read_text(encoding="utf-8")), page.read_text(encoding="utf-8")
    assert {step["kind"] for step in found["log"]} == {
        "purge.planned", "purge.approved", "purge.started", "purge.unit_destroyed", "purge.certified",
    }  # fmt: skip
    for step in found["log"]:
        assert f"第 {step['index']:,} 条" in html
        assert f"事件 event {step['number']}" in html
    for line in found["note"].strip().splitlines():
        assert line in html
    assert found["keys"][0] in html
    # Without the store: the digest is the text's, the note names it, and a key of the archive signed the note.
    digest = suite().hash(found["certificate_text"].encode()).hex()
    assert digest == found["digest"]
    assert digest in html
    assert json.loads(found["certificate_text"]) == found["certificate"]
    signed = open_note(found["note"], [read_verifier(key) for key in found["keys"]])
    assert signed.splitlines()[2].endswith(f" {digest}")
    # The event that holds the digest can be proved as the paper says.
    number = next(step["number"] for step in found["log"] if step["kind"] == "purge.certified")
    proof = tmp_path / "proof.json"
    words = ["prove", "event", str(number), "--out", str(proof), "--store", str(purged)]
    assert CliRunner().invoke(main_group, words).exit_code == 0
    shown = CliRunner().invoke(main_group, ["verify", str(proof)])
    assert shown.exit_code == 0
    assert digest in proof.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (("--report", "x.pdf"), UsageError, "is for a certificate"),
        (("--list", "--report", "x.pdf"), UsageError, "is for a certificate"),
        (("--certificate", "P1", "--report", "x.docx"), UsageError, "no form of a certificate"),
        (("--certificate", "P1", "--report", "no/folder/x.pdf"), UsageError, "no folder"),
        (("--certificate", "P2", "--report", "x.pdf"), PurgeUnknownError, "P2"),
    ],
)
def test_what_cannot_be_printed_is_said(
    purged: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    kind: type[Exception],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = asked(purged, *words)
    assert isinstance(result.exception, kind)
    assert said in str(result.exception)
    assert not Path("x.pdf").exists()


def test_a_file_that_is_there_and_a_changed_certificate_are_refused(purged: Path, tmp_path: Path) -> None:
    target = tmp_path / "certificate.html"
    target.write_text("mine", encoding="utf-8")
    assert isinstance(asked(purged, "--certificate", "P1", "--report", str(target)).exception, UsageError)
    assert target.read_text(encoding="utf-8") == "mine"
    with open_store(purged, ()) as opened, opened.catalogue.write() as connection:
        connection.execute(purges.update().values(certificate="{}"))
    other = tmp_path / "other.html"
    result = asked(purged, "--certificate", "P1", "--report", str(other))
    assert isinstance(result.exception, CertificateError)
    assert not other.exists()
