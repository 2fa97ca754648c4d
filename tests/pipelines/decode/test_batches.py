"""What a batch says of its range, and batches that cannot be decoded."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from errors import UsageError
from pipelines.batches import Place, RawBatch
from pipelines.decode import decoder
from pipelines.decode.__main__ import compile_ahead
from pipelines.decode.reasons import Reason
from pipelines.sources.parts import tail
from pipelines.sources.spec import parse_spec
from tests.pipelines.decode.helpers import NOW

SPEC = parse_spec("user_log:ndjson:/logs/*.json")
DATA = b'{"user_id":"forged"}\n{"user_id":"true"}\n'
BATCH = RawBatch(Place(SPEC.name, "p", 64 << 20, (64 << 20) + len(DATA)), DATA, first=False, last=True)


def test_the_rest_of_an_oversized_record_is_no_record() -> None:
    batch = decoder(SPEC).decode(replace(BATCH, continues=True), NOW)
    assert batch.records.column("user_id").to_pylist() == ["true"]
    assert batch.unparsed.column("error_code").to_pylist() == [Reason.OVERSIZED]
    assert decoder(SPEC).decode(BATCH, NOW).records.num_rows == 2


def test_tail_knows_whether_it_continues_a_record() -> None:
    assert not tail(BATCH, SPEC, BATCH.place.start + DATA.index(b"\n") + 1).continues
    assert tail(BATCH, SPEC, BATCH.place.start + 5).continues


def test_decoders_are_made_once() -> None:
    assert decoder(SPEC) is decoder(parse_spec("user_log:ndjson:/logs/*.json"))


def test_refuses_an_ingest_without_zone() -> None:
    with pytest.raises(UsageError, match="zone"):
        decoder(SPEC).decode(BATCH, datetime(2026, 1, 1))


def test_compiling_ahead_reads_its_own_samples() -> None:
    compile_ahead()
