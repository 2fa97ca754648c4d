"""Labelled data from CSV: text, label and optionally a group a row (UTF-8, a header line, .gz as it is)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from detectors.model.errors import TrainingDataError

MAX_FIELD_BYTES: Final = 16 << 20
_FORM: Final = "Give a UTF-8 CSV file with a header line, columns for text and label, and quotes around line breaks."


@dataclass(frozen=True, slots=True)
class Labelled:
    """``n`` texts with their labels and groups; ``dropped`` rows had no text or no label."""

    texts: pa.StringArray
    labels: list[str]
    groups: npt.NDArray[np.str_] | None
    dropped: int = 0

    def take(self, rows: npt.NDArray[np.int64]) -> Labelled:
        """Return some rows."""
        groups = None if self.groups is None else self.groups[rows]
        return Labelled(self.texts.take(pa.array(rows)), [self.labels[k] for k in rows], groups)

    def keys(self) -> npt.NDArray[np.str_]:
        """Return each row's group, or the digest of its text where there are none: the same wherever the row stands."""
        if self.groups is not None:
            return self.groups
        # A digest, as an array of strings is as wide as its longest.
        return np.array([hashlib.sha256(text.encode()).hexdigest() for text in self.texts.to_pylist()], dtype=np.str_)


def read_labelled(
    path: Path, text_column: str = "text", label_column: str = "label", group_column: str | None = None
) -> Labelled:
    """Read labelled rows; rows with an empty text or label are left out and counted.

    Raises:
        TrainingDataError: the file cannot be read, is not UTF-8, has a field over 16 MiB, lacks a column, or has no
            labelled row.
    """
    columns = [text_column, label_column, *([group_column] if group_column else [])]
    table = _read(path, columns)
    text, label = table.column(text_column), table.column(label_column)
    kept = pc.and_(pc.not_equal(pc.utf8_trim_whitespace(text), ""), pc.not_equal(pc.utf8_trim_whitespace(label), ""))
    kept = pc.fill_null(kept, False)
    table = table.filter(kept)
    if not table.num_rows:
        raise TrainingDataError(f"{path} holds no row with both a text and a label.", cure=_FORM)
    groups = None
    if group_column:
        groups = np.array(table.column(group_column).fill_null("").to_pylist(), dtype=np.str_)
    labels = pc.utf8_trim_whitespace(table.column(label_column)).to_pylist()
    return Labelled(_one(table.column(text_column)), labels, groups, len(text) - table.num_rows)


def joined(parts: Sequence[Labelled]) -> Labelled:
    """Put labelled rows of several sources end to end; of rows without a group those of one text belong together.

    A group of one source is that of the same name of another: which rows are held out must not depend on what stands
    beside them, or a model would be compared on what the one in use has learned.
    """
    if len(parts) == 1:
        return parts[0]
    return Labelled(
        pa.concat_arrays([part.texts for part in parts]),
        [label for part in parts for label in part.labels],
        np.concatenate([part.keys() for part in parts]),
        sum(part.dropped for part in parts),
    )


def read_texts(path: Path, text_column: str = "text") -> pa.StringArray:
    """Read the texts of a CSV, empty ones left out; errors as in ``read_labelled``."""
    text = _read(path, [text_column]).column(text_column)
    text = text.filter(pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(text), ""), False))
    if not len(text):
        raise TrainingDataError(f"{path} holds no text.", cure=_FORM)
    return _one(text)


def _read(path: Path, columns: list[str]) -> pa.Table:
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            table = csv.read_csv(
                stream,
                read_options=csv.ReadOptions(block_size=MAX_FIELD_BYTES, use_threads=False),
                parse_options=csv.ParseOptions(newlines_in_values=True),
                convert_options=csv.ConvertOptions(
                    include_columns=columns, column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
                ),
            )
    except (OSError, EOFError) as error:
        raise TrainingDataError(f"{path} cannot be read: {error}.", cure="Name a readable CSV file.") from error
    except KeyError as error:
        raise TrainingDataError(
            f"{path} has no column {_missing(error)!r}.", cure="Name the columns with --text-column and --label-column."
        ) from error
    except pa.ArrowInvalid as error:
        raise TrainingDataError(f"{path} is no readable CSV: {_first_line(error)}.", cure=_cure(str(error))) from error
    return table


def _cure(message: str) -> str:
    if "UTF8" in message or "UTF-8" in message:
        return "Convert the file to UTF-8, for instance with `iconv -f GB18030 -t UTF-8`."
    if "straddling" in message:
        return f"Close the quotes, and keep every record under {MAX_FIELD_BYTES >> 20} MiB."
    return _FORM


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:300].rstrip(".")


def _missing(error: KeyError) -> str:
    words = str(error).split("'")
    return words[1] if len(words) > 1 else str(error)


def _one(column: pa.ChunkedArray) -> pa.StringArray:
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined
