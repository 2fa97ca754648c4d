"""Who acts, and what each role may do (separation of duties 职责分离), checked in the service itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from errors import NotPermittedError


class Role(StrEnum):
    """Roles of people 角色."""

    REVIEWER = "reviewer"
    SECURITY_ADMIN = "security_admin"
    AUDITOR = "auditor"
    SYSTEM_ADMIN = "system_admin"
    COMPLIANCE_HEAD = "compliance_head"
    COLLECTOR = "collector"
    """A program that hands lines over, no person."""

    @property
    def chinese(self) -> str:
        """Name for people."""
        return {
            "reviewer": "审核员",
            "security_admin": "安全管理员",
            "auditor": "审计员",
            "system_admin": "系统管理员",
            "compliance_head": "合规负责人",
            "collector": "采集程序",
        }[self.value]


class Right(StrEnum):
    """What may be done with tickets, reports, duties and disclosures to an authority."""

    READ = "read"
    TRIAGE = "triage"
    ASSIGN = "assign"
    APPROVE = "approve"
    SUBMIT = "submit"
    DUTIES = "duties"
    CALENDAR = "calendar"
    READ_DISCLOSURES = "read_disclosures"
    REQUEST_DISCLOSURES = "request_disclosures"
    APPROVE_DISCLOSURES = "approve_disclosures"
    HAND_OUT = "hand_out"

    @property
    def words(self) -> str:
        """What the right is, in a sentence."""
        return {
            "read": "read tickets",
            "triage": "work on tickets",
            "assign": "assign tickets to others",
            "approve": "approve",
            "submit": "submit reports",
            "duties": "record duties",
            "calendar": "change the calendar",
            "read_disclosures": "read disclosures",
            "request_disclosures": "request disclosures",
            "approve_disclosures": "approve or refuse disclosures",
            "hand_out": "hand out what a disclosure holds",
        }[self.value]


RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    Role.REVIEWER: frozenset({Right.READ, Right.TRIAGE, Right.READ_DISCLOSURES, Right.REQUEST_DISCLOSURES}),
    Role.SECURITY_ADMIN: frozenset({Right.DUTIES, Right.READ_DISCLOSURES, Right.APPROVE_DISCLOSURES}),
    Role.AUDITOR: frozenset({Right.READ, Right.READ_DISCLOSURES}),
    Role.SYSTEM_ADMIN: frozenset({Right.CALENDAR}),
    Role.COMPLIANCE_HEAD: frozenset(Right),
    Role.COLLECTOR: frozenset(),
}
"""An auditor reads and changes nothing; a system administrator reads no content."""

_LOCAL: Final = "os:"
_SYSTEM: Final = "system:"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: ``name`` is the account (``os:USER`` before accounts exist, ``system:…`` for timed work)."""

    name: str
    roles: frozenset[Role] = frozenset()

    @classmethod
    def of(cls, given: Actor | str) -> Actor:
        """An actor from a bare name: only ``os:`` and ``system:`` names carry rights of themselves."""
        if isinstance(given, Actor):
            return given
        return cls(given, frozenset(Role) if given.startswith((_LOCAL, _SYSTEM)) else frozenset())

    @property
    def is_local(self) -> bool:
        """The user of the operating system, before accounts exist: never the second person of a two-person rule."""
        return self.name.startswith(_LOCAL)

    @property
    def is_system(self) -> bool:
        """Timed work of the program itself."""
        return self.name.startswith(_SYSTEM)

    def may(self, right: Right) -> bool:
        """Whether a role of the actor carries a right."""
        return any(right in RIGHTS[role] for role in self.roles)

    def require(self, right: Right) -> None:
        """Let the step go on.

        Raises:
            NotPermittedError: no role of the actor carries the right.
        """
        if not self.may(right):
            able = ", ".join(f"{role.value} {role.chinese}" for role in Role if right in RIGHTS[role])
            raise NotPermittedError(
                f"{self.name or 'This account'} may not {right.words}.", cure=f"Ask somebody who may: {able}."
            )
