"""What runs declared of their sources: the record class, and which fields are public. Each change is an event.

Runs also note fields that hold text and that nobody declared.

The settings declare sources too; a source named on a command line is known only from here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.tables import events as event_table

DECLARED: Final = "source.declared"
FIELDS: Final = "source.fields"
ACTOR: Final = "system:run"
MOST_FIELDS: Final = 100
"""Fields of a source that are noted; keys that a platform makes from data would have no end."""
MOST_NAME: Final = 64
"""Characters of a field's name that are noted."""


@dataclass(frozen=True, slots=True)
class DeclaredSource:
    """A source as it was declared. ``published`` says field by field whether its text is public.

    ``columns`` are the columns that the fields of ``published`` fill, where they have other names: what is said of the
    one is said of the other.

    ``gapless``: a topic that is neither compacted nor written in transactions, so that no offset may be without a
    message; settings say so, command lines do not.
    """

    name: str
    record_class: str
    published: Mapping[str, bool] = field(default_factory=dict)
    gapless: bool = False
    columns: frozenset[str] = frozenset()

    @property
    def scanned(self) -> tuple[str, ...]:
        """Fields whose text is scanned."""
        return tuple(sorted(name for name, public in self.published.items() if public))


def declare(connection: sa.Connection, source: DeclaredSource) -> bool:
    """Record a declaration where it differs from the last one of the source; whether it did."""
    body: dict[str, object] = {
        "record_class": source.record_class,
        "published": dict(sorted(source.published.items())),
    }
    if others := sorted(source.columns - source.published.keys()):
        body["columns"] = others
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


def note_fields(connection: sa.Connection, source: str, fields: Collection[str]) -> None:
    """Put on record that fields of a source hold text of which nobody has said whether it is public; each once."""
    if new := fresh_fields(connection, source, fields):
        body = {"fields": new}
        events.append(connection, kind=FIELDS, actor=ACTOR, subject=f"source:{source}", body=body)


def fresh_fields(connection: sa.Connection, source: str, fields: Collection[str]) -> list[str]:
    """Which of these fields are still to be noted, sorted; as many as there is room for.

    Asked outside of a batch's transaction too: there, what others write beside would make PostgreSQL refuse it.
    """
    if not fields:
        return []
    known = _noted(connection, source)
    return sorted({name[:MOST_NAME] for name in fields} - known)[: MOST_FIELDS - len(known)]


def undeclared_fields(connection: sa.Connection, source: DeclaredSource) -> list[str]:
    """Fields on record as holding text that the source's declaration, as it is now, does not name; sorted."""
    decided = source.published.keys() | source.columns
    return sorted(_noted(connection, source.name) - {name[:MOST_NAME] for name in decided})


def _noted(connection: sa.Connection, name: str) -> set[str]:
    c = event_table.c
    subject = f"source:{name}"
    bodies = connection.execute(sa.select(c.body).where(c.kind == FIELDS, c.subject == subject)).scalars().all()
    return {
        str(field)
        for body in [*bodies, *events.appended(connection, FIELDS, subject)]
        for field in json.loads(body)["fields"]
    }


def _last(connection: sa.Connection, name: str) -> object:
    c = event_table.c
    if here := events.appended(connection, DECLARED, f"source:{name}"):
        return json.loads(here[-1])
    found = connection.execute(
        sa.select(c.body).where(c.kind == DECLARED, c.subject == f"source:{name}").order_by(c.id.desc()).limit(1)
    ).scalar()
    return None if found is None else json.loads(found)


def _read(name: str, body: Mapping[str, object]) -> DeclaredSource:
    published = body.get("published")
    fields = {str(key): value is True for key, value in published.items()} if isinstance(published, dict) else {}
    columns = body.get("columns")
    others = frozenset(map(str, columns)) if isinstance(columns, list) else frozenset()
    return DeclaredSource(name, str(body.get("record_class", "")), fields, columns=others)
