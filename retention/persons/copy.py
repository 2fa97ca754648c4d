"""What the archive holds of a person: a copy to hand over, and until when each part must be kept and why.

A copy may be larger than any answer and than memory: a class that is more than one answer goes by calendar month, a
month that is more by halves, each file the answer of one recorded query, written to the disk before the next is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Final

import orjson

from retention.catalogue import events
from retention.crypto.suites import Suite
from retention.new_file import Unplaced, said, unplaced
from retention.persons.asking import PersonQueries, quoted
from retention.persons.class_files import write_class
from retention.persons.errors import RequestStateError
from retention.persons.requests import Kind, PersonRequest
from retention.persons.zipped import ZipWriter, zip_into
from retention.policies.book import in_force
from retention.policies.model import Policy, shipped_matrix
from retention.policies.periods import CalendarPeriod, shanghai_date
from retention.query.run import Answer, Parts
from retention.schema import RecordClass

_DIGESTED_AT_ONCE: Final = 1 << 20
_EXPORTED: Final = (Kind.ACCESS.value, Kind.COPY.value)

_README: Final = """个人信息副本 Copy of personal data

请求编号 request: {request}
账号 account: {account}
生成时间 made: {made}

data/ 中每个文件是一类记录(JSON 数组,UTF-8)。记录多的类别按月(北京时间)分为多个文件:类别-年-月.json,
仍然过多的月份再分:类别-年-月-part0001.json 起,按时间先后;没有时间的记录在 类别-undated.json。
digests.json 列出每个文件的记录数与摘要({hash})。保留期限一栏说明每类记录依法须保存的期限与依据。

Each file below data/ holds the records of one class (a JSON array, UTF-8). A class of many records is in files by
month (China time), CLASS-YYYY-MM.json, and a month of too many in parts in the order of time, from
CLASS-YYYY-MM-part0001.json on; records without a time are in CLASS-undated.json. digests.json lists the records and
the digest ({hash}) of each file, how long each class is kept, and on what ground.
"""


@dataclass(frozen=True, slots=True)
class PersonCopy:
    """A zip file that was written: how many records of each class and how many files of records are in it.

    ``digest``: the archive's hash over its bytes, in hex.
    """

    path: Path
    records: dict[str, int]
    files: int
    size: int
    digest: str


def person_copy(parts: Parts, request: PersonRequest, target: Path, *, actor: str, now: datetime) -> PersonCopy:
    """Write the records of the account that asked (``user_id``), restricted ones included, as a new zip file.

    Records that name the account as counterparty are another person's and are not in it. The file has its name only
    when it is whole and recorded (``request.exported``); whatever goes wrong before leaves nothing of it.

    Raises:
        RequestStateError: the request does not ask for access or a copy.
        RecordTooLargeError: a single record is larger than an answer may be.
        CopyChangedError: records were destroyed and came in while they were copied, so that their number cannot be
            checked.
        StorageError: the file is there already, or the folder or the disk refused.
        LiucunError: the archive cannot be read.
    """
    if request.kind not in _EXPORTED:
        raise RequestStateError(
            f"The request {request.request_id} asks for {request.kind}, not for a copy.",
            cure="Answer it with `liucun requests answer`.",
        )
    suite = parts.archive.suite
    queries = PersonQueries(
        parts,
        purpose=f"{request.kind} request {request.request_id}",
        actor=actor,
        basis=f"个人信息保护法 第四十五条,请求 {request.request_id}",
    )
    with parts.catalogue.read() as connection:
        policies = in_force(connection, shanghai_date(now))
    hash_name = suite.name.rpartition("-")[2]
    readme = _README.format(request=request.request_id, account=request.account, made=now.isoformat(), hash=hash_name)
    listing = _Listing(policies)
    with unplaced(target) as made:
        with zip_into(made) as files:
            files.add("README.txt", readme.encode())
            for record_class in RecordClass:
                write_class(queries, record_class, request.account, partial(listing.add, files, record_class))
            files.add("digests.json", orjson.dumps(listing.files, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
        made.sync()
        size, digest = _digested(suite, made)
        copy = PersonCopy(target, listing.records, len(listing.files), size, digest)
        with parts.catalogue.write() as connection:
            body = {"records": copy.records, "files": copy.files, "digest": digest, "bytes": size}
            subject = f"request:{request.request_id}"
            events.append(connection, kind="request.exported", actor=actor, subject=subject, body=body, at=now)
        # Recorded first: a copy that nobody knows of is worse than a record of one that did not get its name.
        made.place()
    return copy


@dataclass(slots=True)
class _Listing:
    """What ``digests.json`` will say of each file of records, and how many records of each class there are."""

    policies: Mapping[str, Policy]
    files: dict[str, dict[str, object]] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)

    def add(self, files: ZipWriter, record_class: RecordClass, name: str, answer: Answer) -> None:
        """Write a file of records, and list it."""
        files.add(name, answer.data)
        policy = self.policies[record_class.value]
        self.files[name] = {
            "records": answer.rows,
            "digest": answer.digest,
            "kept": str(policy.floor),
            "basis": policy.basis,
        }
        self.records[record_class.value] = self.records.get(record_class.value, 0) + answer.rows


def _digested(suite: Suite, made: Unplaced) -> tuple[int, str]:
    """Bytes of a written file, and their hash in hex."""
    state = suite.hasher()
    size = 0
    with said(made.path):
        made.file.seek(0)
        while piece := made.file.read(_DIGESTED_AT_ONCE):
            state.update(piece)
            size += len(piece)
    return size, state.digest().hex()


@dataclass(frozen=True, slots=True)
class ClassOutlook:
    """What is held of an account in one class, and the ground on which it stays after a request for deletion.

    ``first_on``, ``last_on``: days of Asia/Shanghai, None where no record has a time.
    ``statutory_period``: the longest period of a law or an administrative regulation, which alone outweigh the request
    (art. 47); None where there is none. ``statutory``: all of ``kept_for`` stands on such ground; otherwise counsel
    decides about what goes beyond it.
    """

    record_class: str
    records: int
    first_on: str | None
    last_on: str | None
    kept_for: str
    counted_from: str
    basis: str
    statutory: bool
    statutory_period: str | None

    def as_json(self) -> dict[str, object]:
        """The outlook for programs."""
        return {name: getattr(self, name) for name in self.__slots__}


def deletion_outlook(parts: Parts, account: str, *, purpose: str, actor: str, today: date) -> list[ClassOutlook]:
    """How much of a person is where, and why it cannot go yet."""
    with parts.catalogue.read() as connection:
        policies = in_force(connection, today)
    queries = PersonQueries(parts, purpose, actor, basis="个人信息保护法 第四十七条")
    found = []
    for record_class in RecordClass:
        (row,) = queries.rows(
            "SELECT count(*) AS records, min(event_time)::DATE::VARCHAR AS first_on, "  # noqa: S608  # view names are ours
            # As text: the last hours of 9999 are in a year of Shanghai that Python has not.
            "max(event_time)::DATE::VARCHAR AS last_on "
            f"FROM {record_class.view} WHERE user_id = {quoted(account)} OR counterparty_id = {quoted(account)}"
        )
        if row["records"]:
            policy = policies[record_class.value]
            by_law = _by_law(record_class.value, policy)
            found.append(
                ClassOutlook(
                    record_class=record_class.value,
                    records=row["records"],
                    first_on=row["first_on"],
                    last_on=row["last_on"],
                    kept_for=str(policy.floor),
                    counted_from=policy.counted_from.value,
                    basis=policy.basis,
                    statutory=policy.rank.outweighs_deletion
                    or not (by_law is None or by_law.shorter_than(policy.floor)),
                    statutory_period=None if by_law is None else str(by_law),
                )
            )
    return found


def _by_law(record_class: str, policy: Policy) -> CalendarPeriod | None:
    """The longest period that a law or an administrative regulation asks for a class."""
    periods = [floor.period for floor in shipped_matrix().floors_of(record_class) if floor.rank.outweighs_deletion]
    if policy.rank.outweighs_deletion:
        periods.append(policy.floor)
    longest: CalendarPeriod | None = None
    for period in periods:
        if longest is None or longest.shorter_than(period):
            longest = period
    return longest
