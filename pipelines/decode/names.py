"""Which incoming field fills which column: the mapping, ECS names, snake_case.

A field's name is its path with dots between the levels, whether it came nested or dotted. The declared mapping goes
by the exact name; else the name in snake_case (``.`` as ``_``) is looked up among the columns.

A *slot* is a place where a format leaves a field's value: one for each column, and one for each field that the
mapping names.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.compiled import kernel, wide
from pipelines.sources.spec import SourceSpec
from retention.schema import MAPPED_FIELDS

COLUMNS: Final = tuple(field.name for field in MAPPED_FIELDS)
SLOT_OF: Final = {name: slot for slot, name in enumerate(COLUMNS)}

COLUMN_BLOB: Final = "".join(COLUMNS).encode()
"""The columns' names, which stand before a batch's bytes: a value that does not fit its column goes to ``extra``
under a range of these."""

_ALIASES: Final = {"@timestamp": "event_time"}
"""ECS names whose column is called otherwise (ECS: ``@timestamp`` is the event's own time)."""

_FNV_PRIME: Final = np.uint64(0x100000001B3)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(32)
_DOT: Final = 46
_UNDERSCORE: Final = 95


def snake_case(name: str) -> str:
    """``userId``, ``UserID``, ``user-id`` and ``user.id`` as ``user_id``; empty for a name beyond ASCII."""
    if not name.isascii():
        return ""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^0-9a-zA-Z]+", "_", name).strip("_").lower()


@dataclass(frozen=True, slots=True)
class Names:
    """Field names of one source, resolved.

    ``mapped`` gives the extra slots (a mapped field's name → slot), ``columns`` a mapped column → its slot.
    """

    mapped: dict[str, int]
    columns: dict[str, int]
    tables: NameTables

    @property
    def slots(self) -> int:
        """Number of slots."""
        return len(COLUMNS) + len(self.mapped)

    def assign(self, fields: Sequence[str]) -> list[int]:
        """Slots of a flat list of fields, -1 for a field that goes to ``extra``; no slot is given twice."""
        given: set[int] = set()
        slots = []
        for name in fields:
            candidates = (self.mapped.get(name, -1), SLOT_OF.get(_ALIASES.get(name, snake_case(name)), -1))
            slot = next((s for s in candidates if s >= 0), -1)
            if slot in given:
                slot = -1
            given.add(slot)
            slots.append(slot)
        return slots

    def column_of(self, field: str) -> str | None:
        """The column that an incoming field (or a column's own name) fills, if any."""
        for column, slot in self.columns.items():
            if self.mapped.get(field) == slot:
                return column
        name = _ALIASES.get(field, snake_case(field))
        return name if name in SLOT_OF else None


@dataclass(frozen=True, slots=True)
class NameTables:
    """Hash tables of names for the JSON loop.

    A *node* is an object that holds known fields; node 0 is the record itself. ``*_hash`` are open-addressing tables of
    hashed paths with their slot and node (-1 for none); ``*_state`` the hash of a node's path with its separator,
    from which the hash of a member's path goes on. ``exact`` tables go by the name as it came, ``snake`` by snake_case.
    The hashes' seed is random, so that nobody can prepare names that collide.
    """

    seed: np.uint64
    exact_hash: NDArray[np.uint64]
    exact_slot: NDArray[np.int32]
    exact_node: NDArray[np.int32]
    exact_state: NDArray[np.uint64]
    snake_hash: NDArray[np.uint64]
    snake_slot: NDArray[np.int32]
    snake_node: NDArray[np.int32]
    snake_state: NDArray[np.uint64]


def resolve(spec: SourceSpec) -> Names:
    """Resolve the field names of a source."""
    fields = sorted(set(spec.mapping.values()))
    mapped = {name: len(COLUMNS) + i for i, name in enumerate(fields)}
    columns = {column: mapped[name] for column, name in spec.mapping.items()}
    exact = {name: SLOT_OF[column] for name, column in _ALIASES.items()} | mapped
    # A published field inside a nested object is only found if the object is opened: it is a name without a slot.
    exact |= {name: -1 for name in spec.published if name not in exact and name not in SLOT_OF}
    seed = np.uint64(secrets.randbits(64))
    exact_tables = _tables(exact, ".", seed)
    snake_tables = _tables(SLOT_OF, "_", seed)
    return Names(mapped, columns, NameTables(seed, *exact_tables, *snake_tables))


_Table = tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int32], NDArray[np.uint64]]


def _tables(slots: dict[str, int], separator: str, seed: np.uint64) -> _Table:
    nodes = {"": 0}
    for name in slots:
        parts = name.split(separator)
        for depth in range(1, len(parts)):
            nodes.setdefault(separator.join(parts[:depth]), len(nodes))
    names = [*slots, *(name for name in nodes if name and name not in slots)]
    size = 1 << (4 * len(names) + 1).bit_length()
    hashes = np.zeros(size, dtype=np.uint64)
    table_slots = np.full(size, -1, dtype=np.int32)
    table_nodes = np.full(size, -1, dtype=np.int32)
    for name in names:
        hashed = _hash(name.encode(), seed)
        at = home(hashed, size)
        while hashes[at]:
            at = (at + 1) % size
        hashes[at] = hashed
        table_slots[at] = slots.get(name, -1)
        table_nodes[at] = nodes.get(name, -1)
    states = [seed if not name else _hash((name + separator).encode(), seed) for name in nodes]
    return hashes, table_slots, table_nodes, np.array(states, dtype=np.uint64)


def _hash(name: bytes, seed: np.uint64) -> np.uint64:
    state = int(seed)
    for byte in name:
        state = ((state ^ byte) * int(_FNV_PRIME)) & (2**64 - 1)
    return np.uint64(state or 1)


@kernel
def hash_byte(state: np.uint64, byte: int) -> np.uint64:
    """Take one byte into an FNV-1a hash."""
    return (state ^ np.uint64(byte)) * _FNV_PRIME


@kernel
def home(hashed: np.uint64, size: int) -> int:
    """First place of a hash in an open-addressing table of ``size`` (a power of two) places."""
    return wide(((hashed * _MIX) >> _SHIFT) & np.uint64(size - 1))


@kernel
def find_name(hashes: NDArray[np.uint64], hashed: np.uint64) -> int:
    """Place of a hash in a table, -1 if it is not there."""
    at = home(hashed, len(hashes))
    while hashes[at] != np.uint64(0):
        if hashes[at] == hashed:
            return at
        at = (at + 1) & (len(hashes) - 1)
    return -1


@kernel
def hash_snake(buffer: NDArray[np.uint8], start: int, end: int, state: np.uint64) -> np.uint64:
    """Hash a name in snake_case (as ``snake_case`` does); 0 for a name that cannot be a column's."""
    pending = False
    written = False
    for at in range(start, end):
        byte = buffer[at]
        upper = 65 <= byte <= 90
        lower = 97 <= byte <= 122
        if byte >= 128:
            return np.uint64(0)
        if not (upper or lower or 48 <= byte <= 57):
            pending = written
            continue
        if upper and at > start:
            before = buffer[at - 1]
            if (
                97 <= before <= 122
                or 48 <= before <= 57
                or (65 <= before <= 90 and at + 1 < end and 97 <= buffer[at + 1] <= 122)
            ):
                pending = True
        if pending and written:
            state = hash_byte(state, 95)
        pending = False
        written = True
        state = hash_byte(state, byte + 32 if upper else byte)
    if not written:
        return np.uint64(0)
    return state if state != np.uint64(0) else np.uint64(1)
