"""Compiles the decoding loops ahead and leaves them in the cache: ``python -m pipelines.decode``.

Without it the first batch of each format waits for its loops, once a machine and version.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pipelines.batches import Place, RawBatch
from pipelines.decode.decoder import Decoder
from pipelines.decode.times import retention_anchor, shanghai_month
from pipelines.framing import frame
from pipelines.sources.spec import FORMATS, SourceSpec

_SAMPLES = {
    "ndjson": b'{"event_time":"2025-01-01","quantity":1,"user_id":"a","x":[1],"y":{"z":"\\n"}}\n\x00\n\xff\n',
    "csv": b'event_time,quantity,x,y\n2025-01-01,1,"a\nb",2\n',
    "combined": b'1.2.3.4 - - [01/Jan/2025:00:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-"\n',
    "syslog": b'<1>1 2025-01-01T00:00:00Z h a 1 - [a b="c" d="e"] m\n',
}


def compile_ahead() -> None:
    """Decode a small batch of each format."""
    now = datetime(2025, 1, 1, tzinfo=UTC)
    for form in FORMATS:
        data = _SAMPLES[form]
        spec = SourceSpec.model_validate({"name": form, "record_class": "user_log", "format": form, "paths": ("-",)})
        batch = Decoder(spec).decode(RawBatch(Place(form, "-", 0, len(data)), data, first=True, last=True), now)
        shanghai_month(retention_anchor(batch.records))
    frame(b'"a"\n', csv=True, last=False)


if __name__ == "__main__":
    compile_ahead()
