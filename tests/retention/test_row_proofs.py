"""Row proofs: each row of an evidence segment is proved by its manifest, field by field; any change is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import IntegrityError, UsageError
from retention.errors import KeyDestroyedError, ManifestError, SegmentMismatchError
from retention.manifest import SegmentManifest, SegmentPlace
from retention.row_proofs import RowProof, field_bytes, prove_rows, rows_root, verify_row
from retention.segments import Archive, open_segment, write_segment
from tests.retention.samples import archive, records, segment


def evidence(made: Archive, count: int) -> SegmentManifest:
    """Write a segment of the class that carries row proofs."""
    place = SegmentPlace("shop", "shop/a.log#1", 0, count * 40, count)
    return write_segment(made, records(count), record_class="evidence", period="2026-10", places=(place,))


@pytest.fixture
def made(tmp_path: Path):
    opened = archive(tmp_path)
    yield opened
    opened.period_keys.close()


def test_only_evidence_carries_them(made: Archive) -> None:
    one, other = evidence(made, 3), segment(made, 3)
    assert (one.format_version, other.format_version) == (3, 3)
    assert other.rows_root is None
    assert b'"rows_root":null' in other.to_bytes()
    assert SegmentManifest.from_bytes(one.to_bytes()) == one
    with pytest.raises(UsageError, match="no row proofs"):
        open_segment(made, other).prove([0], ["text"])


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 1},
        {"format_version": 2},
        {"format_version": 4},
        {"format_version": [3]},
        {"rows_root": "0" * 63},
        {"rows_digest": "0" * 63},
        {"rows_digest": None},
    ],
)
def test_what_commits_to_rows_and_the_version_belong_together(made: Archive, change: dict[str, object]) -> None:
    body = json.loads(evidence(made, 2).to_bytes()) | change
    with pytest.raises(ManifestError):
        SegmentManifest.from_bytes(json.dumps(body, sort_keys=True, separators=(",", ":")).encode())


def test_manifests_of_earlier_versions_are_read(made: Archive) -> None:
    given = evidence(made, 2)
    for old in (
        replace(given, format_version=1, rows_root=None, rows_digest=None),
        replace(given, format_version=2, rows_digest=None),
    ):
        assert SegmentManifest.from_bytes(old.to_bytes()) == old
        open_segment(made, old).verify()


def test_a_whole_verification_computes_the_root(made: Archive) -> None:
    manifest = evidence(made, 5)
    open_segment(made, manifest).verify()
    with pytest.raises(SegmentMismatchError, match="root over the rows"):
        open_segment(made, replace(manifest, rows_root="0" * 64)).verify()


def test_a_shown_field_is_read_and_a_hidden_one_cannot_be_guessed(made: Archive) -> None:
    manifest = evidence(made, 9)
    opened = open_segment(made, manifest)
    (proof,) = opened.prove([4], ["text", "message"])
    assert set(proof.shown) == {"text"}, "a field that the row does not have is neither shown nor hidden"
    assert proof.shown["text"][0].decode() == "直播间评论 4"
    assert "raw" in proof.hidden
    assert "message" not in proof.hidden
    suite = made.suite
    verify_row(suite, proof, bytes.fromhex(manifest.rows_root or ""))
    salt = proof.shown["text"][1]
    raw = b'{"n":00000004}'
    assert proof.hidden["raw"] not in (suite.hash(raw), suite.hash(salt, raw)), "each field has a salt of its own"


def test_with_the_key_the_proofs_go(made: Archive) -> None:
    manifest = evidence(made, 2)
    made.period_keys.destroy(manifest.key_id)
    with pytest.raises(KeyDestroyedError):
        open_segment(made, manifest).prove([0], ["text"])


FIELDS = ["text", "raw", "user_id", "amount", "event_time", "extra", "log_offset"]


@settings(max_examples=60)
@given(count=st.integers(1, 40), data=st.data())
def test_every_proof_holds_and_every_change_is_refused(count: int, data: st.DataObject) -> None:
    from retention.crypto.suites import DEFAULT, suite

    chosen, key = suite(DEFAULT), b"k" * 32
    table = pa.Table.from_batches([records(count)])
    root = rows_root(chosen, key, table)
    row = data.draw(st.integers(0, count - 1))
    shown = data.draw(st.lists(st.sampled_from(FIELDS), unique=True))
    (proof,) = prove_rows(chosen, key, table, [row], shown)
    assert set(proof.shown) == set(shown)
    verify_row(chosen, proof, root)
    changed = data.draw(st.sampled_from(changes(proof)))
    with pytest.raises(IntegrityError):
        verify_row(chosen, changed, root)


def changes(proof: RowProof) -> list[RowProof]:
    """The same proof with one thing changed in it."""
    found = [replace(proof, row=proof.row + proof.rows), replace(proof, path=(*proof.path, b"\0" * 32))]
    if proof.path:
        found.append(replace(proof, path=proof.path[:-1]))
        found.append(replace(proof, path=(bytes(32), *proof.path[1:])))
    for name, (value, salt) in proof.shown.items():
        rest = {key: pair for key, pair in proof.shown.items() if key != name}
        found += [
            replace(proof, shown={**rest, name: (value + b"x", salt)}),
            replace(proof, shown={**rest, name: (value, salt[::-1])}),
            replace(proof, shown=rest),
            replace(proof, shown={**rest, f"{name}_": (value, salt)}),
            replace(proof, hidden={**proof.hidden, name: bytes(32)}),
        ]
    for name in proof.hidden:
        rest_hidden = {key: digest for key, digest in proof.hidden.items() if key != name}
        found += [replace(proof, hidden=rest_hidden), replace(proof, hidden={**rest_hidden, name: bytes(32)})]
    return found


def test_values_have_one_spelling() -> None:
    table = pa.Table.from_batches([records(3)])
    assert field_bytes(table.column("amount")) == [b"0.000000", b"0.010000", b"0.020000"]
    assert field_bytes(table.column("event_time"))[1] == b"1790985601000000"
    assert field_bytes(table.column("extra"))[2] == b'[["room","2"]]'
    assert field_bytes(table.column("message")) == [None, None, None]
    assert field_bytes(table.column("log_source"))[0] == b"shop"
