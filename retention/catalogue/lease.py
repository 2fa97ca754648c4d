"""A lease: one process at a time does the timed work of a store; another takes over when it dies."""

from __future__ import annotations

import json
import secrets
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError as ConstraintError

from errors import BusyError
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import meta, timestamp

DURATION: Final = timedelta(seconds=90)
"""How long a holder that says nothing keeps the lease."""


@dataclass(slots=True)
class Lease:
    """A lease by name, in the catalogue. ``holder`` is this process.

    Every change names the value that it replaces, so that no lock beyond the row's is needed: renewing is never
    refused because somebody else wrote meanwhile.
    """

    catalogue: Catalogue
    name: str
    holder: str = field(default_factory=lambda: f"{socket.gethostname()}:{secrets.token_hex(4)}")

    def take(self, *, now: datetime | None = None) -> None:
        """Take the lease, or keep it for another ``DURATION``.

        Raises:
            BusyError: another process holds it.
        """
        moment = now or datetime.now(UTC)
        key = f"lease.{self.name}"
        mine = json.dumps({"holder": self.holder, "until": timestamp(moment + DURATION)})
        try:
            with self.catalogue.write(row_locks=True) as connection:
                stored = connection.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar_one_or_none()
                if stored is None:
                    connection.execute(meta.insert().values(key=key, value=mine))
                    return
                held = json.loads(stored)
                if held["holder"] != self.holder and held["until"] > timestamp(moment):
                    raise self._busy(held["holder"], held["until"])
                changed = connection.execute(
                    meta.update().where(meta.c.key == key, meta.c.value == stored).values(value=mine)
                )
                if changed.rowcount != 1:
                    raise self._busy("another process", "now")
        except ConstraintError as error:
            raise self._busy("another process", "now") from error

    def give_back(self) -> None:
        """Let the next process begin at once."""
        key = f"lease.{self.name}"
        with self.catalogue.write(row_locks=True) as connection:
            stored = connection.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar_one_or_none()
            if stored is not None and json.loads(stored)["holder"] == self.holder:
                connection.execute(meta.delete().where(meta.c.key == key, meta.c.value == stored))

    def _busy(self, holder: str, until: str) -> BusyError:
        return BusyError(
            f"The {self.name} lease is held by {holder} until {until}.",
            cure="One worker at a time does the timed work of a store; this one may wait for its turn.",
        )
