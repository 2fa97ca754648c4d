"""Look-ups: the second reader finds the blocks of a value and their pages, and believes no section without its tag."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from retention.crypto.suites import NAMES
from retention.manifest import SegmentPlace
from retention.segments import write_segment
from tests.independent_reader import lookups_reader
from tests.independent_reader import reader as second
from tests.retention.samples import archive, records

ROWS = 5000


def test_it_is_independent_and_short() -> None:
    source = Path(lookups_reader.__file__).read_text()
    assert len(source.splitlines()) < 100
    imported = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)]
    modules = {node.module or "" for node in imported} - {"tests.independent_reader.reader"}
    assert {module.split(".")[0] for module in modules} <= {*sys.stdlib_module_names, "cryptography"}


@pytest.mark.parametrize("name", NAMES)
def test_postings_and_pages_are_those_of_the_document(tmp_path: Path, name: str) -> None:
    made = archive(tmp_path, name)
    given = records(ROWS)
    devices = pa.array([f"设备{n // 3}" * (40 if n % 100 == 0 else 1) for n in range(ROWS)])
    given = given.set_column(given.schema.get_field_index("device_id"), "device_id", devices)
    place = SegmentPlace("shop", "shop/a.log#1", 0, ROWS * 40, ROWS)
    manifest = write_segment(
        made, given, record_class="content", period="2026-10", places=(place,), by_account=True, look_ups=True
    )
    key = made.period_keys.get(manifest.key_id)
    opened = second.Segment(made.objects.read(manifest.object_name), {key.key_id: key.key})
    opened.check(manifest.to_bytes())
    table = pq.read_table(io.BytesIO(opened.plaintext))
    section = lookups_reader.section_of(opened.plaintext, opened.suite, key.key)
    assert section is not None
    assert section.head["rows"] == table.num_rows == ROWS
    vain = 0
    for column in ("user_id", "device_id"):
        values = table.column(column)
        for value in pc.unique(values).to_pylist()[::41]:
            rows = pc.indices_nonzero(pc.equal(values, value)).to_pylist()
            found = section.blocks(column, value)
            assert {row // 2048 for row in rows} <= set(found)
            vain += len(found) - len({row // 2048 for row in rows})
    assert vain <= 5
    assert section.blocks("order_id", "o1") == []
    leaf = section.head["leaves"].index([["user_id"], 6])
    assert [section.page(block, leaf)[2] for block in range(3)] == [2048, 2048, 904]
    assert all(sum(section.page(block, leaf)[:2]) <= len(opened.plaintext) for block in range(3))
    assert lookups_reader.section_of(opened.plaintext, opened.suite, bytes(32)) is None
