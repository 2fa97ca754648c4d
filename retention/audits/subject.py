"""What an audit looks at, and the conditions that its span puts on the catalogue's rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import sqlalchemy as sa

from retention.audits.report import Span
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp
from retention.objects.base import ObjectStore
from retention.segments import Archive

Progress = Callable[[str, int, int], None]
"""Called with what is being checked, how many are done, and how many there are."""


class Subject(Protocol):
    """An open store, as far as audits need it."""

    @property
    def catalogue(self) -> Catalogue:
        """What should be there."""
        ...

    @property
    def archive(self) -> Archive:
        """What is there, and the keys to read it."""
        ...

    @property
    def objects(self) -> ObjectStore:
        """Where it lies."""
        ...


def within(span: Span, committed_at: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """The rows that were committed in a span."""
    conditions: list[sa.ColumnElement[bool]] = [sa.true()]
    if span.since is not None:
        conditions.append(committed_at >= timestamp(span.since))
    if span.until is not None:
        conditions.append(committed_at < timestamp(span.until))
    return sa.and_(*conditions)


def no_progress(_what: str, _done: int, _total: int) -> None:
    """For callers that show none."""
