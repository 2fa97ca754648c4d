"""Takes a batch apart at the borders of its records, so that one of them can stand alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipelines.batches import Messages, RawBatch
from pipelines.decode import csv_header, header_place
from pipelines.framing import frame
from pipelines.sources.spec import SourceSpec


def record_starts(raw: RawBatch, spec: SourceSpec) -> NDArray[np.int64]:
    """The offset at which each record of a batch begins, ascending; blank lines before a CSV header belong to it."""
    if raw.messages is not None:
        return raw.messages.offsets
    starts = frame(raw.data, csv=spec.format == "csv", delimiter=spec.csv_delimiter, last=True).starts
    if _names_columns(raw, spec):
        header = header_place(raw.data, spec.csv_delimiter, last=True)
        starts = np.concatenate([starts[:1], starts[starts > header.start]])
    return starts + raw.place.start


def split(raw: RawBatch, spec: SourceSpec, at: int) -> tuple[RawBatch, RawBatch]:
    """What lies before the border ``at``, which is inside the range, and what lies from it on."""
    head = replace(raw, place=replace(raw.place, end=at), last=False)
    if raw.messages is not None:
        kept = int(np.searchsorted(raw.messages.offsets, at))
        size = int(raw.messages.ends[kept - 1]) if kept else 0
        messages = Messages(raw.messages.offsets[:kept], raw.messages.ends[:kept])
        return replace(head, data=raw.data[:size], messages=messages), tail(raw, spec, at)
    return replace(head, data=raw.data[: at - raw.place.start]), tail(raw, spec, at)


def tail(raw: RawBatch, spec: SourceSpec, at: int) -> RawBatch:
    """What lies from the border ``at`` on, which is inside the range or its start."""
    if at == raw.place.start:
        return raw
    rest = replace(raw, place=replace(raw.place, start=at), first=False)
    if raw.messages is not None:
        before = int(np.searchsorted(raw.messages.offsets, at))
        size = int(raw.messages.ends[before - 1]) if before else 0
        messages = Messages(raw.messages.offsets[before:], raw.messages.ends[before:] - size)
        return replace(rest, data=raw.data[size:], messages=messages)
    size = at - raw.place.start
    header = csv_header(raw.data, spec.csv_delimiter, last=True) if _names_columns(raw, spec) else raw.header
    return replace(rest, data=raw.data[size:], header=header, continues=raw.data[size - 1] != ord("\n"))


def parts(raw: RawBatch, spec: SourceSpec, most: int) -> list[RawBatch]:
    """At most ``most`` batches of about as many records each, in order; they make up the whole."""
    starts = record_starts(raw, spec)
    step = max(-(-len(starts) // most), 1)
    found = []
    for border in starts[step::step].tolist():
        head, raw = split(raw, spec, border)
        found.append(head)
    return [*found, raw]


def _names_columns(raw: RawBatch, spec: SourceSpec) -> bool:
    """Whether a batch begins a CSV file that names its columns itself."""
    return raw.first and raw.messages is None and spec.format == "csv" and spec.csv_columns is None
