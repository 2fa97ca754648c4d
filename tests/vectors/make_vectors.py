"""Writes liucun-v1.json: run it only for a new version of the format; the vectors of a version never change.

python -m tests.vectors.make_vectors
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from retention.container import PAYLOAD_OVERHEAD, Binding, Header, payload_keys, seal
from retention.crypto import envelope
from retention.crypto.ciphers import CHUNK_BYTES, SEALED_CHUNK_BYTES
from retention.crypto.suites import NAMES, suite
from retention.keys.memory import PeriodKey

FILE = Path(__file__).parent / "liucun-v1.json"
LENGTHS = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 5)


def plaintext(length: int) -> bytes:
    """The plaintexts' rule: byte i is 131 i mod 251."""
    return bytes(i * 131 % 251 for i in range(length))


def drawn(seed: str) -> Callable[[int], bytes]:
    """Takes the place of random bytes: SHAKE-256 of the seed and the number of the draw."""
    count = 0

    def draw(length: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(f"{seed}/{count}".encode()).digest(length)

    return draw


def container(name: str, length: int) -> dict[str, Any]:
    """One sealed segment with every value on the way to it."""
    chosen, seed = suite(name), f"{name}/{length}"
    key = PeriodKey("content-2026-10-vectors", drawn(f"{seed}/period")(32))
    binding = Binding("0" * 31 + str(length % 10), f"attempt-{length}", "content", "2026-10", 1)
    sealed = seal(chosen, key, binding, plaintext(length), _random=drawn(seed))
    header = Header.parse(bytes(sealed.data), seed)
    draw = drawn(seed)
    data_key, _, salt = draw(chosen.key_bytes), draw(24), draw(24)
    keys = payload_keys(chosen, data_key, salt, header.bound, binding)
    return {
        "suite": name,
        "period_key_id": key.key_id,
        "period_key": key.key.hex(),
        "segment_id": binding.segment_id,
        "attempt": binding.attempt,
        "record_class": binding.record_class,
        "period": binding.period,
        "schema_version": binding.schema_version,
        "plaintext_length": length,
        "random": seed,
        "bound_digest": chosen.hash(header.bound).hex(),
        "data_key": data_key.hex(),
        "payload_salt": salt.hex(),
        "base_nonce": keys.base_nonce.hex(),
        "commitment": keys.commitment.hex(),
        "plaintext_digest": sealed.plaintext_digest.hex(),
        "ciphertext_digest": chosen.hash(sealed.data).hex(),
        "object": base64.b64encode(sealed.data).decode(),
        "refused": refused(header, len(sealed.data)),
    }


def refused(header: Header, length: int) -> list[dict[str, Any]]:
    """Changes to the object that a reader must refuse: xor at a place, cut to a length, swap of two ranges."""
    start = header.length + PAYLOAD_OVERHEAD
    places = {
        "magic": 0,
        "version": 9,
        "length of the labels": 11,
        "suite": 13,
        "segment id": 27,
        "schema version": len(header.bound) - 1,
        "length of the key part": len(header.bound) + 1,
        "period key id": len(header.bound) + 4,
        "envelope's salt": header.length - len(header.sealed_key),
        "envelope's tag": header.length - 1,
        "payload's salt": header.length,
        "commitment": start - 1,
        "first byte of the chunks": start,
        "last byte of the last tag": length - 1,
    }
    changes: list[dict[str, Any]] = [{"why": why, "at": at, "xor": 1} for why, at in places.items()]
    cuts = {"last byte": length - 1, "all chunks": start, "payload": header.length, "half the header": 40, "all": 0}
    if length - start > SEALED_CHUNK_BYTES:
        cuts["last chunk"] = start + SEALED_CHUNK_BYTES
        changes.append({"why": "tag of the first chunk", "at": start + SEALED_CHUNK_BYTES - 1, "xor": 128})
    return changes + [{"why": f"cut: {why}", "cut": at} for why, at in cuts.items()]


def envelopes(name: str) -> dict[str, Any]:
    """One envelope."""
    chosen, key = suite(name), drawn(f"{name}/envelope")(32)
    sealed = envelope.seal(
        chosen, key, b"a small value", purpose="body", context=b"where it stands", _random=drawn(f"{name}/salt")
    )
    return {
        "suite": name,
        "key": key.hex(),
        "purpose": "body",
        "context": b"where it stands".hex(),
        "plaintext": b"a small value".hex(),
        "envelope": sealed.hex(),
    }


def main() -> None:
    """Write the file."""
    body = {
        "format": "docs/archive-format.md, version 1",
        "plaintexts": "byte i is 131 i mod 251",
        "envelopes": [envelopes(name) for name in NAMES],
        "containers": [container(name, length) for name in NAMES for length in LENGTHS],
    }
    FILE.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
