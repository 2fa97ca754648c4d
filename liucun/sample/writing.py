"""Writes the sample's files: every stream as its own source, the same bytes for the same seed and day."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import IO, Final, cast

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from errors import StorageError, UsageError
from liucun.sample.content import CSV_HEADER, PLANTED, catalogue, comments
from liucun.sample.fields import Block
from liucun.sample.logins import logins
from liucun.sample.orders import orders
from liucun.sample.servers import access, syslog

BLOCK: Final = 50_000
DAY_MS: Final = 86_400_000
SOURCES_FILE: Final = "sources.toml"
PLANTED_FILE: Final = "planted.csv"

BROKEN: Final = (
    b'{"event_time":"2026-01-01T00:00:00+08:00","event_action":"user.login",',
    b'["a list", "is no record"]',
    b'{"event_action":"user.login","event_action":"user.logout"}',
    b'{"event_action":"user.login","user_name":"\xff\xfe"}',
    b'{"event_time":"yesterday","event_action":"user.login"}',
    b"-- log rotated --",
)
"""Lines that no parser takes: they are archived as they came."""

_Made = tuple[pa.StringArray, pa.Table | None]


@dataclass(frozen=True, slots=True)
class Stream:
    """One file of the sample: ``share`` of all records, and how it is declared as a source.

    ``published``: whether the field ``text`` is; ``private`` names fields that hold text and are not.
    """

    name: str
    file: str
    record_class: str
    format: str
    share: int
    make: Callable[[Block], _Made]
    published: bool | None = None
    private: tuple[str, ...] = ()
    head: bytes = b""
    broken: tuple[bytes, ...] = ()

    def declaration(self, folder: Path) -> str:
        """The ``[[source]]`` table of ``liucun.toml``."""
        lines = [
            "[[source]]",
            f'name = "sample-{self.name}"',
            f'record_class = "{self.record_class}"',
            f'format = "{self.format}"',
            f"paths = [{json.dumps(str(folder / self.file), ensure_ascii=False)}]",
        ]
        declared = {} if self.published is None else {"text": self.published}
        declared |= dict.fromkeys(self.private, False)
        if declared:
            said = ", ".join(f"{field} = {str(public).lower()}" for field, public in declared.items())
            lines.append(f"published = {{ {said} }}")
        return "\n".join(lines) + "\n"

    def spec(self, folder: Path) -> str:
        """The source as ``liucun run --source`` takes it."""
        return f"{self.record_class}:{self.format}:{folder / self.file}"


def _plain(make: Callable[[Block], pa.StringArray]) -> Callable[[Block], _Made]:
    return lambda block: (make(block), None)


STREAMS: Final = (
    Stream("orders", "orders.ndjson.gz", "transaction", "ndjson", 40, _plain(orders), published=False),
    Stream("logins", "logins.ndjson", "user_log", "ndjson", 24, _plain(logins), published=False, broken=BROKEN),
    Stream("access", "access.log", "user_log", "combined", 10, _plain(access), published=False),
    Stream("gateway", "gateway.log", "user_log", "syslog", 2, _plain(syslog), published=False, private=("message",)),
    Stream("comments", "comments.ndjson", "content", "ndjson", 18, comments, published=True),
    Stream("titles", "titles.csv", "content", "csv", 6, catalogue, published=True, head=CSV_HEADER),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What was written: records by stream (broken lines included), bytes, planted violations."""

    folder: Path
    records: dict[str, int]
    bytes: int
    planted: int


def write_sample(
    folder: Path, *, records: int, seed: int, days: int, until: datetime, done: Callable[[int], None] | None = None
) -> Sample:
    """Write the sample's files into ``folder``, which must be empty or not exist. ``done`` hears of progress.

    Raises:
        UsageError: the folder holds something.
        StorageError: it cannot be written.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} exists and is not empty.", cure="Choose another --out, or empty it.")
        folder.mkdir(parents=True, exist_ok=True)
        shares = _shares(records)
        planted: list[pa.Table] = []
        for stream in STREAMS:
            with _opened(folder / stream.file) as file:
                file.write(stream.head)
                for lines, found, rows in _blocks(stream, shares[stream.name], seed, days, until):
                    file.write(lines)
                    planted += [] if found is None else [found]
                    if done:
                        done(rows)
        table = pa.concat_tables(planted) if planted else PLANTED.empty_table()
        pyarrow.csv.write_csv(table, folder / PLANTED_FILE)
        declared = "\n".join(stream.declaration(folder.resolve()) for stream in STREAMS)
        (folder / SOURCES_FILE).write_text(declared, encoding="utf-8")
        size = sum((folder / stream.file).stat().st_size for stream in STREAMS)
    except OSError as error:
        raise StorageError(
            f"The sample cannot be written to {folder}: {error.strerror or error}.",
            cure="Check the folder's rights and the disk's free space.",
        ) from error
    return Sample(folder, shares, size, table.num_rows)


def _shares(records: int) -> dict[str, int]:
    whole = sum(stream.share for stream in STREAMS)
    shares = {stream.name: records * stream.share // whole for stream in STREAMS}
    shares[STREAMS[0].name] += records - sum(shares.values())
    return shares


def _blocks(
    stream: Stream, rows: int, seed: int, days: int, until: datetime
) -> Iterator[tuple[bytes, pa.Table | None, int]]:
    end = int(until.astimezone(UTC).timestamp() * 1000)
    begin = end - days * DAY_MS
    broken = stream.broken if rows > 100 * len(stream.broken) else ()
    good = rows - len(broken)
    for number in count():
        first = number * BLOCK
        size = min(BLOCK, good - first)
        if size <= 0:
            return
        part = (end - begin) * first // good, (end - begin) * (first + size) // good
        lines, planted = stream.make(Block(seed, number, first, size, begin + part[0], begin + part[1], end))
        extra = broken if number == 0 else ()
        yield _encoded(lines, extra), planted, size + len(extra)


def _encoded(lines: pa.StringArray, extra: tuple[bytes, ...]) -> bytes:
    joined = pa.compute.binary_join(pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines), "\n")
    return bytes(joined[0].as_buffer()) + b"\n" + b"".join(line + b"\n" for line in extra)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if path.suffix != ".gz":
            yield file
            return
        # No name and no time in the header: the same bytes for the same seed.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=4) as packed:
            yield cast(IO[bytes], packed)
