"""The committed SM2 vectors, read by the product and by code written from docs/keys.md over other libraries."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from retention.crypto import sm2_libcrypto
from retention.crypto.sm2 import Sm2KeyPair
from retention.errors import CryptoUnavailableError
from retention.keys.settings import Sm2Settings
from retention.keys.sm2_envelope import Sm2Envelope, key_id_of
from retention.transparency.note import open_note, read_verifier

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "sm2-v1.json").read_text(encoding="utf-8"))
PUBLIC, PRIVATE = bytes.fromhex(VECTORS["public_key"]), bytes.fromhex(VECTORS["private_key"])
NOTE, WRAPPED = VECTORS["note"], VECTORS["wrapped_key"]


def other() -> sm2_libcrypto.Libcrypto:
    try:
        return sm2_libcrypto.load()
    except CryptoUnavailableError as error:
        pytest.skip(str(error))


def test_the_product_reads_them() -> None:
    assert open_note(NOTE["note"], [read_verifier(NOTE["verifier"])]) == NOTE["text"]
    holder = Sm2Envelope(Path(), Sm2Settings(), PUBLIC, {key_id_of(PUBLIC): Sm2KeyPair(PUBLIC, PRIVATE)})
    assert holder.unwrap(bytes.fromhex(WRAPPED["wrapped"]), bytes.fromhex(WRAPPED["context"])) == bytes(range(32))


def test_the_note_by_the_document() -> None:
    name, key_id, encoded = NOTE["verifier"].split("+", 2)
    kind = b"\xffliucun/sm2-sm3/v1"
    assert base64.b64decode(encoded) == kind + PUBLIC
    expected = hashlib.sha256(name.encode() + b"\n" + kind + PUBLIC).digest()[:4]
    assert expected.hex() == key_id
    text, _, lines = NOTE["note"].rpartition("\n\n")
    dash, signer, blob = lines.rstrip("\n").split(" ")
    assert (dash, signer) == ("\u2014", name)
    raw = base64.b64decode(blob)
    assert raw[:4] == expected
    r, s = (number.lstrip(b"\0") for number in (raw[4:36], raw[36:68]))
    r, s = (b"\0" + n if n[0] & 0x80 else n for n in (r, s))
    body = b"".join(b"\x02" + bytes([len(n)]) + n for n in (r, s))
    der = b"\x30" + bytes([len(body)]) + body
    other().verify(PUBLIC, (text + "\n").encode(), der, b"1234567812345678")


def test_the_wrapped_key_by_the_document() -> None:
    blob = bytes.fromhex(WRAPPED["wrapped"])
    assert blob[0] == 1
    at = 2 + blob[1]
    assert blob[2:at] == b"sm2"
    tagged = blob[at + 1 + blob[at] :]
    tag, sealed = tagged[:32], tagged[32:]
    context = bytes.fromhex(WRAPPED["context"])
    holder = hmac.HMAC(HKDFExpand(hashes.SM3(), 32, b"liucun/sm2-holder/v1").derive(PRIVATE), hashes.SM3())
    holder.update(len(context).to_bytes(4, "big") + context + sealed)
    holder.verify(tag)
    length = int.from_bytes(sealed[:2], "big")
    own = other().decrypt(PRIVATE, sealed[2 : 2 + length])
    salt, box, gcm = sealed[2 + length : 26 + length], sealed[26 + length : -16], sealed[-16:]
    info = b"\x00".join((b"liucun/envelope/v1", b"AEAD_SM4_GCM", b"sm2-wrap", salt))
    material = HKDFExpand(hashes.SM3(), 28, info).derive(own)
    reader = Cipher(algorithms.SM4(material[:16]), modes.GCM(material[16:], gcm)).decryptor()
    place = (WRAPPED["key_id"], WRAPPED["record_class"], WRAPPED["period"])
    assert context == "\x00".join(("liucun/period-key/v1", *place)).encode()
    reader.authenticate_additional_data(PUBLIC + context)
    assert (reader.update(box) + reader.finalize()).hex() == WRAPPED["key"]
