"""Large values of events are packed by LZ4 where the server has it: most are sealed, and PGLZ tries them in vain.

Of four thousand events a transaction that is a quarter of their insertion's time. What was written stays as it is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Choose the method for what is written from now on."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    methods = sa.text("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
    if "lz4" in (connection.execute(methods).scalar_one_or_none() or ()):
        for column in ("body", "payload"):
            op.execute(f"ALTER TABLE events ALTER COLUMN {column} SET COMPRESSION lz4")
