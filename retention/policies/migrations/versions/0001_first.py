"""First tables: policies, units and subjects, holds, destruction, restrictions and requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "policy_versions",
        sa.Column("record_class", sa.String(32), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("floor", sa.String(16), nullable=False),
        sa.Column("ceiling", sa.String(16), nullable=False),
        sa.Column("counted_from", sa.String(32), nullable=False),
        sa.Column("basis", sa.Text, nullable=False),
        sa.Column("rank", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("proposed_by", sa.String(128), nullable=False),
        sa.Column("proposed_at", sa.String(32), nullable=False),
        sa.Column("approved_by", sa.String(128)),
        sa.Column("approved_at", sa.String(32)),
        sa.Column("in_force_from", sa.String(10)),
    )
    op.create_table(
        "retention_units",
        sa.Column("unit_id", number, primary_key=True, autoincrement=True),
        sa.Column("key_id", sa.String(64), nullable=False, unique=True),
        sa.Column("record_class", sa.String(32), nullable=False),
        sa.Column("destroyed_at", sa.String(32)),
    )
    op.create_index("retention_units_by_class", "retention_units", ["record_class"])
    op.create_table(
        "unit_segments",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("segment_id", sa.String(64), nullable=False, unique=True),
        sa.Column("unit_id", number, sa.ForeignKey("retention_units.unit_id"), nullable=False),
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("bytes_stored", sa.BigInteger, nullable=False),
        sa.Column("committed_at", sa.String(32), nullable=False),
    )
    op.create_index("unit_segments_by_unit", "unit_segments", ["unit_id"])
    op.create_table(
        "segment_lineage",
        sa.Column("segment_id", sa.String(64), primary_key=True),
        sa.Column("replaced", sa.String(64), primary_key=True),
    )
    op.create_index("segment_lineage_by_replaced", "segment_lineage", ["replaced"])
    op.create_table(
        "retention_subjects",
        sa.Column("record_class", sa.String(32), primary_key=True),
        sa.Column("blind", sa.LargeBinary(16), primary_key=True),
        sa.Column("first_on", sa.String(10), nullable=False),
        sa.Column("news_on", sa.String(10), nullable=False),
        sa.Column("ended_at", sa.String(32)),
        sa.Column("ended_on", sa.String(10)),
        sa.Column("open_at", sa.String(32)),
        sa.Column("decision", sa.String(32)),
        sqlite_with_rowid=False,
    )
    op.create_index("retention_subjects_by_news", "retention_subjects", ["record_class", "news_on"])
    op.create_table(
        "segment_subjects",
        sa.Column("number", number, sa.ForeignKey("unit_segments.number"), primary_key=True),
        sa.Column("blind", sa.LargeBinary(16), primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("segment_subjects_by_blind", "segment_subjects", ["blind"])
    op.create_table(
        "retention_decisions",
        sa.Column("decision_id", sa.String(32), primary_key=True),
        sa.Column("record_class", sa.String(32), nullable=False),
        sa.Column("blind", sa.LargeBinary(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("ended_on", sa.String(10), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("proposed_by", sa.String(128), nullable=False),
        sa.Column("proposed_at", sa.String(32), nullable=False),
        sa.Column("approved_by", sa.String(128)),
        sa.Column("approved_at", sa.String(32)),
    )
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.String(32), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("matter_blind", sa.String(64), nullable=False),
        sa.Column("record_class", sa.String(32)),
        sa.Column("since", sa.String(32)),
        sa.Column("until", sa.String(32)),
        sa.Column("placed_by", sa.String(128), nullable=False),
        sa.Column("placed_at", sa.String(32), nullable=False),
        sa.Column("released_by", sa.String(128)),
        sa.Column("released_at", sa.String(32)),
        sa.Column("release_sealed", sa.LargeBinary),
        sa.Column("proof_digest", sa.String(64)),
    )
    op.create_index("holds_by_state", "holds", ["state", "kind"])
    op.create_table(
        "hold_segments",
        sa.Column("hold_id", sa.String(32), sa.ForeignKey("holds.hold_id"), primary_key=True),
        sa.Column("segment_id", sa.String(64), primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
    )
    op.create_index("hold_segments_by_segment", "hold_segments", ["segment_id"])
    op.create_table(
        "object_holds",
        sa.Column("segment_id", sa.String(64), primary_key=True),
        sa.Column("object_name", sa.Text, nullable=False),
    )
    op.create_table(
        "purges",
        sa.Column("purge_id", sa.String(32), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("plan_digest", sa.String(64), nullable=False),
        sa.Column("planned_by", sa.String(128), nullable=False),
        sa.Column("planned_at", sa.String(32), nullable=False),
        sa.Column("approved_by", sa.String(128)),
        sa.Column("approved_at", sa.String(32)),
        sa.Column("waits_until", sa.String(32)),
        sa.Column("started_at", sa.String(32)),
        sa.Column("finished_at", sa.String(32)),
        sa.Column("final_after", sa.String(32)),
        sa.Column("certificate", sa.Text),
        sa.Column("signature", sa.Text),
    )
    op.create_index("purges_by_state", "purges", ["state"])
    op.create_table(
        "purge_units",
        sa.Column("purge_id", sa.String(32), sa.ForeignKey("purges.purge_id"), primary_key=True),
        sa.Column("unit_id", number, primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("record_class", sa.String(32), nullable=False),
        sa.Column("periods", sa.Text, nullable=False),
        sa.Column("segments", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("bytes_stored", sa.BigInteger, nullable=False),
        sa.Column("kept_rows", sa.BigInteger, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("expired_on", sa.String(10), nullable=False),
        sa.Column("key_fingerprint", sa.String(64)),
        sa.Column("why_not", sa.Text),
        sa.Column("destroyed_at", sa.String(32)),
    )
    op.create_index("purge_units_by_unit", "purge_units", ["unit_id"])
    op.create_table(
        "purge_segments",
        sa.Column("purge_id", sa.String(32), sa.ForeignKey("purges.purge_id"), primary_key=True),
        sa.Column("segment_id", sa.String(64), primary_key=True),
        sa.Column("unit_id", number, nullable=False),
        sa.Column("object_name", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("bytes_stored", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("ciphertext_digest", sa.String(64), nullable=False),
    )
    op.create_index("purge_segments_by_segment", "purge_segments", ["segment_id"])
    op.create_table(
        "destroyed_places",
        sa.Column("segment_id", sa.String(64), primary_key=True),
        sa.Column("source", sa.String(128), primary_key=True),
        sa.Column("partition", sa.Text, primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
    )
    op.create_index("destroyed_places_by_batch", "destroyed_places", ["source", "partition", "start"])
    op.create_table(
        "restrictions",
        sa.Column("restriction_id", sa.String(32), primary_key=True),
        sa.Column("account_blind", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("request_id", sa.String(32)),
        sa.Column("made_by", sa.String(128), nullable=False),
        sa.Column("made_at", sa.String(32), nullable=False),
        sa.Column("lifted_by", sa.String(128)),
        sa.Column("lifted_at", sa.String(32)),
    )
    op.create_index("restrictions_by_state", "restrictions", ["state"])
    op.create_index("restrictions_by_account", "restrictions", ["account_blind"])
    op.create_table(
        "person_requests",
        sa.Column("request_id", sa.String(32), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("account_blind", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("received_at", sa.String(32), nullable=False),
        sa.Column("due_on", sa.String(10), nullable=False),
        sa.Column("received_by", sa.String(128), nullable=False),
        sa.Column("answered_by", sa.String(128)),
        sa.Column("answered_at", sa.String(32)),
        sa.Column("outcome", sa.String(16)),
        sa.Column("answer_sealed", sa.LargeBinary),
    )
    op.create_index("person_requests_by_state", "person_requests", ["state", "due_on"])
    op.create_index("person_requests_by_account", "person_requests", ["account_blind"])
