"""What a detector is: a text column in, one Arrow batch of findings out.

A detector never sees a record, only text; who published it where is the
caller's business. Offsets count code points of the original text, end exclusive.
"""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

import pyarrow as pa

FINDING_SCHEMA: Final = pa.schema(
    [
        pa.field("row", pa.int32(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("subtype", pa.string()),
        pa.field("severity", pa.int8(), nullable=False),
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("matched", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
    ]
)
"""One row a hit: ``row`` indexes the scanned column; ``severity`` 1 (low) to 4 (critical);
``score`` 0..1; ``version`` names the rule pack or model version that spoke."""

CATEGORIES: Final = (
    "gambling",
    "pornography",
    "abuse",
    "fraud",
    "illicit_advertising",
    "drugs",
    "weapons",
    "incitement",
    "prohibited_goods",
    "contact_diversion",
    "article15_1",
    "article15_2",
    "article15_3",
    "article15_4",
    "article15_5",
    "article15_6",
)
"""Categories of illegal content; 互联网信息服务管理办法 art. 15 items 1 to 6 as ``article15_N``."""


@runtime_checkable
class Detector(Protocol):
    """Finds illegal content (违法信息) in a column of text."""

    @property
    def version(self) -> str:
        """What spoke, for the record: pack or model name and digest."""
        ...

    def detect(self, texts: pa.StringArray) -> pa.RecordBatch:
        """Return the findings of ``n`` texts (nulls allowed) in ``FINDING_SCHEMA``, ordered by row and start."""
        ...
