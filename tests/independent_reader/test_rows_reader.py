"""Row proofs: the second reader computes the same root from the segment, and accepts and refuses the same proofs."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retention.crypto.suites import NAMES
from retention.segments import open_segment
from tests.independent_reader import reader as second
from tests.independent_reader import rows_reader
from tests.retention.samples import archive
from tests.retention.test_row_proofs import evidence


def kind_of(given: pa.DataType) -> str:
    if pa.types.is_binary(given):
        return "binary"
    if pa.types.is_map(given):
        return "map"
    if pa.types.is_decimal(given):
        return "decimal"
    return "text"


def test_it_is_independent_and_short() -> None:
    source = Path(rows_reader.__file__).read_text()
    assert len(source.splitlines()) < 100
    imported = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)]
    modules = {node.module or "" for node in imported} - {"tests.independent_reader.reader"}
    assert {module.split(".")[0] for module in modules} <= {*sys.stdlib_module_names}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_the_root_and_the_proofs_are_those_of_the_document(tmp_path: Path, name: str, count: int) -> None:
    made = archive(tmp_path, name)
    manifest = evidence(made, count)
    key = made.period_keys.get(manifest.key_id)
    opened = second.Segment(made.objects.read(manifest.object_name), {key.key_id: key.key})
    body = opened.check(manifest.to_bytes())
    table = pq.read_table(io.BytesIO(opened.plaintext))
    times = [n for n in table.schema.names if pa.types.is_timestamp(table.schema.field(n).type)]
    for column in times:
        at = table.schema.get_field_index(column)
        table = table.set_column(at, column, table.column(column).cast(pa.int64()))
    leaves = []
    for row, record in enumerate(table.to_pylist()):
        found = {
            field.name: rows_reader.field_hash(
                opened.suite,
                opened.row_key,
                row,
                field.name,
                rows_reader.spelled(record[field.name], kind_of(field.type)),
            )
            for field in table.schema
            if record[field.name] is not None
        }
        leaves.append(rows_reader.leaf(opened.suite, found))
    root = rows_reader.root(opened.suite, leaves)
    assert root.hex() == body["rows_root"] == manifest.rows_root
    proofs = open_segment(made, manifest).prove(range(count), ["raw", "text", "event_time", "amount", "extra"])
    for proof in proofs:
        given = (proof.row, proof.rows, proof.shown, proof.hidden, proof.path)
        rows_reader.check_proof(opened.suite, *given, root)
        value, salt = proof.shown["raw"]
        forged = {**proof.shown, "raw": (value + b" ", salt)}
        with pytest.raises(second.RefusedError):
            rows_reader.check_proof(opened.suite, proof.row, proof.rows, forged, proof.hidden, proof.path, root)
    made.period_keys.close()
