"""Harmless text to measure rules on: everyday texts of the project's own corpus, and the operator's own files."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Final

import pyarrow as pa

from detectors.corpus.families import FOLDER, read_families
from detectors.errors import HarmlessTextError
from detectors.model.labelled import read_texts

EVERYDAY: Final = ("none-daily.txt", "none-reviews.txt")
"""Files of the corpus whose themes are what people write every day. The hard negatives beside them (warnings,
help texts, crime news) hold words of rules on purpose, far more often than any platform's stream does."""
PER_FAMILY: Final = 40
MAX_BYTES: Final = 256 << 20
MAX_LINE: Final = 1 << 20


@lru_cache(maxsize=1)
def everyday_texts() -> pa.StringArray:
    """Some three thousand everyday texts, always the same.

    Raises:
        CorpusFileError: the corpus is damaged.
    """
    families, writer = read_families()
    themes = {
        line[2:].strip()
        for name in EVERYDAY
        for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()
        if line.startswith("==")
    }
    texts: list[str] = []
    for family in families:
        if family.category == "none" and family.theme.partition("/")[2] in themes:
            rng = Random(f"harmless:{family.name}")
            texts.extend(dict.fromkeys(writer.write(family.template, rng) for _ in range(PER_FAMILY)))
    return pa.array(texts, pa.string())


def samples(names: Iterable[str]) -> dict[str, pa.StringArray]:
    """The built-in sample, and one for each ``FILE[:COLUMN]``; errors as of ``read_harmless``."""
    return {"the built-in sample": everyday_texts(), **{name: read_harmless(name) for name in names}}


def read_harmless(name: str) -> pa.StringArray:
    """Read ``FILE`` (one text a line, or the column ``text`` of a CSV) or ``FILE:COLUMN`` (a CSV); ``.gz`` as it is.

    Raises:
        HarmlessTextError: the file cannot be read, or holds no text.
        TrainingDataError: likewise, of a CSV.
    """
    path, sep, column = name.rpartition(":")
    if sep and column and not Path(name).exists():
        return read_texts(Path(path), column)
    path = name
    if Path(path).name.removesuffix(".gz").endswith(".csv"):
        return read_texts(Path(path))
    return _lines(Path(path))


def _lines(path: Path) -> pa.StringArray:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, EOFError) as error:
        raise HarmlessTextError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.", cure="Name a readable file."
        ) from error
    if len(data) > MAX_BYTES:
        raise HarmlessTextError(f"{path} holds over {MAX_BYTES >> 20} MiB.", cure="Take a sample of it.")
    lines = [line[:MAX_LINE].decode("utf-8", "replace").strip() for line in data.split(b"\n")]
    texts = [line for line in lines if line]
    if not texts:
        raise HarmlessTextError(f"{path} holds no text.", cure="Give a file with one harmless text a line.")
    return pa.array(texts, pa.string())
