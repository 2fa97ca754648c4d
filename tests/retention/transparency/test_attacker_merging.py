"""The attacker merges segments by hand: rows left out, changed, moved, or descended from themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest
import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.commit import add_segments
from retention.catalogue.tables import (
    batches,
    retired_segments,
    segment_places,
    segments,
    timestamp,
)
from retention.errors import RowsUnprovedError
from retention.lineage import descent, inherit, stored_manifests
from retention.manifest import SegmentManifest
from retention.schema import as_current
from retention.segments import open_segment, write_segment
from tests.retention.transparency.attacking import manifests
from tests.retention.transparency.conftest import Logged


def merge_by_hand(
    logged: Logged,
    before: list[SegmentManifest],
    change: Callable[[pa.Table], pa.Table],
    *,
    salts: bool = True,
    format_version: int = 3,
) -> SegmentManifest:
    """Merge segments as the program does, with a change of his on the way and counts that fit it, and log it."""
    archive, sources = logged.store.archive, []
    for one in before:
        sources.append(open_segment(archive, one))
    table = change(pa.concat_tables([as_current(one.parquet().read()) for one in sources]).unify_dictionaries())
    places = [place for one in before for place in one.places]
    places[-1] = replace(places[-1], rows=places[-1].rows - sum(one.rows for one in before) + table.num_rows)
    merged = write_segment(
        archive,
        table,
        record_class=before[0].record_class,
        period=before[0].period,
        places=tuple(places),
        replaces=tuple(one.segment_id for one in before),
        inherited=inherit(sources, stored_manifests(logged.store.catalogue)) if salts else None,
    )
    if format_version < 3:
        merged = replace(merged, format_version=format_version, rows_digest=None)
    with logged.store.catalogue.write() as connection:
        moment = timestamp()
        for one in before:
            row = connection.execute(sa.select(segments).where(segments.c.segment_id == one.segment_id)).one()._asdict()
            named = {name: value for name, value in row.items() if name in retired_segments.c}
            for changed in (segment_places, segments):
                connection.execute(changed.delete().where(changed.c.segment_id == one.segment_id))
            connection.execute(
                retired_segments.insert().values(
                    **named, state="replaced", successor=merged.segment_id, retired_at=moment
                )
            )
        add_segments(connection, (merged,), moment)
        connection.execute(
            batches.update()
            .where(batches.c.partition == places[-1].partition, batches.c.start == places[-1].start)
            .values(records=places[-1].rows)
        )
        events.append(connection, kind="segments.compacted", actor="system:compact",
                      subject=f"segment:{merged.segment_id}", body={})  # fmt: skip
    logged.log.keep()
    return merged


def somebody_else(table: pa.Table) -> pa.Table:
    """The rows with another account in the second one."""
    names = table.column("user_id").to_pylist()
    position = table.schema.get_field_index("user_id")
    changed = pa.array([names[0], "somebody else", *names[2:]], pa.string())
    return table.set_column(position, table.schema.field(position), changed)


def test_he_merges_segments_and_leaves_a_row_out(logged: Logged) -> None:
    """All his counts fit one another and the log; but not those of what he replaced, which the log has as well."""
    merge_by_hand(logged, manifests(logged)[:2], lambda table: table.slice(0, table.num_rows - 1))
    assert "merge_lost_rows" in logged.kinds()


@pytest.mark.parametrize(
    ("salts", "version", "kind"),
    [(True, 3, "rows_changed"), (False, 3, "rows_unproved"), (True, 1, "rows_changed"), (False, 1, "rows_unproved")],
)
def test_he_merges_segments_and_changes_a_row(logged: Logged, salts: bool, version: int, kind: str) -> None:
    """The numbers fit; what the manifests committed to, which he replaced and the log has, does not."""
    merge_by_hand(logged, manifests(logged)[:2], somebody_else, salts=salts, format_version=version)
    assert logged.kinds() == {kind}


def test_he_merges_what_was_merged_before_and_changes_a_row(logged: Logged) -> None:
    """Commitments go on through every merge: that of a forged one does not take their place."""
    first, second, third = manifests(logged)
    merged = merge_by_hand(logged, [first, second], lambda table: table)
    assert logged.audit().ok
    merge_by_hand(logged, [third, merged], somebody_else)
    assert logged.kinds() == {"rows_changed"}


def test_he_lets_segments_descend_from_themselves(logged: Logged) -> None:
    """The audit neither follows them round and round nor breaks off."""
    first, second, third = manifests(logged)
    changed = [
        replace(first, replaces=(first.segment_id,)),
        replace(second, replaces=(third.segment_id,), rows=third.rows, places=third.places),
        replace(third, replaces=(second.segment_id,)),
    ]
    with logged.store.catalogue.write() as connection:
        for one in changed:
            here = segments.c.segment_id == one.segment_id
            connection.execute(segments.update().where(here).values(manifest=one.to_bytes()))
    find = stored_manifests(logged.store.catalogue)
    for one in changed:
        with pytest.raises(RowsUnprovedError, match="twice"):
            descent(one, find)
    assert not logged.audit().ok


def test_any_number_of_merges_is_followed(logged: Logged) -> None:
    first = manifests(logged)[0]
    chain = {f"{n:032x}": replace(first, segment_id=f"{n:032x}", replaces=(f"{n - 1:032x}",)) for n in range(1, 3000)}
    chain[f"{0:032x}"] = replace(first, segment_id=f"{0:032x}")
    found = descent(chain[f"{2999:032x}"], lambda names: {name: chain[name] for name in names})
    assert [(item.segment_id, item.rows) for item in found.commitments] == [(f"{0:032x}", first.rows)]


def test_he_moves_a_row_into_the_place_of_another(logged: Logged) -> None:
    """Two rows of two segments change places: each commitment has its number of rows, and none its rows."""

    def swapped(table: pa.Table) -> pa.Table:
        order = list(range(table.num_rows))
        order[0], order[-1] = order[-1], order[0]
        position = table.schema.get_field_index("event_id")
        return table.set_column(position, table.schema.field(position), table.column("event_id").take(pa.array(order)))

    merge_by_hand(logged, manifests(logged)[:2], swapped)
    assert logged.kinds() == {"rows_changed"}


def test_he_calls_a_replaced_segment_something_else(logged: Logged) -> None:
    """What is gone was replaced or destroyed; there is no third."""
    merge_by_hand(logged, manifests(logged)[:2], lambda table: table)
    with logged.store.catalogue.write() as connection:
        connection.execute(retired_segments.update().values(state="moved"))
    assert logged.kinds() == {"destruction_unlogged"}
