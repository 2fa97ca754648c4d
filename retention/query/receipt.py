"""The receipt of a query, with its words opened by who has the archive's keys."""

from __future__ import annotations

from typing import Protocol

import orjson

from retention.crypto.bodies import BodyCipher
from retention.query.run import open_salted
from retention.transparency.keeping import LogKeeper
from retention.transparency.proofs import Proof
from retention.transparency.receipts import STARTED, events_of, prove_receipt


class Parts(Protocol):
    """What a receipt needs of an open store."""

    @property
    def bodies(self) -> BodyCipher:
        """Opens the query's words."""
        ...


def receipt(parts: Parts, log: LogKeeper, query_id: str) -> Proof:
    """That a query was asked and answered: its words, the state of the archive, the answer's digest.

    Raises:
        UsageError: there is no such query, it was not answered, or the log has not numbered it yet.
        IntegrityError: its record was changed.
        BusyError: the log grew whenever it was looked at.
    """
    with log.catalogue.read() as connection:
        found = events_of(connection, query_id)
    words, salt = open_salted(parts.bodies, query_id, orjson.loads(found[STARTED].body)["sealed"])
    return prove_receipt(log, query_id, words, salt)
