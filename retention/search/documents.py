"""Records as documents: one Arrow batch becomes the lines of a bulk request, by columns.

Every column becomes a column of JSON members (``"user.id":"…"``), and these are joined row by row, all of it in
Arrow; only the keyed hash of a value runs in Python, once a distinct value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from retention.crypto.suites import Suite
from retention.persons.restriction import PERSON_COLUMNS
from retention.search import mapping
from retention.search.settings import SearchSettings

PLACE: Final = ("log_source", "log_partition", "log_offset")
MAX_TEXT: Final = 1 << 20
"""Longest text in characters that is searched by its words; what follows is found in the archive only."""
MAX_EXTRA_KEY: Final = 512
MAX_EXTRA_KEYS: Final = 1000
"""Of the fields without a column: longer names, and more of them in one record, are left out and marked so."""
_HASH_BYTES: Final = 16
_CONTROL: Final = "[\\x00-\\x1f]"
_TEXT = pa.large_string()

Blind = Callable[[str, str], str]
"""The keyed hash of a value of a kind of value, as lower-case hex."""


@dataclass(slots=True)
class Bulk:
    """Lines of a bulk request: ``body`` is what is sent, ``ids`` one a document, ``least`` to send less of each."""

    verb: str
    body: memoryview
    ids: list[str] = field(default_factory=list)
    least: list[bytes] = field(default_factory=list)


def blinder(suite: Suite, key: bytes) -> Blind:
    """Hashes under the key of a period: with the key's destruction no hash can be tested against a guess any more."""
    own = suite.hkdf_expand(key, b"liucun/search/v1", 32)
    seen: dict[tuple[str, str], str] = {}

    def blind(kind: str, value: str) -> str:
        found = seen.get((kind, value))
        if found is None:
            message = f"{kind}\x00{value}".encode("utf-8", "surrogatepass")
            found = suite.hmac(own, message)[:_HASH_BYTES].hex()
            if len(seen) < 1 << 16:
                seen[kind, value] = found
        return found

    return blind


def kind_of(column: str) -> str:
    """Which columns hash alike: an account is the same person on either side of an order, an address any address."""
    if column in PERSON_COLUMNS:
        return "account"
    return "ip" if column.endswith("_ip") else column


def read_columns(settings: SearchSettings) -> list[str]:
    """The columns that a segment is read with."""
    wanted = [*mapping.columns(settings), *PERSON_COLUMNS, *PLACE, "event_ingested", "event_time"]
    if settings.extra != "left_out":
        wanted.append("extra")
    return list(dict.fromkeys(wanted))


def ids_of(batch: pa.RecordBatch) -> pa.Array:
    """Every record's place in its source as a document's id: the same record has the same id for ever."""
    pairs: dict[tuple[str, str], str] = {}
    sources, partitions = (batch.column(name).cast(pa.string()).to_pylist() for name in PLACE[:2])
    prefixes = []
    for pair in zip(sources, partitions, strict=True):
        found = pairs.get(pair)
        if found is None:
            found = pairs[pair] = hashlib.sha256("\x00".join(pair).encode("utf-8", "surrogatepass")).hexdigest()[:24]
        prefixes.append(found)
    offsets = batch.column("log_offset").cast(_TEXT)
    return pc.binary_join_element_wise(pa.array(prefixes, _TEXT), offsets, pa.scalar("-", _TEXT))


def lines(
    batch: pa.RecordBatch, settings: SearchSettings, *, label: str, record_class: str, blind: Blind
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """For each record: its id, its document, and the least document that any mapping takes (JSON, without newline)."""
    members = [_constant(batch, "liucun.class", record_class), _constant(batch, mapping.LABEL, label)]
    stamp = pc.coalesce(_plausible(batch.column("event_time")), batch.column("event_ingested"))
    members.append(_members("@timestamp", _quoted(_time(stamp))))
    members.append(_persons(batch, blind))
    least = list(members)
    for name in PLACE:
        least.append(_member(batch, name, blind))
    for name in mapping.columns(settings):
        members.append(_member(batch, name, blind))
    if settings.extra != "left_out":
        members.append(_extra(batch, settings, blind))
    refused = _constant(batch, mapping.REFUSED, "mapping")
    return ids_of(batch), _objects(members), _objects([*least, refused])


def bulks(
    index: str, ids: pa.Array, documents: pa.Array, least: pa.Array, *, limit: int, verb: str = "index"
) -> Iterator[Bulk]:
    """Cut documents into bulk requests of at most ``limit`` bytes, at least one document each.

    ``verb``: ``index``, or ``create``, which is all that a data stream takes.
    """
    if not len(ids):
        return
    action = f'{{"{verb}":{{"_index":{orjson.dumps(index).decode()},"_id":"'
    heads = pc.binary_join_element_wise(pa.scalar(action, _TEXT), ids, pa.scalar('"}}\n', _TEXT), _EMPTY)
    joined = pc.binary_join_element_wise(heads, documents, pa.scalar("\n", _TEXT), _EMPTY)
    data = joined.buffers()[2]
    ends = np.frombuffer(joined.buffers()[1], dtype=np.int64)[joined.offset : joined.offset + len(joined) + 1]
    view, begin = memoryview(data), 0
    while begin < len(joined):
        end = int(np.searchsorted(ends, ends[begin] + limit, side="right")) - 1
        end = min(max(end, begin + 1), len(joined))
        yield Bulk(
            verb,
            view[int(ends[begin]) : int(ends[end])],
            ids.slice(begin, end - begin).to_pylist(),
            [text.encode() for text in least.slice(begin, end - begin).to_pylist()],
        )
        begin = end


_EMPTY: Final = pa.scalar("", _TEXT)


def _objects(members: Sequence[pa.Array]) -> pa.Array:
    inside = pc.binary_join_element_wise(*members, pa.scalar(",", _TEXT), null_handling="skip")
    return pc.binary_join_element_wise(pa.scalar("{", _TEXT), inside, pa.scalar("}", _TEXT), _EMPTY)


def _constant(batch: pa.RecordBatch, path: str, value: str) -> pa.Array:
    return pa.repeat(pa.scalar(f'"{path}":{orjson.dumps(value).decode()}', _TEXT), batch.num_rows)


def _members(path: str, values: pa.Array) -> pa.Array:
    """``"path":value`` where there is a value, null where there is none."""
    return pc.binary_join_element_wise(pa.scalar(f'"{path}":', _TEXT), values, _EMPTY)


def _member(batch: pa.RecordBatch, name: str, blind: Blind) -> pa.Array:
    column, path = batch.column(name), mapping.PATHS[name]
    if name in mapping.PERSONAL:
        return _members(path, _quoted(_blinded(column, kind_of(name), blind)))
    if name in mapping.TIMES:
        return _members(path, _quoted(_time(column)))
    if name in mapping.INTEGERS:
        return _members(path, column.cast(_TEXT))
    if name in mapping.DECIMALS:
        return _members(path, column.cast(pa.string()).cast(_TEXT))
    words = column.cast(pa.string()).cast(_TEXT)
    if name in mapping.BARE_URLS:
        words = pc.replace_substring_regex(words, r"[?#](?s:.)*", "")
    if name in mapping.TEXTS:
        words = pc.utf8_slice_codeunits(words, 0, MAX_TEXT)
    return _members(path, _quoted(words))


def _persons(batch: pa.RecordBatch, blind: Blind) -> pa.Array:
    """The accounts that a record is about, always hashed: by them the index forgets a person."""
    first, second = (_quoted(_blinded(batch.column(name), "account", blind)) for name in PERSON_COLUMNS)
    # Not by a join that skips nulls: where every value is null it gives an array of no length (Arrow 25).
    both = pc.binary_join_element_wise(first, second, pa.scalar(",", _TEXT))
    inside = pc.coalesce(both, first, second)
    listed = pc.binary_join_element_wise(pa.scalar("[", _TEXT), inside, pa.scalar("]", _TEXT), _EMPTY)
    return _members(mapping.PERSONS, listed)


def _blinded(column: pa.Array, kind: str, blind: Blind) -> pa.Array:
    coded = column.cast(pa.string()).dictionary_encode()
    hashed = pa.array([None if v is None or not v else blind(kind, v) for v in coded.dictionary.to_pylist()], _TEXT)
    return hashed.take(coded.indices)


def _plausible(times: pa.Array) -> pa.Array:
    """Times within the years 1 to 9999; others cannot be a document's time."""
    micros = times.cast(pa.int64())
    inside = pc.and_(pc.greater_equal(micros, _FIRST), pc.less(micros, _LAST))
    return pc.if_else(inside, times, pa.scalar(None, times.type))


_FIRST: Final = -62_135_596_800_000_000
_LAST: Final = 253_402_300_800_000_000


def _time(times: pa.Array) -> pa.Array:
    """ISO 8601 in UTC with microseconds, null where that has no spelling of four digits for the year."""
    bare = _plausible(times).cast(pa.timestamp("us"))
    return pc.strftime(bare, format="%Y-%m-%dT%H:%M:%SZ").cast(_TEXT)


def _quoted(words: pa.Array) -> pa.Array:
    """Strings as JSON strings."""
    safe = pc.replace_substring(pc.replace_substring(words, "\\", "\\\\"), '"', '\\"')
    odd = pc.fill_null(pc.match_substring_regex(safe, _CONTROL), False)
    if pc.any(odd).as_py():
        spelled = pa.array([orjson.dumps(text).decode()[1:-1] for text in words.filter(odd).to_pylist()], _TEXT)
        turn = pc.subtract(pc.cumulative_sum(odd.cast(pa.int64())), 1)
        safe = pc.coalesce(spelled.take(pc.if_else(odd, turn, pa.scalar(None, pa.int64()))), safe)
    return pc.binary_join_element_wise(pa.scalar('"', _TEXT), safe, pa.scalar('"', _TEXT), _EMPTY)


def _extra(batch: pa.RecordBatch, settings: SearchSettings, blind: Blind) -> pa.Array:
    """Fields without a column. Only records that have some cost anything."""
    made: list[str | None] = []
    for fields in batch.column("extra").to_pylist():
        made.append(_extra_of(fields, settings.extra, blind) if fields else None)
    return pa.array(made, _TEXT)


def _extra_of(fields: Sequence[tuple[str, str | None]], how: str, blind: Blind) -> str:
    kept: dict[str, Any] = {}
    left = 0
    for key, value in fields:
        if value is None:
            continue
        if not key or "\x00" in key or len(key) > MAX_EXTRA_KEY or len(kept) >= MAX_EXTRA_KEYS:
            left += 1
            continue
        # A dot would make an object of the name, and `a` beside `a.b` a contradiction.
        kept[key.replace(".", "_")] = blind(f"extra.{key}", value) if how == "blind" else value
    body = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()
    marked = f',"{mapping.REFUSED}":"extra"' if left else ""
    return f'"liucun.extra":{body}{marked}'
