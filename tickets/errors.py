"""The queue's branch of the tree of errors."""

from __future__ import annotations

from errors import BusyError, NotPermittedError, UsageError


class TicketUnknownError(UsageError):
    """There is no ticket of that number."""


class TransitionError(UsageError):
    """The ticket's state does not allow this step."""


class TicketChangedError(BusyError):
    """Somebody else changed the ticket in the same moment."""


class SecondPersonError(NotPermittedError):
    """The step needs a second person: nobody approves what they decided themselves."""
