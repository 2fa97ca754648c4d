"""Questions to the index: which records of a class hold some words and some exact values, newest first.

The index answers with places only; what is shown is read from the archive, under its rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from errors import UsageError
from retention.errors import KeyDestroyedError
from retention.policies.periods import SHANGHAI
from retention.schema import RecordClass
from retention.search import mapping
from retention.search.cluster import Cluster, path_of
from retention.search.documents import blinder, kind_of
from retention.search.errors import SearchAnswerError
from retention.search.settings import SearchSettings
from retention.search.tables import search_labels, search_segments
from retention.search.writer import Parts

EXACT: Final = ("user_id", "order_id", "content_id", "source_ip", "device_id")
"""Columns that may be asked for by an exact value."""
MAX_WORDS: Final = 20
MAX_LIMIT: Final = 200
_COUNTED: Final = 10_000
"""Hits are counted exactly up to so many."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for. All of ``words`` (parted by white space) stand in the text; ``values`` by column, exactly.

    ``first`` and ``last`` are days of Asia/Shanghai, both included, of the record's time.
    """

    record_class: RecordClass
    words: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    first: date | None = None
    last: date | None = None
    limit: int = 50

    def __post_init__(self) -> None:
        if not self.words.strip() and not self.values:
            raise UsageError("Nothing is looked for.", cure="Give words of the text or an exact value.")
        if len(self.words) > 200 or len(self.words.split()) > MAX_WORDS:
            raise UsageError(f"More than {MAX_WORDS} words, or 200 characters.", cure="Give fewer words.")
        unknown = set(self.values) - set(EXACT)
        if unknown or any(not value or len(value) > 512 for value in self.values.values()):
            raise UsageError("A value is empty, too long, or of no column that can be asked for.", cure="Mend it.")
        if self.first and self.last and self.first > self.last:
            raise UsageError("The span ends before it begins.", cure="Swap the days.")
        if not 1 <= self.limit <= MAX_LIMIT:
            raise UsageError(f"At most {MAX_LIMIT} records are shown.", cure="Ask for fewer.")


@dataclass(frozen=True, slots=True)
class Hits:
    """Places (source, partition, offset) of the newest records found; ``total`` of all, ``exact`` up to 10,000."""

    places: tuple[tuple[str, str, int], ...]
    total: int
    exact: bool


def answerable(settings: SearchSettings, question: Question) -> bool:
    """Whether the index holds what the question asks for."""
    held = mapping.columns(settings)
    words = question.words.split()
    if settings.analyzer == "cjk" and any(len(word) == 1 for word in words):
        return False  # It cuts text into pairs: a single character of a word is not in it.
    asked = [*question.values, *(["text"] if words else [])]
    return settings.on and question.record_class in settings.classes and all(name in held for name in asked)


def ask(cluster: Cluster, parts: Parts, settings: SearchSettings, question: Question) -> Hits:
    """Ask the index.

    Raises:
        UnreachableError, BusyError, NotPermittedError, StorageError: the cluster cannot answer, or not in whole.
    """
    conditions: list[dict[str, Any]] = [
        {"match_phrase": {mapping.PATHS["text"]: word}} for word in question.words.split()
    ]
    for column, value in question.values.items():
        terms = _hashes(parts, question.record_class, column, value) if column in mapping.PERSONAL else [value]
        conditions.append({"terms": {mapping.PATHS[column]: terms}})
    span: dict[str, str] = {}
    if question.first:
        span["gte"] = _midnight(question.first).isoformat()
    if question.last:
        span["lt"] = _midnight(question.last + timedelta(days=1)).isoformat()
    if span:
        conditions.append({"range": {"@timestamp": span}})
    place = [mapping.PATHS[name] for name in ("log_source", "log_partition", "log_offset")]
    body = {
        "query": {"bool": {"filter": conditions}},
        "sort": [{"@timestamp": "desc"}, *({path: "desc"} for path in place)],
        "size": question.limit,
        "track_total_hits": _COUNTED,
        "timeout": f"{max(int(settings.timeout_seconds), 1)}s",
        "_source": False,
        "fields": place,
    }
    answer = cluster.ask("POST", path_of(mapping.alias(settings, question.record_class), "_search"), body, absent=True)
    if answer is None:
        return Hits((), 0, True)
    if answer.get("timed_out") or answer.get("_shards", {}).get("failed"):
        raise SearchAnswerError(
            "The search cluster answered for a part of the index only.", cure="Ask again, or search the archive."
        )
    found = answer["hits"]
    places = tuple(tuple(hit["fields"][path][0] for path in place) for hit in found["hits"])
    total = found["total"]
    return Hits(places, int(total["value"]), total["relation"] == "eq")


def _hashes(parts: Parts, record_class: RecordClass, column: str, value: str) -> list[str]:
    """A personal value's hashes under every living key of the class's documents."""
    labelled = search_labels.join(search_segments, search_segments.c.segment_id == search_labels.c.segment_id)
    chosen = sa.select(search_labels.c.key_id).select_from(labelled).distinct()
    with parts.catalogue.read() as connection:
        ids = connection.execute(chosen.where(search_segments.c.record_class == record_class.value)).scalars().all()
    found = []
    for key_id in ids:
        try:
            key = parts.archive.period_keys.get(key_id).key
        except KeyDestroyedError:
            continue
        found.append(blinder(parts.archive.suite, key)(kind_of(column), value))
    return found


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)
