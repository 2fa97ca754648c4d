"""Look-ups by account, order, address and device: the same answers as a plain filter, from few blocks."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errors import LiucunError
from retention.audits.integrity import audit_integrity
from retention.catalogue.tables import segments
from retention.compaction.merge import compact, plan
from retention.errors import ChunkRefusedError, KeyDestroyedError, SegmentMismatchError
from retention.lookups import section
from retention.manifest import SegmentManifest
from retention.persons.restriction import restrict
from retention.policies.prepare import prepare_policies
from retention.query import looking_up
from retention.query.render import renderer
from retention.query.run import Answer, run_query
from retention.segments import open_segment
from tests.retention.sealed_store import START, SealedStore, make_store, records

Row = dict[str, Any]
COUNT = 24_000
HOSTILE = "o'x\" or (user_id == 1)"


def row(n: int) -> Row:
    user = n * 7919 % 3000
    return {
        "event_time": START + timedelta(seconds=n * 60),
        "user_id": f"u{user}" if n % 50 else None,
        "counterparty_id": f"u{n * 31 % 5000}" if n % 3 == 0 else None,
        "order_id": HOSTILE if n == 777 else f"o{n}" if n % 2 else None,
        "source_ip": f"10.0.{user % 250}.{n % 4}",
        "device_id": f"设备{user // 2}",
        "event_id": f"e{n}",
        "source_port": n % 60_000,
        "message": hashlib.sha512(str(n).encode()).hexdigest(),
        "extra": [("k", f"v{n % 3}")],
    }


def fill(store: SealedStore, count: int = 6000) -> list[Row]:
    """Two months merged, and one batch of the second that is not."""
    given_rows = [row(n) for n in range(count)]
    cuts = [0, count * 5 // 12, count // 2, count * 3 // 4, count * 11 // 12]
    for begin, end in itertools.pairwise(cuts):
        store.add(given_rows[begin:end], period="2026-03" if end <= count // 2 else "2026-04")
    compact(store.catalogue, store.archive, plan(store.catalogue), progress=lambda *_: None)
    store.add(given_rows[cuts[-1] :], period="2026-04")
    return given_rows


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SealedStore, duckdb.DuckDBPyConnection]]:
    store = make_store(tmp_path_factory.mktemp("look-ups"))
    given_rows = fill(store, COUNT)
    plain = pa.Table.from_batches([records(given_rows, source="app", partition="app.log#1", begin=0)])
    direct = duckdb.connect()
    direct.execute("SET TimeZone = 'Asia/Shanghai'").complete()
    direct.register("user_logs", plain)
    yield store, direct
    direct.close()


def ask(store: SealedStore, sql: str, **options: Any) -> Answer:
    return run_query(store, sql, purpose="test", actor="os:tester", render=renderer("json", "Asia/Shanghai"), **options)


def manifests(store: SealedStore) -> list[SegmentManifest]:
    with store.catalogue.read() as connection:
        found = connection.execute(sa.select(segments.c.manifest).order_by(segments.c.rows.desc())).scalars().all()
    return [SegmentManifest.from_bytes(manifest) for manifest in found]


def test_one_account_is_read_from_few_blocks(full: tuple[SealedStore, Any]) -> None:
    store, _ = full
    answer = ask(store, "SELECT * FROM user_logs WHERE user_id = 'u42' ORDER BY event_time")
    found = json.loads(answer.data)
    assert [row["event_id"] for row in found] == [f"e{n}" for n in range(COUNT) if row(n)["user_id"] == "u42"]
    assert found[0]["extra"]
    assert answer.segments_read == 3
    assert answer.blocks_read is not None
    assert 2 <= answer.blocks_read <= 4  # of the eleven of the two merged segments
    nobody = ask(store, "SELECT count(*) AS n FROM user_logs WHERE user_id = 'nobody'")
    assert (json.loads(nobody.data), (nobody.blocks_read or 0) <= 1) == ([{"n": 0}], True)
    assert ask(store, "SELECT count(*) FROM user_logs WHERE user_id > 'u42'").blocks_read is None


def test_few_chunks_are_opened(full: tuple[SealedStore, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = full
    readers: list[Any] = []
    real = looking_up.narrow

    def noting(section: Any, *rest: Any) -> Any:
        readers.append(section.reader)
        return real(section, *rest)

    monkeypatch.setattr(looking_up, "narrow", noting)
    store.archive.opened.clear()
    ask(store, "SELECT user_id FROM user_logs WHERE order_id = 'o12345'")
    merged = [reader for reader in readers if reader.chunks > 20]
    assert len(merged) == 2
    # Four at the end are opened with the segment; the rest are the head, the postings and two columns of a block.
    assert all(reader.chunks_opened <= 14 for reader in merged)
    before = {id(reader): reader.chunks_opened for reader in merged}
    readers.clear()
    ask(store, "SELECT user_id FROM user_logs WHERE order_id = 'nothing'")
    # They stayed open: the directory of the postings and a group of them at most.
    assert {id(reader) for reader in readers} >= before.keys()
    assert all(reader.chunks_opened <= before[id(reader)] + 2 for reader in merged)


VALUES = {
    "user_id": ["u1", "u42", "u7", "u2999", "nobody", ""],
    "counterparty_id": ["u1", "u42", "u4999"],
    "order_id": ["o1", "o12345", "o23999", HOSTILE, "o2"],
    "source_ip": ["10.0.42.1", "10.0.7.0", "::1"],
    "device_id": ["设备21", "设备0", "x"],
}


@st.composite
def conditions(draw: st.DrawFn, depth: int = 2) -> str:
    if depth and draw(st.booleans()):
        word = draw(st.sampled_from([" AND ", " OR "]))
        return "(" + word.join(draw(conditions(depth - 1)) for _ in range(2)) + ")"
    column = draw(st.sampled_from(sorted(VALUES)))
    quoted = ["'" + value.replace("'", "''") + "'" for value in VALUES[column]]
    value = draw(st.sampled_from(quoted))
    several = ", ".join(draw(st.lists(st.sampled_from(quoted), min_size=1, max_size=4)))
    return draw(
        st.sampled_from(
            [
                f"{column} = {value}",
                f"{column} IN ({several})",
                f"{column} <> {value}",
                f"{column} NOT IN ({several})",
                f"{column} IS NULL",
                f"{column} >= {value}",
                f"{value} = {column} AND source_port % 2 = 0",
                "event_time < TIMESTAMPTZ '2026-03-05 00:00:00Z'",
                f"coalesce({column}, 'x') = {value}",
            ]
        )
    )


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(condition=conditions(), columns=st.sampled_from(["event_id", "event_id, text", "*", "event_id, log_source"]))
def test_answers_are_those_of_a_plain_filter(
    full: tuple[SealedStore, duckdb.DuckDBPyConnection], condition: str, columns: str
) -> None:
    store, direct = full
    sql = f"SELECT {columns} FROM user_logs WHERE {condition} ORDER BY log_offset LIMIT 300"
    expected = direct.sql(sql).to_arrow_table()
    assert json.loads(ask(store, sql).data) == json.loads(renderer("json", "Asia/Shanghai")(expected).data)
    counted = f"SELECT count(*)::INT AS n FROM user_logs WHERE {condition}"
    assert json.loads(ask(store, counted).data)[0]["n"] == direct.sql(counted).fetchall()[0][0]


def test_the_receipt_is_the_same_as_of_a_scan(full: tuple[SealedStore, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = full
    sql = "SELECT * FROM user_logs WHERE device_id = '设备21'"
    looked_up = ask(store, sql)
    assert looked_up.blocks_read
    monkeypatch.setattr("retention.query.sealed.asked_of", lambda _: ())
    scanned = ask(store, sql)
    assert scanned.blocks_read is None
    assert (looked_up.digest, looked_up.rows) == (scanned.digest, scanned.rows)


def test_a_restricted_account_is_hidden_from_look_ups(sealed: SealedStore) -> None:
    prepare_policies(sealed.catalogue)
    fill(sealed)
    restrict(sealed, "u42", ground="异议 objection", actor="os:privacy", now=START)
    ordinary = "SELECT count(*)::INT AS n FROM user_logs WHERE user_id = 'u42' OR counterparty_id = 'u42'"
    answer = ask(sealed, ordinary)
    assert (json.loads(answer.data), answer.blocks_read is not None) == ([{"n": 0}], True)
    with_ground = json.loads(ask(sealed, ordinary, basis="个人信息保护法 第四十五条").data)
    assert with_ground[0]["n"] == sum("u42" in (row(n)["user_id"], row(n)["counterparty_id"]) for n in range(6000))


def test_too_much_for_memory_is_scanned(full: tuple[SealedStore, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    store, direct = full
    sql = "SELECT count(*)::INT AS n FROM user_logs WHERE user_id IN ('u1', 'u42', 'u7')"
    monkeypatch.setattr(looking_up, "MOST_BYTES", -1)
    answer = ask(store, sql)
    assert answer.blocks_read is None
    assert json.loads(answer.data)[0]["n"] == direct.sql(sql).fetchall()[0][0]


def test_after_shredding_nothing_is_looked_up(sealed: SealedStore) -> None:
    fill(sealed)
    ask(sealed, "SELECT * FROM user_logs WHERE user_id = 'u42'")
    assert len(sealed.archive.opened) == 3
    for key_id in {manifest.key_id for manifest in manifests(sealed)}:
        sealed.period_keys.destroy(key_id)
    with pytest.raises(KeyDestroyedError):
        ask(sealed, "SELECT * FROM user_logs WHERE user_id = 'u42'")
    assert len(sealed.archive.opened) == 0, "what was open holds data keys"


def test_a_flipped_bit_is_refused_or_not_read(sealed: SealedStore) -> None:
    fill(sealed)
    manifest = manifests(sealed)[0]
    path = sealed.root / "objects" / manifest.object_name
    whole = path.read_bytes()
    sql = "SELECT event_id FROM user_logs WHERE user_id = 'u42' ORDER BY 1"
    right = ask(sealed, sql).data
    refused = 0
    for place in range(0, len(whole), len(whole) // 15):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.chmod(0o600)
        path.write_bytes(damaged)
        for opened_anew in (False, True):
            if opened_anew:
                sealed.archive.opened.clear()
            try:
                assert ask(sealed, sql).data == right
            except LiucunError:
                refused += 1
    assert refused >= 1
    path.write_bytes(whole)
    damaged = bytearray(whole)
    damaged[-200] ^= 1
    path.write_bytes(damaged)
    sealed.archive.opened.clear()
    with pytest.raises(ChunkRefusedError):
        ask(sealed, sql)


def test_a_section_without_its_tag_is_not_believed(sealed: SealedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the senders of records put before the footer is not taken for postings."""
    monkeypatch.setattr(section.BlindKey, "tag", lambda _self, _head: bytes(32))
    given_rows = fill(sealed)
    monkeypatch.undo()
    answer = ask(sealed, "SELECT count(*)::INT AS n FROM user_logs WHERE user_id = 'u42'")
    assert answer.blocks_read is None
    assert json.loads(answer.data) == [{"n": sum(given["user_id"] == "u42" for given in given_rows)}]


def with_heads(store: SealedStore, monkeypatch: pytest.MonkeyPatch, change: Row) -> int:
    """Fill the store, every head changed before it is sealed; how many records of u42 it has."""
    real = section.encode_head
    monkeypatch.setattr(section, "encode_head", lambda body: real({**body, **change}))
    given_rows = fill(store)
    monkeypatch.undo()
    return sum(given["user_id"] == "u42" for given in given_rows)


OF_U42 = "SELECT count(*)::INT AS n FROM user_logs WHERE user_id = 'u42'"


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 0},
        {"rows": "many"},
        {"pages": 1 << 60},
        {"dictionaries": -5},
        {"length": 1 << 50},
        {"leaves": [[["user_id"], 99]]},
        {"elements": {}},
        {"group_blocks": 0},
        {"postings": {"user_id": {"entries": 1, "bits": 60, "wide": False, "directory": 0, "groups": 0}}},
        {"postings": {"user_id": {"entries": 1, "bits": 3, "wide": False, "directory": 1 << 40, "groups": 0}}},
        {"postings": {"user_id": 7}},
    ],
)
def test_a_faulty_head_is_a_typed_error(sealed: SealedStore, monkeypatch: pytest.MonkeyPatch, change: Row) -> None:
    with_heads(sealed, monkeypatch, change)
    with pytest.raises(SegmentMismatchError, match="look-up section"):
        ask(sealed, OF_U42)
    assert {finding.kind for finding in audit_integrity(sealed).findings} == {"segment_damaged"}


@pytest.mark.parametrize(("change", "found"), [({"version": 2}, set()), ({"postings": {}}, {"segment_damaged"})])
def test_what_a_head_does_not_tell_is_read_without_it(
    sealed: SealedStore, monkeypatch: pytest.MonkeyPatch, change: Row, found: set[str]
) -> None:
    count = with_heads(sealed, monkeypatch, change)
    answer = ask(sealed, OF_U42)
    assert (json.loads(answer.data), answer.blocks_read) == ([{"n": count}], None)
    assert {finding.kind for finding in audit_integrity(sealed).findings} == found


def test_the_audit_makes_the_section_anew(sealed: SealedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(sealed)
    assert audit_integrity(sealed).findings == []
    real = section.postings.build
    monkeypatch.setattr(section.postings, "build", lambda hashes, blocks, at: real(hashes[:-1], blocks[:-1], at))
    sealed.add([row(n) for n in range(30_000, 32_000)], period="2026-05")
    sealed.add([row(n) for n in range(32_000, 34_000)], period="2026-05")
    compact(sealed.catalogue, sealed.archive, plan(sealed.catalogue), progress=lambda *_: None)
    monkeypatch.undo()
    findings = audit_integrity(sealed).findings
    # The new month's, and the second month's, which was merged once more.
    assert [finding.kind for finding in findings] == ["segment_damaged"] * 2
    assert all("look-up" in finding.detail for finding in findings)


def test_other_readers_see_only_the_rows(full: tuple[SealedStore, Any]) -> None:
    store, _ = full
    manifest = manifests(store)[0]
    assert open_segment(store.archive, manifest).parquet().read().num_rows == manifest.rows
