"""How long titles and evidence of duties live: sealed under a key a month, emptied when that key is destroyed.

What decides is the archive's retention (class ``duty``). An emptied duty keeps its kind, times, persons and receipt,
and the names and digests of its files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from errors import BusyError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.sets import among
from retention.crypto.bodies import DUTIES
from retention.purge.beside import Bodies, Kept, Turn, register
from retention.purge.filed_rows import FiledRows, RowKeeper, SealedRows, seal_lacking_rows
from tickets.duties import duty_context
from tickets.evidence import file_context
from tickets.tables_sending import duties
from tickets.tables_work import files

DUTY: Final = FiledRows(
    DUTIES,
    duties,
    "duty_id",
    made="created_at",
    bodies=("title",),
    context=lambda row, _: duty_context(row.duty_id),
    seen=("version",),
)
_KEPT: Final = "duty.texts_kept"
_PREFIX: Final = "duty:"


@dataclass(slots=True)
class SealedDuties:
    """Duties and their files sealed anew and not yet written; a file that goes has an empty body."""

    rows: SealedRows
    subjects: tuple[str, ...]
    files: dict[int, bytes] = field(default_factory=dict)

    @property
    def key_id(self) -> str:
        """The key that they are sealed under."""
        return self.rows.key_id

    def write(self, connection: sa.Connection) -> None:
        """Put them in place; each file has an event, for its row's image.

        Raises:
            BusyError: a duty changed since it was read, or got another file.
        """
        self.rows.write(connection)
        here = sa.select(files.c.id).where(among(connection, files.c.subject, self.subjects))
        if set(connection.execute(here).scalars()) != set(self.files):
            raise BusyError("A duty got another file while it was sealed anew.", cure="Run it again.")
        for number, body in self.files.items():
            connection.execute(files.update().where(files.c.id == number).values(body=body))
        for kind, there in (("evidence.sealed_anew", True), ("evidence.destroyed", False)):
            said: list[tuple[str, dict[str, object]]] = [
                (f"file:{number}", {"purge": self.rows.purge_id, "key": self.key_id or None})
                for number, body in self.files.items()
                if bool(body) is there
            ]
            events.append_many(connection, said, kind=kind, actor="system:texts")


class DutyKeeper:
    """Seals and empties duties on behalf of ``retention.purge``."""

    def prepare(self, connection: sa.Connection, bodies: Bodies, turn: Turn) -> SealedDuties:
        """Read and seal anew what stays (``beside.Keeper``)."""
        rows = RowKeeper(DUTY).prepare(connection, bodies, turn)
        staying = {f"{_PREFIX}{name}" for name in turn.stay}
        subjects = (*sorted(staying), *(f"{_PREFIX}{name}" for name in turn.go))
        made = SealedDuties(rows, subjects)
        for row in _files(connection, subjects):
            if row.subject in staying:
                context = file_context(row.subject, row.name, row.at, row.sha256)
                made.files[row.id] = bodies.seal(bodies.open(row.body, context), context, under=rows.key_id)
            else:
                made.files[row.id] = b""
        return made


def _files(connection: sa.Connection, subjects: Sequence[str]) -> Sequence[Any]:
    return connection.execute(sa.select(files).where(among(connection, files.c.subject, subjects))).all()


register(
    DUTIES,
    Kept(
        DutyKeeper(),
        "duty",
        _KEPT,
        "duty.texts_destroyed",
        duties.name,
        sealed=(duties.c.title, files.c.body),
    ),
)


def seal_duties_lacking(catalogue: Catalogue, bodies: Bodies) -> tuple[int, list[str]]:
    """Put duties from before there were such keys, files included, under that of their month.

    Returns:
        How many, and the subjects (``duty:…``) of which something is damaged: they stay as they are.
    """
    return seal_lacking_rows(catalogue, bodies, DUTY, DutyKeeper(), subject="duty", kind=_KEPT)
