"""A record that nothing may look into: archived as it came, without a loop over its bytes."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from pipelines.batches import DecodedBatch, RawBatch
from pipelines.decode.reasons import Reason
from pipelines.framing import without_end
from pipelines.sources.spec import SourceSpec
from retention.schema import RECORD_SCHEMA


def unread(spec: SourceSpec, raw: RawBatch, ingested: datetime) -> DecodedBatch:
    """The one record that a batch holds, as ``unparsed`` with ``program_fault``."""
    offset = raw.place.start if raw.messages is None else int(raw.messages.offsets[0])
    known = {
        "log_source": raw.place.source,
        "log_partition": raw.place.partition,
        "log_offset": offset,
        "log_length": len(raw.data),
        "event_ingested": ingested,
        "error_code": str(Reason.PROGRAM_FAULT),
        "error_message": Reason.PROGRAM_FAULT.message,
        "raw": without_end(raw.data),
    }
    columns = [pa.array([known.get(field.name)], type=field.type) for field in RECORD_SCHEMA]
    return DecodedBatch(
        place=raw.place,
        record_class=spec.record_class,
        records=pa.RecordBatch.from_arrays([column.slice(0, 0) for column in columns], schema=RECORD_SCHEMA),
        unparsed=pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA),
    )
