"""A keeper for tables with sealed bodies in their rows: seals anew what stays, empties what goes (``purge.beside``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from errors import BusyError, IntegrityError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.policies.periods import stored_date
from retention.purge.beside import Bodies, Keeper, Turn

_LOOK_UP: Final = 500


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
        """The rows of these numbers, bodies and all."""
        return self._chosen(connection, ids, self.table.columns)

    def versions(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, tuple[object, ...]]:
        """What the rows of these numbers are now, as ``version`` says; of the bodies only their lengths are read."""
        c = self.table.c
        lengths = [sa.func.length(c[name]).label(f"length_{name}") for name in self.bodies]
        seen = [c[name] for name in self.seen]
        rows = self._chosen(connection, ids, [c[self.number], c.text_key, *lengths, *seen])
        return {str(number): tuple(values) for number, *values in rows}

    def _chosen(self, connection: sa.Connection, ids: Sequence[str], columns: Iterable[Any]) -> list[Any]:
        c = self.table.c[self.number]
        values = self.numbers(ids)
        wanted = list(columns)
        found: list[Any] = []
        for begin in range(0, len(values), _LOOK_UP):
            part = sa.select(*wanted).where(c.in_(values[begin : begin + _LOOK_UP])).order_by(c)
            found += connection.execute(part).all()
        return found

    def numbers(self, ids: Sequence[str]) -> list[Any]:
        """Numbers as the table has them."""
        whole = isinstance(self.table.c[self.number].type, sa.Integer)
        return [int(one) for one in ids] if whole else list(ids)

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
        if filed.versions(connection, sorted(self.versions)) != self.versions:
            raise BusyError(f"Some {filed.table.name} changed while they were sealed anew.", cure="Run it again.")
        names = sorted(self.versions)
        numbers = dict(zip(names, filed.numbers(names), strict=True))
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

    def prepare(self, connection: sa.Connection, bodies: Bodies, turn: Turn) -> SealedRows:
        """Read and seal anew what stays (``beside.Keeper``)."""
        filed = self.filed
        # No key is made where nothing stays: one that seals nothing would have to be destroyed by hand.
        key_id = bodies.text_key(turn.month, filed.record_class) if turn.stay else ""
        rows = filed.rows(connection, [*turn.stay, *turn.go])
        staying = set(turn.stay)
        made = {
            filed.name(row): {
                name: _anew(bodies, getattr(row, name), filed.context(row, name), key_id) for name in filed.bodies
            }
            for row in rows
            if filed.name(row) in staying
        }
        versions = {filed.name(row): filed.version(row) for row in rows}
        return SealedRows(filed, key_id, turn.purge_id, versions, made, tuple(turn.go))


def _anew(bodies: Bodies, body: bytes, context: bytes, key_id: str) -> bytes:
    # What was emptied before (a message that was delivered) is counted under the key all the same.
    return bodies.seal(bodies.open(body, context), context, under=key_id) if body else b""


def seal_lacking_rows(
    catalogue: Catalogue,
    bodies: Bodies,
    filed: FiledRows,
    keeper: Keeper,
    *,
    subject: str,
    kind: str,
    most: int = 500,
    also: Callable[[sa.Connection, Any], None] | None = None,
) -> tuple[int, list[str]]:
    """Put what was written before there were such keys under that of its month, the oldest first, ``most`` of it;
    ``also`` is done in the same transaction with each row as it was.

    Returns:
        How many, and the subjects of which something is damaged, each once: they stay as they are, keep nobody
        behind them waiting, and the next round tries again.
    """
    done, damaged = 0, list[str]()
    last: Any = None
    while done < most:
        with catalogue.read() as connection:
            found = _lacking(connection, filed, last)
        if not found:
            break
        for number, made_at in found:
            last = (made_at, number)
            month = f"{stored_date(made_at):%Y-%m}"
            try:
                with catalogue.read() as connection:
                    rows = filed.rows(connection, [str(number)])
                    if not _still_lacks(filed, rows):
                        continue
                    made = keeper.prepare(connection, bodies, Turn(month, [str(number)]))
                with catalogue.write() as connection:
                    made.write(connection)
                    if also is not None:
                        also(connection, *rows)
                    said = {"key": made.key_id}
                    events.append(connection, kind=kind, actor="system:texts", subject=f"{subject}:{number}", body=said)
            except IntegrityError:
                damaged.append(f"{subject}:{number}")
            except BusyError:
                continue  # it is being sent, or somebody works on it: the next round takes it again
            else:
                done += 1
            if done >= most:
                break
    return done, damaged


def _still_lacks(filed: FiledRows, rows: Sequence[Any]) -> bool:
    """Whether what a page named is there and full, and nobody else sealed it meanwhile."""
    return any(row.text_key is None and any(getattr(row, name) for name in filed.bodies) for row in rows)


def _lacking(connection: sa.Connection, filed: FiledRows, last: tuple[str, Any] | None) -> Sequence[Any]:
    """Number and time of rows without a key after the ``last`` one looked at: page by page, without their bodies."""
    c = filed.table.c
    number, at = c[filed.number], c[filed.made]
    full = sa.or_(*(sa.func.length(c[name]) > 0 for name in filed.bodies))
    chosen = sa.select(number, at).where(c.text_key.is_(None), c.texts_gone.is_(None), full)
    if last is not None:
        chosen = chosen.where(sa.tuple_(at, number) > sa.tuple_(*map(sa.literal, last)))
    return connection.execute(chosen.order_by(at, number).limit(_LOOK_UP)).all()
