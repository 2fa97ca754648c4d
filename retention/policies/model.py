"""A retention policy as data, the floors that no policy goes under, and the matrix that the program ships."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from retention.crypto.bodies import BESIDE
from retention.policies.errors import FloorError, PolicyFileError, PolicyUnknownError
from retention.policies.periods import CalendarPeriod
from retention.schema import RecordClass

SHIPPED: Final = "shipped"
"""Approver of the matrix that comes with the program."""
_FILE: Final = Path(__file__).with_name("matrix.toml")


class CountedFrom(StrEnum):
    """The day from which a class's period counts 起算点."""

    EVENT_TIME = "event_time"
    INGEST_TIME = "ingest_time"
    TRANSACTION_COMPLETION = "transaction_completion"
    SELLER_EXIT = "seller_exit"
    STREAM_END = "stream_end"
    TICKET_CLOSURE = "ticket_closure"

    @property
    def later_record(self) -> bool:
        """Whether the day is told by another, later record, and not by the record itself."""
        return self not in {CountedFrom.EVENT_TIME, CountedFrom.INGEST_TIME}


class Rank(StrEnum):
    """What kind of ground a policy or floor stands on 依据位阶, strongest first.

    个人信息保护法 art. 47: only periods of laws and administrative regulations outweigh a request for deletion.
    """

    LAW = "law"
    REGULATION = "regulation"
    LICENCE = "licence"
    RULE = "rule"
    DESIGN = "design"

    @property
    def outweighs_deletion(self) -> bool:
        """Whether a deletion request gives way to it."""
        return self in {Rank.LAW, Rank.REGULATION}


@dataclass(frozen=True, slots=True)
class Floor:
    """The least period of some classes, with the law that says so. ``source``: V read, L licence, K unverified."""

    classes: tuple[str, ...]
    period: CalendarPeriod
    name: str
    rank: Rank
    source: str


@dataclass(frozen=True, slots=True)
class Policy:
    """How long one class is kept: at least ``floor``, at most ``ceiling``, both from ``counted_from``."""

    record_class: str
    version: int
    floor: CalendarPeriod
    ceiling: CalendarPeriod
    counted_from: CountedFrom
    basis: str
    rank: Rank
    approved_by: str = SHIPPED
    in_force_from: date = date.min

    @property
    def label(self) -> str:
        """Class and version, as certificates name the policy."""
        return f"{self.record_class} v{self.version}"

    def as_json(self) -> dict[str, object]:
        """The policy for people and programs."""
        return {
            "record_class": self.record_class,
            "version": self.version,
            "floor": str(self.floor),
            "ceiling": str(self.ceiling),
            "counted_from": self.counted_from.value,
            "basis": self.basis,
            "rank": self.rank.value,
            "approved_by": self.approved_by,
            "in_force_from": None if self.in_force_from == date.min else self.in_force_from.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Matrix:
    """Floors, and the shipped policy of every class."""

    version: int
    floors: tuple[Floor, ...]
    policies: Mapping[str, Policy]

    def floors_of(self, record_class: str) -> tuple[Floor, ...]:
        """The floors that bind a class."""
        return tuple(floor for floor in self.floors if record_class in floor.classes)

    def check(self, policy: Policy) -> None:
        """Refuse a policy that the law does not allow.

        Raises:
            FloorError: it is shorter than a floor from at least one day of the calendar; names the law.
            PolicyUnknownError: there is no such class.
            PolicyFileError: its ceiling is shorter than its floor, or it counts from another day than the law's.
        """
        shipped = self.policies.get(policy.record_class)
        if shipped is None:
            raise PolicyUnknownError(
                f"There is no record class {policy.record_class[:40]!r}.", cure=f"Known: {', '.join(self.policies)}."
            )
        for floor in self.floors_of(policy.record_class):
            if policy.floor.shorter_than(floor.period):
                raise FloorError(
                    f"{policy.record_class} cannot be kept for {policy.floor} only: {floor.name} asks for "
                    f"{floor.period} at least.",
                    cure="Keep it that long or longer; no setting goes under this floor.",
                )
        if policy.counted_from is not shipped.counted_from:
            raise FloorError(
                f"{policy.record_class} counts from {shipped.counted_from.value}, not from "
                f"{policy.counted_from.value}: {shipped.basis}.",
                cure="Leave the day that the period counts from as it is; lengthen the period instead.",
            )
        if policy.ceiling.shorter_than(policy.floor):
            raise PolicyFileError(
                f"The ceiling {policy.ceiling} of {policy.record_class} is shorter than its floor {policy.floor}.",
                cure="Give a ceiling that is at least the floor.",
            )


@functools.cache
def shipped_matrix() -> Matrix:
    """The matrix of this version of the program.

    Raises:
        PolicyFileError: the file is damaged.
    """
    return read_matrix(_FILE.read_text(encoding="utf-8"))


def read_matrix(text: str) -> Matrix:
    """Read a matrix and check every policy in it against its floors.

    Raises:
        PolicyFileError: it is damaged, or a class has no policy or two.
        FloorError: a policy goes under a floor.
    """
    try:
        data = tomllib.loads(text)
        floors = tuple(_floor(item) for item in data["floor"])
        policies = [_policy(item, int(data["version"])) for item in data["policy"]]
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyFileError(
            f"The retention matrix is damaged: {error}.", cure="Restore the file that came with the program."
        ) from error
    named = {policy.record_class: policy for policy in policies}
    classes = {record_class.value for record_class in RecordClass} | BESIDE
    if set(named) != classes or len(policies) != len(classes):
        raise PolicyFileError(
            f"The retention matrix does not hold exactly one policy for each of {', '.join(sorted(classes))}.",
            cure="Restore the file that came with the program.",
        )
    matrix = Matrix(int(data["version"]), floors, named)
    for policy in policies:
        matrix.check(policy)
    return matrix


def _floor(item: dict[str, Any]) -> Floor:
    period = CalendarPeriod.parse(item["period"])
    return Floor(tuple(item["classes"]), period, item["name"], Rank(item["rank"]), item["source"])


def _policy(item: dict[str, Any], version: int) -> Policy:
    return Policy(
        record_class=item["record_class"],
        version=version,
        floor=CalendarPeriod.parse(item["floor"]),
        ceiling=CalendarPeriod.parse(item["ceiling"]),
        counted_from=CountedFrom(item["counted_from"]),
        basis=item["basis"],
        rank=Rank(item["rank"]),
    )
