"""What one key seals beside the archive, in the database's tables: a unit, judged, planned and shredded whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date


@dataclass(slots=True)
class BesideUnit:
    """What lies under one key: how many count from which day, are open or held, and the bytes of their bodies."""

    record_class: str
    key_id: str
    months: set[str] = field(default_factory=set)
    bytes_stored: int = 0
    open: int = 0
    ended: dict[date, int] = field(default_factory=dict)
    held: dict[str, tuple[list[str], date | None]] = field(default_factory=dict)
    """Of what a hold keeps: the holds, and the day that it counts from if it has ended."""

    @property
    def number(self) -> int:
        """A number that no unit of segments has."""
        return number_of(self.key_id)

    @property
    def rows(self) -> int:
        """Tickets, reports, messages …"""
        return self.open + sum(self.ended.values())

    @property
    def free(self) -> dict[date, int]:
        """What has ended and no hold keeps, by the day that it counts from."""
        found = dict(self.ended)
        for _, day in self.held.values():
            if day is not None:
                found[day] -= 1
        return {day: count for day, count in found.items() if count}

    def add(self, ended: date | None, count: int = 1) -> None:
        """Count what has ended on a day, or has not."""
        if ended is None:
            self.open += count
        else:
            self.ended[ended] = self.ended.get(ended, 0) + count


def number_of(key_id: str) -> int:
    """The number of a key's unit: below zero, the same wherever it is asked for."""
    return -1 - int.from_bytes(hashlib.sha256(key_id.encode()).digest()[:7])
