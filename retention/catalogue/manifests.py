"""Reads manifests as the catalogue has them, of segments gone too; that they are true is checked with the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from retention.catalogue.tables import retired_segments, segments

AT_ONCE: Final = 500
"""Manifests asked for in one statement."""


def read_manifests(connection: sa.Connection, segment_ids: Sequence[str]) -> dict[str, bytes]:
    """Manifests by their segments' ids, as bytes; what is not there is left out."""
    found: dict[str, bytes] = {}
    for begin in range(0, len(segment_ids), AT_ONCE):
        part = segment_ids[begin : begin + AT_ONCE]
        for table in (segments, retired_segments):
            rows = sa.select(table.c.segment_id, table.c.manifest).where(table.c.segment_id.in_(part))
            found.update({row.segment_id: bytes(row.manifest) for row in connection.execute(rows)})
    return found
