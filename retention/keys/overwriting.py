"""Gets rid of what a database still keeps of a changed row: SQLite's journal, PostgreSQL's dead rows.

Both hold a destroyed key wrapped under the provider's key; backups, standbys and archived write-ahead
logs are other copies, which must not outlive their 30 days (docs/storage.md).
"""

from __future__ import annotations

from errors import BusyError
from retention.catalogue.engine import Catalogue
from retention.catalogue.failures import translated
from retention.catalogue.journal import cut_journal
from retention.keys.tables import metadata


def overwrite_old_rows(database: Catalogue) -> None:
    """Move SQLite's journal into its file and cut it; write PostgreSQL's tables anew, without dead rows.

    Raises:
        BusyError: a reader of another process holds on to them.
        StorageError, UnreachableError: the database cannot be used.
    """
    if database.engine.dialect.name == "postgresql":
        _rewrite_tables(database)
    else:
        _cut_journal(database)


def _rewrite_tables(database: Catalogue) -> None:
    with translated(), database.engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        for table in metadata.sorted_tables:
            connection.exec_driver_sql(f'VACUUM FULL "{table.name}"')


def _cut_journal(database: Catalogue) -> None:
    if not cut_journal(database):
        raise BusyError(
            "The keys are changed, but a reader keeps their journal open, which may still hold old pages.",
            cure="Stop other Liucun processes and run the same command again.",
        )
