"""Cuts SQLite's write-ahead journal: what it holds goes into the file, and the journal becomes empty."""

from __future__ import annotations

import sqlite3

from errors import StorageError
from retention.catalogue.engine import Catalogue


def cut_journal(database: Catalogue) -> bool:
    """Move the journal into the file and truncate it; False when a reader of another process keeps it open.

    Raises:
        StorageError: the disk refused, or the connection is lost. The journal stays whole; do it again.
    """
    with database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        if driver is None:
            raise StorageError("The database lost its connection.", cure="Run the command again.")
        try:
            # Outside of a transaction, which SQLAlchemy would begin.
            busy = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            if "locked" in str(error) or "busy" in str(error):
                return False
            raise StorageError(
                f"The database's journal cannot be emptied: {error}.",
                cure="What was changed is safe. Check the disk's free space, then run the same command again.",
            ) from error
    return not busy
