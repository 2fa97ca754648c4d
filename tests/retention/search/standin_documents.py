"""What the stand-in holds: templates, indices, data streams and documents, and which writes it refuses."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import Any

import orjson

ONLY_CREATE = "only write ops with an op_type of create are allowed in data streams"


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.error = {"type": kind, "reason": reason}


def missing(name: str) -> Refusal:
    return Refusal(404, "index_not_found_exception", f"no such index [{name}]")


@dataclass(slots=True)
class Index:
    """An index: documents by id with their sequence numbers, and what a search sees of them."""

    name: str
    body: dict[str, Any]
    stream: str | None = None
    docs: dict[str, dict[str, Any]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    next: int = 0


@dataclass
class Documents:
    """Everything by its name. ``refuses``: documents that hold this text do not fit the mapping."""

    refuses: str = ""
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    indices: dict[str, Index] = field(default_factory=dict)
    backing: dict[str, list[str]] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def _template_of(self, name: str) -> dict[str, Any] | None:
        for template in self.templates.values():
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in template["index_patterns"]):
                return template
        return None

    def _make_index(self, name: str) -> tuple[int, Any]:
        template = self._template_of(name) or {}
        if "data_stream" in template:
            words = (
                f"cannot create index with name [{name}], because it matches with template that creates data streams"
            )
            raise Refusal(400, "illegal_argument_exception", f"{words} only, use create data stream api instead")
        if name in self.indices or name in self.backing:
            raise Refusal(400, "resource_already_exists_exception", f"index [{name}] already exists")
        body = template.get("template", {})
        self._one_kind(body, stream=False)
        self.indices[name] = Index(name, body)
        return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}

    def _make_stream(self, name: str) -> tuple[int, Any]:
        template = self._template_of(name)
        if template is None or "data_stream" not in template:
            raise Refusal(
                400, "illegal_argument_exception", f"no matching index template found for data stream [{name}]"
            )
        if name in self.backing:
            raise Refusal(400, "resource_already_exists_exception", f"data_stream [{name}] already exists")
        if name in self.indices:
            raise Refusal(400, "illegal_state_exception", f"data stream [{name}] conflicts with index")
        stamp = template["template"]["mappings"]["properties"]["@timestamp"]
        if stamp.get("ignore_malformed") is not False:
            words = "data stream timestamp field [@timestamp] has disallowed [ignore_malformed] attribute specified"
            raise Refusal(400, "illegal_argument_exception", words)
        self._one_kind(template["template"], stream=True)
        self.backing[name], self.generations[name] = [], 0
        self._behind(name)
        return 200, {"acknowledged": True}

    def _behind(self, name: str) -> Index:
        """A new index behind a stream: from now on it takes the new documents."""
        template = self._template_of(name)
        assert template is not None
        self.generations[name] += 1
        made = Index(f".ds-{name}-2026.11.28-{self.generations[name]:06d}", template["template"], name)
        self.indices[made.name] = made
        self.backing[name].append(made.name)
        return made

    def _one_kind(self, body: dict[str, Any], *, stream: bool) -> None:
        for index in self.indices.values():
            if (index.stream is not None) is not stream and body["aliases"].keys() & index.body.get(
                "aliases", {}
            ).keys():
                words = "an alias cannot refer to both data streams and indices"
                raise Refusal(400, "illegal_state_exception", words)

    def _get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        index, name = self.indices.get(wanted["_index"]), wanted["_id"]
        head = {"_index": wanted["_index"], "_id": name}
        if index is None:
            return {**head, "error": missing(wanted["_index"]).error}
        if name not in index.docs:
            return {**head, "found": False}
        return {**head, "_version": 1, "_seq_no": index.numbers[name], "_primary_term": 1, "found": True}

    def _bulk(self, body: bytes) -> dict[str, Any]:
        rows, items = iter(body.splitlines()), []
        for head in rows:
            ((verb, action),) = orjson.loads(head).items()
            document = None if verb == "delete" else orjson.loads(next(rows))
            self.asked.append(f"{verb} {action['_index']}")
            try:
                made = self._item(verb, action, document)
            except Refusal as refusal:
                made = {"_index": action["_index"], "status": refusal.status, "error": refusal.error}
            items.append({verb: {"_id": action["_id"], **made}})
        return {"errors": any("error" in next(iter(item.values())) for item in items), "took": 0, "items": items}

    def _item(self, verb: str, action: dict[str, Any], document: dict[str, Any] | None) -> dict[str, Any]:
        target, name = action["_index"], action["_id"]
        template = self._template_of(target) or {}
        if target not in self.indices and target not in self.backing and verb != "delete":
            (self._make_stream if "data_stream" in template and verb == "create" else self._make_index)(target)
        if target in self.backing:
            if verb != "create":
                raise Refusal(400, "illegal_argument_exception", ONLY_CREATE)
            index = self.indices[self.backing[target][-1]]
        elif target in self.indices:
            index = self.indices[target]
            self._may_append(verb, action, index)
        else:
            raise missing(target)
        there = name in index.docs
        if verb == "delete":
            index.numbers.pop(name, None)
            status = 200 if index.docs.pop(name, None) is not None else 404
            return {"_index": index.name, "status": status, "result": "deleted" if there else "not_found"}
        self._number(verb, action, index)
        assert document is not None
        if index.stream and "@timestamp" not in document:
            words = "data stream timestamp field [@timestamp] is missing"
            raise Refusal(400, "document_parsing_exception", words)
        if self.refuses and "liucun.refused" not in document and self.refuses in orjson.dumps(document).decode():
            raise Refusal(400, "document_parsing_exception", "failed to parse")
        index.docs[name], index.numbers[name] = document, index.next
        index.next += 1
        return {"_index": index.name, "status": 200 if there else 201, "result": "updated" if there else "created"}

    @staticmethod
    def _may_append(verb: str, action: dict[str, Any], index: Index) -> None:
        if index.stream and (verb == "create" or (verb == "index" and "if_seq_no" not in action)):
            how = "op_type=create" if verb == "create" else "op_type=index and no if_primary_term and if_seq_no set"
            words = (
                f"index request with {how} targeting backing indices is disallowed, target corresponding data stream"
            )
            raise Refusal(400, "illegal_argument_exception", words)

    @staticmethod
    def _number(verb: str, action: dict[str, Any], index: Index) -> None:
        name, wanted = action["_id"], action.get("if_seq_no")
        conflict = name in index.docs if verb == "create" else wanted is not None and index.numbers.get(name) != wanted
        if conflict:
            refusal = Refusal(409, "version_conflict_engine_exception", f"[{name}]: version conflict")
            refusal.error |= {"shard": "0", "index": index.name}
            raise refusal
