"""Takes a batch apart at the borders of its records, so that one of them can stand alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipelines.batches import Messages, RawBatch
from pipelines.framing import frame
from pipelines.sources.spec import SourceSpec


def record_starts(raw: RawBatch, spec: SourceSpec) -> NDArray[np.int64]:
    """The offset at which each record of a batch begins, ascending."""
    if raw.messages is not None:
        return raw.messages.offsets
    frames = frame(raw.data, csv=spec.format == "csv", delimiter=spec.csv_delimiter, last=True)
    return frames.starts + raw.place.start


def split(raw: RawBatch, spec: SourceSpec, at: int) -> tuple[RawBatch, RawBatch]:
    """What lies before the border ``at``, which is inside the range, and what lies from it on."""
    head = replace(raw, place=replace(raw.place, end=at), last=False)
    if raw.messages is not None:
        kept = int(np.searchsorted(raw.messages.offsets, at))
        size = int(raw.messages.ends[kept - 1]) if kept else 0
        messages = Messages(raw.messages.offsets[:kept], raw.messages.ends[:kept])
        return replace(head, data=raw.data[:size], messages=messages), raw.tail(at)
    head = replace(head, data=raw.data[: at - raw.place.start])
    return head, replace(raw.tail(at), header=raw.header or _header(raw, spec))


def parts(raw: RawBatch, spec: SourceSpec, most: int) -> list[RawBatch]:
    """At most ``most`` batches of about as many records each, in order; they make up the whole."""
    starts = record_starts(raw, spec)
    step = max(-(-len(starts) // most), 1)
    found = []
    for border in starts[step::step].tolist():
        head, raw = split(raw, spec, border)
        found.append(head)
    return [*found, raw]


def _header(raw: RawBatch, spec: SourceSpec) -> bytes:
    """The first record of a partition's first batch, where it names the columns."""
    if not raw.first or spec.format != "csv" or spec.csv_columns is not None:
        return b""
    frames = frame(raw.data, csv=True, delimiter=spec.csv_delimiter, last=True)
    return raw.data[: int(frames.ends[0])] if len(frames) else b""
