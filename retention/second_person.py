"""The two-person rule 双人复核, in one place: who approves is another person, and one with an account."""

from __future__ import annotations

from typing import Final

from errors import NotPermittedError

LOCAL: Final = "os:"
SYSTEM: Final = "system:"


class SecondPersonError(NotPermittedError):
    """Who asked for a step may not be the one who approves it, nor may anybody without an account."""


def check_second_person(actor: str, *others: str, what: str) -> None:
    """Let ``actor`` approve what ``others`` asked for or approved before.

    A user of the operating system (``os:…``) can be anybody who shares the machine, the actor's other self too, and
    timed work is nobody.

    Raises:
        SecondPersonError: he is one of the others, he or one of them is no account.
    """
    if actor in others:
        raise SecondPersonError(
            f"{actor} has a part in {what} already and cannot approve it.", cure="Let another person approve."
        )
    if actor.startswith((LOCAL, SYSTEM)):
        raise SecondPersonError(
            f"{actor} is no account and cannot be the second person for {what}.",
            cure="Let somebody with an account approve: sign in at the console, or set LIUCUN_TOKEN to their token.",
        )
    local = next((other for other in others if other.startswith(LOCAL)), None)
    if local is not None:
        raise SecondPersonError(
            f"{local}, who has a part in {what}, is no account: nobody can tell whether that is {actor} himself.",
            cure="Let the first person act with an account as well (console, or LIUCUN_TOKEN), and begin again.",
        )


def nobody_second(approved_by: str | None, planned_by: str) -> bool:
    """Whether what is on record of a step shows no second person, by the same rule."""
    if approved_by is None:
        return True
    try:
        check_second_person(approved_by, planned_by, what="it")
    except SecondPersonError:
        return True
    return False
