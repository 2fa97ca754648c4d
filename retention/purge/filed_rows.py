"""A keeper for tables with sealed bodies in their rows: seals anew what stays, empties what goes (``purge.beside``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import sqlalchemy as sa

from errors import BusyError, IntegrityError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.policies.periods import stored_date

_LOOK_UP: Final = 500


class Bodies(Protocol):
    """Seals small values for the database (``retention.crypto.bodies``)."""

    def seal(self, plaintext: bytes, context: bytes, *, under: str | None = None) -> bytes:
        """Seal a value under a key of that id."""
        ...

    def open(self, blob: bytes, context: bytes) -> bytes:
        """Open it again."""
        ...

    def text_key(self, month: str, record_class: str = ...) -> str:
        """Id of the key of a month and class."""
        ...


@dataclass(frozen=True, slots=True)
class FiledRows:
    """A table whose rows have sealed ``bodies``, ``text_key`` and ``texts_gone``.

    ``context`` says what the body of a row and column is bound to; ``made`` is the column with the time of a row;
    ``seen`` are columns by which a change is noticed, ``cleared`` further ones that are emptied, ``linked`` tables
    whose rows (by their first primary key column) go with an emptied one.
    """

    record_class: str
    table: sa.Table
    number: str
    made: str
    bodies: tuple[str, ...]
    context: Callable[[Any, str], bytes]
    seen: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()
    linked: tuple[sa.Table, ...] = ()

    def rows(self, connection: sa.Connection, ids: Sequence[str]) -> list[Any]:
        """The rows of these numbers."""
        c = self.table.c[self.number]
        values = [int(one) for one in ids] if isinstance(c.type, sa.Integer) else list(ids)
        found: list[Any] = []
        for begin in range(0, len(values), _LOOK_UP):
            part = sa.select(self.table).where(c.in_(values[begin : begin + _LOOK_UP])).order_by(c)
            found += connection.execute(part).all()
        return found

    def name(self, row: Any) -> str:
        """The number of a row, as text."""
        return str(getattr(row, self.number))

    def version(self, row: Any) -> tuple[object, ...]:
        """What a row was when it was read."""
        lengths = (len(getattr(row, name)) for name in self.bodies)
        return (row.text_key, *lengths, *(getattr(row, name) for name in self.seen))


@dataclass(slots=True)
class SealedRows:
    """Rows sealed anew and not yet written: the new bodies of each that stays; of those that go there are none."""

    filed: FiledRows
    key_id: str
    purge_id: str | None
    versions: dict[str, tuple[object, ...]]
    bodies: dict[str, dict[str, bytes]]
    emptied: tuple[str, ...] = ()

    def write(self, connection: sa.Connection) -> None:
        """Put the rows in place.

        Raises:
            BusyError: one changed since it was read.
        """
        filed = self.filed
        now = filed.rows(connection, sorted(self.versions))
        if {filed.name(row): filed.version(row) for row in now} != self.versions:
            raise BusyError(f"Some {filed.table.name} changed while they were sealed anew.", cure="Run it again.")
        numbers = {filed.name(row): getattr(row, filed.number) for row in now}
        here = filed.table.c[filed.number] == sa.bindparam("b_id")
        if self.bodies:
            values: dict[str, Any] = {name: sa.bindparam(f"b_{name}") for name in filed.bodies}
            connection.execute(
                filed.table.update().where(here).values(**values, text_key=self.key_id),
                [
                    {"b_id": numbers[name], **{f"b_{column}": body for column, body in made.items()}}
                    for name, made in self.bodies.items()
                ],
            )
        if self.emptied:
            gone = [{"b_id": numbers[name]} for name in self.emptied]
            empty: dict[str, Any] = {"text_key": None, "texts_gone": self.purge_id}
            empty |= dict.fromkeys(filed.bodies, b"") | dict.fromkeys(filed.cleared)
            connection.execute(filed.table.update().where(here).values(**empty), gone)
            for table in filed.linked:
                first = next(iter(table.primary_key.columns))
                connection.execute(table.delete().where(first == sa.bindparam("b_id")), gone)


@dataclass(frozen=True, slots=True)
class RowKeeper:
    """Seals and empties one table on behalf of ``retention.purge``."""

    filed: FiledRows

    def prepare(
        self,
        connection: sa.Connection,
        bodies: Bodies,
        purge_id: str | None,
        *,
        stay: Sequence[str],
        go: Sequence[str],
        month: str,
    ) -> SealedRows:
        """Read and seal anew what stays under the key of ``month``.

        Raises:
            IntegrityError, KeyAccessError: what must stay cannot be opened.
        """
        filed = self.filed
        # No key is made where nothing stays: one that seals nothing would have to be destroyed by hand.
        key_id = bodies.text_key(month, filed.record_class) if stay else ""
        rows = filed.rows(connection, [*stay, *go])
        staying = set(stay)
        made = {
            filed.name(row): {
                name: _anew(bodies, getattr(row, name), filed.context(row, name), key_id) for name in filed.bodies
            }
            for row in rows
            if filed.name(row) in staying
        }
        return SealedRows(
            filed, key_id, purge_id, {filed.name(row): filed.version(row) for row in rows}, made, tuple(go)
        )


def _anew(bodies: Bodies, body: bytes, context: bytes, key_id: str) -> bytes:
    # What was emptied before (a message that was delivered) is counted under the key all the same.
    return bodies.seal(bodies.open(body, context), context, under=key_id) if body else b""


class _Keeps(Protocol):
    def prepare(
        self,
        connection: sa.Connection,
        bodies: Any,
        purge_id: str | None,
        *,
        stay: Sequence[str],
        go: Sequence[str],
        month: str,
    ) -> Any: ...


def seal_lacking_rows(
    catalogue: Catalogue,
    bodies: Bodies,
    filed: FiledRows,
    keeper: _Keeps,
    *,
    subject: str,
    kind: str,
    most: int = 500,
    also: Callable[[sa.Connection, Any], None] | None = None,
) -> tuple[int, list[str]]:
    """Put what was written before there were such keys under that of its month; ``also`` is done in the same
    transaction with each row as it was.

    Returns:
        How many, and the subjects of which something is damaged: they stay as they are, and the next round tries again.
    """
    c = filed.table.c
    full = sa.or_(*(sa.func.length(c[name]) > 0 for name in filed.bodies))
    lacking = sa.select(filed.table).where(c.text_key.is_(None), c.texts_gone.is_(None), full)
    with catalogue.read() as connection:
        rows = connection.execute(lacking.order_by(c[filed.made]).limit(most)).all()
    done, damaged = 0, []
    for row in rows:
        name = filed.name(row)
        month = f"{stored_date(getattr(row, filed.made)):%Y-%m}"
        try:
            with catalogue.read() as connection:
                made = keeper.prepare(connection, bodies, None, stay=[name], go=(), month=month)
            with catalogue.write() as connection:
                made.write(connection)
                if also is not None:
                    also(connection, row)
                said = {"key": made.key_id}
                events.append(connection, kind=kind, actor="system:texts", subject=f"{subject}:{name}", body=said)
        except IntegrityError:
            damaged.append(f"{subject}:{name}")
        except BusyError:
            continue  # it is being sent, or somebody works on it: the next round takes it again
        else:
            done += 1
    return done, damaged
