"""Segments: written whole, read in part, verified in full; manifests in exactly one spelling."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import IntegrityError, LiucunError, UsageError
from retention.crypto.suites import NAMES
from retention.errors import KeyDestroyedError, ManifestError, ObjectMissingError, SegmentMismatchError, TruncatedError
from retention.lineage import anew, check_rows
from retention.manifest import SegmentManifest, SegmentPlace, check
from retention.objects.local import LocalObjects
from retention.schema import RECORD_SCHEMA
from retention.segments import Archive, open_segment, write_segment
from tests.retention.samples import archive, records, segment


@pytest.fixture(params=NAMES)
def sealed_archive(request: pytest.FixtureRequest, tmp_path: Path):
    made = archive(tmp_path, request.param, LocalObjects(tmp_path / "objects"))
    yield made
    made.period_keys.close()


def test_a_batch_comes_back_with_its_schema(sealed_archive: Archive) -> None:
    manifest = segment(sealed_archive, 300)
    table = open_segment(sealed_archive, manifest).parquet().read()
    assert table.schema.equals(RECORD_SCHEMA)
    assert table.equals(pa.Table.from_batches([records(300)]))
    assert manifest.rows == 300
    assert manifest.bytes_stored == sealed_archive.objects.size(manifest.object_name)
    assert manifest.object_name.startswith(f"segments/content/2026-10/{manifest.segment_id}-")
    assert (manifest.event_time_min, manifest.event_time_max) == (
        "2026-10-03T00:00:00.000000Z",
        "2026-10-03T00:04:59.000000Z",
    )
    open_segment(sealed_archive, manifest).verify()


def test_no_plaintext_is_stored(sealed_archive: Archive) -> None:
    manifest = segment(sealed_archive)
    stored = sealed_archive.objects.read(manifest.object_name)
    for word in ("直播间评论".encode(), b"PAR1", b"user_id", b"shop", b'{"n":'):
        assert word not in stored


def test_datasets_push_filters_into_the_container(sealed_archive: Archive) -> None:
    opened = [open_segment(sealed_archive, segment(sealed_archive, 400, first=n * 400)) for n in range(3)]
    dataset = ds.FileSystemDataset([item.fragment() for item in opened], RECORD_SCHEMA, ds.ParquetFileFormat())
    found = dataset.to_table(columns=["text"], filter=pc.field("log_offset") == 40 * 700)
    assert found.column("text").to_pylist() == ["直播间评论 700"]


def test_the_same_rows_have_the_same_id_and_another_object(sealed_archive: Archive) -> None:
    one, other = segment(sealed_archive), segment(sealed_archive)
    assert one.segment_id == other.segment_id
    assert one.object_name != other.object_name
    assert one.plaintext_digest != other.plaintext_digest
    assert one.segment_id != segment(sealed_archive, first=500).segment_id


def test_objects_of_two_attempts_cannot_be_exchanged(sealed_archive: Archive) -> None:
    one, other = segment(sealed_archive), segment(sealed_archive)
    with pytest.raises((SegmentMismatchError, TruncatedError)):
        open_segment(sealed_archive, replace(one, object_name=other.object_name, bytes_stored=other.bytes_stored))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"ciphertext_digest": "0" * 64}, SegmentMismatchError),
        ({"plaintext_digest": "0" * 64}, SegmentMismatchError),
        ({"rows": 501, "places": (SegmentPlace("shop", "shop/a.log#1", 0, 20000, 501),)}, SegmentMismatchError),
        ({"suite": "other"}, SegmentMismatchError),
        ({"key_id": "other"}, SegmentMismatchError),
        ({"bytes_stored": 5}, TruncatedError),
        ({"segment_id": "other"}, SegmentMismatchError),
        ({"period": "2026-11"}, SegmentMismatchError),
        ({"object_name": "segments/none"}, ObjectMissingError),
    ],
)
def test_verifying_finds_what_is_not_the_manifests(
    sealed_archive: Archive, change: dict[str, object], error: type[Exception]
) -> None:
    manifest = replace(segment(sealed_archive), **change)
    with pytest.raises(error):
        open_segment(sealed_archive, manifest).verify()


def test_a_destroyed_key_makes_the_segment_unreadable(sealed_archive: Archive) -> None:
    manifest = segment(sealed_archive)
    sealed_archive.period_keys.destroy(manifest.key_id)
    with pytest.raises(KeyDestroyedError):
        open_segment(sealed_archive, manifest)


def test_what_does_not_fit_is_not_written(sealed_archive: Archive) -> None:
    place = SegmentPlace("s", "p", 0, 10, 3)
    for batch, places in (
        (records(0), ()),
        (records(3), ()),
        (records(2), (place,)),
        (records(3).drop_columns(["raw"]), (place,)),
        (pa.record_batch({"a": [1, 2, 3]}), (place,)),
    ):
        with pytest.raises(UsageError):
            write_segment(sealed_archive, batch, record_class="content", period="2026-10", places=places)
    with pytest.raises(UsageError):
        write_segment(sealed_archive, records(3), record_class="Content/..", period="2026-10", places=(place,))
    assert list(sealed_archive.objects.list()) == []


def test_times_may_be_missing(sealed_archive: Archive) -> None:
    batch = records(3)
    nulls = pa.nulls(3, RECORD_SCHEMA.field("event_time").type)
    batch = batch.set_column(RECORD_SCHEMA.get_field_index("event_time"), RECORD_SCHEMA.field("event_time"), nulls)
    manifest = write_segment(
        sealed_archive, batch, record_class="content", period="2026-10", places=(SegmentPlace("s", "p", 0, 1, 3),)
    )
    assert (manifest.event_time_min, manifest.event_time_max) == (None, None)
    assert SegmentManifest.from_bytes(manifest.to_bytes()) == manifest


MANIFEST = SegmentManifest(
    format_version=1,
    segment_id="a" * 32,
    attempt="b" * 16,
    object_name="segments/content/2026-10/x.lcs",
    record_class="content",
    period="2026-10",
    suite="SM4-GCM-SM3",
    key_id="content-2026-10-1",
    schema_version=1,
    rows=5,
    bytes_stored=900,
    ciphertext_digest="0" * 64,
    plaintext_digest="f" * 64,
    event_time_min="2026-10-01T00:00:00.000000Z",
    event_time_max="2026-10-02T00:00:00.000000Z",
    places=(SegmentPlace("店铺", '店铺/日志 \u2028\x01".log#1', 0, 40, 2), SegmentPlace("s", "q", 7, 9, 3)),
    replaces=("c" * 32,),
)


def test_a_manifest_has_one_spelling() -> None:
    data = MANIFEST.to_bytes()
    assert SegmentManifest.from_bytes(data) == MANIFEST
    assert data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    for other in (
        b" " + data,
        data + b"\n",
        json.dumps(json.loads(data)).encode(),
        data.replace(b'"rows":5', b'"rows":5,"rows":5'),
    ):
        with pytest.raises(ManifestError):
            SegmentManifest.from_bytes(other)


def test_every_flipped_bit_of_a_manifest_is_refused_or_another_manifest() -> None:
    """What still reads is not the same manifest: its hash in the log, or the segment itself, refuses it."""
    data = MANIFEST.to_bytes()
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            assert SegmentManifest.from_bytes(bytes(changed)) != MANIFEST
        except ManifestError:
            continue


def test_every_flipped_byte_of_a_manifest_is_found_with_its_segment(tmp_path: Path) -> None:
    """Against the segment alone, without any log: fields that the segment binds are found out by verifying."""
    made = archive(tmp_path)
    manifest = segment(made, 20)
    data = manifest.to_bytes()
    unbound = ("event_time", "places", "replaces")
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            other = SegmentManifest.from_bytes(changed)
            opened = open_segment(made, other)
            opened.verify()
            check_rows(opened, anew(other))
        except LiucunError:
            continue
        differing = {n for n in SegmentManifest.__dataclass_fields__ if getattr(other, n) != getattr(manifest, n)}
        assert all(name.startswith(unbound) for name in differing), differing
    made.period_keys.close()


@pytest.mark.parametrize(
    "change",
    [
        {"rows": -1},
        {"rows": 1 << 53},
        {"rows": 4},
        {"format_version": 2},
        {"suite": "ROT13"},
        {"period": "2026-13"},
        {"segment_id": "a/b"},
        {"ciphertext_digest": "F" * 64},
        {"event_time_min": None},
        {"event_time_max": "yesterday"},
        {"schema_version": 1 << 16},
        {"replaces": ("c", "c")},
        {"object_name": "x" * 600},
        {"places": (SegmentPlace("s", "q", 9, 7, 5),)},
        {"places": (SegmentPlace("s", "q" * 5000, 7, 9, 5),)},
    ],
)
def test_fields_out_of_bounds_are_refused(change: dict[str, object]) -> None:
    changed = replace(MANIFEST, **change)
    with pytest.raises(ValueError, match="it"):
        check(changed)
    with pytest.raises(ManifestError):
        SegmentManifest.from_bytes(changed.to_bytes())


@pytest.mark.parametrize(
    "change",
    [
        {"rows": "5"},
        {"rows": 5.0},
        {"rows": True},
        {"rows": None},
        {"places": {}},
        {"places": [1]},
        {"replaces": [1]},
        {"replaces": None},
        {"segment_id": 5},
        {"event_time_min": 5},
        {"more": 1},
    ],
)
def test_fields_of_another_type_are_refused(change: dict[str, object]) -> None:
    body = json.loads(MANIFEST.to_bytes()) | change
    with pytest.raises(ManifestError):
        SegmentManifest.from_bytes(json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*json.loads(MANIFEST.to_bytes()), "source"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(body=json_values)
def test_other_json_is_no_manifest(body: object) -> None:
    with pytest.raises(ManifestError):
        SegmentManifest.from_bytes(json.dumps(body).encode())


@given(name=st.sampled_from(sorted(json.loads(MANIFEST.to_bytes()))), value=json_values)
def test_a_manifest_with_an_odd_member_is_refused_or_canonical(name: str, value: object) -> None:
    data = json.dumps(
        json.loads(MANIFEST.to_bytes()) | {name: value}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode("utf-8", "surrogatepass")
    try:
        assert SegmentManifest.from_bytes(data).to_bytes() == data
    except ManifestError:
        return


@given(noise=st.binary(max_size=300))
def test_noise_is_no_manifest(noise: bytes) -> None:
    with pytest.raises(ManifestError):
        SegmentManifest.from_bytes(noise)


def test_deep_and_huge_json_is_refused() -> None:
    for data in (b"[" * 1_000_000, b'{"a":' * 100_000, b"9" * 100_000, b'"' + b"a" * (9 << 20) + b'"'):
        with pytest.raises(ManifestError):
            SegmentManifest.from_bytes(data)


@given(count=st.integers(1, 40))
@settings(max_examples=10)
def test_any_number_of_rows_comes_back(tmp_path_factory: pytest.TempPathFactory, count: int) -> None:
    made = archive(tmp_path_factory.mktemp("a"))
    manifest = segment(made, count)
    assert open_segment(made, manifest).parquet().read().num_rows == count
    assert issubclass(SegmentMismatchError, IntegrityError)
    made.period_keys.close()
