"""Documents of hostile records: valid JSON, the fields that they should have, no personal value in the clear."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pytest

from retention.crypto.suites import suite
from retention.schema import MAPPED_NAMES
from retention.search import documents, mapping
from retention.search.settings import SearchSettings
from tests.retention.sealed_store import records

KEY = b"k" * 32
HOSTILE = [
    "plain",
    'quote " backslash \\ newline \n tab \t nul \x00 bell \x07',
    "</script>{}[],:\u2028\u2029",
    "加微信领取优惠券😀",
    "",
    "x" * 40_000,
]


def made(given: list[dict[str, Any]], **changed: Any) -> list[dict[str, Any]]:
    """The documents of rows, parsed."""
    settings = SearchSettings(urls=("http://127.0.0.1:1",), texts=("text", "message"), **changed)
    batch = records(given, source="app", partition="p#1", begin=0)
    batch = batch.select(documents.read_columns(settings))
    blind = documents.blinder(suite(), KEY)
    ids, whole, least = documents.lines(batch, settings, label="L", record_class="user_log", blind=blind)
    assert len(set(ids.to_pylist())) == len(given)
    assert all(orjson.loads(text)["liucun.refused"] == "mapping" for text in least.to_pylist())
    return [orjson.loads(text) for text in whole.to_pylist()]


def test_every_column_has_a_field_and_every_field_a_column() -> None:
    assert MAPPED_NAMES - mapping.PATHS.keys() == set()
    assert len(set(mapping.PATHS.values())) == len(mapping.PATHS)


@pytest.mark.parametrize("column", ["text", "message", "event_action", "url_original", "order_id", "flags"])
def test_any_string_survives(column: str) -> None:
    found = made([{column: value} for value in HOSTILE])
    assert [one[mapping.PATHS[column]] for one in found] == HOSTILE


@pytest.mark.parametrize("column", sorted(mapping.PERSONAL))
def test_personal_values_are_hashed_or_left_out(column: str) -> None:
    rows = [{column: value} for value in [*HOSTILE[:4], "plain", None]]
    found = made(rows)
    hashed = [one.get(mapping.PATHS[column]) for one in found]
    assert hashed[0] == hashed[4]
    assert hashed[5] is None
    assert len({*hashed[:4]}) == 4
    assert all(len(value) == 32 for value in hashed[:5])
    for one in (*found, *made(rows, personal="left_out")):
        assert "plain" not in orjson.dumps(one).decode()
    assert all(mapping.PATHS[column] not in one for one in made(rows, personal="left_out"))


def test_persons_are_there_whatever_the_setting() -> None:
    rows = [{"user_id": "u1", "counterparty_id": "u2"}, {"counterparty_id": "u1"}, {}]
    first, second, third = (one.get(mapping.PERSONS) for one in made(rows, personal="left_out"))
    assert len(first) == 2
    assert second == [first[0]]
    assert not third


def test_what_stands_behind_a_question_mark_stays_in_the_archive() -> None:
    (found,) = made([{"url_original": "https://a.example/b?phone=13800000000#x\ny"}])
    assert found["url.original"] == "https://a.example/b"


def test_times_out_of_reach_are_left_out_and_the_document_has_another() -> None:
    far = pa.scalar(400_000_000_000_000_000, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    batch = records([{"event_ingested": datetime(2026, 3, 1, tzinfo=UTC)}], source="s", partition="p", begin=0)
    place = batch.schema.get_field_index("event_time")
    batch = batch.set_column(place, batch.schema.field(place), pa.repeat(far, 1))
    settings = SearchSettings()
    blind = documents.blinder(suite(), KEY)
    _, whole, _ = documents.lines(batch, settings, label="L", record_class="content", blind=blind)
    found = orjson.loads(whole[0].as_py())
    assert found["@timestamp"].startswith("2026-03-01T00:00:00")
    assert "event.created" not in found


def test_ten_thousand_fields_without_a_column() -> None:
    many = [(f"key{n}", "v") for n in range(10_000)] + [("a.b", "1"), ("", "2"), ("k" * 40_000, "3"), ("n\x00", "4")]
    (found,) = made([{"extra": many}], extra="plain")
    assert len(found["liucun.extra"]) == documents.MAX_EXTRA_KEYS
    assert found["liucun.refused"] == "extra"
    (found,) = made([{"extra": [("phone", "13800000000"), ("a.b", "x")]}], extra="blind")
    assert set(found["liucun.extra"]) == {"phone", "a_b"}
    assert "13800000000" not in orjson.dumps(found).decode()
    assert "liucun.extra" not in made([{"extra": [("phone", "1")]}])[0]


def test_requests_are_cut_by_bytes_and_lose_nothing() -> None:
    settings = SearchSettings()
    batch = records([{"text": "字" * n} for n in range(300)], source="s", partition="p", begin=0)
    blind = documents.blinder(suite(), KEY)
    ids, whole, least = documents.lines(batch, settings, label="L", record_class="content", blind=blind)
    parts = list(documents.bulks("i", ids, whole, least, limit=4000))
    assert max(len(part.body) for part in parts if len(part.ids) > 1) <= 4000
    assert [name for part in parts for name in part.ids] == ids.to_pylist()
    rows = b"".join(bytes(part.body) for part in parts).splitlines()
    assert [orjson.loads(row)["index"]["_id"] for row in rows[::2]] == ids.to_pylist()
    assert [orjson.loads(row)["liucun.text"] for row in rows[1::2]] == ["字" * n for n in range(300)]
    assert list(documents.bulks("i", ids.slice(0, 0), whole.slice(0, 0), least.slice(0, 0), limit=10)) == []
