"""What a detector is: a text column in, one Arrow batch of findings out.

A detector never sees a record, only text; who published it where is the
caller's business. Offsets count code points of the original text, end exclusive.
"""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

import pyarrow as pa

from detectors.errors import TextColumnError

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

_TEXT_TYPES: Final = (pa.string(), pa.large_string(), pa.string_view(), pa.null())

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


def string_column(texts: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    """Return a column of text in the one form that detectors read: strings with offsets of 32 bits, in one piece.

    Other forms of text (large strings, views, dictionaries, chunks) are converted, as their buffers differ.

    Raises:
        TextColumnError: it holds no text, or over 2 GiB of it.
    """
    if isinstance(texts, pa.StringArray):
        return texts
    try:
        one = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        # Of over 2 GiB the pieces stay pieces.
        one = pa.concat_arrays(one.chunks) if isinstance(one, pa.ChunkedArray) else one
        kind = one.type.value_type if isinstance(one.type, pa.DictionaryType) else one.type
        if kind not in _TEXT_TYPES:
            raise TextColumnError(f"A column of {one.type} holds no text.", cure="Give a column of strings.")
        return one.cast(kind).cast(pa.string())
    except pa.ArrowException as error:
        raise TextColumnError(
            f"A column of {texts.type} cannot be read as text at once: {error}.", cure="Give it in pieces under 2 GiB."
        ) from error


@runtime_checkable
class Detector(Protocol):
    """Finds illegal content (违法信息) in a column of text."""

    @property
    def version(self) -> str:
        """What spoke, for the record: pack or model name and digest."""
        ...

    def detect(self, texts: pa.StringArray) -> pa.RecordBatch:
        """Return the findings of ``n`` texts (nulls allowed) in ``FINDING_SCHEMA``, ordered by row and start.

        Any column that ``string_column`` reads will do.
        """
        ...
