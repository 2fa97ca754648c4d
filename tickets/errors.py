"""The queue's branch of the tree of errors."""

from __future__ import annotations

from errors import BusyError, IntegrityError, NotPermittedError, UnreachableError, UsageError


class TicketUnknownError(UsageError):
    """There is no ticket of that number."""


class NothingChosenError(UsageError):
    """A step on many tickets was given none, or its filter finds none."""


class TransitionError(UsageError):
    """The ticket's state does not allow this step."""


class HeldError(TransitionError):
    """Somebody else has the ticket: it is theirs to decide, until who acts takes it over."""


class TicketChangedError(BusyError):
    """Somebody else changed the ticket in the same moment."""


class SecondPersonError(NotPermittedError):
    """The step needs a second person: nobody approves what they decided themselves."""


class DeliveryError(UnreachableError):
    """A message could not be delivered now; it is tried again."""


class DeliveryRefusedError(UnreachableError):
    """The receiver refused a message for good: trying again would change nothing."""


class SignatureError(IntegrityError):
    """A signed message is not what its sender signed, or is too old."""


class ReportError(UsageError):
    """A report cannot be made or moved on like this."""
