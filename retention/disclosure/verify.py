"""Verifies a bundle offline, without the store, and says in words what was checked."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from errors import IntegrityError, LiucunError
from retention.catalogue.events import SEGMENT
from retention.crypto.suites import suite
from retention.disclosure import bundle
from retention.disclosure.bundle import refused
from retention.disclosure.errors import DisclosureScopeError
from retention.disclosure.requests import APPROVERS
from retention.disclosure.scope import Scope
from retention.manifest import SegmentManifest
from retention.transparency import merkle
from retention.transparency.entries import entry_data
from retention.transparency.note import Checkpoint, Verifier, open_note, read_verifier

_ZONE: Final = ZoneInfo("Asia/Shanghai")
AUDIT: Final = "liucun-audit"
"""Format of an inspector's audit report: digests and signature, no scope and no rows."""
_FIXED: Final = {bundle.README, bundle.SCOPE, bundle.SEGMENTS, bundle.CHECKPOINT, bundle.KEYS}


@dataclass(slots=True)
class Verdict:
    """What a bundle that holds is: ``trusted`` when its keys are those that the checker knew beforehand."""

    disclosure_id: str = ""
    authority: str = ""
    case_number: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    segments: int = 0
    keys: list[str] = field(default_factory=list)
    trusted: bool = False
    words: list[str] = field(default_factory=list)


def verify(data: bytes, *, known_keys: Sequence[str] = ()) -> Verdict:
    """Verify an opened bundle. ``known_keys``: verifier keys that the checker has from the custodian.

    Raises:
        BundleRefusedError: a byte, a row, a file or the scope is not what was signed and approved.
    """
    files = bundle.unpack(data)
    verdict = Verdict()
    kind, digests = _digests(files)
    verifiers = _keys(files, known_keys, verdict)
    _signature(files, digests, verifiers, verdict, kind)
    _files(files, digests, verdict)
    if kind == AUDIT:
        verdict.authority, verdict.case_number = "审计报告 audit report", verdict.disclosure_id
        return verdict
    scope = _scope(files, digests, verdict)
    for name in sorted(digests["files"]):
        if name.startswith(bundle.DATA):
            verdict.rows[name] = _rows(name, files[name], scope, digests["files"][name].get("rows"))
    total = sum(verdict.rows.values())
    verdict.words.append(f"{total} 行均在批准的范围之内。All {total} rows lie within the approved scope.")
    _log(files, verifiers, verdict)
    return verdict


def _digests(files: Mapping[str, bytes]) -> tuple[str, dict[str, Any]]:
    """Kind of bundle and its list of digests; everything that the kind needs is there."""
    for name in (bundle.DIGESTS, bundle.SIGNATURE, bundle.KEYS):
        if name not in files:
            raise refused(f"{name} is missing")
    try:
        parsed = json.loads(files[bundle.DIGESTS])
        kind = parsed["format"]
        if kind not in (bundle.FORMAT, AUDIT) or parsed["version"] != 1 or not isinstance(parsed["files"], dict):
            raise refused("its list of digests is of an unknown kind")
        if not all(isinstance(item, dict) for item in parsed["files"].values()):
            raise refused("its list of digests is malformed")
    except (ValueError, KeyError, TypeError) as error:
        raise refused("its list of digests is malformed") from error
    for name in _FIXED if kind == bundle.FORMAT else ():
        if name not in files:
            raise refused(f"{name} is missing")
    return str(kind), dict(parsed)


def _keys(files: Mapping[str, bytes], known: Sequence[str], verdict: Verdict) -> list[Verifier]:
    lines = files[bundle.KEYS].decode("utf-8", "replace").split()
    try:
        found = [read_verifier(line) for line in lines]
        trusted = {read_verifier(line).encode() for line in known}
    except IntegrityError as error:
        raise refused("a key in it is malformed") from error
    if not found:
        raise refused("it names no key")
    verdict.keys = [verifier.encode() for verifier in found]
    if known:
        found = [verifier for verifier in found if verifier.encode() in trusted]
        if not found:
            raise refused("it is signed by other keys than those given")
        verdict.trusted = True
    return found


def _signature(
    files: Mapping[str, bytes], digests: Mapping[str, Any], verifiers: Sequence[Verifier], verdict: Verdict, kind: str
) -> None:
    try:
        text = open_note(files[bundle.SIGNATURE].decode("utf-8", "replace"), list(verifiers))
    except IntegrityError as error:
        raise refused("its signature does not hold") from error
    verdict.disclosure_id = str(digests.get("disclosure"))
    if text != bundle.signed_text(verdict.disclosure_id, files[bundle.DIGESTS], kind=kind):
        raise refused("its list of digests is not the one that was signed")
    names = ", ".join(f"{verifier.name}+{verifier.key_id.hex()}" for verifier in verifiers)
    verdict.words.append(f"签名有效 The signature holds: {names}.")
    verdict.words.append(
        "签名密钥与所给密钥一致。The keys are those that you gave."
        if verdict.trusted
        else "密钥取自本包:请与第二保管人所存的密钥比对。The keys are the bundle's own: compare them."
    )


def _files(files: Mapping[str, bytes], digests: Mapping[str, Any], verdict: Verdict) -> None:
    listed = set(digests["files"])
    there = set(files) - {bundle.DIGESTS, bundle.SIGNATURE}
    if listed != there:
        raise refused(f"files are missing or left over: {', '.join(sorted(listed ^ there))[:200]}")
    for name, item in digests["files"].items():
        found = bundle.digests_of(files[name])
        if any(item.get(kind) != value for kind, value in found.items()) or item.get("bytes") != len(files[name]):
            raise refused(f"{name} was changed")
    verdict.words.append(f"{len(listed)} 个文件与签名的摘要一致。{len(listed)} files are what was signed.")


def _scope(files: Mapping[str, bytes], digests: Mapping[str, Any], verdict: Verdict) -> Scope:
    try:
        body = json.loads(files[bundle.SCOPE])
        scope = Scope.from_json(body["scope"])
        approvers, requester = list(body["approvers"]), str(body["requested_by"])
        verdict.authority, verdict.case_number = str(body["authority"]), str(body["case_number"])
        exported, expires = str(body["exported_at"]), str(body["expires_at"])
        number = str(body["disclosure_id"])
    except (ValueError, KeyError, TypeError, DisclosureScopeError) as error:
        raise refused("its scope is malformed") from error
    if number != verdict.disclosure_id:
        raise refused("its scope is that of another disclosure")
    if len(set(approvers)) < APPROVERS or requester in approvers:
        raise refused("it was not approved by two people other than the requester")
    if exported >= expires:
        raise refused("it was exported after it had expired")
    wanted = {f"{bundle.DATA}{name}.csv" for name in scope.classes}
    if wanted != {name for name in digests["files"] if name.startswith(bundle.DATA)}:
        raise refused("it holds other classes of records than its scope")
    verdict.words.append(
        f"由 {requester} 申请,{' 与 '.join(map(str, approvers))} 批准。Requested by {requester}, approved by "
        f"{' and '.join(map(str, approvers))}."
    )
    return scope


def _rows(name: str, data: bytes, scope: Scope, stated: object) -> int:
    """The rows of a file, each within the scope."""
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        header = next(reader, [])
        if tuple(header) != scope.fields:
            raise refused(f"the fields of {name} are not those of the scope")
        account, moment = header.index("user_id"), header.index("event_time")
        count = 0
        accounts = set(scope.accounts)
        for row in reader:
            count += 1
            if len(row) != len(header):
                raise refused(f"row {count} of {name} is malformed")
            if row[account] not in accounts:
                raise refused(f"row {count} of {name} is about an account outside the scope")
            at = datetime.fromisoformat(row[moment])
            at = at if at.tzinfo else at.replace(tzinfo=_ZONE)
            if not scope.since <= at < scope.until:
                raise refused(f"row {count} of {name} lies outside the time of the scope")
    except (ValueError, csv.Error) as error:
        raise refused(f"{name} is malformed: {error}") from error
    if stated != count:
        raise refused(f"{name} has {count} rows, {stated} were signed")
    return count


def _log(files: Mapping[str, bytes], verifiers: Sequence[Verifier], verdict: Verdict) -> None:
    """Every segment is in the log whose state was signed, and every row's place lies in one of them."""
    try:
        proofs = json.loads(files[bundle.SEGMENTS])
        if not proofs and not any(verdict.rows.values()):
            return
        checkpoint = Checkpoint.read(open_note(files[bundle.CHECKPOINT].decode("utf-8", "replace"), list(verifiers)))
        hash_name = next(line.removeprefix("hash ") for line in checkpoint.extension if line.startswith("hash "))
        chosen = suite("SM4-GCM-SM3" if hash_name == "SM3" else "AES-256-GCM-SHA256")
        places: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for proof in proofs:
            data = proof["manifest"].encode()
            manifest = SegmentManifest.from_bytes(data)
            if proof["size"] != checkpoint.size:
                raise refused("a proof is of another state of the log")
            merkle.verify_inclusion(
                chosen.hash,
                leaf=merkle.leaf_hash(chosen.hash, entry_data(chosen, SEGMENT, manifest.segment_id, data)),
                index=proof["index"],
                size=proof["size"],
                proof=[base64.b64decode(node, validate=True) for node in proof["path"]],
                expected_root=checkpoint.root,
            )
            for place in manifest.places:
                places.setdefault((place.source, place.partition), []).append((place.start, place.end))
        for name in verdict.rows:
            _placed(name, files[name], places)
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise refused("its proofs are malformed") from error
    except IntegrityError as error:
        raise refused(f"its proofs do not hold: {_what(error)}") from error
    verdict.segments = len(proofs)
    verdict.words.append(
        f"{len(proofs)} 个封存段均在所签名的日志({checkpoint.size} 条)之中。"
        f"All {len(proofs)} segments are in the signed log of {checkpoint.size} entries."
    )
    verdict.words.append(
        "单行的真实性以提供者的签名为凭。Single rows rest on the signature; their segments are proved by the log."
    )


def _placed(name: str, data: bytes, places: Mapping[tuple[str, str], list[tuple[int, int]]]) -> None:
    for number, row in enumerate(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")), 1):
        spans = places.get((row["log_source"], row["log_partition"]), [])
        if not any(start <= int(row["log_offset"]) < end for start, end in spans):
            raise refused(f"row {number} of {name} stands in no segment that is proved")


def _what(error: LiucunError) -> str:
    return error.what.rstrip(".")
