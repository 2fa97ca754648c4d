"""Coverage and integrity find each fault that is planted, by its kind and place, and nothing where nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from retention.audits.coverage import audit_coverage
from retention.audits.integrity import audit_integrity
from retention.audits.report import AuditReport, Severity
from retention.catalogue.tables import batches, partitions, segment_places, segments
from tests.retention.sealed_store import SealedStore, hours, make_store

PLACE = "app:app.log#1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SealedStore]:
    """Three batches of three records, 30 offsets each."""
    made = make_store(tmp_path)
    for _ in range(3):
        made.add(hours(3))
    yield made
    made.catalogue.close()
    made.period_keys.close()


def found(report: AuditReport, severity: Severity = Severity.FAULT) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for finding in report.findings:
        if finding.severity is severity:
            kinds.setdefault(finding.kind, []).append(finding.where)
    return kinds


def change(store: SealedStore, *statements: sa.Executable) -> None:
    with store.catalogue.write() as connection:
        for statement in statements:
            connection.execute(statement)


def objects(store: SealedStore) -> list[Path]:
    """The segments' files in the order in which they were taken in."""
    with store.catalogue.read() as connection:
        s = segment_places.c
        names = connection.execute(
            sa.select(segments.c.object_name)
            .join(segment_places, s.segment_id == segments.c.segment_id)
            .order_by(s.start)
        ).scalars()
        return [store.root / "objects" / name for name in names]


def rewrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


def test_nothing_is_wrong(store: SealedStore) -> None:
    for report in (audit_coverage(store), audit_integrity(store)):
        assert report.findings == []
        assert report.ok
    assert audit_coverage(store).checked["records"] == audit_integrity(store).checked["rows"] == 9


def test_a_gap_of_one_offset(store: SealedStore) -> None:
    change(store, partitions.update().values(cursor=91))
    store.add(hours(3))
    report = audit_coverage(store)
    assert found(report) == {"gap": [f"{PLACE} [90, 91)"]}
    assert report.findings[0].detail == "1 offsets were never committed."
    assert not report.ok


@pytest.mark.parametrize("start", [0, 30])
def test_a_batch_that_is_gone(store: SealedStore, start: int) -> None:
    change(store, batches.delete().where(batches.c.start == start))
    where = f"{PLACE} [{start}, {start + 30})"
    assert found(audit_coverage(store)) == {"gap": [where], "place_without_batch": [where]}


def test_an_offset_that_was_taken_in_twice(store: SealedStore) -> None:
    change(store, batches.update().where(batches.c.start == 30).values(start=29))
    kinds = found(audit_coverage(store))
    assert kinds["overlap"] == [f"{PLACE} [29, 30)"]
    assert kinds["place_without_batch"] == [f"{PLACE} [30, 60)"]


def test_an_empty_range(store: SealedStore) -> None:
    with store.catalogue.read() as connection:
        row = dict(connection.execute(sa.select(batches).where(batches.c.start == 0)).mappings().one())
    row |= {"start": 90, "end": 90, "records": 0, "headers": 0, "blanks": 0}
    change(store, batches.insert().values(**row))
    assert found(audit_coverage(store)) == {"batch_empty": [f"{PLACE} [90, 90)"]}


@pytest.mark.parametrize("cursor", [89, 91])
def test_a_cursor_that_stands_elsewhere(store: SealedStore, cursor: int) -> None:
    change(store, partitions.update().values(cursor=cursor))
    assert found(audit_coverage(store)) == {"cursor_astray": [PLACE]}


def test_a_partition_that_nobody_knows(store: SealedStore) -> None:
    change(store, partitions.delete())
    assert found(audit_coverage(store)) == {"partition_unknown": [PLACE]}


@pytest.mark.parametrize(("more", "kind"), [(1, "rows_missing"), (-1, "rows_surplus")])
def test_one_record_too_few_or_too_many(store: SealedStore, more: int, kind: str) -> None:
    change(store, batches.update().where(batches.c.start == 60).values(records=batches.c.records + more))
    assert found(audit_coverage(store)) == {kind: [f"{PLACE} [60, 90)"]}


def test_a_segment_that_says_other_things_than_its_manifest(store: SealedStore) -> None:
    name = str(objects(store)[0].relative_to(store.root / "objects"))
    first = segments.c.object_name == name
    change(store, segments.update().where(first).values(rows=4))
    assert found(audit_coverage(store)) == {"segment_rows": [name], "manifest_mismatch": [name]}
    change(store, segments.update().where(first).values(rows=3, period="2026-04"))
    assert found(audit_coverage(store)) == {"manifest_mismatch": [name]}
    change(store, segments.update().where(first).values(manifest=b"{"))
    assert found(audit_coverage(store)) == {"manifest_mismatch": [name]}


def test_a_segment_without_a_place(store: SealedStore) -> None:
    name = str(objects(store)[0].relative_to(store.root / "objects"))
    change(store, segment_places.delete().where(segment_places.c.start == 0))
    kinds = found(audit_coverage(store))
    assert kinds["segment_without_places"] == [name]
    assert kinds["rows_missing"] == [f"{PLACE} [0, 30)"]


def test_objects_that_are_missing_cut_or_nobody_s(store: SealedStore) -> None:
    first, second, third = objects(store)
    names = [str(path.relative_to(store.root / "objects")) for path in (first, second)]
    stray = third.with_name("0" * 32 + third.suffix)
    stray.write_bytes(third.read_bytes())
    first.unlink()
    rewrite(second, second.read_bytes()[:-1])
    report = audit_coverage(store)
    assert found(report) == {"object_missing": [names[0]], "object_size": [names[1]]}
    assert found(report, Severity.NOTICE) == {"orphan": [str(stray.relative_to(store.root / "objects"))]}
    kinds = found(audit_integrity(store))
    assert kinds["object_missing"] == [names[0]]
    assert [name for kind, all_ in kinds.items() if kind != "object_missing" for name in all_] == [names[1]]


ALTERED: dict[str, Callable[[bytes, bytes], bytes]] = {
    "first byte": lambda own, other: bytes([own[0] ^ 1]) + own[1:],
    "last byte": lambda own, other: own[:-1] + bytes([own[-1] ^ 1]),
    "a byte more": lambda own, other: own + b"\0",
    "another segment": lambda own, other: other,
    "nothing": lambda own, other: b"",
}


@pytest.mark.parametrize("how", ALTERED)
def test_an_altered_segment(store: SealedStore, how: str) -> None:
    one, other, _ = objects(store)
    rewrite(one, ALTERED[how](one.read_bytes(), other.read_bytes()))
    report = audit_integrity(store)
    assert [where for places in found(report).values() for where in places] == [
        str(one.relative_to(store.root / "objects"))
    ]
    assert report.checked["verified"] == 2


def test_one_bit_anywhere(store: SealedStore) -> None:
    (one, *_) = objects(store)
    data = one.read_bytes()
    for position in range(3, len(data), max(1, len(data) // 40)):
        broken = bytearray(data)
        broken[position] ^= 0x10
        rewrite(one, bytes(broken))
        assert set(found(audit_integrity(store))) == {"segment_damaged"}, position
    rewrite(one, data)
    assert audit_integrity(store).ok


def test_a_key_that_is_gone(store: SealedStore) -> None:
    (key,) = [record for record in store.period_keys.list() if record.record_class == "user_log"]
    store.period_keys.destroy(key.key_id)
    assert {kind: len(places) for kind, places in found(audit_integrity(store)).items()} == {"key_unavailable": 3}
