"""Who acts, with which rights (separation of duties 职责分离), checked in the service itself."""

from __future__ import annotations

from dataclasses import dataclass

from errors import NotPermittedError
from retention.second_person import LOCAL, SYSTEM
from tickets.rights import OPERATING, Right, Role, holders, permissions

__all__ = ["Actor", "Right", "Role"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: ``name`` is the account (``os:USER`` without one, ``system:…`` for timed work).

    ``within`` is what a token was made for, or None: an actor may do no more than both it and the roles allow.
    """

    name: str
    roles: frozenset[Role] = frozenset()
    within: frozenset[Right] | None = None

    @classmethod
    def of(cls, given: Actor | str) -> Actor:
        """An actor from a bare name: only ``os:`` and ``system:`` names carry rights of themselves."""
        if isinstance(given, Actor):
            return given
        return cls(given, frozenset(Role) if given.startswith((LOCAL, SYSTEM)) else frozenset())

    @classmethod
    def operator(cls, name: str) -> Actor:
        """A user of the operating system in a store that has accounts: runs it, decides nothing, reads no content."""
        return cls(name, frozenset(Role), OPERATING)

    @property
    def is_local(self) -> bool:
        """A user of the operating system: never the second person of a two-person rule."""
        return self.name.startswith(LOCAL)

    @property
    def is_system(self) -> bool:
        """Timed work of the program itself."""
        return self.name.startswith(SYSTEM)

    def may(self, right: Right) -> bool:
        """Whether a role of the actor carries a right, and what he acts by was made for it."""
        return right in permissions(self.roles) and (self.within is None or right in self.within)

    def require(self, right: Right) -> None:
        """Let the step go on.

        Raises:
            NotPermittedError: no role of the actor carries the right, or the token was not made for it.
        """
        if self.may(right):
            return
        lacks = f"{self.name or 'This account'} lacks the right {right.value}."
        if self.is_local:
            raise NotPermittedError(
                f"{lacks} The store has accounts: a user of the operating system runs it and decides nothing.",
                cure=f"Set LIUCUN_TOKEN to the token of somebody who may: {holders(right)}.",
            )
        if right in permissions(self.roles):
            raise NotPermittedError(lacks, cure="The token was not made for it: make one on the page of your account.")
        raise NotPermittedError(lacks, cure=f"Ask somebody who may: {holders(right)}.")
