"""What runs declared of their sources: the record class, and which fields are public. Each change is an event.

The settings declare sources too; a source named on a command line is known only from here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.tables import events as event_table

DECLARED: Final = "source.declared"
ACTOR: Final = "system:run"


@dataclass(frozen=True, slots=True)
class DeclaredSource:
    """A source as it was declared. ``published`` says field by field whether its text is public."""

    name: str
    record_class: str
    published: Mapping[str, bool] = field(default_factory=dict)

    @property
    def scanned(self) -> tuple[str, ...]:
        """Fields whose text is scanned."""
        return tuple(sorted(name for name, public in self.published.items() if public))


def declare(connection: sa.Connection, source: DeclaredSource) -> bool:
    """Record a declaration where it differs from the last one of the source; whether it did."""
    body = {"record_class": source.record_class, "published": dict(sorted(source.published.items()))}
    if _last(connection, source.name) == body:
        return False
    events.append(connection, kind=DECLARED, actor=ACTOR, subject=f"source:{source.name}", body=body)
    return True


def declarations(connection: sa.Connection) -> tuple[DeclaredSource, ...]:
    """The last declaration of every source that was ever run, by name."""
    c = event_table.c
    newest = sa.select(sa.func.max(c.id)).where(c.kind == DECLARED).group_by(c.subject)
    rows = connection.execute(sa.select(c.subject, c.body).where(c.id.in_(newest)).order_by(c.subject))
    return tuple(_read(row.subject.removeprefix("source:"), json.loads(row.body)) for row in rows)


def _last(connection: sa.Connection, name: str) -> object:
    c = event_table.c
    found = connection.execute(
        sa.select(c.body).where(c.kind == DECLARED, c.subject == f"source:{name}").order_by(c.id.desc()).limit(1)
    ).scalar()
    return None if found is None else json.loads(found)


def _read(name: str, body: Mapping[str, object]) -> DeclaredSource:
    published = body.get("published")
    fields = {str(key): value is True for key, value in published.items()} if isinstance(published, dict) else {}
    return DeclaredSource(name, str(body.get("record_class", "")), fields)
