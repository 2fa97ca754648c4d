"""Which values a filter asks for: those outside of which no row can pass it.

Arrow itself proves it. The strings that occur in a filter cut a column's range into gaps; where the filter is false in
each gap and for null, a row that passes has one of the strings. So no form of a filter is ever misread: what is not
proved is not used, and the filter is applied to the rows all the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import ipc

from retention.lookups.narrow import Asked
from retention.lookups.section import COLUMNS
from retention.query.proving import possible

_MOST_VALUES: Final = 100
"""Distinct strings of a filter; with more the segments are read. Arrow proves lists of up to 50."""
_MOST_GAPS: Final = 4096


def asked_of(condition: ds.Expression | None) -> Asked:
    """What the filter asks of the columns that have postings; nothing where it admits rows of any value."""
    if condition is None:
        return ()
    printed = str(condition)
    columns = [name for name in COLUMNS if name in printed]
    values = _strings(condition) if columns else []
    if not 0 < len(values) <= _MOST_VALUES:
        return ()
    alone = [name for name in columns if _proved(condition, (name,), values)]
    groups: Sequence[tuple[str, ...]] = [(name,) for name in alone]
    if not groups:  # one column or the other, the smallest choice of them
        choices = itertools.chain.from_iterable(
            itertools.combinations(columns, count) for count in range(2, len(columns) + 1)
        )
        groups = [next((names for names in choices if _proved(condition, names, values)), ())]
    return tuple(
        tuple((name, value) for name in group for value in _admitted(condition, name, values))
        for group in groups
        if group
    )


def _strings(condition: ds.Expression) -> list[str]:
    """The strings that stand in a filter, in order: Arrow serialises a filter's literals as columns of a table."""
    data = condition.__reduce__()[1][0]
    found: set[str] = set()
    for column in ipc.open_file(data).read_all().columns:
        found.update(_within(column.to_pylist()))
    return sorted(found)


def _within(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _within(item)


def _proved(condition: ds.Expression, columns: tuple[str, ...], values: Sequence[str]) -> bool:
    """Whether every row that passes has one of the values in one of the columns."""
    if (len(values) + 2) ** len(columns) > _MOST_GAPS:
        return False
    gaps = [_gaps(name, values) for name in columns]
    guarantees = []
    for chosen in itertools.product(*gaps):
        together = chosen[0]
        for other in chosen[1:]:
            together &= other
        guarantees.append(together)
    return not possible(guarantees, condition)


def _gaps(column: str, values: Sequence[str]) -> list[ds.Expression]:
    """What is true of a column that has none of the values: it lies before, between or behind them, or is null."""
    field = ds.field(column)
    strings = [pa.scalar(value, pa.string()) for value in values]
    between = [(field > low) & (field < high) for low, high in itertools.pairwise(strings)]
    return [field < strings[0], *between, field > strings[-1], field.is_null()]


def _admitted(condition: ds.Expression, column: str, values: Sequence[str]) -> list[str]:
    """Those of the values with which a row may pass."""
    guarantees = [ds.field(column) == pa.scalar(value, pa.string()) for value in values]
    return [values[number] for number in possible(guarantees, condition)]
