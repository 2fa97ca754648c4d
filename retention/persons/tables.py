"""Tables of restrictions and requests, in the catalogue's database. Accounts are sealed, and blinded for look-up."""

from __future__ import annotations

import sqlalchemy as sa

from retention.catalogue import images

metadata = sa.MetaData()

restrictions = sa.Table(
    "restrictions",
    metadata,
    sa.Column("restriction_id", sa.String(32), primary_key=True),
    sa.Column("account_blind", sa.String(64), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("request_id", sa.String(32)),
    sa.Column("made_by", sa.String(128), nullable=False),
    sa.Column("made_at", sa.String(32), nullable=False),
    sa.Column("lifted_by", sa.String(128)),
    sa.Column("lifted_at", sa.String(32)),
    sa.Index("restrictions_by_state", "state"),
    sa.Index("restrictions_by_account", "account_blind"),
)

person_requests = sa.Table(
    "person_requests",
    metadata,
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
    sa.Index("person_requests_by_state", "state", "due_on"),
    sa.Index("person_requests_by_account", "account_blind"),
)

images.register("restriction", restrictions, "restriction_id")
images.register("request", person_requests, "request_id")
