"""What the archive holds of a person: a copy to hand over, and until when each part must be kept and why."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import orjson
import pyarrow as pa

from retention.catalogue import events
from retention.persons.errors import RequestStateError
from retention.persons.requests import Kind, PersonRequest
from retention.policies.book import in_force
from retention.policies.model import Policy, shipped_matrix
from retention.policies.periods import CalendarPeriod, shanghai_date
from retention.query.render import renderer
from retention.query.run import Parts, Rendered, run_query
from retention.schema import RecordClass

ZONE: Final = "Asia/Shanghai"
_STAMP: Final = (1980, 1, 1, 0, 0, 0)
_EXPORTED: Final = (Kind.ACCESS.value, Kind.COPY.value)

_README: Final = """个人信息副本 Copy of personal data

请求编号 request: {request}
账号 account: {account}
生成时间 made: {made}

data/ 中每个文件是一类记录(JSON 数组,UTF-8)。digests.json 列出每个文件的记录数与摘要({hash})。
保留期限一栏说明每类记录依法须保存的期限与依据。

Each file below data/ holds the records of one class (a JSON array, UTF-8). digests.json lists the records and the
digest ({hash}) of each file, how long each class is kept, and on what ground.
"""


@dataclass(frozen=True, slots=True)
class PersonCopy:
    """A zip file's bytes, and how many records of each class are in it."""

    data: bytes
    records: dict[str, int]
    digest: str


def person_copy(parts: Parts, request: PersonRequest, *, actor: str, now: datetime) -> PersonCopy:
    """The records of the account that asked (``user_id``), restricted ones included, as one zip file.

    Records that name the account as counterparty are another person's and are not in it.

    Raises:
        RequestStateError: the request does not ask for access or a copy.
        LiucunError: the archive cannot be read.
    """
    if request.kind not in _EXPORTED:
        raise RequestStateError(
            f"The request {request.request_id} asks for {request.kind}, not for a copy.",
            cure="Answer it with `liucun requests answer`.",
        )
    suite = parts.archive.suite
    files: dict[str, bytes] = {}
    counts: dict[str, int] = {}
    for record_class in RecordClass:
        answer = run_query(
            parts,
            f"SELECT * EXCLUDE (raw) FROM {record_class.view} WHERE user_id = {quoted(request.account)} "  # noqa: S608  # view names are ours
            "ORDER BY event_time, log_partition, log_offset",
            purpose=f"{request.kind} request {request.request_id}",
            actor=actor,
            render=_json,
            basis=f"个人信息保护法 第四十五条,请求 {request.request_id}",
        )
        if answer.rows:
            files[f"data/{record_class.value}.json"] = answer.data
            counts[record_class.value] = answer.rows
    with parts.catalogue.read() as connection:
        policies = in_force(connection, shanghai_date(now))
    digests = {
        name: {
            "records": counts[name.removeprefix("data/").removesuffix(".json")],
            "digest": suite.hash(data).hex(),
            "kept": str(policies[name.removeprefix("data/").removesuffix(".json")].floor),
            "basis": policies[name.removeprefix("data/").removesuffix(".json")].basis,
        }
        for name, data in files.items()
    }
    files["digests.json"] = orjson.dumps(digests, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    readme = _README.format(
        request=request.request_id, account=request.account, made=now.isoformat(), hash=suite.name.rpartition("-")[2]
    )
    files["README.txt"] = readme.encode()
    data = _zip(files)
    digest = suite.hash(data).hex()
    with parts.catalogue.write() as connection:
        body = {"records": counts, "digest": digest, "bytes": len(data)}
        subject = f"request:{request.request_id}"
        events.append(connection, kind="request.exported", actor=actor, subject=subject, body=body, at=now)
    return PersonCopy(data, counts, digest)


@dataclass(frozen=True, slots=True)
class ClassOutlook:
    """What is held of an account in one class, and the ground on which it stays after a request for deletion.

    ``statutory_period``: the longest period of a law or an administrative regulation, which alone outweigh the request
    (art. 47); None where there is none. ``statutory``: all of ``kept_for`` stands on such ground; otherwise counsel
    decides about what goes beyond it.
    """

    record_class: str
    records: int
    first_on: str
    last_on: str
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
    found = []
    for record_class in RecordClass:
        results: list[pa.Table] = []

        def keep(table: pa.Table, into: list[pa.Table] = results) -> Rendered:
            into.append(table)
            return _json(table)

        run_query(
            parts,
            "SELECT count(*) AS records, min(event_time)::DATE AS first_on, max(event_time)::DATE AS last_on "  # noqa: S608  # view names are ours
            f"FROM {record_class.view} WHERE user_id = {quoted(account)} OR counterparty_id = {quoted(account)}",
            purpose=purpose,
            actor=actor,
            render=keep,
            basis="个人信息保护法 第四十七条",
        )
        (row,) = results[0].to_pylist()
        if row["records"]:
            policy = policies[record_class.value]
            by_law = _by_law(record_class.value, policy)
            found.append(
                ClassOutlook(
                    record_class=record_class.value,
                    records=row["records"],
                    first_on=str(row["first_on"]),
                    last_on=str(row["last_on"]),
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


def quoted(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _json(table: pa.Table) -> Rendered:
    return renderer("json", ZONE)(table)


def _zip(files: dict[str, bytes]) -> bytes:
    """The same files give the same bytes."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _STAMP), files[name], zipfile.ZIP_DEFLATED)
    return sink.getvalue()
