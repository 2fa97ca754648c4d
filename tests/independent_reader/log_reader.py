"""A second reader of the transparency log, written from docs/archive-format.md (sections 9 to 11) alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from itertools import pairwise

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.independent_reader.reader import RefusedError, Suite, require, take_words

NAME = re.compile(r"log/entries/(\d{12})-(\d{12})-[0-9a-f]{16}\.lce")


def canonical(body: object) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_entries(name: str, data: bytes, origin: str, keys: dict[str, bytes]) -> tuple[Suite, list[dict[str, object]]]:
    """Section 10: the lines of an entry object."""
    found = NAME.fullmatch(name)
    require(found is not None and data[:4] == b"LCE\x01", "10")
    assert found
    (suite_name, key_id), rest = take_words(data[4:], 2, "10")
    length = int.from_bytes(rest[:8])
    require(length <= 1 << 30, "10.3")
    head, envelope = data[: len(data) - len(rest) + 8], rest[8:]
    span = f"{int(found[1])}-{int(found[2])}".encode()
    context = b"\x00".join((b"liucun/log-entries/v1", head, origin.encode(), span))
    suite = Suite(suite_name.decode())
    packed = suite.envelope(keys[key_id.decode()], envelope, b"log-entries", context)
    lines = pa.Codec("zstd").decompress(packed, decompressed_size=length).to_pybytes().splitlines()
    require(len(lines) == int(found[2]) - int(found[1]), "10.2")
    return suite, [json.loads(line) for line in lines]


def leaf(suite: Suite, line: dict[str, object]) -> bytes:
    """Section 9: the leaf hash of an entry."""
    salt, content = bytes.fromhex(str(line.get("salt", ""))), str(line["content"]).encode()
    entry = {"digest": suite.hash(salt + content).hex(), "id": line["ref"], "type": line["type"]}
    return suite.hash(b"\x00" + canonical(entry))


def check_images(suite: Suite, line: dict[str, object]) -> None:
    """Section 9.2: the rows in the payload are those that the event has digests of."""
    images = json.loads(str(line["content"]))["images"]
    require((images is None) == (line["payload"] is None), "10.2")
    for (table, shape, digest), image in zip(images or (), json.loads(str(line["payload"] or "[]")), strict=True):
        rows = bytes.fromhex(str(line["salt"])) + canonical(image["rows"])
        require((table, digest) == (image["table"], suite.hash(rows).hex()), "9.2")
        require(shape == hashlib.sha256(json.dumps(image["columns"]).encode()).hexdigest()[:16], "9.2")


def root(suite: Suite, leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else suite.hash(b"")
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return suite.hash(b"\x01" + root(suite, leaves[:split]) + root(suite, leaves[split:]))


def check_note(note: str, key: str) -> tuple[str, int, bytes]:
    """Section 11: origin, size and root of a checkpoint that an Ed25519 verifier key signed."""
    text, _, signatures = note.rpartition("\n\n")
    name, _, encoded = key.split("+", 2)
    raw = base64.b64decode(encoded)
    require(raw[:1] == b"\x01" and len(raw) == 33, "11.1")
    key_id = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    for line in signatures.splitlines():
        signer, _, blob = line.removeprefix("\u2014 ").partition(" ")
        if signer == name and base64.b64decode(blob)[:4] == key_id:
            Ed25519PublicKey.from_public_bytes(raw[1:]).verify(base64.b64decode(blob)[4:], (text + "\n").encode())
            origin, size, encoded_root, *_ = text.split("\n")
            return origin, int(size), base64.b64decode(encoded_root)
    raise RefusedError("section 11")


def in_order(names: list[str]) -> list[str]:
    """Entry objects of a log that was never cut off, by their numbers."""
    ordered = sorted(names)
    spans = [NAME.fullmatch(name) for name in ordered]
    for before, after in pairwise(spans):
        require(before is not None and after is not None and before[2] == after[1], "10.4")
    return ordered
