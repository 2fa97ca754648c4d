"""Samples that people found harmless, as texts to train on: what real published text that is passed looks like.

What was found illegal is a ticket, and is read with the other tickets.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, time, timedelta

import pyarrow as pa
import sqlalchemy as sa

from retention.policies.periods import SHANGHAI
from retention.query.run import Parts, Rendered, run_query
from retention.schema import RecordClass
from tickets.samples.draw import column_of, word
from tickets.samples.tables import HARMLESS
from tickets.samples.tables import samples as table

PURPOSE = "训练检测模型 training on samples that people found harmless"


def harmless_texts(parts: Parts, *, actor: str) -> list[tuple[str, str]]:
    """(text, sample's id) of every harmless sample that the archive still gives; restricted accounts are left out.

    Raises:
        LiucunError: as of ``run_query``, one query a day of publication and field.
    """
    c = table.c
    groups: dict[tuple[str, str, str], dict[tuple[str, str, int], str]] = defaultdict(dict)
    with parts.catalogue.read() as connection:
        for row in connection.execute(sa.select(table).where(c.state == HARMLESS).order_by(c.day, c.rank)):
            place = (row.source, row.partition, int(row.offset))
            groups[row.day, row.record_class, row.field][place] = row.sample_id
    found: list[tuple[str, str]] = []
    for (day, record_class, field), wanted in groups.items():

        def keep(rows: pa.Table, wanted: dict[tuple[str, str, int], str] = wanted) -> Rendered:
            for row in rows.to_pylist():
                sample = wanted.get((row["log_source"], row["log_partition"], row["log_offset"]))
                if sample is not None and row["found"]:
                    found.append((row["found"], sample))
            return Rendered(b"", "json")

        begin = datetime.combine(date.fromisoformat(day), time(), SHANGHAI)
        offsets = ", ".join(str(offset) for offset in sorted({offset for _, _, offset in wanted}))
        run_query(
            parts,
            f"SELECT log_source, log_partition, log_offset, {column_of(field)} AS found "  # noqa: S608
            f"FROM {RecordClass(record_class).view} WHERE event_time >= TIMESTAMPTZ {word(begin.isoformat())} "
            f"AND event_time < TIMESTAMPTZ {word((begin + timedelta(days=1)).isoformat())} "
            f"AND log_offset IN ({offsets})",
            purpose=PURPOSE,
            actor=actor,
            render=keep,
        )
    return found
