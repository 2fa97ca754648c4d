"""What a verification of the transparency log found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[str, int, int], None]
"""Is told what is being checked, how many are done, and of how many."""


@dataclass(frozen=True, slots=True)
class LogFault:
    """One thing that does not hold: a word for machines, where, and what in words."""

    kind: str
    where: str
    detail: str


@dataclass(slots=True)
class LogVerdict:
    """What the verification found. ``witnessed`` is how many entries the custodian's newest checkpoint covers."""

    size: int = 0
    unsequenced: int = 0
    checkpoints: int = 0
    witnessed: int = 0
    rows: int = 0
    custodian: str | None = None
    faults: list[LogFault] = field(default_factory=list)
    notices: list[LogFault] = field(default_factory=list)

    @property
    def anchored(self) -> bool:
        """Whether the custodian has seen everything that was verified, and nothing contradicts it."""
        return bool(self.size) and self.witnessed == self.size and not self.unsequenced and not self.faults

    def add(self, kind: str, where: str, detail: str) -> None:
        """Add a fault."""
        self.faults.append(LogFault(kind, where, detail))
