"""The stand-in's searches: as much of the query language as the follower and the console's search use."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

Found = tuple[str, str, dict[str, Any]]
"""Index, id and document."""


def search(documents: list[Found], body: dict[str, Any], *, counts: bool) -> dict[str, Any]:
    """The answer to ``_search``, or with ``counts`` to ``_count``."""
    query = body.get("query") or {"match_all": {}}
    found = [one for one in documents if matches(query, one[1], one[2])]
    if counts:
        return {"count": len(found)}
    for order in reversed(body.get("sort", [])):
        if isinstance(order, dict):
            ((path, way),) = order.items()
            found.sort(key=lambda one: one[2][path], reverse=way == "desc")
    hits = []
    for index, name, document in found[: body.get("size", 10)]:
        hit: dict[str, Any] = {"_index": index, "_id": name}
        if body.get("_source", True):
            hit["_source"] = document
        if "fields" in body:
            hit["fields"] = {path: [document[path]] for path in body["fields"] if path in document}
        hits.append(hit)
    answer: dict[str, Any] = {"timed_out": False, "_shards": {"failed": 0}}
    answer["hits"] = {"hits": hits, "total": {"value": len(found), "relation": "eq"}}
    if "aggs" in body:
        answer["aggregations"] = {name: _buckets(kind, found) for name, kind in body["aggs"].items()}
    return answer


def _buckets(kind: dict[str, Any], found: list[Found]) -> dict[str, Any]:
    if "terms" in kind:
        counted = Counter(document[kind["terms"]["field"]] for _, _, document in found)
        return {"buckets": [{"key": key, "doc_count": count} for key, count in sorted(counted.items())]}
    ((name, source),) = kind["composite"]["sources"][0].items()
    counted = Counter(document.get(source["terms"]["field"]) for _, _, document in found)
    ordered = sorted(counted.items(), key=lambda item: item[0] or "")
    after = kind["composite"].get("after")
    rest = [item for item in ordered if after is None or (item[0] or "") > (after[name] or "")]
    page = rest[: kind["composite"]["size"]]
    buckets = [{"key": {name: key}, "doc_count": count} for key, count in page]
    return {"buckets": buckets, **({"after_key": {name: page[-1][0]}} if page else {})}


def matches(query: dict[str, Any], name: str, document: dict[str, Any]) -> bool:
    """Whether a query finds a document."""
    ((kind, what),) = query.items()
    if kind == "match_all":
        return True
    if kind == "ids":
        return name in what["values"]
    if kind == "bool":
        wanted, unwanted = what.get("filter", []), what.get("must_not", [])
        return all(matches(one, name, document) for one in wanted) and not any(
            matches(one, name, document) for one in unwanted
        )
    if kind == "exists":
        return what["field"] in document
    ((path, value),) = what.items()
    held = document.get(path)
    values = held if isinstance(held, list) else [] if held is None else [held]
    if kind == "term":
        return value in values
    if kind == "terms":
        return any(one in value for one in values)
    if kind == "match_phrase":
        return any(value in one for one in values)
    if kind == "range":
        times = [datetime.fromisoformat(one) for one in values]
        lower, upper = value.get("gte"), value.get("lt")
        return any(
            (lower is None or one >= datetime.fromisoformat(lower))
            and (upper is None or one < datetime.fromisoformat(upper))
            for one in times
        )
    raise AssertionError(f"a query that the stand-in does not know: {query}")
