"""A second reader of the archive, written from docs/archive-format.md alone. It must not import the product.

Section numbers are the document's. Slow and plain on purpose: whole objects, one chunk after the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import sqlite3
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

MAGIC = b"\x89LCS\r\n\x1a\n"
CHUNK, TAG = 16384, 16
WORD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,95}")


class RefusedError(Exception):
    """What was read is not what the format allows, or does not authenticate."""


def require(condition: bool, section: str) -> None:
    if not condition:
        raise RefusedError(f"section {section}")


def sm3(data: bytes) -> bytes:
    state = hashes.Hash(hashes.SM3())
    state.update(data)
    return state.finalize()


class Suite:
    """Section 1."""

    def __init__(self, name: str) -> None:
        known = {
            "SM4-GCM-SM3": (b"AEAD_SM4_GCM", algorithms.SM4, 16, sm3),
            "AES-256-GCM-SHA256": (b"AEAD_AES_256_GCM", algorithms.AES, 32, lambda d: hashlib.sha256(d).digest()),
        }
        require(name in known, "1.1")
        self.aead, self.block, self.key, self.hash = known[name]

    def mac(self, key: bytes, message: bytes) -> bytes:
        key = self.hash(key) if len(key) > 64 else key
        inner, outer = (bytes(b ^ pad for b in key.ljust(64, b"\x00")) for pad in (0x36, 0x5C))
        return self.hash(outer + self.hash(inner + message))

    def expand(self, key: bytes, info: bytes, length: int) -> bytes:
        out, block, number = b"", b"", 1
        while len(out) < length:
            block = self.mac(key, block + info + bytes([number]))
            out, number = out + block, number + 1
        return out[:length]

    def open(self, key: bytes, nonce: bytes, sealed: bytes, aad: bytes, section: str) -> bytes:
        require(len(sealed) >= TAG, section)
        decryptor = Cipher(self.block(key), modes.GCM(nonce, sealed[-TAG:])).decryptor()
        decryptor.authenticate_additional_data(aad)
        plaintext = decryptor.update(sealed[:-TAG])
        try:
            decryptor.finalize()
        except InvalidTag:
            raise RefusedError(f"section {section}") from None
        return plaintext

    def envelope(self, key: bytes, sealed: bytes, purpose: bytes, context: bytes) -> bytes:
        """Section 3."""
        require(len(sealed) >= 40, "3.2")
        salt = sealed[:24]
        info = b"liucun/envelope/v1\x00" + self.aead + b"\x00" + purpose + b"\x00" + salt
        material = self.expand(key, info, self.key + 12)
        return self.open(material[: self.key], material[self.key :], sealed[24:], context, "3")


def word(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def take_words(data: bytes, count: int, section: str) -> tuple[list[bytes], bytes]:
    words = []
    for _ in range(count):
        require(bool(data) and len(data) > data[0], section)
        words.append(data[1 : 1 + data[0]])
        data = data[1 + data[0] :]
    return words, data


class Segment:
    """Section 4. ``period_key`` maps an id to 32 bytes."""

    def __init__(self, data: bytes, period_key: dict[str, bytes]) -> None:
        require(data[:8] == MAGIC and data[8:10] == b"\x00\x01", "4.3")
        labels_end = 12 + int.from_bytes(data[10:12])
        end = labels_end + 2 + int.from_bytes(data[labels_end : labels_end + 2])
        require(end <= 1024 and end <= len(data), "4.2")
        bound = data[:labels_end]
        labels, version = take_words(data[12:labels_end], 5, "4.3")
        (key_id, envelope), rest = take_words(data[labels_end + 2 : end], 2, "4.3")
        require(len(version) == 2 and not rest, "4.3")
        require(all(WORD.fullmatch(item) for item in (*labels, key_id)), "4.1")
        self.suite = suite = Suite(labels[0].decode())
        self.labels = [item.decode() for item in labels] + [int.from_bytes(version)]
        self.key_id = key_id.decode()
        require(self.key_id in period_key, "2.1")
        context = b"liucun/segment-key/v1\x00" + suite.hash(bound) + word(key_id)
        data_key = suite.envelope(period_key[self.key_id], envelope, b"segment-key", context)
        payload = data[end:]
        salt, commitment, chunks = payload[:24], payload[24:56], payload[56:]
        require(len(commitment) == 32 and len(chunks) % (CHUNK + TAG) >= TAG, "4.6")
        context = b"liucun/segment/v1\x00" + suite.hash(bound) + word(labels[1]) + word(labels[3]) + version
        info = b"c2sp.org/chunked-encryption@v1+" + suite.aead + b"\x00" + salt + context
        material = suite.expand(data_key, info, suite.key + 44)
        key, base, expected = material[: suite.key], material[suite.key : suite.key + 12], material[suite.key + 12 :]
        require(hmac.compare_digest(commitment, expected), "4.6")
        pieces = [chunks[at : at + CHUNK + TAG] for at in range(0, len(chunks), CHUNK + TAG)]
        self.plaintext = b"".join(
            suite.open(key, (int.from_bytes(base) ^ i).to_bytes(12), piece, b"", "4.5")
            for i, piece in enumerate(pieces)
        )
        digest_salt = suite.expand(data_key, b"liucun/plaintext-digest/v1\x00" + suite.hash(bound), 32)
        self.plaintext_digest = suite.hash(digest_salt + self.plaintext).hex()
        self.row_key = suite.expand(data_key, b"liucun/row-salts/v1\x00" + suite.hash(bound), 32)
        self.ciphertext_digest = suite.hash(data).hex()
        self.length = len(data)

    def check(self, manifest: bytes) -> dict[str, object]:
        """Sections 5.2 and 5.3, but for the number of rows, which the Parquet reader knows."""
        try:
            body = json.loads(manifest)
        except ValueError:
            raise RefusedError("section 5") from None
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        require(isinstance(body, dict) and canonical == manifest, "5.2")
        labels = ("suite", "segment_id", "attempt", "record_class", "period", "schema_version")
        require([body[name] for name in labels] == self.labels, "5.3")
        for name in ("key_id", "ciphertext_digest", "plaintext_digest"):
            require(body[name] == getattr(self, name), "5.3")
        require(body["bytes_stored"] == self.length, "5.3")
        members = 1 + ("rows_root" in body) + ("rows_digest" in body)
        require(body["format_version"] == members, "5.2")
        require(sum(place["rows"] for place in body["places"]) == body["rows"], "5.1")
        return body


def compact(body: object) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def open_key_ring(text: bytes, passphrase: str) -> tuple[Suite, dict[str, bytes]]:
    """Section 7: the suite and the provider keys by id."""
    body = json.loads(text)
    checksum = body.pop("checksum")
    require(hashlib.sha256(compact(body)).hexdigest() == checksum, "7.1")
    kdf = body["kdf"]
    require(kdf["memory_kib"] <= 262144 and kdf["iterations"] <= 16 and kdf["lanes"] <= 8, "7.2")
    sealing_key = hash_secret_raw(
        passphrase.encode(),
        base64.b64decode(kdf["salt"]),
        kdf["iterations"],
        kdf["memory_kib"],
        kdf["lanes"],
        32,
        Type.ID,
    )
    sealed = base64.b64decode(body.pop("sealed"))
    suite = Suite(body["suite"])
    inner = json.loads(suite.envelope(sealing_key, sealed, b"keyring", compact(body)))
    return suite, {item["id"]: base64.b64decode(item["key"]) for item in inner["keys"]}


def period_keys(database: Path, suite: Suite, provider_keys: dict[str, bytes]) -> dict[str, bytes]:
    """Section 6: every living period key by id."""
    found = {}
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    for key_id, record_class, period, wrapped in connection.execute(
        "SELECT key_id, record_class, period, wrapped FROM period_keys WHERE wrapped IS NOT NULL"
    ):
        require(wrapped[:1] == b"\x01" and len(wrapped) <= 4096, "6.1")
        (kind, provider_key), sealed = take_words(wrapped[1:], 2, "6")
        require(kind == b"keyring", "6.2")
        context = b"\x00".join((b"liucun/period-key/v1", key_id.encode(), record_class.encode(), period.encode()))
        found[key_id] = suite.envelope(provider_keys[provider_key.decode()], sealed, b"provider-wrap", context)
    connection.close()
    return found
