"""The second reader makes the commitments of sealed and of merged segments anew, from the document."""

from __future__ import annotations

import ast
import io
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from retention.compaction.merge import compact, plan
from retention.lineage import stored_manifests
from tests.independent_reader import commitments_reader
from tests.independent_reader import reader as second
from tests.retention.sealed_store import START, hours, make_store

EPOCH = START.replace(year=1970, month=1)


def plainly(table: pa.Table) -> bytes:
    """The digest of a table's rows, by the second reader."""
    kinds, rows = {}, table.to_pylist()
    for field in table.schema:
        kinds[field.name] = "text"
        if pa.types.is_map(field.type):
            kinds[field.name] = "map"
        elif pa.types.is_integer(field.type):
            kinds[field.name] = "number"
        elif pa.types.is_decimal(field.type) or pa.types.is_timestamp(field.type):
            kinds[field.name] = "decimal" if pa.types.is_decimal(field.type) else "number"
            for row in rows:
                row[field.name] = units(row[field.name])
    return commitments_reader.rows_digest(rows, kinds)


def units(value: Any) -> int | None:
    """A time in microseconds, a decimal in millionths."""
    if value is None:
        return None
    return (value - EPOCH) // timedelta(microseconds=1) if hasattr(value, "tzinfo") else int(value * 10**6)


def test_it_is_independent_and_short() -> None:
    source = Path(commitments_reader.__file__).read_text()
    assert len(source.splitlines()) < 100
    imported = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)]
    modules = {node.module or "" for node in imported} - {"tests.independent_reader.reader"}
    assert {module.split(".")[0] for module in modules} <= {*sys.stdlib_module_names}


def test_a_merged_segment_holds_what_its_sources_committed_to(tmp_path: Path) -> None:
    sealed = make_store(tmp_path)
    sources = [sealed.add(hours(5 + n, extra=[("键", None)])) for n in range(3)]

    def opened(manifest: Any) -> second.Segment:
        key = sealed.period_keys.get(manifest.key_id)
        return second.Segment(sealed.objects.read(manifest.object_name), {key.key_id: key.key})

    for source in sources:
        one = opened(source)
        body = one.check(source.to_bytes())
        digest = plainly(pq.read_table(io.BytesIO(one.plaintext)))
        salt = commitments_reader.own_salt(one.suite, one.row_key)
        assert commitments_reader.commitment(one.suite, salt, digest) == body["rows_digest"]
    (name,) = compact(sealed.catalogue, sealed.archive, plan(sealed.catalogue), progress=lambda *_: None).segments
    merged = stored_manifests(sealed.catalogue)([name])[name]
    whole = opened(merged)
    assert whole.check(merged.to_bytes())["rows_digest"] is None
    table = pq.read_table(io.BytesIO(whole.plaintext))
    salts = commitments_reader.salts(pq.read_metadata(io.BytesIO(whole.plaintext)).metadata[b"liucun.rows"])
    offsets = table.column("log_offset").to_numpy()
    for source in sources:
        (place,) = source.places
        rows = table.filter(pa.array((place.start <= offsets) & (offsets < place.end)))
        made = commitments_reader.commitment(whole.suite, salts[source.segment_id], plainly(rows))
        assert made == source.rows_digest
    sealed.catalogue.close()
    sealed.period_keys.close()
