"""The files of a person's records of one class: one, or one a month, or parts of a month, each within a limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from retention.persons.asking import PersonQueries
from retention.persons.dividing import ORDER, Portion, by_month, count_of, halves, moment, together
from retention.persons.errors import CopyChangedError, RecordTooLargeError
from retention.query.errors import QueryTooLargeError
from retention.query.run import Answer, Limits
from retention.schema import RECORD_SCHEMA, RecordClass

PART_BYTES: Final = 32 << 20
"""Bytes in Arrow of the records of one file; as JSON they are three to six times as many."""
RECORD_BYTES: Final = Limits().result_bytes
"""Bytes in Arrow of what has a file of its own, as it stands at one place and cannot be divided."""

Keep = Callable[[str, Answer], None]
"""Takes the name and the content of a file."""


def write_class(queries: PersonQueries, record_class: RecordClass, account: str, keep: Keep) -> None:
    """Hand an account's records of a class to ``keep``, file by file, in order; only one file is in memory at a time.

    ``data/CLASS.json`` where all of them fit; else ``data/CLASS-YYYY-MM.json`` by month of Asia/Shanghai and
    ``data/CLASS-undated.json``; of what is still too large, ``…-part0001.json`` and so on. A class without records has
    no file.

    Raises:
        RecordTooLargeError: a single record is larger than an answer may be.
        CopyChangedError: the number of records in the files can be neither that of before nor that of after.
        LiucunError: as of ``run_query``.
    """
    months = by_month(queries.rows, record_class.view, account)
    counted = count_of(months)
    if not counted:
        return
    written = _ClassFiles(queries, record_class, keep).write(months)
    if written == counted:
        return
    # Records come in all the time, and some are lawfully destroyed: the files hold as many as there were before or
    # after, or a number between. Any other may mean that a record was left out.
    after = count_of(by_month(queries.rows, record_class.view, account))
    if not min(counted, after) <= written <= max(counted, after):
        raise CopyChangedError(
            f"The archive changed while the copy was made: of class {record_class.value} there were {counted:,} "
            f"records before and {after:,} after, and {written:,} were read.",
            cure="Nothing was written. Make the copy again, while nothing is being destroyed.",
        )


@dataclass(frozen=True, slots=True)
class _ClassFiles:
    queries: PersonQueries
    record_class: RecordClass
    keep: Keep

    def write(self, months: list[Portion]) -> int:
        """Write all portions; returns the number of records."""
        name = f"data/{self.record_class.value}"
        whole = self._file(f"{name}.json", together(months))
        if whole is not None:
            return whole
        return sum(self._month(f"{name}-{month.month}", month, tried=len(months) == 1) for month in months)

    def _month(self, name: str, month: Portion, *, tried: bool) -> int:
        """Write a month, in parts where it is too large, as ``tried`` says that it is."""
        whole = None if tried else self._file(f"{name}.json", month)
        if whole is not None:
            return whole
        waiting = [month]
        written = parts = 0
        while waiting:
            portion = waiting.pop()
            part = f"{name}.json" if portion is month else f"{name}-part{parts + 1:04d}.json"
            rows = None if portion is month else self._file(part, portion)
            if rows is None:
                if (smaller := halves(self.queries.rows, portion)) is not None:
                    waiting += smaller[::-1]
                    continue
                rows = self._undivided(part, portion)
            if rows:
                parts += 1
                written += rows
        return written

    def _file(self, name: str, portion: Portion) -> int | None:
        """Write a portion as one file, none if it is empty by now; returns its records, None where it is too large."""
        alone = portion.records == 1
        if not alone and portion.records * _LEAST_BYTES > PART_BYTES:
            return None
        try:
            return self._written(name, portion, RECORD_BYTES if alone else PART_BYTES)
        except QueryTooLargeError:
            return None

    def _undivided(self, name: str, portion: Portion) -> int:
        """Write what stands at one place, which may be as large as an answer; returns its records."""
        try:
            return self._written(name, portion, RECORD_BYTES)
        except QueryTooLargeError as error:
            raise self._too_large(portion) from error

    def _written(self, name: str, portion: Portion, most: int) -> int:
        sql = f"SELECT * EXCLUDE (raw) FROM {portion.view} WHERE {portion.where} ORDER BY {ORDER}"  # noqa: S608  # view names are ours
        answer = self.queries.json(sql, result_bytes=most)
        if answer.rows:
            self.keep(name, answer)
        return answer.rows

    def _too_large(self, portion: Portion) -> RecordTooLargeError:
        when = "without a time" if portion.times is None else f"of {moment(portion.times[0])}"
        return RecordTooLargeError(
            f"A record of class {self.record_class.value} {when} is larger than {RECORD_BYTES / (1 << 20):,.3g} MiB, "
            "which is more than one answer may be.",
            cure="Nothing was written. Find the record with `liucun query` and hand it over by columns.",
        )


def _least_bytes() -> int:
    """Bytes that a record takes in Arrow at the least, whatever is in it: numbers, times, and where texts begin."""
    found = 0
    for column in RECORD_SCHEMA:
        fixed = pa.types.is_primitive(column.type) or pa.types.is_decimal(column.type)
        found += column.type.bit_width // 8 if fixed else 4
    return found


_LEAST_BYTES: Final = _least_bytes()
