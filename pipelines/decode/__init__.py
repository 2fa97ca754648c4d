"""Raw bytes of one source into Arrow batches of the record schema."""

from pipelines.decode.csv_rows import csv_header, header_place
from pipelines.decode.decoder import Decoder, decoder
from pipelines.decode.reasons import Reason
from pipelines.decode.times import retention_anchor, shanghai_month

__all__ = ["Decoder", "Reason", "csv_header", "decoder", "header_place", "retention_anchor", "shanghai_month"]
