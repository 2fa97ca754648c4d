"""Checks a proof without the store, by the keys that its reader has of the log, and says in words what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from errors import CheckFailedError, LiucunError
from retention.catalogue.events import DESTROYED, EVENT, SEGMENT
from retention.crypto.suites import NAMES, suite
from retention.manifest import SegmentManifest
from retention.transparency import merkle
from retention.transparency.note import Checkpoint, Verifier, open_note, read_verifier
from retention.transparency.proofs import COMPLETENESS, CONSISTENCY, ENTRY, FORMAT
from retention.transparency.receipts import ANSWERED, QUERY, STARTED, in_words

MOST_BYTES: Final = 1 << 30
_COMMON: Final = ("format", "hash", "keys", "note", "proof")
_MEMBERS: Final = {
    ENTRY: {*_COMMON, "entry", "index", "path"},
    CONSISTENCY: {*_COMMON, "old_note", "path"},
    COMPLETENESS: {*_COMMON, "entries", "manifests", "destroyed"},
    QUERY: {*_COMMON, "asked", "answered", "path", "words", "salt"},
}


class ProofRefusedError(CheckFailedError):
    """A proof is malformed, or does not show what it claims."""


@dataclass(slots=True)
class Proved:
    """What a proof that holds shows. ``trusted``: by keys that its reader knew beforehand.

    ``rows``: of a completeness proof, records of the segments that are there, by class and month.
    ``query``: of a query's receipt, who asked what and what was answered; ``answer_matches`` None: none was given.
    """

    proof: str
    origin: str
    size: int
    keys: list[str]
    trusted: bool
    segments: int = 0
    replaced: int = 0
    destroyed: int = 0
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    query: dict[str, Any] = field(default_factory=dict)


def is_proof(data: bytes) -> bool:
    """Whether a file is meant as a proof: it is a JSON object; bundles are archives."""
    return data[:64].lstrip()[:1] == b"{"


def verify_proof(data: bytes, *, known_keys: Sequence[str] = (), answer: bytes | None = None) -> Proved:
    """Verify a proof.

    Args:
        known_keys: verifier keys that its reader has from the custodian.
        answer: of a query's receipt, the answer as it was handed out.

    Raises:
        ProofRefusedError: it is no proof, or does not show what it claims; the message says what does not hold.
    """
    if len(data) > MOST_BYTES:
        raise _refused("it is over 1 GiB long")
    try:
        body = orjson.loads(data)
        if not isinstance(body, dict) or body.get("format") != FORMAT or body.get("proof") not in _MEMBERS:
            raise _refused("it is no proof of a kind that this program knows")
        if body.keys() != _MEMBERS[body["proof"]]:
            raise _refused("a member of it is missing, or one too many")
        if answer is not None and body["proof"] != QUERY:
            raise _refused("an answer was given, and it is no receipt of a query")
        return _verify(body, known_keys, answer)
    except ProofRefusedError:
        raise
    except LiucunError as error:
        raise _refused(error.what) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused("it is malformed") from error


def _verify(body: dict[str, Any], known_keys: Sequence[str], answer: bytes | None) -> Proved:
    hash_ = _hash_named(body["hash"])
    verifiers, trusted = _keys(body["keys"], known_keys)
    now = _signed(body["note"], verifiers, body["hash"])
    found = Proved(body["proof"], now.origin, now.size, [item.encode() for item in verifiers], trusted)
    when = next((line.removeprefix("time ") for line in now.extension if line.startswith("time ")), "?")
    found.words.append(f"日志 {now.origin}：共 {now.size} 条，签于 {when}。The log's {now.size} entries, signed then.")
    found.words.append(
        "签名密钥与所给密钥一致。The keys are those that you gave."
        if trusted
        else "密钥取自本文件：请与第二保管人所存的密钥比对。The keys are the file's own: compare them."
    )
    if found.proof == ENTRY:
        _entry(body, hash_, now, found)
    elif found.proof == QUERY:
        _query(body, hash_, now, found, answer)
    elif found.proof == CONSISTENCY:
        old = _signed(body["old_note"], verifiers, body["hash"])
        if old.origin != now.origin:
            raise _refused("its two checkpoints are of different logs")
        merkle.verify_consistency(
            hash_, old=old.size, old_root=old.root, new=now.size, new_root=now.root, proof=_path(body)
        )
        found.words.append(
            f"前 {old.size} 条与旧检查点一致，未被改写。It begins with the {old.size} entries of the older checkpoint."
        )
    else:
        _completeness(body, hash_, now, found)
    return found


def _hash_named(name: Any) -> merkle.Hash:
    for chosen in map(suite, NAMES):
        if chosen.hash_name == name:
            return chosen.hash
    raise _refused("it names an unknown hash")


def _keys(lines: Any, known: Sequence[str]) -> tuple[list[Verifier], bool]:
    if not isinstance(lines, list) or not lines:
        raise _refused("it names no key")
    found = [read_verifier(str(line)) for line in lines]
    if not known:
        return found, False
    trusted = {read_verifier(line).encode() for line in known}
    found = [verifier for verifier in found if verifier.encode() in trusted]
    if not found:
        raise _refused("it is signed by other keys than those given")
    return found, True


def _signed(note: Any, verifiers: Iterable[Verifier], hash_name: str) -> Checkpoint:
    if not isinstance(note, str):
        raise _refused("a checkpoint of it is no text")
    checkpoint = Checkpoint.read(open_note(note, list(verifiers)))
    if f"hash {hash_name}" not in checkpoint.extension:
        raise _refused("its checkpoint is of another hash")
    return checkpoint


def _path(body: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(node) for node in body["path"]]


def _data(kind: str, ref: str, digest: str) -> bytes:
    return orjson.dumps({"digest": digest, "id": ref, "type": kind}, option=orjson.OPT_SORT_KEYS)


def _digest(hash_: merkle.Hash, entry: dict[str, str]) -> str:
    return hash_(bytes.fromhex(entry["salt"]) + entry["content"].encode()).hex()


def _included(body: dict[str, Any], hash_: merkle.Hash, now: Checkpoint) -> dict[str, str]:
    """The entry that a proof shows, once it is known to stand in the log."""
    entry: dict[str, str] = body["entry"]
    data = _data(entry["type"], entry["id"], _digest(hash_, entry))
    leaf = merkle.leaf_hash(hash_, data)
    merkle.verify_inclusion(
        hash_, leaf=leaf, index=body["index"], size=now.size, proof=_path(body), expected_root=now.root
    )
    return entry


def _entry(body: dict[str, Any], hash_: merkle.Hash, now: Checkpoint, found: Proved) -> None:
    entry = _included(body, hash_, now)
    if entry["type"] == SEGMENT:
        manifest = SegmentManifest.from_bytes(entry["content"].encode())
        if manifest.segment_id != entry["id"]:
            raise _refused("its manifest is another segment's")
        found.segments = 1
        what = f"{manifest.record_class} {manifest.period}, {manifest.rows} records, {manifest.ciphertext_digest}"
    else:
        event = orjson.loads(entry["content"])
        if str(event["id"]) != entry["id"]:
            raise _refused("its event is another one")
        what = f"{event['at']} {event['kind']} {event['actor']} {event['subject']}"
    found.words.append(f"第 {body['index']} 条 {entry['type']} {entry['id']}：{what}。It stands in the log.")


def _event_of_query(body: dict[str, Any], kind: str, hash_: merkle.Hash, now: Checkpoint) -> dict[str, Any]:
    entry = _included(body, hash_, now)
    event: dict[str, Any] = orjson.loads(entry["content"])
    if entry["type"] != EVENT or str(event["id"]) != entry["id"] or event["kind"] != kind:
        raise _refused(f"an entry of it is no event {kind}")
    return {**event, "body": orjson.loads(event["body"])}


def _query(body: dict[str, Any], hash_: merkle.Hash, now: Checkpoint, found: Proved, answer: bytes | None) -> None:
    asked = _event_of_query(body["asked"], STARTED, hash_, now)
    answered = _event_of_query(body["answered"], ANSWERED, hash_, now)
    if asked["subject"] != answered["subject"] or body["asked"]["index"] >= body["answered"]["index"]:
        raise _refused("its two events are not of one query, asked before it was answered")
    said, told = asked["body"], answered["body"]
    if (body["words"] is None) == ("words" in said):
        raise _refused("the words of the query are missing, or were never committed to")
    words = {}
    if body["words"] is not None:
        if hash_(bytes.fromhex(body["salt"]) + body["words"].encode()).hex() != said["words"]:
            raise _refused("the words are not those of the query")
        words = orjson.loads(body["words"])
    before = told.get("archive")
    if before is not None:
        old_root = bytes.fromhex(before["root"])
        merkle.verify_consistency(
            hash_, old=before["size"], old_root=old_root, new=now.size, new_root=now.root, proof=_path(body)
        )
    if answer is not None and (len(answer) != told["bytes"] or hash_(answer).hex() != told["digest"]):
        raise _refused("the answer given is not the one that was handed out")
    found.query = {
        "query_id": str(asked["subject"]).removeprefix("query:"),
        "actor": asked["actor"],
        "asked_at": asked["at"],
        "answered_at": answered["at"],
        **{name: words.get(name) for name in ("sql", "purpose", "basis")},
        **{name: told[name] for name in ("rows", "format", "bytes", "digest")},
        "archive_size": None if before is None else before["size"],
        "answer_matches": None if answer is None else True,
    }
    found.words += in_words(found.query)


def _completeness(body: dict[str, Any], hash_: merkle.Hash, now: Checkpoint, found: Proved) -> None:
    entries = [(str(kind), str(ref), str(digest)) for kind, ref, digest in body["entries"]]
    if len(entries) != now.size:
        raise _refused(f"it has {len(entries)} entries, its checkpoint {now.size}")
    leaves = (merkle.leaf_hash(hash_, _data(*entry)) for entry in entries)
    if merkle.roots_at(hash_, leaves, [now.size])[now.size] != now.root:
        raise _refused("its entries do not add up to its checkpoint")
    digests = {(kind, ref): digest for kind, ref, digest in entries}
    if len(digests) != len(entries) or any(kind not in (SEGMENT, EVENT) for kind, _ in digests):
        raise _refused("an entry stands in it twice, or is of an unknown type")
    manifests = _manifests(body["manifests"], hash_, digests)
    destroyed = _destroyed(body["destroyed"], hash_, digests)
    replaced = _replaced(manifests, destroyed)
    there = [item for name, item in manifests.items() if name not in replaced and name not in destroyed]
    for item in sorted(there, key=lambda one: (one.record_class, one.period)):
        months = found.rows.setdefault(item.record_class, {})
        months[item.period] = months.get(item.period, 0) + item.rows
    found.segments, found.replaced, found.destroyed = len(there), len(replaced), len(destroyed)
    total = sum(item.rows for item in there)
    found.words.append(
        f"全部 {len(manifests)} 个分段都在其中：现存 {len(there)} 个（{total} 条记录），合并取代 {len(replaced)} 个，"
        f"依法销毁 {len(destroyed)} 个，无一遗漏。"
        f"All segments ever: {len(there)} are there with {total} records, {len(replaced)} were merged into others "
        f"without losing a record, {len(destroyed)} destroyed; none is left out."
    )


def _manifests(texts: list[str], hash_: merkle.Hash, digests: dict[tuple[str, str], str]) -> dict[str, SegmentManifest]:
    found: dict[str, SegmentManifest] = {}
    for text in texts:
        manifest = SegmentManifest.from_bytes(text.encode())
        if digests.get((SEGMENT, manifest.segment_id)) != hash_(text.encode()).hex():
            raise _refused(f"the manifest of {manifest.segment_id} is not the one in the log")
        found[manifest.segment_id] = manifest
    lacking = [ref for kind, ref in digests if kind == SEGMENT and ref not in found]
    if lacking or len(found) != len(texts) or list(found) != [ref for kind, ref in digests if kind == SEGMENT]:
        raise _refused(f"the manifest of {lacking[0]} is missing" if lacking else "its manifests are out of order")
    return found


def _destroyed(shown: list[dict[str, str]], hash_: merkle.Hash, digests: dict[tuple[str, str], str]) -> set[str]:
    found = set()
    for entry in shown:
        event = orjson.loads(entry["content"])
        if digests.get((EVENT, entry["id"])) != _digest(hash_, entry) or str(event["id"]) != entry["id"]:
            raise _refused(f"the event {entry['id']} is not the one in the log")
        if event["kind"] != DESTROYED:
            raise _refused(f"the event {entry['id']} is no destruction")
        found.add(str(event["subject"]).removeprefix("segment:"))
    return found


def _replaced(manifests: dict[str, SegmentManifest], destroyed: set[str]) -> set[str]:
    """Segments whose rows others took over, each of them whole; of those destroyed, a rest was sealed anew."""
    unknown = destroyed - manifests.keys()
    replaced: set[str] = set()
    for manifest in manifests.values():
        before = set(manifest.replaces)
        unknown |= before - manifests.keys()
        if unknown:
            raise _refused(f"the log does not have {min(unknown)}, which it speaks of")
        if before & replaced:
            raise _refused(f"{min(before & replaced)} was replaced twice")
        had = sum(manifests[name].rows for name in before)
        if before and (manifest.rows > had or (manifest.rows < had and not before <= destroyed)):
            raise _refused(f"{manifest.segment_id} has {manifest.rows} records; what it replaced had {had}")
        replaced |= before - destroyed
    return replaced


def _refused(what: str) -> ProofRefusedError:
    return ProofRefusedError(
        f"The proof was refused: {what.rstrip('.')}.",
        cure="Ask for it again; if it is refused again, keep both files and compare the custodian's checkpoints.",
    )
