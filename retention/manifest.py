"""A segment's manifest: what it holds, where its rows came from, and the digests that prove it.

Its bytes are canonical JSON (RFC 8785), so that a manifest has exactly one spelling and its
hash can stand in the transparency log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, Final

import orjson

from retention.crypto.suites import NAMES
from retention.errors import ManifestError

FORMAT_VERSION: Final = 1
ROWS_VERSION: Final = 2
"""Format version of manifests that have a root over the rows."""
COMMITTED_VERSION: Final = 3
"""Format version of manifests that commit to the rows themselves, so that a merge can be checked; all new ones."""
MANIFEST_LIMIT: Final = 8 << 20
"""Longest manifest in bytes."""

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,95}")
_PERIOD: Final = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")
_TIME: Final = re.compile(r"-?[0-9]{4,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LARGEST: Final = (1 << 53) - 1
"""Largest integer of canonical JSON."""
_NAME_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class SegmentPlace:
    """How many rows of the range [start, end) of a source's partition a segment holds."""

    source: str
    partition: str
    start: int
    end: int
    rows: int


@dataclass(frozen=True, slots=True)
class SegmentManifest:
    """A segment, described without reference to any implementation.

    Digests are lower-case hex of the suite's hash: ``ciphertext_digest`` over the whole object,
    ``plaintext_digest`` over a salt that only the segment's key yields and the plaintext.
    Times are UTC as ``2026-11-23T08:00:00.000000Z``, None without any event time.
    ``replaces`` names the segments whose rows this one took over (compaction).
    ``rows_root``, which format version 1 has not, is the Merkle root over the rows (``row_proofs``).
    ``rows_digest``, which only format version 3 has, commits to the rows that no replaced segment's manifest commits
    to (``row_commitments``); None where there are none such.
    """

    format_version: int
    segment_id: str
    attempt: str
    object_name: str
    record_class: str
    period: str
    suite: str
    key_id: str
    schema_version: int
    rows: int
    bytes_stored: int
    ciphertext_digest: str
    plaintext_digest: str
    event_time_min: str | None
    event_time_max: str | None
    places: tuple[SegmentPlace, ...]
    replaces: tuple[str, ...] = ()
    rows_root: str | None = None
    rows_digest: str | None = None

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        # orjson sorts the keys of dictionaries only.
        body = {name: getattr(self, name) for name in _MEMBERS}
        for name in _LATER_MEMBERS.get(self.format_version, ()):
            del body[name]
        body["places"] = [{name: getattr(place, name) for name in _PLACE_MEMBERS} for place in self.places]
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_bytes(cls, data: bytes) -> SegmentManifest:
        """Read a manifest back, strictly: every field, no other, in bounds, in canonical form.

        Raises:
            ManifestError: the bytes are anything else.
        """
        try:
            _require(len(data) <= MANIFEST_LIMIT, f"it is over {MANIFEST_LIMIT} bytes")
            manifest = _from_object(orjson.loads(data))
            _require(manifest.to_bytes() == data, "it is not in canonical form")
        except (ValueError, TypeError, KeyError) as error:
            raise ManifestError(
                f"A manifest is damaged: {error}.", cure="Restore the catalogue, or rebuild it from the objects."
            ) from None
        return manifest


_MEMBERS: Final = tuple(field.name for field in fields(SegmentManifest))
_LATER_MEMBERS: Final = {FORMAT_VERSION: ("rows_root", "rows_digest"), ROWS_VERSION: ("rows_digest",)}
"""Members that a manifest of an earlier version does not have."""
_PLACE_MEMBERS: Final = tuple(field.name for field in fields(SegmentPlace))


def check(manifest: SegmentManifest) -> None:
    """Refuse a manifest whose fields are out of bounds or contradict one another.

    Raises:
        ValueError: which, and why.
    """
    m = manifest
    _require(FORMAT_VERSION <= m.format_version <= COMMITTED_VERSION, "its format version is unknown")
    _require(
        m.format_version == COMMITTED_VERSION or (m.format_version == ROWS_VERSION) == (m.rows_root is not None),
        "its root over the rows does not fit its version",
    )
    _require(
        m.rows_digest is None if m.format_version < COMMITTED_VERSION else bool(m.rows_digest or m.replaces),
        "its commitment to the rows does not fit its version",
    )
    _require(m.suite in NAMES, "its suite is unknown")
    for word in (m.segment_id, m.attempt, m.record_class, m.key_id, *m.replaces):
        _require(_WORD.fullmatch(word) is not None, "a name in it is not allowed")
    _require(_PERIOD.fullmatch(m.period) is not None, "its period is no month")
    _require(len(m.object_name) <= 512, "its object name is too long")
    for digest in (m.ciphertext_digest, m.plaintext_digest, *filter(None, (m.rows_root, m.rows_digest))):
        _require(_DIGEST.fullmatch(digest) is not None, "a digest in it is malformed")
    for moment in (m.event_time_min, m.event_time_max):
        _require(moment is None or _TIME.fullmatch(moment) is not None, "a time in it is malformed")
    _require((m.event_time_min is None) == (m.event_time_max is None), "it has only one of two event times")
    for number in (m.rows, m.bytes_stored, *(n for p in m.places for n in (p.start, p.end, p.rows))):
        _require(0 <= number <= _LARGEST, "a number in it is out of bounds")
    _require(0 <= m.schema_version < 1 << 16, "its schema version is out of bounds")
    for place in m.places:
        _require(place.start <= place.end, "a place in it ends before it starts")
        _require(max(len(place.source), len(place.partition)) <= _NAME_LIMIT, "a place in it has too long a name")
    _require(sum(place.rows for place in m.places) == m.rows, "its places do not add up to its rows")
    _require(len(set(m.replaces)) == len(m.replaces), "it replaces a segment twice")


def _from_object(parsed: Any) -> SegmentManifest:
    if not isinstance(parsed, dict):
        raise TypeError("it is no object")
    places = tuple(SegmentPlace(**_typed(SegmentPlace, item)) for item in _listed(parsed.pop("places")))
    replaces = tuple(_listed(parsed.pop("replaces")))
    if not all(isinstance(item, str) for item in replaces):
        raise TypeError("'replaces' is malformed")
    manifest = SegmentManifest(**_typed(SegmentManifest, parsed), places=places, replaces=replaces)
    check(manifest)
    return manifest


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a list in it is none")
    return value


def _typed(kind: type, value: Any) -> dict[str, Any]:
    """The object's members if they are exactly those of the dataclass, each of its type."""
    if not isinstance(value, dict):
        raise TypeError("an object in it is none")
    wanted = {f.name: str(f.type) for f in fields(kind) if f.name not in {"places", "replaces"}}
    for name in _LATER_MEMBERS.get(value.get("format_version", 0), ()):
        wanted.pop(name, None)
    if set(value) != set(wanted):
        raise ValueError("its members are not those of a manifest")
    for name, type_name in wanted.items():
        found = type(value[name]).__name__.replace("NoneType", "None")
        if found not in type_name.split(" | "):
            raise TypeError(f"{name!r} is malformed")
    return value


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)
