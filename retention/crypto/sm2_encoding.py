"""Encodings around SM2: signatures as r || s, ciphertexts and public keys in DER (GB/T 35276, RFC 5280).

The DER read here has one spelling only: minimal lengths, minimal integers, nothing behind the end.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

COORDINATE: Final = 32
P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
N: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
_INTEGER: Final = 0x02
_OCTETS: Final = 0x04
_SEQUENCE: Final = 0x30
_GENERATOR: Final = bytes.fromhex(
    "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"
    "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"
)
# SubjectPublicKeyInfo: id-ecPublicKey, the SM2 curve 1.2.156.10197.1.301, a bit string of 0x04 || x || y.
_SPKI: Final = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200 04".replace(" ", ""))
_PEM: Final = ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----")


def is_point(public: bytes) -> bool:
    """Whether 64 bytes x || y are a point of the curve (GB/T 32918.5), in the one way to write it."""
    if len(public) != 2 * COORDINATE:
        return False
    x, y = int.from_bytes(public[:COORDINATE]), int.from_bytes(public[COORDINATE:])
    return x < P and y < P and (y * y - (x * x * x - 3 * x + _B)) % P == 0


def identity_prefix(public: bytes, identity: bytes) -> bytes:
    """What SM3 turns into Z: the identity and its length in bits, the curve, and the public key (GB/T 32918.2, 5.5)."""
    curve = (P - 3).to_bytes(COORDINATE) + _B.to_bytes(COORDINATE) + _GENERATOR
    return (8 * len(identity)).to_bytes(2) + identity + curve + public


def signature_to_der(raw: bytes) -> bytes:
    """DER of a signature r || s of 64 bytes.

    Raises:
        ValueError: it has another length, or a number is out of 1 .. n - 1.
    """
    if len(raw) != 2 * COORDINATE:
        raise ValueError("an SM2 signature has 64 bytes")
    numbers = int.from_bytes(raw[:COORDINATE]), int.from_bytes(raw[COORDINATE:])
    if not all(0 < number < N for number in numbers):
        raise ValueError("a number of the signature is out of range")
    return _tagged(_SEQUENCE, b"".join(_integer(number) for number in numbers))


def signature_from_der(der: bytes) -> bytes:
    """r || s of 64 bytes from DER.

    Raises:
        ValueError: it is no SM2 signature.
    """
    inner = _Reader(_whole(der, _SEQUENCE))
    r, s = inner.integer(), inner.integer()
    inner.end()
    if not (0 < r < N and 0 < s < N):
        raise ValueError("a number of the signature is out of range")
    return r.to_bytes(COORDINATE) + s.to_bytes(COORDINATE)


def ciphertext_to_der(c1: bytes, c3: bytes, c2: bytes) -> bytes:
    """DER of a ciphertext from its point (64 bytes), hash (32) and body, as GB/T 35276 orders them."""
    numbers = _integer(int.from_bytes(c1[:COORDINATE])) + _integer(int.from_bytes(c1[COORDINATE:]))
    return _tagged(_SEQUENCE, numbers + _tagged(_OCTETS, c3) + _tagged(_OCTETS, c2))


def ciphertext_from_der(der: bytes) -> tuple[bytes, bytes, bytes]:
    """Point, hash and body of a ciphertext.

    Raises:
        ValueError: it is no SM2 ciphertext.
    """
    inner = _Reader(_whole(der, _SEQUENCE))
    point = inner.integer().to_bytes(COORDINATE) + inner.integer().to_bytes(COORDINATE)
    c3, c2 = inner.take(_OCTETS), inner.take(_OCTETS)
    inner.end()
    if len(c3) != COORDINATE or not c2 or not is_point(point):
        raise ValueError("a part of the ciphertext is out of range")
    return point, c3, c2


def public_to_der(public: bytes) -> bytes:
    """SubjectPublicKeyInfo of a public key x || y."""
    return _SPKI + public


def public_to_pem(public: bytes) -> str:
    """A public key x || y as ``PUBLIC KEY`` in PEM, which OpenSSL and GmSSL read."""
    text = base64.b64encode(public_to_der(public)).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join((_PEM[0], *lines, _PEM[1], ""))


def public_from_text(text: str) -> bytes:
    """A public key x || y from PEM, or from 128 or 130 hex digits.

    Raises:
        ValueError: it is neither, or no point of the SM2 curve.
    """
    stripped = text.strip()
    try:
        if stripped.startswith(_PEM[0]) and stripped.endswith(_PEM[1]):
            der = base64.b64decode("".join(stripped[len(_PEM[0]) : -len(_PEM[1])].split()), validate=True)
            if not der.startswith(_SPKI):
                raise ValueError("it is no public key of the SM2 curve")
            public = der.removeprefix(_SPKI)
        else:
            raw = bytes.fromhex(stripped)
            public = raw[1:] if len(raw) == 65 and raw[:1] == b"\x04" else raw
    except binascii.Error as error:
        raise ValueError("its base64 is damaged") from error
    if not is_point(public):
        raise ValueError("it is no point of the SM2 curve")
    return public


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, tag: int) -> bytes:
        value, self._data = _first(self._data, tag)
        return value

    def integer(self) -> int:
        value = self.take(_INTEGER)
        minimal = value and not value[0] & 0x80 and not (len(value) > 1 and value[0] == 0 and not value[1] & 0x80)
        if not minimal or len(value) > COORDINATE + 1 or int.from_bytes(value) >= 1 << 256:
            raise ValueError("a number is not written as DER has it")
        return int.from_bytes(value)

    def end(self) -> None:
        if self._data:
            raise ValueError("there is more than there should be")


def _whole(data: bytes, tag: int) -> bytes:
    value, rest = _first(data, tag)
    if rest:
        raise ValueError("there is more than there should be")
    return value


def _first(data: bytes, tag: int) -> tuple[bytes, bytes]:
    if len(data) < 2 or data[0] != tag:
        raise ValueError("it is cut, or another kind of value")
    length, start = data[1], 2
    if length & 0x80:
        count = length & 0x7F
        start += count
        length = int.from_bytes(data[2:start])
        if not 1 <= count <= 2 or len(data) < start or length < 0x80 or length < 1 << (8 * (count - 1)):
            raise ValueError("a length is not written as DER has it")
    if len(data) < start + length:
        raise ValueError("it is cut")
    return data[start : start + length], data[start + length :]


def _integer(number: int) -> bytes:
    return _tagged(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1))


def _tagged(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < 0x80:
        length = bytes([size])
    else:
        raw = size.to_bytes((size.bit_length() + 7) // 8)
        length = bytes([0x80 | len(raw)]) + raw
    return bytes([tag]) + length + value
