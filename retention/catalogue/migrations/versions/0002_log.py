"""The transparency log: what waits for a number, leaves, nodes, entry objects, checkpoints; events carry row images."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the log's tables; every event and segment that is there already waits for its number."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    moment, digest = sa.String(32), sa.LargeBinary
    with op.batch_alter_table("events") as table:
        table.add_column(sa.Column("salt", sa.LargeBinary))
        table.add_column(sa.Column("images", sa.Text))
        table.add_column(sa.Column("payload", sa.LargeBinary))
    op.create_table(
        "log_pending",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("ref", sa.String(64), nullable=False),
    )
    op.create_table(
        "log_leaves",
        sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("ref", sa.String(64), nullable=False),
        sa.Column("hash", digest, nullable=False),
        sa.UniqueConstraint("type", "ref"),
    )
    op.create_table(
        "log_nodes",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", digest, nullable=False),
    )
    op.create_table(
        "log_entries",
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("object_name", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "checkpoints",
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("root", digest, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("object_name", sa.Text),
    )
    op.create_table(
        "image_shapes",
        sa.Column("shape", sa.String(16), primary_key=True),
        sa.Column("columns", sa.Text, nullable=False),
    )
    op.create_table(
        "retired_segments",
        sa.Column("segment_id", sa.String(64), primary_key=True),
        sa.Column("object_name", sa.Text, nullable=False, unique=True),
        sa.Column("record_class", sa.String(32), nullable=False),
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("bytes_stored", sa.BigInteger, nullable=False),
        sa.Column("manifest", sa.LargeBinary, nullable=False),
        sa.Column("committed_at", moment, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("successor", sa.String(64)),
        sa.Column("retired_at", moment, nullable=False),
        sa.Column("object_deleted_at", moment),
    )
    op.create_table(
        "tombstones",
        sa.Column("object_name", sa.String(512), primary_key=True),
        sa.Column("seen_at", moment, nullable=False),
        sa.Column("condemned_at", moment),
        sa.Column("deleted_at", moment),
    )
    op.execute(sa.text("INSERT INTO log_pending (type, ref) SELECT 'segment', segment_id FROM segments"))
    op.execute(sa.text("INSERT INTO log_pending (type, ref) SELECT 'event', CAST(id AS VARCHAR(64)) FROM events"))
