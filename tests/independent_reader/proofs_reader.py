"""A second reader of proofs, written from docs/archive-format.md (sections 9, 11 and 12) alone."""

from __future__ import annotations

import json
from typing import Any

from tests.independent_reader.log_reader import canonical, check_note, root
from tests.independent_reader.reader import Suite, require

SUITES = {"SM3": "SM4-GCM-SM3", "SHA-256": "AES-256-GCM-SHA256"}


def leaf(suite: Suite, kind: str, ref: str, digest: str) -> bytes:
    return suite.hash(b"\x00" + canonical({"digest": digest, "id": ref, "type": kind}))


def digest(suite: Suite, entry: dict[str, str]) -> str:
    return suite.hash(bytes.fromhex(entry["salt"]) + entry["content"].encode()).hex()


def above(suite: Suite, number: int, count: int, value: bytes, path: list[bytes]) -> bytes:
    """RFC 6962, 2.1.1, from the top down: the root over ``count`` leaves, of which ``value`` is one."""
    if count == 1:
        require(not path, "12.1")
        return value
    require(bool(path), "12.1")
    split = 1 << (count - 1).bit_length() - 1
    if number < split:
        return suite.hash(b"\x01" + above(suite, number, split, value, path[:-1]) + path[-1])
    return suite.hash(b"\x01" + path[-1] + above(suite, number - split, count - split, value, path[:-1]))


def both(suite: Suite, old: int, new: int, path: list[bytes], old_root: bytes, whole: bool) -> tuple[bytes, bytes]:
    """RFC 6962, 2.1.2: the two roots that follow from a consistency proof."""
    if old == new:
        if whole:
            require(not path, "12.2")
            return old_root, old_root
        require(len(path) == 1, "12.2")
        return path[0], path[0]
    require(bool(path), "12.2")
    split = 1 << (new - 1).bit_length() - 1
    last = path[-1]
    if old <= split:
        first, second = both(suite, old, split, path[:-1], old_root, whole)
        return first, suite.hash(b"\x01" + second + last)
    first, second = both(suite, old - split, new - split, path[:-1], old_root, False)
    return suite.hash(b"\x01" + last + first), suite.hash(b"\x01" + last + second)


def included(suite: Suite, shown: dict[str, Any], size: int, signed: bytes) -> dict[str, Any]:
    """An event that a receipt shows, its body read."""
    entry = shown["entry"]
    require(0 <= shown["index"] < size and entry["type"] == "event", "12.4")
    value = leaf(suite, "event", entry["id"], digest(suite, entry))
    path = [bytes.fromhex(node) for node in shown["path"]]
    require(above(suite, shown["index"], size, value, path) == signed, "12.4")
    event: dict[str, Any] = json.loads(entry["content"])
    require(str(event["id"]) == entry["id"], "12.4")
    return {**event, "body": json.loads(event["body"])}


def read_receipt(data: bytes, key: str, answer: bytes) -> dict[str, str]:
    """The words of a query whose answer this is."""
    body: dict[str, Any] = json.loads(data)
    require(body["format"] == "liucun-proof/1" and body["proof"] == "query", "12")
    suite = Suite(SUITES[body["hash"]])
    _, size, signed = check_note(body["note"], key)
    asked = included(suite, body["asked"], size, signed)
    answered = included(suite, body["answered"], size, signed)
    require((asked["kind"], answered["kind"]) == ("query.started", "query.answered"), "12.4")
    require(asked["subject"] == answered["subject"], "12.4")
    require(body["asked"]["index"] < body["answered"]["index"], "12.4")
    require(suite.hash(bytes.fromhex(body["salt"]) + body["words"].encode()).hex() == asked["body"]["words"], "12.4")
    before, path = answered["body"]["archive"], [bytes.fromhex(node) for node in body["path"]]
    old_root = bytes.fromhex(before["root"])
    require(both(suite, before["size"], size, path, old_root, True) == (old_root, signed), "12.4")
    require(len(answer) == answered["body"]["bytes"], "12.4")
    require(suite.hash(answer).hex() == answered["body"]["digest"], "12.4")
    words: dict[str, str] = json.loads(body["words"])
    return words


def read_proof(data: bytes, key: str) -> dict[str, int]:
    """Records that are there by segment; of an entry's or a consistency proof nothing."""
    body: dict[str, Any] = json.loads(data)
    require(body["format"] == "liucun-proof/1", "12")
    suite = Suite(SUITES[body["hash"]])
    origin, size, signed = check_note(body["note"], key)
    path = [bytes.fromhex(node) for node in body.get("path", [])]
    if body["proof"] == "entry":
        entry = body["entry"]
        require(0 <= body["index"] < size, "12.1")
        value = leaf(suite, entry["type"], entry["id"], digest(suite, entry))
        require(above(suite, body["index"], size, value, path) == signed, "12.1")
        name = "segment_id" if entry["type"] == "segment" else "id"
        require(str(json.loads(entry["content"])[name]) == entry["id"], "12.1")
        return {}
    if body["proof"] == "consistency":
        old_origin, old, old_root = check_note(body["old_note"], key)
        require(old_origin == origin and 0 < old <= size, "12.2")
        require(both(suite, old, size, path, old_root, True) == (old_root, signed), "12.2")
        return {}
    require(body["proof"] == "completeness" and len(body["entries"]) == size, "12.3")
    require(root(suite, [leaf(suite, *entry) for entry in body["entries"]]) == signed, "12.3")
    entries = {(kind, ref): value for kind, ref, value in body["entries"]}
    require(len(entries) == size, "12.3")
    contents = {json.loads(text)["segment_id"]: text for text in body["manifests"]}
    named = [json.loads(text)["segment_id"] for text in body["manifests"]]
    require([("segment", name) for name in named] == [entry for entry in entries if entry[0] == "segment"], "12.3")
    for name, text in contents.items():
        require(entries["segment", name] == suite.hash(text.encode()).hex(), "12.3")
    gone: set[str] = set()
    for entry in body["destroyed"]:
        require(entries["event", entry["id"]] == digest(suite, entry), "12.3")
        event = json.loads(entry["content"])
        require(event["kind"] == "segment.destroyed", "12.3")
        gone.add(event["subject"].removeprefix("segment:"))
    manifests = {name: json.loads(text) for name, text in contents.items()}
    taken: set[str] = set()
    for manifest in manifests.values():
        before = set(manifest["replaces"])
        require(before <= manifests.keys() and not before & taken, "12.3")
        had = sum(manifests[name]["rows"] for name in before)
        require(not before or manifest["rows"] == had or (manifest["rows"] < had and before <= gone), "12.3")
        taken |= before - gone
    return {name: manifest["rows"] for name, manifest in manifests.items() if name not in taken | gone}
